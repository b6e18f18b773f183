"""Bills as documents: any prices add up, and any names come back."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import csv_cells
from gateway.domain.bill_json import bill_json
from gateway.domain.bill_labels_more import ALL
from gateway.domain.bill_paper import paper
from gateway.services.bill_export import COLUMNS, Place, body, head
from tests.support.pages_bills import BERLIN, HEAD, facts_of, line_of, tariff_of

PRICE: Final = st.decimals(0, 3, places=4).map(str)
VAT: Final = st.sampled_from([None, 0, 7, 19, "5.5", "8.1"])
NASTY: Final = st.one_of(
    st.text(),
    st.text(st.sampled_from("=+-@\t\r\n '\",;\u202e\u00a0\uff1d\uff20|0A\x00\ufeff")),
    st.sampled_from(["=1+1", " =cmd|'/c calc'!A0", "\t@SUM(A1)", "'=x", "-1", "+49 1"]),
)
FORMULA: Final = tuple("=+-@\t\r\n")


@st.composite
def components(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(st.lists(st.sampled_from(["TIME", "FLAT"]), unique=True))
    found = []
    for kind in ("ENERGY", *kinds):
        one: dict[str, Any] = {"type": kind, "price": draw(PRICE)}
        vat = draw(VAT)
        found.append(one if vat is None else {**one, "vat": vat})
    return found


@st.composite
def bounds(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from([None, "min_price", "max_price"]))
    if name is None:
        return {}
    excl = draw(st.decimals(0, 9, places=2))
    incl = excl + draw(st.decimals(0, 2, places=2))
    return {name: {"excl_vat": str(excl), "incl_vat": str(incl)}}


@given(components(), bounds(), st.integers(0, 90_000), st.integers(0, 600))
def test_what_a_person_adds_up_is_the_bill(
    prices: list[dict[str, Any]], limits: dict[str, Any], wh: int, minutes: int
) -> None:
    facts = facts_of(tariff_of(*prices, **limits), wh=wh, minutes=minutes)
    told = bill_json(facts)
    totals = told["totals"]
    parts = [*told["charges"], totals["bound"], totals["rounding"]]
    for name in ("net", "vat", "gross"):
        assert sum(Decimal(one[name]) for one in parts) == Decimal(totals[name])
        rows = totals["vat_rates"]
        if rows:
            assert sum(Decimal(one[name]) for one in rows) == Decimal(totals[name])
    assert Decimal(totals["gross"]) == Fraction(told["amount_minor"], 100)
    for one in (*parts, totals, *totals["vat_rates"]):
        assert Decimal(one["net"]) + Decimal(one["vat"]) == Decimal(one["gross"])
    untaxed = [row for row in totals["vat_rates"] if row["vat_percent"] in {None, "0"}]
    assert all(Decimal(row["vat"]) == 0 for row in untaxed if not row["is_bound"])


@given(st.lists(st.lists(NASTY, min_size=1), max_size=5))
def test_any_text_comes_back_from_csv_and_none_is_a_formula(
    rows: list[list[str]],
) -> None:
    read = list(csv.reader(io.StringIO(csv_cells.lines(rows), newline=""), strict=True))
    assert [[csv_cells.plain(cell) for cell in row] for row in read] == rows
    for cell in (cell for row in read for cell in row):
        assert not cell.startswith(FORMULA)
        assert not cell.strip().startswith(FORMULA)


@given(NASTY, NASTY, NASTY, st.booleans(), st.integers(0, 10**6))
def test_a_row_of_the_export_has_texts_that_are_texts_and_numbers_that_are_numbers(
    station: str, token: str, site: str, settled: bool, wh: int
) -> None:
    facts = facts_of(wh=wh, settled=settled, station_id=station, id_token=token)
    text = head() + body([line_of(facts)], Place(name=site, timezone=BERLIN))
    (row,) = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert tuple(row) == COLUMNS
    told = (row["station_id"], row["id_token"], row["site"])
    assert tuple(map(csv_cells.plain, told)) == (station, token, site)
    for name, cell in row.items():
        if name not in {"net", "vat", "gross"}:
            assert not cell.strip().startswith(FORMULA), name
    if settled:
        assert facts.document is not None
        assert Decimal(row["gross"]) * 100 == facts.document["amount_minor"]
        assert Decimal(row["net"]) + Decimal(row["vat"]) == Decimal(row["gross"])
    else:
        assert row["net"] == row["gross"] == row["energy_kwh"] == ""


@given(st.integers(-(10**9), 10**9))
def test_numbers_below_zero_stay_numbers(minor: int) -> None:
    amount = Decimal(minor).scaleb(-2)
    ((cell,),) = csv.reader(io.StringIO(csv_cells.lines([[amount]]), newline=""))
    assert Decimal(cell) == amount
    assert not cell.startswith(csv_cells.GUARD)


@given(st.sampled_from(sorted(ALL)), st.booleans(), components(), st.booleans())
def test_a_paper_has_a_cell_under_every_head(
    language: str, settled: bool, prices: list[dict[str, Any]], is_for_driver: bool
) -> None:
    facts = facts_of(tariff_of(*prices), settled=settled)
    found = paper(facts, HEAD, language=language, is_for_driver=is_for_driver)
    for table in found.tables:
        for row in (*table.rows, *table.foot):
            assert len(row) == len(table.heads)
    assert found.dated_at - facts.decided_at == timedelta()
    texts = [value for _, value in found.facts]
    assert ("=CARD-4711" in texts) is not is_for_driver
