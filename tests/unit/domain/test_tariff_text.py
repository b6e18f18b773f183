"""What drivers read about prices."""

from datetime import UTC, datetime

import pytest

from gateway.domain.ocpi import parse_tariff
from gateway.domain.rates import major_units
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_text import energy_text, next_price, tariff_text

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def tariff(
    *prices: tuple[str, str | None, str | None], currency: str = "EUR"
) -> Tariff:
    return parse_tariff(
        {
            "id": "t",
            "currency": currency,
            "elements": [
                {
                    "price_components": [{"type": "ENERGY", "price": amount}],
                    "restrictions": {"start_time": start, "end_time": end}
                    if start
                    else {},
                }
                for amount, start, end in prices
            ],
        },
        currency=currency,
        timezone="Europe/Berlin",
    )


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (None, "0.40 EUR per kWh incl. VAT"),
        ("en-GB", "0.40 EUR per kWh incl. VAT"),
        ("xx", "0.40 EUR per kWh incl. VAT"),
        ("de-AT", "0,40 EUR pro kWh inkl. MwSt."),
        ("fr", "0,40 EUR par kWh TTC"),
        ("NL", "0,40 EUR per kWh incl. btw"),
    ],
)
def test_one_price_is_told_in_the_drivers_language(
    language: str | None, text: str
) -> None:
    assert tariff_text(tariff(("0.40", None, None)), NOON, language) == text


def test_a_change_within_a_day_is_told_in_local_time() -> None:
    terms = tariff(("0.25", "22:00", "06:00"), ("0.425", None, None))
    assert (
        tariff_text(terms, NOON) == "0.425 EUR per kWh incl. VAT until 22:00, then 0.25"
    )
    following = next_price(terms, NOON)
    assert following is not None
    assert following.at == datetime(2026, 6, 1, 20, 0, tzinfo=UTC)
    assert major_units(following.price_micro_per_kwh) * 4 == 1


def test_currencies_without_minor_units_have_no_decimals() -> None:
    assert tariff_text(tariff(("45", None, None), currency="JPY"), NOON) == (
        "45 JPY per kWh incl. VAT"
    )


def test_a_moment_without_a_price_has_no_text() -> None:
    assert tariff_text(tariff(("0.25", "22:00", "06:00")), NOON) is None


def test_words_for_any_time_tell_the_range() -> None:
    terms = tariff(("0.25", "22:00", "06:00"), ("0.425", None, None))
    assert tariff_text(terms, None) == "0.25–0.425 EUR per kWh incl. VAT"
    assert tariff_text(tariff(("0.4", None, None)), None) == (
        "0.40 EUR per kWh incl. VAT"
    )


def full(*elements: dict[str, object], **more: object) -> Tariff:
    return parse_tariff(
        {"id": "t", "elements": list(elements), **more},
        currency="EUR",
        timezone="Europe/Berlin",
    )


def costs(kind: str, price: object, **restrictions: object) -> dict[str, object]:
    return {
        "price_components": [{"type": kind, "price": price}],
        "restrictions": restrictions,
    }


def test_every_price_that_a_driver_may_pay_is_told() -> None:
    terms = full(
        costs("ENERGY", "0.4"),
        costs("FLAT", "0.5"),
        costs("TIME", 0),
        costs("PARKING_TIME", 6, min_duration=7_200),
        min_price={"excl_vat": 1},
        max_price={"excl_vat": 50},
    )
    told = (
        "0.40 EUR per kWh incl. VAT + 0.50 EUR per session"
        " + 0.00–6.00 EUR per hour without charging"
        " + at least 1.00 EUR + at most 50.00 EUR"
    )
    assert tariff_text(terms, NOON) == told
    assert tariff_text(terms, None) == told
    german = tariff_text(terms, NOON, "de")
    assert german is not None
    assert "0,00–6,00 EUR pro Stunde ohne Laden" in german


def test_tax_that_comes_on_top_is_in_what_a_driver_reads() -> None:
    component = {"type": "ENERGY", "price": "0.4", "vat": 25}
    assert tariff_text(full({"price_components": [component]}), NOON) == (
        "0.50 EUR per kWh incl. VAT"
    )


def test_prices_by_the_energy_used_are_told_as_a_range() -> None:
    terms = full(costs("ENERGY", "0.3", max_kwh=10), costs("ENERGY", "0.6"))
    assert tariff_text(terms, NOON) == "0.30–0.60 EUR per kWh incl. VAT"


def test_a_fee_that_counts_at_other_times_is_not_told_now() -> None:
    terms = full(
        costs("ENERGY", "0.4"),
        costs("PARKING_TIME", 6, start_time="20:00", end_time="22:00"),
    )
    assert tariff_text(terms, NOON) == "0.40 EUR per kWh incl. VAT"
    assert tariff_text(terms, None) == (
        "0.40 EUR per kWh incl. VAT + 0.00–6.00 EUR per hour without charging"
    )


def test_time_alone_may_have_a_price() -> None:
    assert tariff_text(full(costs("TIME", 2)), NOON) == "2.00 EUR per hour of charging"
    assert tariff_text(full(costs("TIME", 0)), NOON) is None


def test_the_site_shows_the_least_and_the_most_of_its_stations_tariffs() -> None:
    cheap, dear = full(costs("ENERGY", "0.3")), full(costs("ENERGY", "0.405"))
    assert energy_text([cheap], NOON) == "0.30 EUR/kWh"
    assert energy_text([cheap, dear], NOON) == "0.30–0.405 EUR/kWh"
    assert energy_text([], NOON) is None
    assert energy_text([full(costs("TIME", 2))], NOON) == "0.00 EUR/kWh"
