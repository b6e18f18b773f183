"""A bill added up: lines, bounds, the one rounding, and the tax by rate."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from gateway.domain.bill_json import bill_json
from gateway.domain.bill_sums import Sums, decimal_text, minor_text, sums
from tests.support.pages_bills import facts_of, tariff_of

ENERGY: dict[str, Any] = {"type": "ENERGY", "price": "0.40"}


def added(*components: dict[str, Any], wh: int = 12_345, **more: Any) -> Sums:
    """The sums of a bill by a tariff of these prices."""
    facts = facts_of(tariff_of(*components, **more), wh=wh)
    assert facts.document is not None
    assert facts.tariff is not None
    return sums(facts.document, facts.tariff)


def test_a_plain_bill_has_one_line_per_price_and_names_no_tax() -> None:
    found = added(ENERGY)
    (line,) = found.charges
    assert line.amount.gross == Fraction("4.938")
    assert (found.net_minor, found.vat_minor, found.amount_minor) == (494, 0, 494)
    assert [row.vat_ppm for row in found.taxes] == [None]
    assert found.rounding.gross == Fraction("0.002")


def test_each_rate_has_a_row_and_the_rows_make_the_bill() -> None:
    found = added({**ENERGY, "vat": 19}, {"type": "FLAT", "price": 1, "vat": "5.5"})
    assert [(row.vat_ppm, row.gross_minor) for row in found.taxes] == [
        (190_000, 588),
        (55_000, 105),
    ]
    assert sum(row.gross_minor for row in found.taxes) == found.amount_minor == 693


def test_the_least_price_of_a_tariff_is_a_line_of_its_own() -> None:
    bound = {"excl_vat": 8, "incl_vat": "9.52"}
    found = added({**ENERGY, "vat": 19}, min_price=bound)
    assert found.bound.net == 8 - Fraction("4.938")
    assert found.amount_minor == 952
    (row,) = found.taxes
    assert (row.vat_ppm, row.net_minor, row.vat_minor) == (190_000, 800, 152)


def test_a_bound_over_several_rates_is_a_row_that_says_so() -> None:
    bound = {"excl_vat": "2.50", "incl_vat": 3}
    flat = {"type": "FLAT", "price": 1, "vat": 7}
    found = added({**ENERGY, "vat": 19}, flat, max_price=bound)
    assert found.amount_minor == 300
    assert found.bound.gross < 0
    assert [row.is_bound for row in found.taxes] == [False, False, True]
    assert sum(row.net_minor for row in found.taxes) == 250


def test_steps_show_what_was_used_and_what_is_paid() -> None:
    facts = facts_of(tariff_of({**ENERGY, "step_size": 1000}))
    (line,) = bill_json(facts)["charges"]
    assert (line["volume"], line["billed_volume"]) == ("12.345", "13")
    assert Decimal(line["gross"]) == Decimal("5.20")


def test_time_is_told_in_hours_that_a_person_can_multiply() -> None:
    facts = facts_of(tariff_of({"type": "TIME", "price": 3}), wh=5_000, minutes=50)
    (line,) = bill_json(facts)["charges"]
    assert (line["volume"], line["unit"], line["price"]) == ("0.833333", "h", "3")
    assert line["volume_exact"] == 3_000_000_000
    assert line["gross"] == "2.50"


def test_a_held_bill_is_a_proposal_and_says_why() -> None:
    facts = facts_of(settled=False)
    told = bill_json(facts)
    assert told["is_final"] is False
    assert told["settlement"] is None
    assert told["links"]["receipt"] is None
    words = [one["reason"] for one in told["reasons_text"]]
    assert words == list(facts.reasons)
    assert told["reasons_text"][0]["text"] == "A register fell within the session."


def test_a_bill_that_cannot_be_priced_has_no_amounts() -> None:
    facts = facts_of(settled=False, document=None)
    told = bill_json(facts)
    assert told["charges"] == []
    assert told["totals"] is None


def test_registers_begin_and_end_with_what_is_billed() -> None:
    found = bill_json(facts_of())["registers"]
    assert [one["role"] for one in found] == ["start", "sample", "end"]
    assert found[-1]["register_milliwh"] - found[0]["register_milliwh"] == 12_345_000


@pytest.mark.parametrize(
    ("number", "least", "text"),
    [
        (Fraction(-1, 3), 2, "-0.333333"),
        (Fraction(0), 2, "0.00"),
        (Fraction(-1, 10**9), 2, "0.00"),
        (Fraction(5, 2), 0, "2.5"),
        (Fraction(7), 0, "7"),
        (Fraction(10**9), 3, "1000000000.000"),
    ],
)
def test_numbers_are_told_with_a_point_and_no_needless_zeros(
    number: Fraction, least: int, text: str
) -> None:
    assert decimal_text(number, least) == text


@pytest.mark.parametrize(
    ("minor", "digits", "text"),
    [(-5, 2, "-0.05"), (0, 2, "0.00"), (7, 0, "7"), (1, 8, "0.00000001")],
)
def test_minor_units_are_never_told_in_powers_of_ten(
    minor: int, digits: int, text: str
) -> None:
    assert minor_text(minor, digits) == text
