"""The tables of checks in docs/evidence.md are those of the verifier."""

import re

import pytest

from ledger import check_names
from tests.docs.pages import DOCS

KINDS = {
    "Of a receipt, in this order:": check_names.RECEIPT,
    "Of a plan:": check_names.PLAN,
    "Of a row of a plan:": check_names.ROW,
    "Of a cabinet's [history](#sub-trees):": check_names.CABINET,
}


def table_after(heading: str) -> list[str]:
    """First cells of the table that follows a line."""
    text = (DOCS / "evidence.md").read_text("utf-8")
    (after,) = text.split(f"\n{heading}\n\n")[1:]
    rows = after.split("\n\n")[0].splitlines()
    assert rows[0] == "| check | holds |"
    return [row.split("|")[1] for row in rows[2:]]


@pytest.mark.parametrize("heading", KINDS)
def test_every_check_is_in_the_table_of_its_kind_of_file_in_order(heading: str) -> None:
    named = [re.findall(r"`([a-z-]+)`", cell) for cell in table_after(heading)]
    assert tuple(name for names in named for name in names) == KINDS[heading]


def test_what_is_listed_only_where_there_is_one_says_so() -> None:
    text = (DOCS / "evidence.md").read_text("utf-8")
    only = set(re.findall(r"\| `([a-z-]+)` \| only where", text))
    assert only == check_names.WHERE_THERE_IS_ONE
