"""The alerts, the dashboard and the runbooks, parsed for the tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "helm/byokd/files/alerts.yaml"
DASHBOARD = ROOT / "helm/byokd/files/dashboard.json"
RUNBOOKS = ROOT / "docs/runbooks"
TELEMETRY = ROOT / "docs/telemetry.md"

# A metric of byokd's, or one that each scrape adds, with its matchers. Labels have other names.
_SELECTOR = re.compile(r"\b((?:byokd|rpc_server|db_client|target)_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Selector:
    """One metric in the query `text`."""

    text: str
    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    @property
    def family(self) -> str:
        """The metric's name in `# TYPE`: a histogram's series have another ending each."""
        return re.sub(r"_(bucket|sum|count)$", "", self.metric)


def selectors(query: str) -> list[Selector]:
    """Every metric that a query names."""
    found = []
    for match in _SELECTOR.finditer(query):
        matchers = tuple(_MATCHER.findall(match.group(2) or ""))
        found.append(Selector(match.group(0), match.group(1), matchers))
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> Iterator[dict[str, Any]]:
    """The panels of the dashboard, those in rows included, the rows themselves not."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (inner for inner in [panel, *panel.get("panels", [])] if inner["type"] != "row")


def variables() -> list[dict[str, Any]]:
    """The variables of the dashboard."""
    listed: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["templating"]["list"]
    return listed


def runbook_queries() -> Iterator[tuple[str, str]]:
    """The queries in the runbooks: page and query. Lines of one block are queries of their own."""
    for page in sorted(RUNBOOKS.glob("*.md")):
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                if query := line.split(" # ")[0].strip():
                    yield page.name, query


def documented() -> dict[str, tuple[str, dict[str, set[str]]]]:
    """The table of metrics: name → type, and each label with the values that the page lists (none: any)."""
    rows: dict[str, tuple[str, dict[str, set[str]]]] = {}
    for line in TELEMETRY.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) != 4 or not (named := re.fullmatch(r"`([a-z_]+)`", cells[0].strip("| "))):
            continue
        labels: dict[str, set[str]] = {}
        for part in cells[2].split("; ") if cells[2] != "–" else []:
            name, *values = re.findall(r"`([^`]*)`", part)
            labels[name] = set(values)
        rows[named.group(1)] = (cells[1], labels)
    return rows
