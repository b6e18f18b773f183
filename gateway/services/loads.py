"""Other equipment behind a cabinet: what it draws now, and what it may draw later.

A fresh reading counts with a margin, until it is stale; from then on, and without one,
the configured worst case counts. PV and batteries that discharge never make room: what
a meter shows below zero counts as zero.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.bus import LoadMeasured
from gateway.domain.envelope import (
    NO_LIMIT,
    NOTHING,
    TOTAL,
    Draw,
    Rung,
    Staircase,
    UnixS,
    add,
    highest,
    subtract,
    unix_s,
    value_at,
    with_total,
)
from gateway.domain.ids import CabinetId
from gateway.domain.topology import (
    Battery,
    Cabinet,
    Group,
    Load,
    PerPhase,
    Rotation,
    dc_input_da,
    spread,
)

READING_SHARE: Final = 1.05
READING_EXTRA_DA: Final = 10
"""A reading counts 5 % and 1 A higher: it is a mean, and already a little old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReading:
    """The newest measurement of a load, feeder, PV inverter or battery.

    Attributes:
        current_da: 0.1 A on supply phases L1, L2, L3, import positive; ``None`` when
            only power was measured.
        power_w: W, import positive (PV: what it delivers).
    """

    load_id: str
    measured_at: datetime
    current_da: PerPhase | None = None
    power_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A limit the CPO set for a cabinet, within what its fuse allows.

    Attributes:
        set_at: The newest that applies at an instant counts.
        from_at: First instant; ``None``: since ever.
        until_at: First instant after it; ``None``: for ever.
    """

    cabinet_id: CabinetId
    set_at: datetime
    limit_da: PerPhase | None = None
    limit_w: int | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None

    def applies(self, at_s: int) -> bool:
        """Whether it holds at an instant."""
        return (self.from_at is None or unix_s(self.from_at) <= at_s) and (
            self.until_at is None or at_s < unix_s(self.until_at)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Something besides the EVSEs that draws from a cabinet."""

    id: str
    cabinet_id: CabinetId
    phases: Rotation
    worst_case: PerPhase
    stale_after_s: int

    @classmethod
    def of(cls, asset: Load | Battery) -> "Consumer":
        """A load at its worst case, or a battery that charges with all it can."""
        worst = asset.worst_case if isinstance(asset, Load) else asset.charging
        return cls(
            id=asset.id,
            cabinet_id=asset.cabinet_id,
            phases=asset.phases,
            worst_case=worst,
            stale_after_s=asset.stale_after_s,
        )


def reading_of(notice: LoadMeasured) -> LoadReading:
    """A measurement in the units of the plans: 0.1 A, rounded up."""
    current_da = None
    if notice.current_a is not None:
        one, two, three = (math.ceil(a * 10 - 1e-6) for a in notice.current_a)
        current_da = (one, two, three)
    return LoadReading(
        load_id=notice.load_id,
        measured_at=notice.at,
        current_da=current_da,
        power_w=notice.power_w,
    )


def consumers(group: Group) -> tuple[Consumer, ...]:
    """All other equipment of a group."""
    assets: tuple[Load | Battery, ...] = (*group.loads, *group.batteries)
    return tuple(Consumer.of(asset) for asset in assets)


def load_staircase(
    consumer: Consumer, reading: LoadReading | None, *, now: datetime, phase_v: float
) -> Staircase:
    """Upper bound of what other equipment draws, from ``now`` on."""
    now_s = unix_s(now)
    worst = with_total(consumer.worst_case)
    fresh_until = fresh_end(consumer.stale_after_s, reading, now)
    if reading is None or fresh_until is None:
        return (Rung(now_s, worst),)
    measured = measured_draw(consumer, reading, phase_v=phase_v)
    one, two, three = (
        _with_margin(measured[phase])
        if measured[phase] or phase in consumer.phases
        else 0  # it is not connected there, and its meter shows nothing
        for phase in range(3)
    )
    counted = with_total((one, two, three))
    return (Rung(now_s, counted), Rung(unix_s(fresh_until), worst))


def total_da(
    group: Group,
    readings: Mapping[str, LoadReading],
    *,
    now: datetime,
    phase_v: float,
) -> int:
    """What all other equipment of a group counts now, summed over the phases."""
    stairs = (
        load_staircase(one, readings.get(one.id), now=now, phase_v=phase_v)
        for one in consumers(group)
    )
    return sum(one[0].draw[TOTAL] for one in stairs)


def counted_now(
    group: Group,
    cabinet_id: CabinetId,
    readings: Mapping[str, LoadReading],
    *,
    now: datetime,
    phase_v: float,
) -> Draw:
    """What the other equipment behind a cabinet counts now."""
    below = _subtree(group, cabinet_id)
    total = NOTHING
    for one in consumers(group):
        if one.cabinet_id in below:
            stairs = load_staircase(one, readings.get(one.id), now=now, phase_v=phase_v)
            total = add(total, stairs[0].draw)
    return total


