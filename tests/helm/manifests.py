"""Every combination of values and every example: a cluster accepts it, it is as restricted as promised, and its
parts fit together."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

import chart
import restricted
import schemas
from combinations import COMBINATIONS


def server_labels(found):
    (deployment,) = (document for (kind, _), document in found.items() if kind == "Deployment")
    return deployment["spec"]["template"]["metadata"]["labels"]


def selects(selector, labels):
    return selector.items() <= labels.items()


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rendered = {name: chart.objects(values) for name, values in COMBINATIONS.items()}

    def test_there_are_as_many_as_promised(self):
        self.assertGreaterEqual(len(COMBINATIONS) - len(chart.EXAMPLES), 25)
        self.assertGreaterEqual(len(chart.EXAMPLES), 4)

    def test_every_version_of_kubernetes_takes_every_object(self):
        judged = {}
        for combination, found in self.rendered.items():
            with self.subTest(combination):
                for key, document in found.items():
                    text = json.dumps(document, sort_keys=True)
                    if text not in judged:
                        judged[text] = {version: schemas.faults(document, version) for version in schemas.VERSIONS}
                    for version, faults in judged[text].items():
                        self.assertEqual(faults, [], f"{key}, Kubernetes {version}")
        print(f"{len(judged)} different objects against {len(schemas.VERSIONS)} versions of Kubernetes")

    def test_every_pod_is_restricted(self):
        pods = 0
        for combination, found in self.rendered.items():
            with self.subTest(combination):
                for name, _, spec in chart.pod_specs(found):
                    self.assertEqual(restricted.faults(spec), [], name)
                    pods += 1
        print(f"{pods} pods are restricted")

    def test_pods_of_the_runbooks_are_taken_and_restricted(self):
        pages = "".join(page.read_text() for page in sorted((chart.ROOT / "docs" / "runbooks").glob("*.md")))
        pods = [yaml.load(text, chart.Loader) for text in re.findall(r"<<'EOF'\n(.+?)\nEOF\n", pages, re.DOTALL)]
        self.assertGreater(len(pods), 0)
        for pod in pods:
            for version in schemas.VERSIONS:
                self.assertEqual(schemas.faults(pod, version), [], f"{pod['metadata']}, Kubernetes {version}")
            self.assertEqual(restricted.faults(pod["spec"]), [])

    def test_services_budgets_and_policies_select_servers_alone(self):
        for combination, found in self.rendered.items():
            with self.subTest(combination):
                labels = server_labels(found)
                others = [metadata["labels"] for name, metadata, _ in chart.pod_specs(found) if "Deployment" not in name]
                for (kind, name), document in found.items():
                    spec = document.get("spec", {})
                    selector = {
                        "Service": lambda spec=spec: spec["selector"],
                        "Deployment": lambda spec=spec: spec["selector"]["matchLabels"],
                        "PodDisruptionBudget": lambda spec=spec: spec["selector"]["matchLabels"],
                        "NetworkPolicy": lambda spec=spec: spec["podSelector"]["matchLabels"],
                    }.get(kind)
                    if selector is None or name.endswith("-migrate"):
                        continue
                    self.assertTrue(selects(selector(), labels), f"{kind} {name} does not select the server")
                    for other in others:
                        self.assertFalse(selects(selector(), other), f"{kind} {name} selects {other}")

    def test_what_a_pod_mounts_is_there(self):
        for combination, found in self.rendered.items():
            with self.subTest(combination):
                for name, _, spec in chart.pod_specs(found):
                    volumes = [volume["name"] for volume in spec.get("volumes", [])]
                    self.assertEqual(len(volumes), len(set(volumes)), name)
                    mounted = set()
                    for container in spec.get("initContainers", []) + spec["containers"]:
                        mounts = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
                        self.assertEqual(len(mounts), len(set(mounts)), name)
                        mounted |= {mount["name"] for mount in container.get("volumeMounts", [])}
                    self.assertEqual(mounted, set(volumes), name)

    def test_byokd_itself_finds_every_configuration_good(self):
        """byokd reads the ConfigMap, the variables and the mounted Secret, as its pod would."""
        binary = os.environ["BYOKD_TEST_BINARY"]
        checked = 0
        for combination, found in self.rendered.items():
            with self.subTest(combination):
                for pod, _, spec in chart.pod_specs(found):
                    container = spec["containers"][0]
                    if container["args"][0] not in ("serve", "migrate"):
                        continue
                    with tempfile.TemporaryDirectory() as folder:
                        root = pathlib.Path(folder)
                        environment = {"PATH": os.environ["PATH"]}
                        for variable in container["env"]:
                            # Paths are those of the pod: here they are below a folder of the test's.
                            value = variable.get("value", "from-elsewhere")
                            environment[variable["name"]] = f"{root}{value}" if value.startswith("/") else value
                        if container["args"][0] == "serve":
                            (config,) = (d for (kind, n), d in found.items() if kind == "ConfigMap" and "byokd.toml" in d["data"])
                            text = config["data"]["byokd.toml"].replace('"/', f'"{root}/')
                            file = pathlib.Path(environment["BYOKD_CONFIG"])
                            file.parent.mkdir(parents=True)
                            file.write_text(text)
                        for url in ("etc/byokd/secrets/database/url", "etc/byokd/secrets/database/listen-url", "mnt/secrets/database-url"):
                            (root / url).parent.mkdir(parents=True, exist_ok=True)
                            (root / url).write_text("postgres://byokd:SYNTHETIC@db.example.com/byokd?sslmode=verify-full\n")
                        run = subprocess.run(
                            [binary, "config", "check"], cwd=folder, env=environment,
                            capture_output=True, text=True, timeout=30, check=False,
                        )  # fmt: skip
                        self.assertEqual(run.returncode, 0, f"{pod}: {run.stderr}")
                        checked += 1
        print(f"byokd finds {checked} configurations good")


if __name__ == "__main__":
    unittest.main()
