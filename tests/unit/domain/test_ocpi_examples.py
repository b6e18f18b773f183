"""The worked examples of OCPI 2.2.1, as far as their tariffs can be priced.

Amounts are those of the specification (10.4.1, 11.4.1, 11.4.2, 11.4.6), with two
exceptions that are told where they stand.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, TypeAlias

import pytest

from gateway.domain.bill import Bill, RegisterPoint, price
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import TariffError
from ledger import pricing

Course: TypeAlias = Iterable[tuple[float, float]]
"""Stretches of a session: minutes, and kWh charged in them; none is parking."""


def component(kind: str, amount: str, vat: Any = None, step: int = 1) -> dict[str, Any]:
    found = {"type": kind, "price": amount, "step_size": step}
    return found if vat is None else {**found, "vat": vat}


def element(*components: Mapping[str, Any], **restrictions: Any) -> dict[str, Any]:
    return {"price_components": list(components), "restrictions": restrictions}


def bill_of(
    elements: list[dict[str, Any]], course: Course, *, start: str = "09:00", **more: Any
) -> Bill:
    """The bill of a session on a Monday; the verifier must agree with it."""
    tariff = parse_tariff(
        {"id": "T", "elements": elements, **more}, currency="EUR", timezone="UTC"
    )
    at = datetime.fromisoformat(f"2026-06-01T{start}").replace(tzinfo=UTC)
    points, register = [RegisterPoint(at=at, register_milliwh=0)], 0
    for minutes, kwh in course:
        # A register every minute: what is charged within one of them is charging.
        points += [
            RegisterPoint(
                at=at + timedelta(minutes=number),
                register_milliwh=register + round(kwh * 1_000_000 * number / minutes),
            )
            for number in range(1, round(minutes) + 1)
        ]
        at += timedelta(minutes=minutes)
        register += round(kwh * 1_000_000)
    bill = price(tariff, points)
    assert pricing.check_bill(bill.to_json(), tariff.snapshot()) == ()
    return bill


ENERGY = component("ENERGY", "0.25", 10)
FEE = component("FLAT", "0.5", 20)
LEAST = {"excl_vat": "0.5", "incl_vat": "0.55"}
MOST = {"excl_vat": 10, "incl_vat": 11}
TWO_TIMES = [component("TIME", "3", 10, 60), component("PARKING_TIME", "5", 20, 300)]


@pytest.mark.parametrize(
    ("components", "course", "bounds", "net", "gross"),
    [
        pytest.param([ENERGY], [(60, 20)], {}, 500, 550, id="energy"),
        pytest.param([FEE, ENERGY], [(60, 20)], {}, 550, 610, id="start fee"),
        pytest.param([ENERGY], [(60, 1)], {"min_price": LEAST}, 50, 55, id="least"),
        pytest.param([ENERGY], [(60, 20)], {"min_price": LEAST}, 500, 550, id="above"),
        pytest.param([FEE, ENERGY], [(60, 50)], {"max_price": MOST}, 1000, 1100),
        pytest.param([FEE, ENERGY], [(60, 30)], {"max_price": MOST}, 800, 885),
        pytest.param(
            [FEE, ENERGY, component("PARKING_TIME", "2", 20, 900)],
            [(60, 20), (40, 0)],
            {},
            700,
            790,
            id="parking fee",
        ),
        pytest.param(
            [component("TIME", "2", 10, 60)], [(150, 20)], {}, 500, 550, id="time"
        ),
        pytest.param(
            TWO_TIMES, [(150, 20), (42, 0)], {}, 1125, 1275, id="time and parking"
        ),
        pytest.param([component("TIME", "1.9", "5.2", 300)], [(150, 20)], {}, 475, 500),
        pytest.param([component("FLAT", "0", None, 0)], [(60, 20)], {}, 0, 0),
    ],
)
def test_an_example_of_one_element_costs_what_it_says(
    components: list[dict[str, Any]],
    course: Course,
    bounds: dict[str, Any],
    net: int,
    gross: int,
) -> None:
    bill = bill_of([element(*components)], course, **bounds)
    assert (bill.total.net_minor, bill.amount_minor) == (net, gross)


def test_energy_by_the_tenth_of_a_kwh_is_not_rounded_before_the_end() -> None:
    """11.4.1 rounds 5.625 up; we round the total without tax half to even: 5.62."""
    bill = bill_of([element(FEE, component("ENERGY", "0.25", 10, 100))], [(60, 20.45)])
    assert (bill.total.net_minor, bill.amount_minor) == (562, 624)
    assert bill.exact == Fraction("6.2375")


def test_each_power_has_its_price() -> None:
    bill = bill_of(
        [
            element(component("ENERGY", "0.20", 20), max_power=16),
            element(component("ENERGY", "0.35", 20), max_power=32),
            element(component("ENERGY", "0.50", 20)),
        ],
        [(10, 1), (50, 40), (8, 0.5)],
    )
    assert bill.total.net_minor == 2030


def test_each_duration_has_its_price() -> None:
    bill = bill_of(
        [
            element(component("ENERGY", "0", 20), max_duration=1800),
            element(component("ENERGY", "0.25", 20), max_duration=3600),
            element(component("ENERGY", "0.40", 20)),
        ],
        [(30, 5), (10, 1.2)],
    )
    assert bill.total.net_minor == 30


def until_five(before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    return [element(before, start_time="00:00", end_time="17:00"), element(after)]


def test_a_step_of_energy_counts_once_and_at_the_price_used_last() -> None:
    elements = until_five(
        component("ENERGY", "0.20", None, 500), component("ENERGY", "0.27", None, 500)
    )
    bill = bill_of(elements, [(60, 4.3), (30, 1.1)], start="16:00")
    assert bill.exact == Fraction("4.3") * Fraction("0.20") + Fraction(
        "1.2"
    ) * Fraction("0.27")


def test_a_step_of_time_counts_once_and_at_the_price_used_last() -> None:
    elements = until_five(
        component("TIME", "5", None, 600), component("TIME", "7", None, 600)
    )
    assert bill_of(elements, [(28, 5)], start="16:54").amount_minor == 330


def test_of_charging_and_parking_only_the_parking_has_a_step() -> None:
    components = [
        component("TIME", "1", None, 600),
        component("PARKING_TIME", "2", None, 600),
    ]
    bill = bill_of([element(*components)], [(21, 5), (16, 0)])
    assert bill.exact == Fraction(21, 60) + 2 * Fraction(20, 60)


EVENING = [
    element(
        component("TIME", "1.2", None, 1800),
        component("PARKING_TIME", "1", None, 900),
        start_time="00:00",
        end_time="17:00",
    ),
    element(
        component("TIME", "2.4", None, 900),
        component("PARKING_TIME", "1", None, 900),
        start_time="17:00",
        end_time="20:00",
    ),
    element(component("TIME", "2.4", None, 900), start_time="20:00", end_time="00:00"),
]


@pytest.mark.parametrize(
    ("start", "course", "amount"),
    [
        ("16:55", [(10, 2), (2, 0)], 55),
        ("16:35", [(35, 6)], 130),
        # The text computes with prices of another tariff; corrected in ocpi#546.
        ("19:40", [(12, 2), (20, 0)], 73),
    ],
)
def test_the_step_is_that_of_the_last_time_that_cost_something(
    start: str, course: Course, amount: int
) -> None:
    assert bill_of(EVENING, course, start=start).amount_minor == amount


def test_a_price_at_which_nothing_was_charged_prices_no_step() -> None:
    """The car was full at 16:30: what a step adds costs the price of before 17:00."""
    elements = until_five(
        component("ENERGY", "0.20", None, 500), component("ENERGY", "0.27", None, 500)
    )
    bill = bill_of(elements, [(30, 4.3), (60, 0)], start="16:00")
    assert bill.exact == Fraction("4.5") * Fraction("0.20")


@pytest.mark.parametrize("kind", ["AD_HOC_PAYMENT", "PROFILE_CHEAP", "REGULAR"])
def test_a_type_of_ocpi_changes_no_price(kind: str) -> None:
    text = [{"language": "en", "text": "2.00 euro an hour"}]
    more: dict[str, Any] = {"type": kind, "tariff_alt_text": text, "energy_mix": {}}
    assert bill_of([element(ENERGY)], [(60, 20)], **more).amount_minor == 550


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("type", "GUESTS"),
        ("type", ["REGULAR"]),
        ("start_date_time", "2026-01-01T00:00:00Z"),
        ("end_date_time", "2026-12-31T00:00:00Z"),
    ],
)
def test_what_would_change_for_whom_or_when_a_tariff_is_is_refused(
    member: str, value: object
) -> None:
    with pytest.raises(TariffError, match=member):
        bill_of([element(ENERGY)], [(60, 1)], **{member: value})  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("kind", ["RESERVATION", "RESERVATION_EXPIRES"])
def test_a_price_of_reservations_is_refused(kind: str) -> None:
    with pytest.raises(TariffError, match="reservation"):
        bill_of([element(ENERGY, reservation=kind)], [(60, 1)])
