"""The one function that prices a session: a fold over the registers of its meter.

Bill, running cost and what is shown of both are all this fold, so they cannot differ.

Energy between two registers is spread evenly over the time between them; whole
milliwatt-hours are shared at price edges by largest remainder, so the parts add up
exactly. A register read at the edge makes it exact: clock-aligned samples do.

Whether the car charges, and with how much power, is read off the register as well: from
one change of it to the next, the average counts. Below `PARKED_BELOW_W` it is parking.
Thus a register of coarse steps makes no parking out of charging, and whoever has the
registers can check it. One that stands still for a `STANDSTILL` is parking by itself,
and the average counts from its end: a night is not charged because the car heats in the
morning.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from gateway.domain.tally import Tally, Total
from gateway.domain.tariff import Segment, Tariff, TariffError
from gateway.domain.tariff_terms import (
    MICROSECOND,
    Component,
    Dimension,
    Terms,
    Use,
)
from gateway.domain.thinning import PARKED_BELOW_W, STANDSTILL, RegisterPoint

NOTHING: Final = Tally()
_US_PER_HOUR: Final = 3_600_000_000
_MILLIWH_PER_WH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Energy and time of a stretch with the same prices.

    Attributes:
        terms: In force then.
        components: The prices that applied, one per dimension at most.
        is_parked: The car did not charge; ``None`` where that makes no price, or the
            register changed in no time. ``power_w``, average, rounded down, likewise.
        cells: Between which thresholds of energy and of duration.
    """

    start: datetime
    end: datetime
    energy_milliwh: int
    terms: Terms
    components: tuple[Component, ...]
    is_parked: bool | None
    power_w: int | None
    cells: tuple[int, int]

    @property
    def price_micro_per_kwh(self) -> int:
        """The price of energy as the tariff states it; 0 where it costs nothing."""
        for component in self.components:
            if component.dimension is Dimension.ENERGY:
                return component.price_micro
        return 0

    def merged(self, later: "Part") -> "Part | None":
        """Both as one, ``None`` if they must stay apart.

        A flat fee is in the first of those that could be one.
        """
        is_same = (
            self.cells == later.cells
            and self.is_parked is later.is_parked
            and self.power_w == later.power_w
            and self.terms == later.terms
            and set(later.components) <= set(self.components)
            and all(
                one.dimension is Dimension.FLAT
                for one in set(self.components) - set(later.components)
            )
        )
        if not is_same:
            return None
        energy = self.energy_milliwh + later.energy_milliwh
        return replace(self, end=later.end, energy_milliwh=energy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a tariff needs to know, found once.

    Attributes:
        milliwh: Energies at which a price may change, ascending; ``seconds`` likewise.
        needs_state: Whether the car charges makes a price, or its power does.
    """

    milliwh: tuple[int, ...]
    seconds: tuple[int, ...]
    prices_time: bool
    has_power: bool
    prices_energy: bool

    @property
    def needs_state(self) -> bool:
        """Whether changes of the register must be waited for."""
        return self.prices_time or self.has_power


def rules_of(tariff: Tariff) -> Rules:
    """Read what the prices of a tariff depend on."""
    gates = [element.gate for element in tariff.elements]
    return Rules(
        milliwh=_ascending(
            [bound for one in gates for bound in (one.min_milliwh, one.max_milliwh)]
        ),
        seconds=_ascending(
            [bound for one in gates for bound in (one.min_s, one.max_s)]
        ),
        prices_time=tariff.prices(Dimension.TIME, Dimension.PARKING_TIME),
        has_power=any(one.min_w is not None or one.max_w is not None for one in gates),
        prices_energy=tariff.prices(Dimension.ENERGY),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A session priced up to a register.

    Attributes:
        begun: The first register.
        settled_to: Everything before it is in the tally.
        upto: The latest register; equal to ``settled_to`` but for its time, which is
            priced when the register changes, or at the end.
        parts: What the latest step added to the tally, where that is kept.
        is_interpolated: Energy was shared between parts by time.
        power_w: Average when the register last changed, W.
    """

    tariff: Tariff
    rules: Rules
    begun: RegisterPoint
    settled_to: RegisterPoint
    upto: RegisterPoint
    tally: Tally = NOTHING
    parts: tuple[Part, ...] = ()
    keeps_parts: bool = False
    is_interpolated: bool = False
    power_w: int | None = None

    @classmethod
    def opening(
        cls, tariff: Tariff, begun: RegisterPoint, *, keeps_parts: bool = False
    ) -> "Account":
        """Nothing used yet."""
        return cls(
            tariff=tariff,
            rules=rules_of(tariff),
            begun=begun,
            settled_to=begun,
            upto=begun,
            keeps_parts=keeps_parts,
        )

    def to(
        self, point: RegisterPoint, segments: Sequence[Segment] | None = None
    ) -> "Account":
        """Up to a later register.

        Args:
            point: Not before ``upto``, nor lower.
            segments: Of the tariff, over at least the time since ``settled_to``.

        Raises:
            TariffError: Some moment since then has no price.
            ValueError: The register runs backwards.
        """
        if point < self.upto or point.register_milliwh < self.upto.register_milliwh:
            raise ValueError("the register runs backwards")
        if point == self.upto:
            return self
        if (
            self.rules.needs_state
            and point.register_milliwh == self.upto.register_milliwh
        ):
            return replace(self, upto=point, parts=())
        return self._settled(point, segments)

    def closed(self, segments: Sequence[Segment] | None = None) -> "Account":
        """With the time since the register last changed.

        Raises:
            TariffError: Some moment of it has no price.
        """
        is_done = self.settled_to.at == self.upto.at
        if is_done and self.settled_to != self.begun:
            return self
        return self._settled(self.upto, segments)

    def edges(self, segments: Sequence[Segment]) -> list[datetime]:
        """Instants at which energy is cut: terms change, or a duration is reached."""
        return [one.start for one in segments[1:]] + self._duration_edges()

    @property
    def total(self) -> Total:
        """What the tally costs."""
        tariff = self.tariff
        return self.tally.total(tariff.minor_digits, tariff.min_price, tariff.max_price)

    def _settled(
        self, point: RegisterPoint, segments: Sequence[Segment] | None
    ) -> "Account":
        tally, parts = self.tally, list[Part]()
        used = self.settled_to.register_milliwh - self.begun.register_milliwh
        is_interpolated = self.is_interpolated
        power_w: int | None = None
        for before, after, power_w in self._stretches(point):
            for cut in self._cuts(before, after):
                energies = 0
                for segment, start, end, energy in self._pieces(*cut, segments):
                    part = self._part(
                        segment, (start, end), energy, (used, power_w), tally
                    )
                    tally = _counted(tally, part)
                    used += energy
                    energies += energy > 0
                    if self.keeps_parts:
                        join(parts, part)
                is_interpolated |= energies > 1
        return replace(
            self,
            settled_to=point,
            upto=point,
            tally=tally,
            parts=tuple(parts),
            is_interpolated=is_interpolated,
            power_w=power_w,
        )

    def _stretches(
        self, point: RegisterPoint
    ) -> list[tuple[RegisterPoint, RegisterPoint, int | None]]:
        """What is settled now, with its average power.

        It is one of the whole, unless the register stood still for too long before.
        """
        first, upto = self.settled_to, self.upto
        whole_w = average_w(first, point)
        if upto in {first, point}:
            return [(first, point, whole_w)]
        if upto.at - first.at < STANDSTILL:
            return [(first, upto, whole_w), (upto, point, whole_w)]
        return [
            (first, upto, average_w(first, upto)),
            (upto, point, average_w(upto, point)),
        ]

    def _cuts(
        self, before: RegisterPoint, after: RegisterPoint
    ) -> Iterator[tuple[RegisterPoint, RegisterPoint]]:
        """Cut where the energy reaches a threshold: the register is known there."""
        zero = self.begun.register_milliwh
        energy = after.register_milliwh - before.register_milliwh
        points = [before]
        for threshold in self.rules.milliwh:
            register = zero + threshold
            if before.register_milliwh < register < after.register_milliwh:
                share = register - before.register_milliwh
                at = before.at + MICROSECOND * (
                    (after.at - before.at) // MICROSECOND * share // energy
                )
                points.append(RegisterPoint(at=at, register_milliwh=register))
        yield from pairwise([*points, after])

    def _pieces(
        self,
        before: RegisterPoint,
        after: RegisterPoint,
        segments: Sequence[Segment] | None,
    ) -> Iterator[tuple[Segment, datetime, datetime, int]]:
        """Cut where terms change or a duration is reached; share the energy."""
        if segments is None or before.at == after.at:
            segments = self.tariff.segments(before.at, after.at)
        first = bisect_right(segments, before.at, key=lambda one: one.start) - 1
        found: list[tuple[Segment, datetime, datetime]] = []
        edges = self._duration_edges()
        for segment in segments[max(0, first) :]:
            low, high = max(before.at, segment.start), min(after.at, segment.end)
            if low >= high and found:
                break
            inner = [edge for edge in edges if low < edge < high]
            found += [
                (segment, start, end)
                for start, end in pairwise([low, *inner, max(low, high)])
            ]
        shares = split(
            after.register_milliwh - before.register_milliwh,
            [(end - start) // MICROSECOND for _, start, end in found],
        )
        for (segment, start, end), energy in zip(found, shares, strict=True):
            yield segment, start, end, energy

    def _duration_edges(self) -> list[datetime]:
        start = self.begun.at
        return [start + timedelta(seconds=seconds) for seconds in self.rules.seconds]

    def _part(
        self,
        segment: Segment,
        span: tuple[datetime, datetime],
        energy: int,
        state: tuple[int, int | None],
        tally: Tally,
    ) -> Part:
        start, end = span
        used, power_w = state
        elapsed = start - self.begun.at
        use = Use(energy_milliwh=used, power_w=power_w, elapsed=elapsed)
        is_parked = None if power_w is None else power_w < PARKED_BELOW_W
        dimensions = [Dimension.ENERGY]
        if self.rules.prices_time and is_parked is not None:
            dimensions.append(Dimension.PARKING_TIME if is_parked else Dimension.TIME)
        if not tally.has_flat:
            dimensions.append(Dimension.FLAT)
        chosen = [segment.terms.component(one, use) for one in dimensions]
        if energy > 0 and chosen[0] is None and self.rules.prices_energy:
            raise TariffError("elements", f"no price of energy from {start} on")
        return Part(
            start=start,
            end=end,
            energy_milliwh=energy,
            terms=segment.terms,
            components=tuple(one for one in chosen if one is not None),
            is_parked=is_parked if self.rules.prices_time else None,
            power_w=power_w if self.rules.has_power else None,
            cells=(
                bisect_right(self.rules.milliwh, used),
                bisect_right(
                    self.rules.seconds,
                    elapsed,
                    key=lambda seconds: timedelta(seconds=seconds),
                ),
            ),
        )


def join(parts: list[Part], later: Part) -> None:
    """Add a part, to the last one if both are one."""
    one = parts[-1].merged(later) if parts else None
    if one is None:
        parts.append(later)
    else:
        parts[-1] = one


def average_w(before: RegisterPoint, after: RegisterPoint) -> int | None:
    """Average power between two registers, W, rounded down; ``None`` in no time."""
    span_us = (after.at - before.at) // MICROSECOND
    if span_us == 0:
        return None
    energy = after.register_milliwh - before.register_milliwh
    return energy * _US_PER_HOUR // (span_us * _MILLIWH_PER_WH)


def split(energy_milliwh: int, shares: Sequence[int]) -> list[int]:
    """Share whole units in proportion, exactly, by largest remainder.

    On a tie the earlier share gets the unit; all of it, if all shares are 0.
    """
    total = sum(shares)
    if total == 0:
        return [energy_milliwh, *([0] * (len(shares) - 1))]
    parts = [energy_milliwh * share // total for share in shares]
    missing = energy_milliwh - sum(parts)
    by_remainder = sorted(
        range(len(shares)), key=lambda i: (-(energy_milliwh * shares[i] % total), i)
    )
    for index in by_remainder[:missing]:
        parts[index] += 1
    return parts


def _counted(tally: Tally, part: Part) -> Tally:
    span_us = (part.end - part.start) // MICROSECOND
    volumes = {
        Dimension.ENERGY: part.energy_milliwh,
        Dimension.TIME: span_us,
        Dimension.PARKING_TIME: span_us,
        Dimension.FLAT: 1,
    }
    for component in part.components:
        tally = tally.plus(component, volumes[component.dimension])
    return tally


def _ascending(bounds: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(sorted({bound for bound in bounds if bound}))
