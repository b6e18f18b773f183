"""What an operator can meet, from the code: metrics, log events, error codes."""

import ast
from collections.abc import Iterator
from typing import Final

from gateway.meters import poller
from gateway.services import certificates, churn, metrics
from tests.docs import pages
from tests.docs.pages import DOCS, ROOT

PAGE: Final = DOCS / "monitoring.md"
LOUD: Final = ("warning", "error", "critical", "exception")
"""Levels of lines that somebody should understand."""
PARTS: Final = ("gateway", "ledger", "optimizer")


def metric_table() -> str:
    """Every metric; when to worry is what the page says already."""
    worries = {row[0]: row[3] for row in pages.rows(PAGE, "Metrics")}
    lines = ["| metric | kind | what | when to worry |", "|---|---|---|---|"]
    for kind, suffix, texts in (
        ("counter", "_total", metrics.COUNTERS),
        ("gauge", "", metrics.GAUGES),
        ("gauge", "", certificates.GAUGES),
        ("gauge", "", churn.GAUGES),
        ("gauge", "", poller.GAUGES),
    ):
        for name, text in texts.items():
            key = f"`{metrics.PREFIX}{name}{suffix}`"
            lines.append(f"| {key} | {kind} | {text} | {worries.get(key, '')} |")
    return "\n".join(lines) + "\n"


def log_events() -> set[str]:
    """Names of all log lines from warnings upwards."""
    return set(_events())


def error_codes() -> set[str]:
    """Every ``error`` that the API answers with, as written in the code."""
    found = set()
    for tree in _trees(("gateway/api", "gateway/services", "gateway/web")):
        for node in ast.walk(tree):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            place = {"RequestError": 1, "_refusal": 0}.get(name)
            if place is not None and isinstance(node, ast.Call):
                found |= _texts(node.args[place], tree)
    return found


def deviation_kinds() -> set[str]:
    """Every kind of deviation that is ever noted."""
    found = set()
    for tree in _trees(("gateway/ocpp",)):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name == "Deviation":
                kinds = [one.value for one in node.keywords if one.arg == "kind"]
            elif name == "note":
                kinds = node.args[:1]
            elif name == "_note":
                kinds = node.args[1:2]
            else:
                continue
            for kind in kinds:
                found |= {one.value for one in [kind] if isinstance(one, ast.Constant)}
    return {str(kind) for kind in found}


def _events() -> Iterator[str]:
    for tree in _trees(PARTS):
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LOUD
                and getattr(node.func.value, "id", "") == "_log"
            ):
                yield from _texts(node.args[0], tree)


def _texts(node: ast.expr, tree: ast.Module) -> set[str]:
    """The constants that an argument may be, also by way of one name."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        return _texts(node.body, tree) | _texts(node.orelse, tree)
    if isinstance(node, ast.Name):
        values = [
            one.value
            for one in ast.walk(tree)
            if isinstance(one, ast.Assign)
            and any(getattr(to, "id", "") == node.id for to in one.targets)
        ]
        return {text for value in values for text in _texts(value, tree)}
    return set()


def _trees(folders: tuple[str, ...]) -> Iterator[ast.Module]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))
