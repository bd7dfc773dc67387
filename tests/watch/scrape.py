"""A real Prometheus scrapes two replicas of byokd under load, through faults; then every query is run.

    scrape.py --binary target/debug/byokd

What must hold: the metrics are those of docs/telemetry.md, with their types, labels and values; every query of the
dashboard yields numbers; every metric that an alert or a runbook selects is there; Prometheus evaluates every alert.

Started by tests/run under the services of tests/services.sh. Everything listens on loopback and is ended here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from drive import Drive, Replica, Site
from pages import Selector, alerts, documented, panels, runbook_queries, selectors, variables
from prometheus import BadQuery, Page, Prometheus
from report import expect, heading, passed, wait_until

# Label values that no call of this test produces. The label appears with other values, and tests/watch/rules.py knows
# that the value exists.
NOT_DRIVEN = {"INTERNAL", "RECORD_CORRUPT", "OVERLOADED", "rejected", "corrupt"}
# Grafana's variable for a sensible window.
WINDOW = "5m"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=os.environ.get("BYOKD_BIN"), help="byokd; default $BYOKD_BIN")
    arguments = parser.parse_args()
    if arguments.binary is None:
        parser.error("--binary or BYOKD_BIN is needed")
    # A run that is stopped by a signal ends its processes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="byokd-watch-") as temporary, ExitStack() as stack:
        site = Site(arguments.binary.resolve(), Path(temporary), stack)
        first = site.replica("first")
        second_address = site.reserve()
        watcher = Prometheus(os.environ["BYOKD_TEST_PROMETHEUS"], Path(temporary), [first.admin, second_address])
        stack.callback(watcher.process.stop)
        drive = Drive(site, first)
        stack.callback(drive.stop)
        heading("load and faults")
        drive.kms_faults()
        drive.keys()
        second = site.replica("second", second_address)
        drive.load()
        drive.refusals()
        drive.database_fault()
        drive.provider_fault()
        heading("the table of metrics")
        table_is_true(first, second)
        heading("the dashboard")
        charts_show_numbers(watcher)
        heading("alerts and runbooks")
        selectors_select(watcher)
        alerts_are_evaluated(watcher)
    print(f"\nscrape: passed in {time.monotonic() - started:.1f} s")
    return 0


def table_is_true(first: Replica, second: Replica) -> None:
    """The metrics that both replicas expose are those of docs/telemetry.md, no more and no less."""
    table, pages = documented(), [Page(first.admin), Page(second.admin)]
    types = {name: kind for page in pages for name, kind in page.types.items()}
    wanted = {name: kind for name, (kind, _) in table.items()}
    different = sorted(types.items() ^ wanted.items())
    expect(not different, f"the names and types of all {len(types)} are those of docs/telemetry.md", different)
    for page in pages:
        expect(page.types.keys() <= page.helped, "each metric says what it is", page.types.keys() - page.helped)
        for sample, labels, _ in page.samples:
            family = next(name for name in types if sample in (name, *(name + end for end in ENDINGS)))
            if family == "target_info":
                continue
            known = table[family][1]
            strange = {
                label: value
                for label, value in labels.items()
                if label != "le" and (label not in known or known[label] and value not in known[label])
            }
            if strange:
                raise AssertionError(f"{sample} has labels that docs/telemetry.md does not know: {strange}")
    seen = {(sample, label) for page in pages for sample, labels, _ in page.samples for label in labels}
    missing = [
        f"{name}: {label}"
        for name, (_, labels) in table.items()
        for label in labels
        if not any((name + end, label) in seen for end in ("", *ENDINGS))
    ]
    expect(not missing, "each label that it names is exposed", missing)
    text = json.dumps([sample for page in pages for sample in page.samples])
    leaked = [word for word in (*Site.WORKSPACES, *Site.KEYS) if word in text]
    expect(not leaked, "no workspace and no key among them", leaked)


ENDINGS = ("_bucket", "_sum", "_count")


def charts_show_numbers(watcher: Prometheus) -> None:
    """Every query of every panel, and every variable, with Grafana's variables filled in."""
    chosen = {"namespace": "byokd", "job": "byokd", "pod": ".*"}
    for variable in variables():
        if variable["type"] == "query":
            query = variable["query"]["query"].removeprefix("label_values(").removesuffix(")")
            selector, _, label = filled(query, chosen).rpartition(", ")
            until_series(watcher, selector, f"${variable['name']}")
            values = watcher.label_values(label, selector)
            expect(bool(values), f"${variable['name']} offers something to choose", values)
    count = 0
    for panel in panels():
        for target in panel["targets"]:
            expression = filled(target["expr"], chosen)
            # Another scrape or two may be needed.
            until_series(watcher, expression, f"{panel['title']}: {expression}")
            count += 1
    passed(f"{count} queries of the dashboard yield numbers")


def filled(query: str, variables: dict[str, str]) -> str:
    for name, value in {**variables, "__rate_interval": WINDOW}.items():
        query = query.replace(f"${name}", value)
    return query


def selectors_select(watcher: Prometheus) -> None:
    """Each metric that an alert or a runbook selects is there, and the queries in runbooks run."""
    for page, query in runbook_queries():
        try:
            watcher.query(query)
        except BadQuery as error:
            raise AssertionError(f"docs/runbooks/{page}: {query}: {error}") from error
    queries = [rule["expr"] for rule in alerts().values()] + [query for _, query in runbook_queries()]
    unique = {selector.text: selector for query in queries for selector in selectors(query)}
    relaxed = 0
    for selector in unique.values():
        try:
            until_series(watcher, selector.text, selector.text, 3 if not_driven(selector) else 30)
        except AssertionError:
            if not not_driven(selector):
                raise
            labels = ", ".join(f'{label}!=""' for label, _, _ in selector.matchers)
            until_series(watcher, f"{selector.metric}{{{labels}}}", selector.text)
            relaxed += 1
    passed(f"{len(unique)} selectors select; {relaxed} of them by their labels alone, without the fault that they name")


def not_driven(selector: Selector) -> bool:
    return any(operator == "=" and value in NOT_DRIVEN for _, operator, value in selector.matchers)


def alerts_are_evaluated(watcher: Prometheus) -> None:
    """Prometheus itself finds no fault in any alert, nor in a text that one of them fills in."""
    rules = watcher.rules()
    expect({rule["name"] for rule in rules} == set(alerts()), "Prometheus has loaded every alert")
    sick = {rule["name"]: rule.get("lastError", rule["health"]) for rule in rules if rule["health"] != "ok"}
    expect(not sick, f"it evaluates all {len(rules)} of them", sick)
    active = [alert for rule in rules for alert in rule["alerts"]]
    broken = [alert for alert in active if "error" in json.dumps(alert["annotations"])]
    expect(not broken, f"the texts of the {len(active)} that the faults made pending or firing are whole", broken)


def until_series(watcher: Prometheus, expression: str, what: str, seconds: float = 30) -> None:
    def yields() -> bool:
        try:
            return bool(watcher.query(expression))
        except BadQuery as error:
            raise AssertionError(f"{what}: {error}") from error

    wait_until(yields, seconds, f"series of {what}")


if __name__ == "__main__":
    sys.exit(main())
