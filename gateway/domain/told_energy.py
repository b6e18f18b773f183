"""What the samples of one session tell of its energy, besides its start and end.

Registers that bracket it, energies of intervals, and power. A 0 that cannot be true is
passed over, never counted; whatever is compared is compared over the same time, so
that a sample that was lost makes no difference.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from gateway.domain.metering import BEGIN, END
from gateway.domain.neighbours import REGISTER_TOLERANCE_MILLIWH, most_milliwh
from gateway.domain.units import MILLIWH_PER_WH

LATENCY: Final = timedelta(minutes=5)
"""A register may show its energy so much later, all at once."""
CLOSE: Final = timedelta(minutes=5)
"""Powers further apart say too little of what was drawn between them."""
LARGEST_GAP: Final = timedelta(minutes=30)
"""Nor is an estimate made over more than this."""
MAX_RESOLUTION_MILLIWH: Final = 1_000_000
"""A register that counts whole kWh is the coarsest that is allowed for."""
LEAST_MILLIWH: Final = 500_000
"""500 Wh: less says nothing about a register against its power."""
POWER_FACTOR: Final = Decimal("1.5")
"""So much may a power be off, or miss between two samples."""
SPACING_SLACK: Final = 1.5
"""Samples of a series may come so many times their usual spacing apart."""
ROUNDED: Final = timedelta(seconds=2)
"""Stations round the times of what they sample."""
MIN_PAIRS: Final = 3
"""Intervals that are compared with their registers; fewer show no rule."""
PER_CENT: Final = 100
MILLIWH_PER_WS: Final = 1 / 3.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One stored sample of a session; ``None`` where it says nothing.

    Attributes:
        interval_wh: Energy of the sampling interval that ends here.
        clock_interval_wh: Energy of the clock-aligned interval that ends here.
        summed: The phases that the register was added up from.
    """

    at: datetime
    context: str
    register_milliwh: int | None = None
    power_w: float | None = None
    interval_wh: Decimal | None = None
    clock_interval_wh: Decimal | None = None
    summed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """Energies of intervals, added up.

    Attributes:
        milliwh: Their sum, floored once.
        is_whole: They cover the session from its start to its end.
    """

    milliwh: int
    is_whole: bool
    n_interval: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEnergy:
    """What the samples of one session tell.

    Attributes:
        begin_milliwh: Register of the sample that is marked as the begin.
        end_milliwh: Likewise of the end.
        low_milliwh: Lowest register; no placeholder.
        last_milliwh: Highest register; no placeholder.
        n_placeholder: Registers of 0 that cannot be true.
        has_jump: The register grew faster than the EVSE can deliver.
        summed: The sets of phases that registers were added up from; ``None`` in it:
            some were told as totals.
        intervals: ``None``: no interval was told, or none that can be used.
        do_intervals_differ: From the registers over the same time.
        does_power_differ: Likewise the power.
        power_milliwh: Integral of the power over the time in which it was told.
    """

    begin_milliwh: int | None = None
    end_milliwh: int | None = None
    low_milliwh: int | None = None
    last_milliwh: int | None = None
    n_placeholder: int = 0
    has_jump: bool = False
    summed: frozenset[str | None] = frozenset()
    intervals: Intervals | None = None
    do_intervals_differ: bool = False
    does_power_differ: bool = False
    power_milliwh: int | None = None


def told_energy(
    samples: Sequence[Told],
    *,
    start_milliwh: int | None,
    started_at: datetime | None,
    ended_at: datetime | None,
    rated_w: float | None,
) -> ToldEnergy:
    """Read the samples of one session.

    Args:
        samples: In any order; one that comes twice counts once.
        start_milliwh: Its start register, as told.
        started_at: Its start.
        ended_at: Its end.
        rated_w: What the EVSE delivers at most, W; ``None`` if unknown.
    """
    ordered = sorted(set(samples), key=_order)
    counted, n_placeholder = _without_placeholders(ordered, start_milliwh, rated_w)
    registers = [one.register_milliwh or 0 for one in counted]
    resolution = _resolution([*registers, start_milliwh or 0])
    return ToldEnergy(
        begin_milliwh=_marked(counted, BEGIN),
        end_milliwh=_marked(counted, END),
        low_milliwh=min(registers, default=None),
        last_milliwh=max(registers, default=None),
        n_placeholder=n_placeholder,
        has_jump=_has_jump(counted, resolution, rated_w),
        summed=frozenset(one.summed for one in counted),
        intervals=_intervals(ordered, started_at, ended_at, rated_w),
        do_intervals_differ=_do_intervals_differ(counted),
        does_power_differ=_does_power_differ(counted, resolution),
        power_milliwh=_integral(ordered),
    )


