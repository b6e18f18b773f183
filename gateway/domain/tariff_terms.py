"""What a tariff may ask money for, and under which conditions besides the clock.

The dimensions and their units are those of OCPI 2.2.1 (11.4.5, 11.4.6). A price with a
``vat`` is without that tax; one without is what the driver pays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from gateway.errors import WattproofError

MICRO: Final = 1_000_000
MILLIWH_PER_KWH: Final = 1_000_000
MICROSECONDS_PER_HOUR: Final = 3_600_000_000
MICROSECOND: Final = timedelta(microseconds=1)


class TariffError(WattproofError):
    """A tariff is not usable, or has no price for a moment.

    Attributes:
        field: Path inside the tariff, e.g. ``elements[0].price_components``.
        problem: What is wrong.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Dimension(StrEnum):
    """What is priced. The price is per kWh, per hour, or per session."""

    ENERGY = "ENERGY"
    TIME = "TIME"
    """Time while the car charges."""
    PARKING_TIME = "PARKING_TIME"
    """Time while it does not."""
    FLAT = "FLAT"


_UNIT: Final = {
    Dimension.ENERGY: MILLIWH_PER_KWH,
    Dimension.TIME: MICROSECONDS_PER_HOUR,
    Dimension.PARKING_TIME: MICROSECONDS_PER_HOUR,
    Dimension.FLAT: 1,
}
"""Volumes are counted in mWh, microseconds, sessions; so many make what is priced."""

_STEP: Final = {
    Dimension.ENERGY: 1_000,
    Dimension.TIME: 1_000_000,
    Dimension.PARKING_TIME: 1_000_000,
    Dimension.FLAT: 0,
}
"""Volume of a step of 1: a watt-hour, a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A price of one dimension.

    Attributes:
        price_micro: Millionths of the currency per kWh, hour or session.
        vat_ppm: Tax on top, in millionths of the price; ``None``: none is added.
        step_size: Wh or seconds that are billed as a whole; 1: billed exactly.
    """

    dimension: Dimension
    price_micro: int
    vat_ppm: int | None = None
    step_size: int = 1

    @property
    def step(self) -> int:
        """The step in units of volume; 0: none."""
        return 0 if self.step_size <= 1 else self.step_size * _STEP[self.dimension]

    @property
    def gross_micro(self) -> Fraction:
        """What the driver pays, in millionths of the currency."""
        return Fraction(self.price_micro * (MICRO + (self.vat_ppm or 0)), MICRO)

    def net(self, volume: int) -> Fraction:
        """The exact price of a volume without tax, in major units."""
        return Fraction(volume * self.price_micro, _UNIT[self.dimension] * MICRO)

    def gross(self, volume: int) -> Fraction:
        """The exact price of a volume with tax, in major units."""
        return self.net(volume) * Fraction(MICRO + (self.vat_ppm or 0), MICRO)

    def to_json(self) -> dict[str, object]:
        """As in the snapshot of a tariff."""
        return {
            "type": self.dimension.value,
            "price_micro": self.price_micro,
            "vat_ppm": self.vat_ppm,
            "step_size": self.step_size,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Component":
        """The inverse of `to_json`.

        Raises:
            KeyError: A member is missing.
            ValueError: One means nothing.
        """
        vat = row["vat_ppm"]
        return cls(
            dimension=Dimension(row["type"]),
            price_micro=int(row["price_micro"]),
            vat_ppm=None if vat is None else int(vat),
            step_size=int(row["step_size"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a session stands at the beginning of a stretch.

    Attributes:
        energy_milliwh: Delivered before it.
        power_w: Its average power, rounded down; ``None``: it takes no time.
        elapsed: Since the start of the session.
    """

    energy_milliwh: int = 0
    power_w: int | None = 0
    elapsed: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Conditions on a session; each lower bound is included, no upper one is."""

    min_milliwh: int | None = None
    max_milliwh: int | None = None
    min_w: int | None = None
    max_w: int | None = None
    min_s: int | None = None
    max_s: int | None = None

    def is_open(self, use: Use) -> bool:
        """Whether a session fulfils them all."""
        elapsed_us = use.elapsed // MICROSECOND
        if not _within(self.min_milliwh, use.energy_milliwh, self.max_milliwh):
            return False
        if not _within(_us(self.min_s), elapsed_us, _us(self.max_s)):
            return False
        if self.min_w is None and self.max_w is None:
            return True
        return use.power_w is not None and _within(self.min_w, use.power_w, self.max_w)

    def to_json(self) -> dict[str, int]:
        """The conditions that there are, by name."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


ALWAYS: Final = Gate()
GATES: Final = tuple(item.name for item in fields(Gate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a tariff asks for at some time of the clock, the first that applies first.

    Attributes:
        offers: Components with their conditions, in the order of the elements; what
            stands behind an unconditional one of its dimension is left out.
    """

    offers: tuple[tuple[Component, Gate], ...]

    @classmethod
    def of(cls, offers: Iterable[tuple[Component, Gate]]) -> "Terms":
        """Leave out what can never apply."""
        kept: list[tuple[Component, Gate]] = []
        done: set[Dimension] = set()
        for component, gate in offers:
            if component.dimension in done:
                continue
            kept.append((component, gate))
            if gate == ALWAYS:
                done.add(component.dimension)
        return cls(offers=tuple(kept))

    def component(self, dimension: Dimension, use: Use) -> Component | None:
        """The price of a dimension; ``None``: it costs nothing."""
        for component, gate in self.offers:
            if component.dimension is dimension and gate.is_open(use):
                return component
        return None

    def price_range_micro(self, dimension: Dimension) -> tuple[int, int] | None:
        """The least and the most that a driver pays, in millionths, for people.

        Returns:
            ``None`` where it costs nothing; from 0 where that depends on the session.
        """
        offers = [one for one in self.offers if one[0].dimension is dimension]
        if not offers:
            return None
        prices = [round(component.gross_micro) for component, _ in offers]
        is_sure = any(gate == ALWAYS for _, gate in offers)
        if not is_sure and dimension is not Dimension.ENERGY:
            prices.append(0)
        return min(prices), max(prices)

    def prices(self, dimension: Dimension) -> bool:
        """Whether a dimension may cost something."""
        return any(component.dimension is dimension for component, _ in self.offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The least or most that a session costs, in millionths of the currency."""

    excl_vat_micro: int
    incl_vat_micro: int

    def to_json(self) -> dict[str, object]:
        """As in the snapshot of a tariff."""
        return {
            "excl_vat_micro": self.excl_vat_micro,
            "incl_vat_micro": self.incl_vat_micro,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any] | None) -> "Bound | None":
        """The inverse of `to_json`; ``None`` stays so."""
        if row is None:
            return None
        return cls(
            excl_vat_micro=int(row["excl_vat_micro"]),
            incl_vat_micro=int(row["incl_vat_micro"]),
        )


def _within(low: int | None, value: int, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value < high)


def _us(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * MICRO
