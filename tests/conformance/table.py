"""Which test shows what; writes those tables into the documentation.

A test names what it shows: ``@pytest.mark.case("TC_B_01_CSMS")``, ``use_case("D01")``,
``action16("Reset to the station")``, ``quirk(7)``. ``python -m
tests.conformance.table`` writes the tables between the marks in
``docs/conformance.md``; a test holds the two equal, so that neither can drift.
"""

import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.conformance import actions, quirk_rows
from tests.conformance.marks import Places, as_cell, shown_by

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "conformance.md"
CASES = Path(__file__).with_name("cases.toml")
EXEMPT = Path(__file__).with_name("exempt.toml")
USE_CASES = Path(__file__).with_name("use_cases.toml")
BLOCKS: Final = MappingProxyType(
    {
        "A": "Security",
        "B": "Provisioning",
        "C": "Authorization",
        "D": "Local authorization list",
        "E": "Transactions",
        "F": "Remote control",
        "G": "Availability",
        "H": "Reservation",
        "I": "Tariff and cost",
        "J": "Meter values",
        "K": "Smart charging",
        "L": "Firmware management",
        "M": "Certificate management",
        "N": "Diagnostics",
        "O": "Display messages",
        "P": "Data transfer",
    }
)


def cases() -> dict[str, str]:
    """Every case for a central system, by id, with its name."""
    return {key: str(name) for key, name in _toml(CASES).items()}


def exempt() -> dict[str, str]:
    """Cases that do not apply, with the reason."""
    return {key: str(why) for key, why in _toml(EXEMPT).items()}


def use_cases() -> dict[str, str]:
    """Every use case of part 2, by id, with its name."""
    return _part("names")


def station_alone() -> dict[str, str]:
    """Use cases in which a central system has no part, with the reason."""
    return _part("station_alone")


def case_table() -> str:
    """The official cases as Markdown, one section per functional block."""
    return _by_block(
        "case", cases(), shown_by("case"), exempt(), lambda case: case.split("_")[1]
    )


def use_case_table() -> str:
    """The use cases of part 2, one section per functional block."""
    return _by_block(
        "use case",
        use_cases(),
        shown_by("use_case"),
        station_alone(),
        lambda use_case: use_case[0],
    )


def rows_table() -> str:
    """The table of real chargers: its own words, with its tests and faults anew."""
    return quirk_rows.table(documented("real chargers"))


TABLES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "test cases": case_table,
        "use cases": use_case_table,
        "actions of 1.6": actions.table,
        "real chargers": rows_table,
    }
)
"""Name of a section of the documentation, and what writes it."""


def begin(name: str) -> str:
    """Return the mark before a section."""
    return f"<!-- {name}: written by python -m tests.conformance.table -->"


def end(name: str) -> str:
    """Return the mark after a section."""
    return f"<!-- end of {name} -->"


def documented(name: str) -> str:
    """Return a section as the documentation has it now."""
    text = DOCUMENT.read_text("utf-8")
    first = text.index(begin(name)) + len(begin(name))
    return text[first : text.index(end(name))].strip() + "\n"


def main() -> int:
    """Write the tables into the documentation."""
    for name, table in TABLES.items():
        text = DOCUMENT.read_text("utf-8")
        before = text[: text.index(begin(name))]
        after = text[text.index(end(name)) :]
        DOCUMENT.write_text(f"{before}{begin(name)}\n\n{table()}\n{after}", "utf-8")
    for what, known, mark, left_out in (
        ("cases", cases(), "case", exempt()),
        ("use cases", use_cases(), "use_case", station_alone()),
        ("actions of 1.6", actions.names(), "action16", {}),
        ("rows", quirk_rows.numbers(documented("real chargers")), "quirk", {}),
    ):
        missing = sorted(set(known) - shown_by(mark).keys() - left_out.keys())
        told = f", without a test: {', '.join(missing)}" if missing else ""
        sys.stdout.write(f"{len(known)} {what}{told}\n")
    return 0


def _by_block(
    what: str,
    names: Mapping[str, str],
    shown: Places,
    not_applying: Mapping[str, str],
    block_of: Callable[[str], str],
) -> str:
    lines: list[str] = []
    block = ""
    for key, name in names.items():
        letter = block_of(key)
        if letter != block:
            block = letter
            lines += ["", f"### {letter} {BLOCKS[letter]}", ""]
            lines += [f"| {what} | what | shown by |", "|---|---|---|"]
        tests = as_cell(shown.get(key, []))
        cell = tests or f"does not apply: {not_applying.get(key, '')}"
        lines.append(f"| {key} | {name} | {cell} |")
    return "\n".join(lines).strip() + "\n"


def _part(name: str) -> dict[str, str]:
    part = _toml(USE_CASES)[name]
    assert isinstance(part, dict)
    return {str(key): str(value) for key, value in part.items()}


def _toml(path: Path) -> dict[str, object]:
    with path.open("rb") as opened:
        return tomllib.load(opened)


if __name__ == "__main__":
    sys.exit(main())
