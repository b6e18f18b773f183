"""Cells of CSV files that people open in a spreadsheet (RFC 4180).

A spreadsheet takes a cell that begins like a formula for one, in quotes or not, and
some skip white space before it. Such texts get an apostrophe in front, which shows them
as what they are; so do texts that begin with an apostrophe, so that one can be taken
off again without a guess. Numbers are written by us and stay numbers.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

GUARD: Final = "'"
FORMULA: Final = frozenset("=+-\u2212@\t\r\n")
"""What a formula begins with; full-width forms of them are folded before."""

Cell: TypeAlias = str | int | Decimal | None


def cell_text(value: Cell) -> str:
    """A cell as it is written, before quoting; ``None`` is empty."""
    match value:
        case None:
            return ""
        case int() | Decimal():
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        case str():
            return guarded(value)


def guarded(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    What is no Unicode text (a lone surrogate) becomes a question mark.
    """
    clean = text.encode("utf-8", "replace").decode()
    return f"{GUARD}{clean}" if _is_risky(clean) else clean


def plain(cell: str) -> str:
    """The text that `guarded` was given."""
    return cell[1:] if cell.startswith(GUARD) and _is_risky(cell[1:]) else cell


def lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as lines that end in CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([[cell_text(cell) for cell in row] for row in rows])
    return out.getvalue()


def _is_risky(text: str) -> bool:
    """Whether a text must not stand at the beginning of a cell."""
    if text[:1] in FORMULA or text[:1] == GUARD:
        return bool(text)
    shown = next((one for one in text if not _is_blank(one)), "")
    return bool(shown) and unicodedata.normalize("NFKC", shown)[:1] in FORMULA | {GUARD}


def _is_blank(character: str) -> bool:
    """Whether a program may skip it: white space, controls, invisible formats."""
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}
