"""What a session has used of each price, and what that costs.

The rounding of money is here and nowhere else: amounts are exact fractions until the
total of a session is known. The total with tax is rounded once, half to even, to minor
units; so is the total without tax; the tax is their difference.

Steps (``step_size``) are counted once per session and dimension, over its whole volume,
and what they add is priced by the component of which some was used last. Where parking
has a price and some was used, charging time gets no step (OCPI 2.2.1, 11.4.5). The
least and the most price of a tariff bound the total.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Final

from gateway.domain.tariff_terms import MICRO, Bound, Component, Dimension

ZERO: Final = Fraction(0)


class Limit(StrEnum):
    """Which bound of the tariff made the total."""

    MIN_PRICE = "min_price"
    MAX_PRICE = "max_price"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How much was used at one price.

    Attributes:
        volume: mWh, microseconds, or 1 for a flat fee.
        uplift: What steps add to it.
    """

    component: Component
    volume: int
    uplift: int = 0

    @property
    def billed(self) -> int:
        """The volume that is paid for."""
        return self.volume + self.uplift

    def to_json(self) -> dict[str, object]:
        """As in a bill."""
        return {
            **self.component.to_json(),
            "volume": self.volume,
            "billed": self.billed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a session costs.

    Attributes:
        gross: Exact, in major units, with tax.
        amount_minor: ``gross`` in minor units, rounded half to even.
        net_minor: Likewise without tax.
        limit: The bound that made the amount, with tax or without.
    """

    gross: Fraction
    amount_minor: int
    net_minor: int
    limit: Limit | None

    @property
    def vat_minor(self) -> int:
        """The tax, so that it and the amount without it add up to the amount."""
        return self.amount_minor - self.net_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Volumes by price, in the order in which the prices were first used.

    Attributes:
        lines: Without steps.
        last: The component of which some was used last, of each dimension.
    """

    lines: tuple[Line, ...] = ()
    last: tuple[Component, ...] = ()

    @property
    def has_flat(self) -> bool:
        """Whether a flat fee was asked for."""
        return any(one.component.dimension is Dimension.FLAT for one in self.lines)

    def plus(self, component: Component, volume: int) -> "Tally":
        """One volume more; of none at all the price was not used."""
        last = self.last
        if volume:
            kind = component.dimension
            last = (*(one for one in last if one.dimension is not kind), component)
        for index, line in enumerate(self.lines):
            if line.component == component:
                more = replace(line, volume=line.volume + volume)
                lines = (*self.lines[:index], more, *self.lines[index + 1 :])
                return Tally(lines=lines, last=last)
        line = Line(component=component, volume=volume)
        return Tally(lines=(*self.lines, line), last=last)

    def stepped(self) -> tuple[Line, ...]:
        """The lines with what steps add."""
        lines = list(self.lines)
        has_parking = self._volume(Dimension.PARKING_TIME) > 0
        for component in self.last:
            if component.dimension is Dimension.TIME and has_parking:
                continue
            if component.step:
                uplift = -self._volume(component.dimension) % component.step
                index = next(
                    at for at, one in enumerate(lines) if one.component == component
                )
                lines[index] = replace(lines[index], uplift=uplift)
        return tuple(lines)

    def total(
        self, minor_digits: int, least: Bound | None, most: Bound | None
    ) -> Total:
        """What it all costs.

        Args:
            minor_digits: Of the currency, 2 for cents.
            least: The ``min_price`` of the tariff.
            most: Its ``max_price``.
        """
        lines = self.stepped()
        net = sum((one.component.net(one.billed) for one in lines), ZERO)
        gross = sum((one.component.gross(one.billed) for one in lines), ZERO)
        limit = None
        for bound, holds, name in (
            (least, max, Limit.MIN_PRICE),
            (most, min, Limit.MAX_PRICE),
        ):
            if bound is None:
                continue
            before = (net, gross)
            net = holds(net, Fraction(bound.excl_vat_micro, MICRO))
            gross = holds(gross, Fraction(bound.incl_vat_micro, MICRO))
            limit = limit if (net, gross) == before else name
        return Total(
            gross=gross,
            amount_minor=rounded_minor(gross, minor_digits),
            net_minor=rounded_minor(net, minor_digits),
            limit=limit,
        )

    def _volume(self, dimension: Dimension) -> int:
        return sum(
            one.volume for one in self.lines if one.component.dimension is dimension
        )


def rounded_minor(amount: Fraction, minor_digits: int) -> int:
    """The one place where money is rounded: half to even, to minor units.

    Args:
        amount: Exact, in major units.
        minor_digits: Of the currency, 2 for cents.
    """
    return round(amount * int(10**minor_digits))
