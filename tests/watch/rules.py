"""The alerts as Prometheus' own tool reads them: sound, tested both ways, and each with a runbook.

Started by tests/run, which installs promtool and names it in the environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from pages import ALERTS, ROOT, RUNBOOKS, TELEMETRY, alerts, documented, panels, runbook_queries, selectors, variables

PROMTOOL = os.environ["BYOKD_TEST_PROMTOOL"]
CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
HEADINGS = ["What it means", "What customers feel", "What to look at", "What to do", "How it ends"]


def main() -> int:
    faults = [*sound(), *described(), *paged(), *quoted(), *charted(), *named(), *tested(), *able_to_fail()]
    for fault in faults:
        print(f"FAILED: {fault}")
    if not faults:
        count = sum(len(yaml.safe_load(path.read_text())["tests"]) for path in CASES)
        print(f"{len(alerts())} alerts, {count} cases: each alert fires and stays quiet as written")
    return 1 if faults else 0


def promtool(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def sound() -> list[str]:
    code, said = promtool("check", "rules", str(ALERTS))
    return [] if code == 0 else [said]


def described() -> list[str]:
    """Each alert has a severity and a subject, and no label that its expression lacks."""
    faults = []
    for name, rule in alerts().items():
        notes = rule["annotations"]
        if rule["labels"]["severity"] not in ("critical", "warning"):
            faults.append(f"{name}: severity {rule['labels']['severity']}")
        if notes["runbook_url"] != f"docs/runbooks/{name}.md":
            faults.append(f"{name}: runbook_url {notes['runbook_url']}")
        grouped = re.findall(r"(?:sum|max) by \(([^)]*)\)", rule["expr"])
        labels = {label.strip() for by in grouped for label in by.split(",")} or {"namespace", "job", "pod", "instance"}
        used = set(re.findall(r"\$labels\.(\w+)", notes["summary"] + notes["description"]))
        if rule["expr"].startswith("sum by (namespace, job) (byokd_ready)"):
            labels = {"namespace", "job"}
        faults += [f"{name}: names the label {label}, which its expression drops" for label in used - labels]
    return faults


def paged() -> list[str]:
    """Each alert has its page and each page its alert; the pages have the same parts, and the index lists them all."""
    faults, index = [], (RUNBOOKS / "README.md").read_text()
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    faults += [f"{name} has no page in docs/runbooks" for name in alerts().keys() - pages]
    faults += [f"docs/runbooks/{name}.md is about no alert" for name in pages - alerts().keys()]
    for name in sorted(pages & alerts().keys()):
        text = (RUNBOOKS / f"{name}.md").read_text()
        if not text.startswith(f"# {name}\n"):
            faults.append(f"docs/runbooks/{name}.md does not begin with its name")
        if re.findall(r"^## (.*)$", text, re.MULTILINE) != HEADINGS:
            faults.append(f"docs/runbooks/{name}.md has not exactly the parts {HEADINGS}")
        if f"| [{name}]({name}.md) | {alerts()[name]['labels']['severity']} |" not in index:
            faults.append(f"docs/runbooks/README.md does not list {name} with its severity")
    return faults


def quoted() -> list[str]:
    """Each log line that a runbook quotes is one that byokd writes."""
    sources = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.rs")))
    # A long string goes on in the next line of the source, after a backslash.
    said = re.sub(r"\\\n\s*", "", sources)
    faults = []
    for page in [*sorted(RUNBOOKS.glob("*.md")), TELEMETRY]:
        for block in re.findall(r"```log\n(.*?)```", page.read_text(), re.DOTALL):
            faults += [f"{page.name}: byokd never logs {line!r}" for line in block.splitlines() if line not in said]
    return faults


def charted() -> list[str]:
    """Each panel explains a bad value, uses the chosen data source, and overlaps no other."""
    faults, taken = [], set()
    for panel in panels():
        where, title = panel["gridPos"], panel["title"]
        cells = {(where["x"] + x, where["y"] + y) for x in range(where["w"]) for y in range(where["h"])}
        if cells & taken or where["x"] + where["w"] > 24:
            faults.append(f"the panel {title!r} lies on another one, or beside the page")
        taken |= cells
        if len(panel["description"]) < 20 or not panel["targets"]:
            faults.append(f"the panel {title!r} has no description or no query")
        if any(asker["datasource"]["uid"] != "${datasource}" for asker in (panel, *panel["targets"])):
            faults.append(f"the panel {title!r} does not ask the data source that was chosen")
    return faults


def named() -> list[str]:
    """Charts, alerts and runbooks name metrics, labels and values that the table of metrics has."""
    queries = [(name, rule["expr"]) for name, rule in alerts().items()]
    queries += [(panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", [])]
    queries += [(f"${v['name']}", v["query"]["query"]) for v in variables() if v["type"] == "query"]
    queries += list(runbook_queries())
    table, faults = documented(), []
    for where, query in queries:
        for selector in selectors(query):
            if selector.metric == "up":
                continue
            if selector.family not in table:
                faults.append(f"{where}: {selector.family} is not in the table of docs/telemetry.md")
                continue
            labels = table[selector.family][1]
            for label, operator, value in selector.matchers:
                if label in ("namespace", "job", "pod", "instance", "le"):
                    continue
                if label not in labels:
                    faults.append(f"{where}: {selector.family} has no label {label}")
                elif labels[label] and operator in ("=", "!="):
                    if value not in labels[label] | {""}:
                        faults.append(f"{where}: {selector.family} has no {label}={value!r}")
                elif labels[label] and not any(re.fullmatch(value, known) for known in labels[label]):
                    faults.append(f"{where}: no {label} of {selector.family} is like {value!r}")
    return faults


def tested() -> list[str]:
    """`promtool test rules` passes, and each alert has a case that fires and one that stays quiet."""
    faults = []
    kinds = Counter((name, fires) for name, fires in map(kind, cases()))
    for name in alerts():
        if not kinds[name, True] or not kinds[name, False]:
            faults.append(f"{name} needs a case that fires and one that stays quiet")
    faults += [f"a case is about {name}, which is no alert" for name, _ in kinds if name not in alerts()]
    code, said = promtool("test", "rules", *map(str, CASES))
    return faults if code == 0 else [*faults, said]


def able_to_fail() -> list[str]:
    """With alerts that never fire, each case that fires must fail; with alerts that always do, each other one."""
    faults = []
    for expression, fires in (("vector(0) > 1", True), ("vector(1)", False)):
        with tempfile.TemporaryDirectory(prefix="byokd-watch-") as folder:
            rules = yaml.safe_load(ALERTS.read_text())
            for group in rules["groups"]:
                for rule in group["rules"]:
                    rule["expr"] = expression
            changed = Path(folder) / "alerts.yaml"
            changed.write_text(yaml.safe_dump(rules))
            copies = []
            for path in CASES:
                copy = Path(folder) / f"cases-{path.name}"
                copy.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "rule_files": [str(changed)]}))
                copies.append(str(copy))
            _, said = promtool("test", "rules", *copies)
        failed = Counter(re.findall(r'alertname=\\?"(\w+)', said))
        wanted = Counter(name for name, fires_ in map(kind, cases()) if fires_ == fires)
        if failed != wanted:
            faults.append(f"with {expression} other cases fail than should: {(failed - wanted) + (wanted - failed)}")
    return faults


def cases() -> list[dict[str, Any]]:
    return [case for path in CASES for case in yaml.safe_load(path.read_text())["tests"]]


def kind(case: dict[str, Any]) -> tuple[str, bool]:
    """The alert that a case is about, and whether it fires: as its name, its query and what it expects agree."""
    match = re.fullmatch(r"(\w+) (fires|stays quiet): .+", case["name"])
    assert match, f"{case['name']!r} is not of the form 'ALERT fires: …' or 'ALERT stays quiet: …'"
    name, fires = match.group(1), match.group(2) == "fires"
    (asked,) = case["promql_expr_test"]
    assert asked["expr"] == f'group(ALERTS{{alertname="{name}", alertstate="firing"}})', case["name"]
    assert bool(asked["exp_samples"]) == fires, case["name"]
    return name, fires


if __name__ == "__main__":
    sys.exit(main())
