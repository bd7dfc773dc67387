"""Committed texts match the chart: golden files, the chart's README, and the settings in its schema.

`tests/helm/run.py --update` updates the golden files and the README; read the difference before you commit it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

import chart
from combinations import COMBINATIONS, GOLDEN

FOLDER = pathlib.Path(__file__).parent / "golden"
# Alerts and dashboard have tests of their own, and are long.
LONG = re.compile(r"(kind: PrometheusRule\n(?:.+\n)+?spec:\n|\n  byokd\.json: \|-\n)(?:  .*\n|\n)+")


def golden(name):
    # Helm 3 and 4 put blank lines between documents differently.
    text = re.sub(r"\n+---\n", "\n---\n", chart.rendered(COMBINATIONS[name]).rstrip() + "\n")
    return LONG.sub(lambda found: f"{found.group(1)}  # not shown\n", text)


def file_of(name):
    return FOLDER / f"{name.replace(' ', '-')}.yaml"


def readme():
    """The README, as helm-docs makes it from the comments in values.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "byokd"
        copy.mkdir()
        for name in ("Chart.yaml", "values.yaml", "README.md.gotmpl"):
            shutil.copy(chart.CHART / name, copy)
        subprocess.run(
            [os.environ["BYOKD_TEST_HELM_DOCS"], "--chart-search-root", copy, "--sort-values-order", "file",
             "--log-level", "warning"],
            check=True, timeout=60,
        )  # fmt: skip
        return (copy / "README.md").read_text()


def update():
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.yaml"):
        old.unlink()
    for name in GOLDEN:
        file_of(name).write_text(golden(name))
    (chart.CHART / "README.md").write_text(readme())
    print(f"wrote {len(GOLDEN)} golden files and the chart's README")


