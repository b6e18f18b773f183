"""Prices over local time, and bills that add up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.ocpi import parse_tariff, to_ocpi
from gateway.domain.tariff import Tariff, TariffError

DAY = {"price_components": [{"type": "ENERGY", "price": "0.42"}]}
NIGHT = {
    "price_components": [{"type": "ENERGY", "price": "0.29"}],
    "restrictions": {"start_time": "22:00", "end_time": "06:00"},
}


def tariff(*elements: object, currency: str = "EUR") -> Tariff:
    return parse_tariff(
        {"id": "T", "elements": list(elements)},
        currency=currency,
        timezone="Europe/Berlin",
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def point(text: str, register_milliwh: int) -> RegisterPoint:
    return RegisterPoint(at=at(text), register_milliwh=register_milliwh)


def test_the_first_element_whose_window_contains_the_moment_prices_it() -> None:
    terms = tariff(NIGHT, DAY)
    assert terms.price_at(at("2025-01-10T20:59:59")) == 420_000
    assert terms.price_at(at("2025-01-10T21:00:00")) == 290_000
    assert terms.price_at(at("2025-07-10T20:00:00")) == 290_000


def test_weekdays_are_local() -> None:
    weekend = {
        "price_components": [{"type": "ENERGY", "price": 0.2}],
        "restrictions": {"day_of_week": ["SATURDAY", "SUNDAY"]},
    }
    terms = tariff(weekend, DAY)
    assert terms.price_at(at("2025-01-10T22:59:00")) == 420_000
    assert terms.price_at(at("2025-01-10T23:00:00")) == 200_000


def test_a_moment_without_an_element_has_no_price_rather_than_zero() -> None:
    with pytest.raises(TariffError, match="no price"):
        tariff(NIGHT).price_at(at("2025-01-10T12:00:00"))


def test_a_window_in_the_skipped_hour_starts_when_the_clock_jumps() -> None:
    early = {
        "price_components": [{"type": "ENERGY", "price": 1}],
        "restrictions": {"start_time": "02:30", "end_time": "04:00"},
    }
    segments = tariff(early, DAY).segments(
        at("2025-03-30T00:00:00"), at("2025-03-30T03:00:00")
    )
    assert [segment.start for segment in segments] == [
        at("2025-03-30T00:00:00"),
        at("2025-03-30T01:00:00"),
        at("2025-03-30T02:00:00"),
    ]


def test_a_window_in_the_repeated_hour_applies_both_times() -> None:
    early = {
        "price_components": [{"type": "ENERGY", "price": 1}],
        "restrictions": {"start_time": "02:00", "end_time": "02:30"},
    }
    segments = tariff(early, DAY).segments(
        at("2025-10-25T23:00:00"), at("2025-10-26T03:00:00")
    )
    assert [segment.price_micro_per_kwh for segment in segments] == [
        420_000,
        1_000_000,
        420_000,
        1_000_000,
        420_000,
    ]


def test_energy_is_split_at_the_price_edge_and_marked_as_interpolated() -> None:
    bill = price(
        tariff(NIGHT, DAY),
        [point("2025-01-10T20:00:00", 1000), point("2025-01-10T22:00:00", 4001)],
    )
    assert [part.energy_milliwh for part in bill.parts] == [1501, 1500]
    assert bill.energy_milliwh == 3001
    assert bill.is_interpolated


def test_a_sample_on_the_edge_needs_no_interpolation() -> None:
    bill = price(
        tariff(NIGHT, DAY),
        [
            point("2025-01-10T20:00:00", 0),
            point("2025-01-10T21:00:00", 7_000_000),
            point("2025-01-10T22:00:00", 10_000_000),
        ],
    )
    assert [part.energy_milliwh for part in bill.parts] == [7_000_000, 3_000_000]
    assert bill.amount_minor == 7 * 42 + 3 * 29
    assert not bill.is_interpolated


@pytest.mark.parametrize(
    ("energy_milliwh", "amount_minor"),
    [(500_000, 0), (1_500_000, 2), (2_500_000, 2), (2_500_001, 3)],
)
def test_an_amount_is_rounded_once_half_to_even(
    energy_milliwh: int, amount_minor: int
) -> None:
    cent = {"price_components": [{"type": "ENERGY", "price": "0.01"}]}
    registers = [
        point("2025-01-10T12:00:00", 0),
        point("2025-01-10T13:00:00", energy_milliwh),
    ]
    assert price(tariff(cent), registers).amount_minor == amount_minor


def test_minor_units_follow_the_currency() -> None:
    registers = [
        point("2025-01-10T12:00:00", 0),
        point("2025-01-10T13:00:00", 1_000_000),
    ]
    flat = {"price_components": [{"type": "ENERGY", "price": 31}]}
    assert price(tariff(flat, currency="JPY"), registers).amount_minor == 31
    assert price(tariff(flat, currency="KWD"), registers).amount_text == "31.000"


def test_a_register_that_runs_backwards_is_not_priced() -> None:
    registers = [point("2025-01-10T12:00:00", 5), point("2025-01-10T13:00:00", 4)]
    with pytest.raises(ValueError, match="backwards"):
        price(tariff(DAY), registers)


def test_a_span_of_years_is_not_priced() -> None:
    registers = [point("1970-01-01T00:00:00", 0), point("2025-01-10T13:00:00", 4)]
    with pytest.raises(TariffError, match="cannot price"):
        price(tariff(DAY), registers)


def test_energy_in_no_time_is_priced_where_it_happened() -> None:
    registers = [point("2025-01-10T21:00:00", 0), point("2025-01-10T21:00:00", 9)]
    bill = price(tariff(NIGHT, DAY), registers)
    assert [part.price_micro_per_kwh for part in bill.parts] == [290_000]
    assert bill.energy_milliwh == 9


@st.composite
def sessions(draw: st.DrawFn) -> list[RegisterPoint]:
    start = at("2025-03-28T00:00:00")
    times = draw(st.lists(st.integers(0, 5 * 86_400_000), min_size=1, max_size=30))
    steps = draw(
        st.lists(st.integers(0, 10**8), min_size=len(times), max_size=len(times))
    )
    register, found = draw(st.integers(0, 10**12)), []
    for milliseconds, step in zip(sorted(times), steps, strict=True):
        register += step
        found.append(
            RegisterPoint(
                at=start + timedelta(milliseconds=milliseconds),
                register_milliwh=register,
            )
        )
    return found


@given(sessions(), st.randoms(use_true_random=False))
def test_parts_add_up_and_the_order_of_samples_does_not_matter(
    registers: list[RegisterPoint], rng: Random
) -> None:
    terms = tariff(NIGHT, DAY)
    bill = price(terms, registers)
    assert sum(part.energy_milliwh for part in bill.parts) == bill.energy_milliwh
    assert all(part.energy_milliwh >= 0 for part in bill.parts)
    assert all(
        before.end == after.start
        for before, after in zip(bill.parts, bill.parts[1:], strict=False)
    )
    shuffled = registers * 2
    rng.shuffle(shuffled)
    assert price(terms, shuffled) == bill


@given(sessions())
def test_more_samples_on_a_straight_line_change_a_part_by_rounding_only(
    registers: list[RegisterPoint],
) -> None:
    terms = tariff(NIGHT, DAY)
    ends = [registers[0], registers[-1]]
    coarse, fine = price(terms, ends), price(terms, registers)
    assert coarse.energy_milliwh == fine.energy_milliwh
    low, high = (rate * coarse.energy_milliwh for rate in (290_000, 420_000))
    for bill in (coarse, fine):
        assert low - 10**10 <= bill.amount_minor * 10**10 <= high + 10**10


def test_a_snapshot_is_the_tariff() -> None:
    terms = tariff(NIGHT, DAY)
    assert Tariff.from_snapshot(terms.snapshot()) == terms
    assert len(terms.sha256) == 64
    assert tariff(DAY).sha256 != terms.sha256
    with pytest.raises(TariffError):
        Tariff.from_snapshot({**terms.snapshot(), "flat_fee": 3})


def test_ocpi_round_trip() -> None:
    terms = tariff(NIGHT, DAY)
    again = parse_tariff(to_ocpi(terms), currency="EUR", timezone="Europe/Berlin")
    assert again == terms


@pytest.mark.parametrize(
    ("element", "field"),
    [
        (3, "elements[0]"),
        ({"price_components": []}, "elements[0].price_components"),
        (
            {"price_components": [{"type": "SESSION_TIME", "price": 1}]},
            "elements[0].price_components[0].type",
        ),
        (
            {"price_components": [{"type": "ENERGY", "price": -1}]},
            "elements[0].price_components[0].price",
        ),
        (
            {"price_components": [{"type": "ENERGY", "price": Decimal("1E+99999")}]},
            "elements[0].price_components[0].price",
        ),
        (
            {"price_components": [{"type": "ENERGY", "price": "0.1234567"}]},
            "elements[0].price_components[0].price",
        ),
        (
            {"price_components": [{"type": "ENERGY", "price": 1, "vat": 101}]},
            "elements[0].price_components[0].vat",
        ),
        (
            {**DAY, "restrictions": {"min_current": 3}},
            "elements[0].restrictions.min_current",
        ),
        (
            {**DAY, "restrictions": {"min_kwh": 3, "max_kwh": 3}},
            "elements[0].restrictions.max_kwh",
        ),
        (
            {**DAY, "restrictions": {"start_date": "2026-13-01"}},
            "elements[0].restrictions.start_date",
        ),
        (
            {"price_components": [*DAY["price_components"] * 2]},
            "elements[0].price_components",
        ),
        (
            {**DAY, "restrictions": {"start_time": "25:00"}},
            "elements[0].restrictions.start_time",
        ),
        (
            {**DAY, "restrictions": {"day_of_week": ["MON"]}},
            "elements[0].restrictions.day_of_week",
        ),
    ],
)
def test_what_cannot_be_priced_is_refused_by_name(element: object, field: str) -> None:
    with pytest.raises(TariffError) as caught:
        tariff(element)
    assert caught.value.field == field
