"""What an EVSE should be allowed, and the limits that a station can be sent for it."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from gateway.domain.envelope import (
    ROWS,
    TOTAL,
    Draw,
    HeldLimit,
    Progress,
    Staircase,
    counted,
    draw_of,
    highest,
)
from gateway.domain.limits import LimitSchedule, LimitStep, LimitUnit, Purpose
from gateway.domain.spare import OwnPhases
from gateway.domain.topology import CurrentType, Evse, Station

STEP_DA: Final = 10
"""Stations are set in whole ampere: some ignore what comes after the point."""

MAX_PERIOD: Final = 6
"""Steps in a schedule: stations that take fewer exist, none that needs more."""

DEFAULT_AGE: Final = timedelta(days=365)
"""A safe default starts so long ago that no wrong clock keeps it from applying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an EVSE should be allowed.

    Attributes:
        levels: (from when on, 0.1 A per phase as counted against the cabinet); the
            first from now on; instants growing, levels never rising.
        hold_until_s: When its floor begins, if nothing is sent until then.
        skew_s: Its station's clock may be wrong by this much.
        is_reserved: Its rating counts whatever it is sent, so nothing has to fit, and
            nothing is gained by lowering it.
        max_period: Its station takes so many steps, at least 1.
        relative_to: Its station counts schedules from here; ``None``: from their start.
        sent: What it was sent last lets it draw; ``None``: nothing was sent. What is
            counted may still be more, until the meter has shown it.
        own: The phases that its car is counted on; ``None``: all of the EVSE.
    """

    evse: Evse
    unit: LimitUnit
    levels: tuple[tuple[int, int], ...]
    hold_until_s: int
    skew_s: int
    is_reserved: bool = False
    max_period: int = MAX_PERIOD
    relative_to: datetime | None = None
    sent: Staircase | None = None
    own: OwnPhases | None = None

    def at(self, at_s: int) -> int:
        """The level wished at an instant."""
        if at_s >= self.hold_until_s:
            return self.evse.floor_da
        found = self.levels[0][1]
        for from_s, level_da in self.levels:
            if from_s > at_s:
                break
            found = level_da
        return max(found, self.evse.floor_da)

    def counted(self, held: HeldLimit, limit_da: int) -> Draw:
        """What counts of a limit that is sent."""
        if self.own is None:
            return counted(self.evse, held, limit_da)
        return self.own.draw(self.evse, limit_da)

    @property
    def least(self) -> Draw:
        """What no limit takes away from what is counted."""
        floor = draw_of(self.evse, self.evse.floor_da)
        if self.own is None:
            return floor
        return highest((floor, self.own.noise(self.evse)))


def quantised(wish: Wish, cap: Draw) -> int:
    """Largest limit that can be sent and counts no more than ``cap``.

    0, or at least what a car needs to charge, in steps of the station's unit.
    """
    limit_da = _sendable(wish, cap)
    evse = wish.evse
    if wish.unit is LimitUnit.A:
        limit_da -= limit_da % STEP_DA
        least_da = evse.min_da
    elif evse.current_type is CurrentType.AC:
        least_da = math.ceil(evse.min_da / len(evse.phases))
    else:
        least_da = _least_of_dc(evse)
    return limit_da if limit_da >= least_da else 0


def _least_of_dc(evse: Evse) -> int:
    """The least limit of a DC EVSE: of what it delivers, in 0.1 A of its phases."""
    step_w = evse.phase_v * len(evse.phases) / 10
    if evse.min_w is not None:
        return max(1, math.ceil(evse.min_w / step_w))
    return max(1, math.floor(evse.power_w(evse.min_da) / step_w))


def as_held(evse: Evse, unit: LimitUnit, schedule: LimitSchedule) -> HeldLimit:
    """A schedule as it counts once a station may hold it."""
    return HeldLimit(
        sequence=0,
        purpose=Purpose.SESSION,
        schedule=schedule,
        progress=Progress.SENT,
        unit=unit,
        number_phases=len(evse.phases),
        nominal_v=evse.phase_v,
    )


def unit_of(station: Station, evse: Evse) -> LimitUnit:
    """Unit to send limits in: DC is always limited in W."""
    return LimitUnit.W if evse.current_type is CurrentType.DC else station.unit


def safe_default(
    station: Station, evse: Evse, now: datetime, unit: LimitUnit | None = None
) -> LimitSchedule:
    """The floor for ever: what applies whenever nothing else does.

    ``unit`` ``None``: the one that is configured.
    """
    wish = Wish(
        evse=evse,
        unit=unit or unit_of(station, evse),
        levels=((0, evse.floor_da),),
        hold_until_s=0,
        skew_s=station.clock_skew_s,
    )
    floor_da = quantised(wish, draw_of(evse, evse.floor_da))
    start = now.replace(microsecond=0) - DEFAULT_AGE
    return LimitSchedule(start=start, steps=(LimitStep(offset_s=0, limit_da=floor_da),))


def probe(
    station: Station,
    evse: Evse,
    now: datetime,
    until_s: int,
    unit: LimitUnit | None = None,
) -> LimitSchedule | None:
    """A default one step above the floor, and the floor from ``until_s`` on.

    ``None`` where the floor is the rating already.
    """
    base = safe_default(station, evse, now, unit)
    least_da = max(evse.starting_da, evse.floor_da + evse.starting_da)
    level_da = min(evse.max_da, least_da)
    wish = Wish(
        evse=evse,
        unit=unit or unit_of(station, evse),
        levels=((0, level_da),),
        hold_until_s=0,
        skew_s=station.clock_skew_s,
    )
    limit_da = quantised(wish, draw_of(evse, level_da))
    if limit_da <= base.floor_da:
        return None
    ends = LimitStep(
        offset_s=until_s - math.floor(base.start.timestamp()), limit_da=base.floor_da
    )
    first = LimitStep(offset_s=0, limit_da=limit_da)
    return LimitSchedule(start=base.start, steps=(first, ends))


def elapsed_s(schedule: LimitSchedule, relative_to: datetime | None) -> int:
    """How much later its steps may come at a station that counts from elsewhere."""
    return 0 if relative_to is None else schedule.elapsed_s(relative_to)


def holds_until(schedule: LimitSchedule, now: datetime) -> datetime | None:
    """When the level of ``now`` ends; ``None`` for never."""
    level_da = schedule.at(now)
    for step in schedule.steps:
        if step.limit_da < level_da:
            return schedule.start + timedelta(seconds=step.offset_s)
    return None


def is_worth_sending(
    last: HeldLimit | None, schedule: LimitSchedule, now: datetime, *, must_shed: bool
) -> bool:
    """Whether a schedule says enough more than what was sent last.

    Sent are: any other level now; a retry of what was not answered; a refresh, once
    less than half the time is left that the new one would hold; and, while limits do
    not fit, whatever allows less at some later instant.
    """
    if last is None or last.progress is Progress.SENT:
        return True
    if schedule.at(now) != last.schedule.at(now):
        return True
    ends, would_end = holds_until(last.schedule, now), holds_until(schedule, now)
    if ends is not None and (would_end is None or now + (would_end - now) / 2 > ends):
        return True
    return must_shed and any(
        schedule.at(moment) < last.schedule.at(moment)
        for moment in (
            schedule.start + timedelta(seconds=step.offset_s) for step in schedule.steps
        )
    )


def _sendable(wish: Wish, cap: Draw) -> int:
    evse = wish.evse
    n_phase = len(evse.phases)
    per_phase_da = min(cap[phase] for phase in evse.phases)
    if wish.unit is LimitUnit.A:
        limit_da = min(per_phase_da, cap[TOTAL] // n_phase, evse.max_da)
    elif evse.current_type is CurrentType.DC:
        room_da = min(per_phase_da, cap[TOTAL] // n_phase)
        out_w = evse.power_w(room_da) if room_da > 0 else 0.0
        limit_da = math.floor(min(out_w, evse.rating_w) * 10 / (evse.phase_v * n_phase))
    elif per_phase_da >= evse.max_da:
        limit_da = min(evse.max_da, cap[TOTAL] // n_phase)
    else:
        limit_da = min(per_phase_da, cap[TOTAL]) // n_phase
    held = as_held(evse, wish.unit, _FOREVER)
    while limit_da > 0 and not _fits(counted(evse, held, limit_da), cap):
        limit_da -= 1
    return max(0, limit_da)


def _fits(draw: Draw, cap: Draw) -> bool:
    return all(draw[row] <= max(0, cap[row]) for row in ROWS if draw[row])


def at_most(count: int, steps: list[LimitStep]) -> tuple[LimitStep, ...]:
    """Merge steps, each into the lower one after it, until few enough are left.

    The first one is not merged: it is what counts now. Where only one step may be
    sent it is the floor, which alone may hold for ever.
    """
    if count == 1:
        return (LimitStep(offset_s=0, limit_da=steps[-1].limit_da),)
    kept = list(steps)
    while len(kept) > count:
        costs = [
            (before.limit_da - after.limit_da) * (after.offset_s - before.offset_s)
            for before, after in pairwise(kept)
        ]
        cheapest = min(range(1, len(costs)), key=costs.__getitem__)
        kept[cheapest : cheapest + 2] = [
            LimitStep(
                offset_s=kept[cheapest].offset_s, limit_da=kept[cheapest + 1].limit_da
            )
        ]
    return tuple(kept)


_FOREVER: Final = LimitSchedule(
    start=datetime.fromisoformat("2000-01-01T00:00:00+00:00"),
    steps=(LimitStep(offset_s=0, limit_da=0),),
)
