"""The chart, as a real helm renders it."""

import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "byokd"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))

# The minimal values of a production release.
PRODUCTION = {
    "image": {"repository": "registry.example.com/byokd"},
    "tls": {"source": "secret", "existingSecret": "byokd-tls"},
    "database": {"existingSecret": "byokd-database"},
    "kms": {"key": "alias/byokd"},
    "audit": {"existingSecret": "byokd-audit"},
    "config": {
        "auth": {
            "rules": [
                {"certificate": "spiffe://example.org/ns/agents/*", "roles": ["resolver"], "workspaces": ["*"]}
            ]
        }
    },
}


class Loader(yaml.SafeLoader):
    """YAML without the types that Kubernetes' own reader does not know: dates stay texts, `=` is one."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def merged(*layers):
    """Values over values, as helm merges several files."""
    result = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def helm(*arguments):
    """Runs helm without the configuration of the current user, and without a cluster."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home}
        return subprocess.run(
            [os.environ["BYOKD_TEST_HELM"], *arguments],
            capture_output=True, text=True, timeout=60, env=environment, check=False,
        )  # fmt: skip


def with_values(values, *command, chart=CHART):
    """Runs a command of helm on the chart, with these values alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        return helm(*command, str(chart), "--namespace", "keys", "--values", file.name)


def template(values):
    return with_values(values, "template", "byokd")


def notes(values):
    """The notes after an install. Helm 3 asks a cluster before it shows them, so the test renders them as a template."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "byokd"
        shutil.copytree(CHART, copy)
        text = (copy / "templates" / "NOTES.txt").read_text()
        (copy / "templates" / "_shown.tpl").write_text('{{ define "shown" }}' + text + "{{ end }}")
        (copy / "templates" / "shown.yaml").write_text('shown: |\n{{ include "shown" . | indent 2 }}\n')
        run = with_values(values, "template", "byokd", "--show-only", "templates/shown.yaml", chart=copy)
    assert run.returncode == 0, run.stderr
    return yaml.safe_load(run.stdout)["shown"]


def lint(values):
    return with_values(values, "lint", "--strict")


def rendered(values):
    """The rendered text; rendering must succeed."""
    run = template(values)
    assert run.returncode == 0, run.stderr
    return run.stdout


def objects(values):
    """The rendered objects, by kind and name."""
    found = {}
    for document in yaml.load_all(rendered(values), Loader):
        if document is not None:
            key = (document["kind"], document["metadata"]["name"])
            assert key not in found, f"{key} twice"
            found[key] = document
    return found


def refusal(values):
    """The message of helm, which must refuse."""
    run = template(values)
    assert run.returncode != 0, "helm rendered what it must refuse"
    return run.stderr


def pod_specs(found):
    """Each pod of these objects: its name, its metadata and its spec."""
    for (kind, name), document in found.items():
        if kind == "Pod":
            yield f"{kind} {name}", document["metadata"], document["spec"]
        elif kind in ("Deployment", "Job"):
            template_ = document["spec"]["template"]
            yield f"{kind} {name}", template_["metadata"], template_["spec"]


def deployment(found, name="byokd"):
    return found["Deployment", name]["spec"]["template"]["spec"]


def settings(found, name="byokd"):
    """byokd.toml, read."""
    return tomllib.loads(found["ConfigMap", name]["data"]["byokd.toml"])


@functools.cache
def example(path):
    return yaml.safe_load(path.read_text())