class Written(unittest.TestCase):
    maxDiff = None

    def test_rendered_manifests_match_the_golden_files(self):
        self.assertEqual({file_of(name) for name in GOLDEN}, set(FOLDER.glob("*.yaml")))
        for name in GOLDEN:
            with self.subTest(name):
                self.assertEqual(golden(name), file_of(name).read_text(), "run tests/helm/run.py --update and read the difference")
        print(f"{len(GOLDEN)} golden files are what is rendered")

    def test_the_readme_is_that_of_the_values(self):
        made = readme()
        self.assertEqual(made, (chart.CHART / "README.md").read_text(), "run tests/helm/run.py --update")
        undescribed = [line for line in made.splitlines() if line.startswith("| ") and line.endswith("|  |")]
        self.assertEqual(undescribed, [], "values without a comment that begins with `# --`")

    def test_the_schema_knows_the_settings_of_byokd_and_no_others(self):
        """`byokd config show` has them all. The URLs hold passwords, so they come from a file."""
        with tempfile.TemporaryDirectory() as folder:
            shown = subprocess.run(
                [os.environ["BYOKD_TEST_BINARY"], "config", "show", "--output", "json"], cwd=folder,
                env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30, check=True,
            )  # fmt: skip
        byokd = {section: set(settings) for section, settings in json.loads(shown.stdout).items()}
        byokd["database"] -= {"url", "listen_url"}
        schema = json.loads((chart.CHART / "values.schema.json").read_text())["properties"]["config"]
        known = {section: set(settings["properties"]) for section, settings in schema["properties"].items()}
        self.assertEqual(known, byokd, "helm/byokd/values.schema.json, properties.config")

    def test_the_schema_allows_no_number_that_byokd_refuses(self):
        """The ends of each range, as byokd judges them; one without an end has the largest whole number."""
        schema = json.loads((chart.CHART / "values.schema.json").read_text())["properties"]["config"]["properties"]
        # A default deadline is never longer than the longest.
        beside = {"limits.default_deadline_ms": "limits.longest_deadline_ms", "limits.longest_deadline_ms": "limits.default_deadline_ms"}
        tried = 0
        for section, settings in schema.items():
            for key, setting in settings["properties"].items():
                if setting is True or setting.get("type") != "integer":
                    continue
                for value in (setting["minimum"], setting.get("maximum", 2**32 - 1)):
                    config = {f"{section}.{key}": value}
                    if other := beside.get(f"{section}.{key}"):
                        other_section, other_key = other.split(".")
                        ends = schema[other_section]["properties"][other_key]
                        config[other] = ends["maximum" if other_key == "longest_deadline_ms" else "minimum"]
                    with self.subTest(str(config)), tempfile.TemporaryDirectory() as folder:
                        names = {f"BYOKD__{name.replace('.', '__').upper()}": str(number) for name, number in config.items()}
                        run = subprocess.run(
                            [os.environ["BYOKD_TEST_BINARY"], "config", "check"], cwd=folder,
                            env={"PATH": os.environ["PATH"], **names}, capture_output=True, text=True, timeout=30, check=False,
                        )  # fmt: skip
                        self.assertEqual(run.returncode, 0, run.stderr)
                        tried += 1
        self.assertGreater(tried, 30)

    def test_the_schema_is_closed_at_every_level_of_its_own(self):
        open_, closed = [], 0

        def walk(schema, path):
            nonlocal closed
            if not isinstance(schema, dict):
                return
            if "properties" in schema and "additionalProperties" in schema:
                self.assertIs(schema["additionalProperties"], False, path)
                closed += 1
            elif "properties" in schema and path not in ("/extraObjects/items",):
                open_.append(path)
            for name, part in schema.get("properties", {}).items():
                walk(part, f"{path}/{name}")
            walk(schema.get("items"), f"{path}/items")

        walk(json.loads((chart.CHART / "values.schema.json").read_text()), "")
        self.assertEqual(open_, [])
        self.assertGreater(closed, 40)

    def test_lint_finds_nothing(self):
        run = chart.lint(chart.PRODUCTION)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertNotIn("WARNING", run.stdout)

    def test_the_chart_is_of_byokds_version(self):
        manifest = (chart.ROOT / "Cargo.toml").read_text()
        version = re.search(r'^version = "(.+)"$', manifest, re.MULTILINE).group(1)
        self.assertIn(f'\nappVersion: "{version}"\n', (chart.CHART / "Chart.yaml").read_text())

    def test_the_examples_of_the_readme_are_the_files(self):
        named = set(re.findall(r"\(examples/([\w-]+\.yaml)\)", (chart.CHART / "README.md").read_text()))
        self.assertEqual(named, {path.name for path in chart.EXAMPLES})

    def test_the_values_in_the_readmes_render_and_lead_to_the_first_call(self):
        section = (chart.ROOT / "docs/production.md").read_text().split("\n## Kubernetes\n")[1].split("\n## ")[0]
        for text in ((chart.CHART / "README.md").read_text(), section):
            self.assertIn("create secret generic byokd-database --from-file=url=", text)
            values = yaml.safe_load(re.search(r"```yaml\n(.+?)```", text, re.DOTALL).group(1))
            self.assertEqual(values["database"]["existingSecret"], "byokd-database")
            self.assertEqual(chart.settings(chart.objects(values))["kms"]["key"], "alias/byokd")
        notes = chart.notes(values).replace("byokd.keys.svc", "byokd.byokd.svc")
        calls = [re.search(r"grpcurl .+?ResolveCredentials", text, re.DOTALL).group() for text in (section, notes)]
        self.assertEqual(*(call.replace("\\\n", " ").split() for call in calls))

    def test_no_file_is_packed_that_is_not_of_the_chart(self):
        with tempfile.TemporaryDirectory() as folder:
            run = chart.helm("package", str(chart.CHART), "--destination", folder)
            self.assertEqual(run.returncode, 0, run.stderr)
            (package,) = pathlib.Path(folder).iterdir()
            listed = subprocess.run(["tar", "-tzf", package], capture_output=True, text=True, check=True, timeout=30)
        files = set(listed.stdout.split())
        self.assertLessEqual({"byokd/values.schema.json", "byokd/files/alerts.yaml", "byokd/README.md"}, files)
        self.assertFalse({file for file in files if "examples" in file or "gotmpl" in file})


if __name__ == "__main__":
    unittest.main()
