"""A tariff in words for drivers: one sentence, in their language where we have it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.tariff import MICRO, Tariff, TariffError

AHEAD: Final = timedelta(days=1)
"""How far ahead the next price is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrases:
    """``{price}`` is per kWh, ``{clock}`` a local time."""

    flat: str
    until: str
    decimal_point: str = "."


_ENGLISH: Final = _Phrases(
    flat="{price} {currency} per kWh incl. VAT",
    until="{price} {currency} per kWh incl. VAT until {clock}, then {later}",
)
_PHRASES: Final = {
    "de": _Phrases(
        flat="{price} {currency} pro kWh inkl. MwSt.",
        until="{price} {currency} pro kWh inkl. MwSt. bis {clock}, dann {later}",
        decimal_point=",",
    ),
    "fr": _Phrases(
        flat="{price} {currency} par kWh TTC",
        until="{price} {currency} par kWh TTC jusqu'à {clock}, puis {later}",
        decimal_point=",",
    ),
    "nl": _Phrases(
        flat="{price} {currency} per kWh incl. btw",
        until="{price} {currency} per kWh incl. btw tot {clock}, daarna {later}",
        decimal_point=",",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NextPrice:
    """The price after the present one."""

    at: datetime
    price_micro_per_kwh: int


def tariff_text(
    tariff: Tariff, moment: datetime | None, language: str | None = None
) -> str | None:
    """What energy costs at a moment, and from when on something else.

    Args:
        tariff: Prices with tax.
        moment: Aware; ``None`` for words that hold at any time.
        language: RFC 5646; English where it is not known.

    Returns:
        ``None`` while the tariff has no price.
    """
    primary = (language or "en").casefold().split("-")[0]
    phrases = _PHRASES.get(primary, _ENGLISH)
    if moment is None:
        return _at_any_time(tariff, phrases)
    try:
        now = tariff.price_at(moment)
    except TariffError:
        return None
    price = _amount(now, tariff.minor_digits, phrases)
    following = next_price(tariff, moment)
    if following is None:
        return phrases.flat.format(price=price, currency=tariff.currency)
    clock = following.at.astimezone(ZoneInfo(tariff.timezone)).strftime("%H:%M")
    later = _amount(following.price_micro_per_kwh, tariff.minor_digits, phrases)
    return phrases.until.format(
        price=price, currency=tariff.currency, clock=clock, later=later
    )


def knows_language(language: str) -> bool:
    """Whether there are words in a language (RFC 5646)."""
    primary = language.casefold().split("-")[0]
    return primary == "en" or primary in _PHRASES


def next_price(tariff: Tariff, moment: datetime) -> NextPrice | None:
    """When the price changes within a day; ``None`` if it does not, or has a gap."""
    try:
        segments = tariff.segments(moment, moment + AHEAD)
    except TariffError:
        return None
    if len(segments) == 1:
        return None
    return NextPrice(
        at=segments[1].start, price_micro_per_kwh=segments[1].price_micro_per_kwh
    )


def price_per_kwh(price_micro_per_kwh: int) -> Decimal:
    """A price in major units, exact, without needless zeros."""
    return (Decimal(price_micro_per_kwh) / MICRO).normalize() + 0


def _at_any_time(tariff: Tariff, phrases: _Phrases) -> str:
    prices = {element.price_micro_per_kwh for element in tariff.elements}
    bounds = [
        _amount(price, tariff.minor_digits, phrases)
        for price in sorted({min(prices), max(prices)})
    ]
    return phrases.flat.format(price="–".join(bounds), currency=tariff.currency)


def _amount(price_micro_per_kwh: int, minor_digits: int, phrases: _Phrases) -> str:
    """At least with the digits of the currency, with more only if it has them."""
    exact = price_per_kwh(price_micro_per_kwh)
    exponent = exact.as_tuple().exponent
    assert isinstance(exponent, int), "a price is a finite number"
    return f"{exact:.{max(minor_digits, -exponent)}f}".replace(
        ".", phrases.decimal_point
    )