def less(
    rooms: Mapping[CabinetId, Staircase],
    withheld: Mapping[CabinetId, Draw],
    group: Group,
) -> dict[CabinetId, Staircase]:
    """Rooms without what is withheld behind each cabinet, or behind one it feeds."""
    taken = dict(withheld)
    for cabinet in reversed(group.cabinets):  # children before their parents
        below = NOTHING
        for child in group.cabinets:
            if child.parent == cabinet.id:
                below = add(below, taken.get(child.id, NOTHING))
        mine = taken.get(cabinet.id, NOTHING)
        taken[cabinet.id] = highest((mine, below))
    return {
        cabinet_id: tuple(
            Rung(rung.at_s, subtract(rung.draw, taken[cabinet_id])) for rung in stairs
        )
        for cabinet_id, stairs in rooms.items()
    }


def fresh_end(
    stale_after_s: int, reading: LoadReading | None, now: datetime
) -> datetime | None:
    """Until when a reading counts; ``None`` when it is stale, or of the future."""
    if reading is None:
        return None
    ends = reading.measured_at + timedelta(seconds=stale_after_s)
    is_early = reading.measured_at > now + timedelta(seconds=stale_after_s)
    return (
        None
        if ends <= now or is_early
        else min(ends, now + timedelta(seconds=stale_after_s))
    )


def measured_draw(
    consumer: Consumer, reading: LoadReading, *, phase_v: float
) -> PerPhase:
    """What a reading says per supply phase, never below zero.

    Power alone says nothing about its phases: all of it counts on each, up to the worst
    case there, unless it is more than the worst case in all.
    """
    if reading.current_da is not None:
        one, two, three = reading.current_da
        return (max(0, one), max(0, two), max(0, three))
    per_phase_da = dc_input_da(
        max(0.0, reading.power_w or 0.0),
        phase_v=phase_v,
        n_phase=1,
        efficiency=1.0,
        auxiliary_w=0,
    )
    worst = consumer.worst_case
    if per_phase_da > sum(worst):
        return spread(consumer.phases, per_phase_da)
    return (
        min(per_phase_da, worst[0]),
        min(per_phase_da, worst[1]),
        min(per_phase_da, worst[2]),
    )


def limit_draw(
    cabinet: Cabinet, thresholds: Iterable[Threshold], *, at_s: int, phase_v: float
) -> Draw:
    """The limit of a cabinet at an instant: the lower of fuse, supply and threshold."""
    limit = _as_draw(cabinet.committed_da, cabinet.limit_w, phase_v)
    valid = [
        one for one in thresholds if one.cabinet_id == cabinet.id and one.applies(at_s)
    ]
    if not valid:
        return limit
    newest = max(valid, key=lambda one: one.set_at)
    lower = _as_draw(newest.limit_da, newest.limit_w, phase_v)
    return (
        min(limit[0], lower[0]),
        min(limit[1], lower[1]),
        min(limit[2], lower[2]),
        min(limit[3], lower[3]),
    )


def gross_draw(cabinet: Cabinet, *, phase_v: float) -> Draw:
    """What busbars and cables of a cabinet carry, whoever delivers it."""
    return _as_draw(cabinet.limit_da, cabinet.limit_w, phase_v)


def rooms(
    group: Group,
    *,
    thresholds: Iterable[Threshold],
    readings: Mapping[str, LoadReading],
    now: datetime,
    phase_v: float,
) -> dict[CabinetId, Staircase]:
    """What the limits of a group leave for its EVSEs, from ``now`` on for ever."""
    now_s = unix_s(now)
    thresholds = tuple(thresholds)
    below = {cabinet.id: _subtree(group, cabinet.id) for cabinet in group.cabinets}
    stairs = [
        (
            consumer,
            load_staircase(
                consumer, readings.get(consumer.id), now=now, phase_v=phase_v
            ),
        )
        for consumer in consumers(group)
    ]
    found: dict[CabinetId, Staircase] = {}
    for cabinet in group.cabinets:
        mine = [one for who, one in stairs if who.cabinet_id in below[cabinet.id]]
        instants = {now_s}
        instants.update(r.at_s for one in mine for r in one if r.at_s > now_s)
        for threshold in thresholds:
            if threshold.cabinet_id == cabinet.id:
                instants.update(
                    unix_s(edge)
                    for edge in (threshold.from_at, threshold.until_at)
                    if edge is not None and unix_s(edge) > now_s
                )
        margin = (*(cabinet.margin_da,) * 3, 3 * cabinet.margin_da)
        rungs: list[Rung] = []
        for at_s in sorted(instants):
            taken = NOTHING
            for one in mine:
                taken = add(taken, value_at(one, at_s))
            limit = limit_draw(cabinet, thresholds, at_s=at_s, phase_v=phase_v)
            left = subtract(subtract(limit, _draw(margin)), taken)
            rungs.append(Rung(UnixS(at_s), left))
        found[cabinet.id] = tuple(rungs)
    return found


def _subtree(group: Group, cabinet_id: CabinetId) -> set[CabinetId]:
    found = {cabinet_id}
    for cabinet in group.cabinets:  # parents come before their children
        if cabinet.parent in found:
            found.add(cabinet.id)
    return found


def _with_margin(current_da: int) -> int:
    return math.ceil(current_da * READING_SHARE) + READING_EXTRA_DA


def _as_draw(limit_da: PerPhase | None, limit_w: int | None, phase_v: float) -> Draw:
    one, two, three = limit_da or (NO_LIMIT, NO_LIMIT, NO_LIMIT)
    total = NO_LIMIT if limit_w is None else math.floor(limit_w / phase_v * 10)
    return (one, two, three, total)


def _draw(values: tuple[int, ...]) -> Draw:
    one, two, three, total = values
    return (one, two, three, total)
