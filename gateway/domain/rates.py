"""The prices that a session pays at a moment, as far as a display can show them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from gateway.domain.tariff import MICRO, Tariff, TariffError
from gateway.domain.tariff_terms import Dimension, Terms, Use

AHEAD: Final = timedelta(days=1)
"""How far ahead the next prices are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What the driver pays, in major units; ``None``: there is no such price now.

    Attributes:
        per_kwh: 0 where energy is free.
        per_hour: While the car charges.
        idle_per_hour: While it does not.
        flat: Once.
    """

    per_kwh: Decimal
    per_hour: Decimal | None = None
    idle_per_hour: Decimal | None = None
    flat: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRates:
    """The prices after the present ones."""

    at: datetime
    rates: Rates


def rates_at(tariff: Tariff, moment: datetime, use: Use) -> Rates:
    """The prices at a moment.

    Args:
        tariff: The terms.
        moment: Aware.
        use: How the session stands.

    Raises:
        TariffError: Energy has a price, but not then.
    """
    return _rates(tariff, tariff.segments(moment, moment)[0].terms, use)


def next_rates(tariff: Tariff, moment: datetime, use: Use) -> NextRates | None:
    """When the clock changes the prices within a day; ``None``: it does not."""
    try:
        segments = tariff.segments(moment, moment + AHEAD)
        now = _rates(tariff, segments[0].terms, use)
        for segment in segments[1:]:
            later = _rates(tariff, segment.terms, use)
            if later != now:
                return NextRates(at=segment.start, rates=later)
    except TariffError:
        return None
    return None


def major_units(micro: int) -> Decimal:
    """A price in major units, exact, without needless zeros."""
    return (Decimal(micro) / MICRO).normalize() + 0


def _rates(tariff: Tariff, terms: Terms, use: Use) -> Rates:
    def price(dimension: Dimension) -> Decimal | None:
        found = terms.component(dimension, use)
        return None if found is None else major_units(round(found.gross_micro))

    energy = price(Dimension.ENERGY)
    if energy is None and tariff.prices(Dimension.ENERGY):
        raise TariffError("elements", "no price of energy")
    return Rates(
        per_kwh=energy or Decimal(0),
        per_hour=price(Dimension.TIME),
        idle_per_hour=price(Dimension.PARKING_TIME),
        flat=price(Dimension.FLAT),
    )
