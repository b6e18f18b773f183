"""What drivers read about prices."""

from datetime import UTC, datetime

import pytest

from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_text import next_price, price_per_kwh, tariff_text

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
    assert price_per_kwh(following.price_micro_per_kwh) * 4 == 1


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