def tolerance_milliwh(energy_milliwh: int) -> int:
    """What two measurements of one energy may differ by: 10 Wh, or 1 %."""
    return max(REGISTER_TOLERANCE_MILLIWH, abs(energy_milliwh) // PER_CENT)


def _order(one: Told) -> tuple[object, ...]:
    register = -1 if one.register_milliwh is None else one.register_milliwh
    power_w = -1.0 if one.power_w is None else one.power_w
    return (one.at, register, one.context, power_w)


def _without_placeholders(
    ordered: Sequence[Told], start_milliwh: int | None, rated_w: float | None
) -> tuple[list[Told], int]:
    """Samples with a register, but for zeros that cannot be true."""
    told = [one for one in ordered if one.register_milliwh is not None]
    highest = start_milliwh or 0
    kept: list[Told] = []
    for one in told:
        register = one.register_milliwh or 0
        if register == 0 and highest > REGISTER_TOLERANCE_MILLIWH:
            continue
        highest = max(highest, register)
        kept.append(one)
    first = next((n for n, one in enumerate(kept) if one.register_milliwh), 0)
    if first:
        leap = kept[first].register_milliwh or 0
        if leap > most_milliwh(kept[first].at - kept[first - 1].at + LATENCY, rated_w):
            kept = kept[first:]
    return kept, len(told) - len(kept)


def _marked(counted: Sequence[Told], context: str) -> int | None:
    """The register that is marked so; of several that differ, none."""
    found = {one.register_milliwh for one in counted if one.context == context}
    return found.pop() if len(found) == 1 else None


def _resolution(registers: Sequence[int]) -> int:
    """In which steps a register counts, as far as its values show; mWh."""
    return min(MAX_RESOLUTION_MILLIWH, math.gcd(*registers))


def _has_jump(counted: Sequence[Told], resolution: int, rated_w: float | None) -> bool:
    return any(
        (after.register_milliwh or 0) - (before.register_milliwh or 0)
        > most_milliwh(after.at - before.at + LATENCY, rated_w) + resolution
        for before, after in pairwise(counted)
    )


def _series(
    ordered: Sequence[Told], *, is_clock: bool
) -> list[tuple[datetime, Decimal]]:
    """The intervals of one kind by their ends; none if one of them is ambiguous."""
    found: dict[datetime, set[Decimal]] = {}
    for one in ordered:
        value = one.clock_interval_wh if is_clock else one.interval_wh
        if value is not None:
            found.setdefault(one.at, set()).add(value)
    if any(len(values) > 1 or min(values) < 0 for values in found.values()):
        return []
    return [(at, values.pop()) for at, values in sorted(found.items())]


def _intervals(
    ordered: Sequence[Told],
    started_at: datetime | None,
    ended_at: datetime | None,
    rated_w: float | None,
) -> Intervals | None:
    """The kind of intervals that covers most; both cover the same energy."""
    if started_at is None or ended_at is None:
        return None
    kinds = [
        _added(ordered, started_at, ended_at, is_clock=is_clock)
        for is_clock in (False, True)
    ]
    most = most_milliwh(ended_at - started_at, rated_w)
    usable = [one for one in kinds if one is not None and one.milliwh <= most]
    return max(usable, key=lambda one: (one.is_whole, one.milliwh), default=None)


def _added(
    ordered: Sequence[Told], started_at: datetime, ended_at: datetime, *, is_clock: bool
) -> Intervals | None:
    """The intervals of one kind that lie within the session, added up.

    Sampling begins with the session (1.6, 3.13.1); a clock-aligned interval that began
    before it holds energy of others.
    """
    series = _series(ordered, is_clock=is_clock)
    inside = [one for one in series if started_at < one[0] <= ended_at + ROUNDED]
    usual = _usual([at for at, _ in inside])
    begins = started_at
    if is_clock and usual is not None:
        inside = [one for one in inside if one[0] - usual >= started_at - ROUNDED]
        begins = inside[0][0] - usual if inside else started_at
    if not inside or (is_clock and usual is None):
        return None
    ends = [at for at, _ in inside]
    longest = (usual or ends[0] - started_at) * SPACING_SLACK
    is_whole = (
        abs(begins - started_at) <= ROUNDED
        and ended_at - ends[-1] <= ROUNDED
        and all(b - a <= longest for a, b in pairwise([started_at, *ends]))
    )
    total = sum((value for _, value in inside), Decimal(0))
    return Intervals(
        milliwh=math.floor(total * MILLIWH_PER_WH),
        is_whole=is_whole,
        n_interval=len(inside),
    )


def _usual(ends: Sequence[datetime]) -> timedelta | None:
    """How far apart the samples of a series are as a rule, if there is a rule."""
    spacings = Counter(
        round((after - before).total_seconds()) for before, after in pairwise(ends)
    )
    if not spacings:
        return None
    return timedelta(seconds=max(spacings, key=lambda one: (spacings[one], -one)))


def _do_intervals_differ(counted: Sequence[Told]) -> bool:
    """Compare energies of intervals with the registers at both ends of them."""
    return any(_differs(counted, is_clock=is_clock) for is_clock in (False, True))


def _differs(counted: Sequence[Told], *, is_clock: bool) -> bool:
    told = [
        (one.at, one.register_milliwh or 0, value)
        for one in counted
        if (value := one.clock_interval_wh if is_clock else one.interval_wh) is not None
    ]
    usual = _usual([at for at, _, _ in told])
    registers = intervals = n_pair = 0
    for (before, first, _), (after, second, value) in pairwise(told):
        if usual is None or abs(after - before - usual) > ROUNDED:
            continue  # one between was lost, and its interval with it
        registers += second - first
        intervals += math.floor(value * MILLIWH_PER_WH)
        n_pair += 1
    if n_pair < MIN_PAIRS:
        return False
    slack = tolerance_milliwh(registers) + n_pair * MILLIWH_PER_WH
    return abs(registers - intervals) > slack


def _does_power_differ(counted: Sequence[Told], resolution: int) -> bool:
    """Whether the register lies outside what the power beside it allows.

    Between two samples power lies between them, or not far from there: the lesser and
    the greater of both bound the energy, each with a generous factor.
    """
    registers = 0
    low = high = highest_w = 0.0
    for before, after in pairwise(counted):
        if before.power_w is None or after.power_w is None:
            continue
        if after.at - before.at > CLOSE:
            continue
        seconds = (after.at - before.at).total_seconds()
        powers = (max(0.0, before.power_w), max(0.0, after.power_w))
        registers += (after.register_milliwh or 0) - (before.register_milliwh or 0)
        low += min(powers) * seconds * MILLIWH_PER_WS
        high += max(powers) * seconds * MILLIWH_PER_WS
        highest_w = max(highest_w, *powers)
    if max(registers, high) < LEAST_MILLIWH:
        return False
    late = highest_w * LATENCY.total_seconds() * MILLIWH_PER_WS
    slack = resolution + late
    factor = float(POWER_FACTOR)
    return registers > high * factor + slack or registers < low / factor - slack


def _integral(ordered: Sequence[Told]) -> int | None:
    """Energy by power alone, mWh: an estimate that nobody is ever billed by."""
    powers = {one.at: one.power_w for one in ordered if one.power_w is not None}
    energy = 0.0
    for (before, first), (after, second) in pairwise(sorted(powers.items())):
        if after - before <= LARGEST_GAP:
            seconds = (after - before).total_seconds()
            energy += max(0.0, first + second) / 2 * seconds * MILLIWH_PER_WS
    return round(energy) if len(powers) > 1 else None
