"""The rows about real chargers: their tests, their frames, their simulated faults."""

import json
import re
from typing import Final

from sim_chargers.faults import ROWS
from tests.conformance.marks import TESTS, as_cell, shown_by

_ROW: Final = re.compile(r"\| (\d+) \| ([^|]+) \| ([^|]+) \|")


def numbers(table_text: str) -> list[str]:
    """Rows that a table has."""
    return [found[1] for line in table_text.splitlines() if (found := _ROW.match(line))]


def frames() -> dict[str, list[str]]:
    """Files of golden frames, by row."""
    found: dict[str, list[str]] = {}
    for path in sorted((TESTS / "frames").rglob("quirks.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            places = found.setdefault(str(json.loads(line)["row"]), [])
            name = str(path.relative_to(TESTS))
            if name not in places:
                places.append(name)
    return found


def faults() -> dict[str, list[str]]:
    """Names of simulated faults, by row."""
    found: dict[str, list[str]] = {}
    for name, row in ROWS.items():
        found.setdefault(str(row), []).append(name)
    return found


def table(before: str) -> str:
    """The table with the words it had, its tests and faults as they are now."""
    shown, in_frames, simulated = shown_by("quirk"), frames(), faults()
    lines: list[str] = []
    for line in before.strip().splitlines():
        found = _ROW.match(line)
        if found is None:
            lines.append(line)
            continue
        row = found[1]
        tests = as_cell(shown.get(row, []) + in_frames.get(row, []))
        named = ", ".join(f"`{name}`" for name in simulated.get(row, []))
        lines.append(f"{found[0]} {tests} | {named} |")
    return "\n".join(lines) + "\n"
