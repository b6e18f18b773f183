"""A tariff in words for drivers: one sentence, in their language where we have it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.rates import AHEAD, major_units
from gateway.domain.tariff import Tariff, TariffError
from gateway.domain.tariff_terms import Dimension, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrases:
    """``{price}`` of ``flat`` and ``until`` is per kWh, ``{clock}`` a local time."""

    flat: str
    until: str
    fees: Mapping[Dimension, str]
    least: str
    most: str
    decimal_point: str = "."


_ENGLISH: Final = _Phrases(
    flat="{price} {currency} per kWh incl. VAT",
    until="{price} {currency} per kWh incl. VAT until {clock}, then {later}",
    fees={
        Dimension.FLAT: "{price} {currency} per session",
        Dimension.TIME: "{price} {currency} per hour of charging",
        Dimension.PARKING_TIME: "{price} {currency} per hour without charging",
    },
    least="at least {price} {currency}",
    most="at most {price} {currency}",
)
_PHRASES: Final = {
    "de": _Phrases(
        flat="{price} {currency} pro kWh inkl. MwSt.",
        until="{price} {currency} pro kWh inkl. MwSt. bis {clock}, dann {later}",
        fees={
            Dimension.FLAT: "{price} {currency} pro Ladevorgang",
            Dimension.TIME: "{price} {currency} pro Stunde Laden",
            Dimension.PARKING_TIME: "{price} {currency} pro Stunde ohne Laden",
        },
        least="mindestens {price} {currency}",
        most="höchstens {price} {currency}",
        decimal_point=",",
    ),
    "fr": _Phrases(
        flat="{price} {currency} par kWh TTC",
        until="{price} {currency} par kWh TTC jusqu'à {clock}, puis {later}",
        fees={
            Dimension.FLAT: "{price} {currency} par session",
            Dimension.TIME: "{price} {currency} par heure de charge",
            Dimension.PARKING_TIME: "{price} {currency} par heure sans charge",
        },
        least="au moins {price} {currency}",
        most="au plus {price} {currency}",
        decimal_point=",",
    ),
    "nl": _Phrases(
        flat="{price} {currency} per kWh incl. btw",
        until="{price} {currency} per kWh incl. btw tot {clock}, daarna {later}",
        fees={
            Dimension.FLAT: "{price} {currency} per sessie",
            Dimension.TIME: "{price} {currency} per uur laden",
            Dimension.PARKING_TIME: "{price} {currency} per uur zonder laden",
        },
        least="ten minste {price} {currency}",
        most="ten hoogste {price} {currency}",
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
    """What charging costs at a moment, and from when on energy costs something else.

    Prices that depend on the session are told as a range, from 0 if they may not apply.

    Args:
        tariff: Prices with tax.
        moment: Aware; ``None`` for words that hold at any time.
        language: RFC 5646; English where it is not known.

    Returns:
        ``None`` while the tariff has no price, or asks for nothing.
    """
    primary = (language or "en").casefold().split("-")[0]
    phrases = _PHRASES.get(primary, _ENGLISH)
    if moment is None:
        terms = tariff.offers()
    else:
        try:
            terms = tariff.segments(moment, moment)[0].terms
        except TariffError:
            return None
    words = [
        _range(terms, dimension, tariff, phrases, text)
        for dimension, text in phrases.fees.items()
    ]
    for bound, text in (
        (tariff.min_price, phrases.least),
        (tariff.max_price, phrases.most),
    ):
        if bound is not None:
            price = _amount(bound.incl_vat_micro, tariff.minor_digits, phrases)
            words.append(text.format(price=price, currency=tariff.currency))
    energy = _range(terms, Dimension.ENERGY, tariff, phrases, phrases.flat)
    following = None if moment is None else next_price(tariff, moment)
    if following is not None and energy:
        clock = following.at.astimezone(ZoneInfo(tariff.timezone)).strftime("%H:%M")
        later = _amount(following.price_micro_per_kwh, tariff.minor_digits, phrases)
        until = phrases.until.replace("{clock}", clock).replace("{later}", later)
        energy = _range(terms, Dimension.ENERGY, tariff, phrases, until)
    return " + ".join(word for word in (energy, *words) if word) or None


def energy_text(tariffs: Iterable[Tariff], moment: datetime) -> str | None:
    """What a kWh costs now by any of some tariffs, at least and at most.

    Returns:
        As ``0.29–0.42 EUR/kWh``; ``None`` where none of them has a price.
    """
    prices: set[int] = set()
    shown: Tariff | None = None
    for tariff in tariffs:
        try:
            terms = tariff.segments(moment, moment)[0].terms
        except TariffError:
            continue
        shown = tariff
        prices |= set(terms.price_range_micro(Dimension.ENERGY) or (0,))
    if shown is None:
        return None
    bounds = [
        _amount(price, shown.minor_digits, _ENGLISH)
        for price in sorted({min(prices), max(prices)})
    ]
    return f"{'–'.join(bounds)} {shown.currency}/kWh"


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
    now = segments[0].price_micro_per_kwh
    for segment in segments[1:]:
        if segment.price_micro_per_kwh != now:
            return NextPrice(
                at=segment.start, price_micro_per_kwh=segment.price_micro_per_kwh
            )
    return None


def _range(
    terms: Terms, dimension: Dimension, tariff: Tariff, phrases: _Phrases, text: str
) -> str:
    """What a dimension costs at least and at most, in words; empty: nothing."""
    prices = terms.price_range_micro(dimension)
    if prices is None or (prices[1] == 0 and dimension is not Dimension.ENERGY):
        return ""
    bounds = [
        _amount(price, tariff.minor_digits, phrases) for price in sorted(set(prices))
    ]
    return text.format(price="–".join(bounds), currency=tariff.currency)


def _amount(price_micro_per_kwh: int, minor_digits: int, phrases: _Phrases) -> str:
    """At least with the digits of the currency, with more only if it has them."""
    exact = major_units(price_micro_per_kwh)
    exponent = exact.as_tuple().exponent
    assert isinstance(exponent, int), "a price is a finite number"
    return f"{exact:.{max(minor_digits, -exponent)}f}".replace(
        ".", phrases.decimal_point
    )
