"""Turns wishes into schedules that fit: safe without network, solver or gateway.

A wish says what an EVSE should be allowed from now on. What is sent starts at most at
the headroom that is confirmed now, never rises, and ends in the EVSE's floor. Headroom
that an earlier limit may still use counts as taken until that limit is surely gone;
so decreases always fit and increases wait for them.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from gateway.domain.envelope import (
    NOTHING,
    ROWS,
    TOTAL,
    Draw,
    HeldLimit,
    Progress,
    Staircase,
    add,
    counted,
    draw_of,
    highest,
    lowest,
    subtract,
    unix_s,
    value_at,
)
from gateway.domain.ids import CabinetId, EvseRef
from gateway.domain.limits import LimitSchedule, LimitStep, LimitUnit, Purpose
from gateway.domain.spare import OwnPhases, spare_ref
from gateway.domain.topology import CurrentType, Evse, Station
from gateway.services.spare_rooms import SpareRooms

STEP_DA: Final = 10
"""Stations are set in whole ampere: some ignore what comes after the point."""

MAX_PERIOD: Final = 6
"""Steps in a schedule: stations that take fewer exist, none that needs more."""

DEFAULT_AGE: Final = timedelta(days=365)
"""A safe default starts so long ago that no wrong clock keeps it from applying."""

Shares: TypeAlias = tuple[float, float, float, float]
"""By row, what part of the current above the floors is kept."""

Level: TypeAlias = tuple[int, Draw]
"""From an index of the grid on, until the next one."""


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


class Board:
    """The headroom of a group over time, while limits are placed one by one.

    What may be drawn never rises by itself, so room that is there at an instant is
    there later too, except where a room falls. A wish is therefore looked at where
    something may get less for it, not at every instant at which anything changes.
    """

    def __init__(
        self,
        *,
        envelopes: Mapping[EvseRef, Staircase],
        paths: Mapping[EvseRef, Sequence[CabinetId]],
        rooms: Mapping[CabinetId, Staircase],
        wishes: Iterable[Wish],
        now: datetime,
        margins: Mapping[CabinetId, int] | None = None,
    ) -> None:
        self._now = now.replace(microsecond=0)
        self._paths = paths
        self._envelopes = envelopes
        self._wishes = tuple(wishes)
        self._grid = _instants(envelopes, rooms, self._wishes, unix_s(now))
        self._index = {at_s: index for index, at_s in enumerate(self._grid)}
        self._falls: dict[CabinetId, set[int]] = {}
        self._left = self._what_is_left(rooms)
        self._left_first = {one: list(left) for one, left in self._left.items()}
        self._exceeded = {
            cabinet_id: {i for i, left in enumerate(all_left) if min(left) < 0}
            for cabinet_id, all_left in self._left.items()
        }
        self._drawn: dict[EvseRef, list[Level]] = {}
        self._shares: dict[tuple[CabinetId, int], Shares] = {}
        self._spare = self._spare_rooms(margins or {})

    def headroom(self, ref: EvseRef, index: int = 0) -> Draw:
        """Smallest room left on the way up from an EVSE; negative when exceeded."""
        one, two, three, total = self._left[self._paths[ref][0]][index]
        for cabinet_id in self._paths[ref][1:]:
            left = self._left[cabinet_id][index]
            one, two = min(one, left[0]), min(two, left[1])
            three, total = min(three, left[2]), min(total, left[3])
        return (one, two, three, total)

    def has_room(self, ref: EvseRef, draw: Draw, phases: Sequence[int]) -> bool:
        """Whether a draw fits on the way up from an EVSE, now and for ever."""
        return all(
            self.headroom(ref, index)[row] >= draw[row]
            for index in range(len(self._grid))
            for row in (*phases, TOTAL)
        )

    def place(self, wish: Wish) -> LimitSchedule:
        """The largest schedule within a wish that fits; its headroom is then taken."""
        evse = wish.evse
        floor_da = quantised(wish, draw_of(evse, evse.floor_da))
        level_da = evse.max_da
        steps: list[LimitStep] = []
        for index in self._turns(wish):
            at_s = self._grid[index]
            if at_s < wish.hold_until_s:
                cap = lowest(self._cap(wish, index), draw_of(evse, wish.at(at_s)))
                level_da = min(level_da, self._level(wish, cap, index))
            else:
                level_da = floor_da
            level_da = max(level_da, floor_da)
            if not steps or steps[-1].limit_da != level_da:
                steps.append(
                    LimitStep(offset_s=at_s - self._grid[0], limit_da=level_da)
                )
            if level_da == floor_da:  # it stays there
                break
        schedule = LimitSchedule(
            start=self._now - timedelta(seconds=wish.skew_s),
            steps=_at_most(min(MAX_PERIOD, wish.max_period), steps),
        )
        self._add(wish, schedule)
        return schedule

    def _turns(self, wish: Wish) -> list[int]:
        """Where a schedule may have to fall: at all others it gets no less than before.

        What others may draw only falls, and what counts for this EVSE is room for it.
        So the cap rises from one instant to the next, unless a room falls there, or one
        of the two is exceeded and shared out.
        """
        found = {0, self._index[max(self._grid[0], wish.hold_until_s)]}
        found.update(
            self._index[at_s] for at_s, _ in wish.levels if at_s > self._grid[0]
        )
        if wish.is_reserved:
            return sorted(found.union(at for at, _ in self._counting(wish.evse.ref)))
        for cabinet_id in self._paths[wish.evse.ref]:
            found |= self._falls[cabinet_id]
            exceeded = self._exceeded[cabinet_id]
            found |= exceeded
            found.update(one + 1 for one in exceeded if one + 1 < len(self._grid))
        return sorted(found)

    def _spare_rooms(self, margins: Mapping[CabinetId, int]) -> SpareRooms:
        n_instant = len(self._grid)
        spare: dict[CabinetId, list[Draw]] = {}
        for cabinet_id in self._left:
            stairs = self._envelopes.get(spare_ref(cabinet_id))
            if stairs is not None:
                rungs = self._rungs(stairs)
                spare[cabinet_id] = [_last_by(rungs, at) for at in range(n_instant)]
        return SpareRooms(spare, margins, n_instant)

    def _level(self, wish: Wish, cap: Draw, index: int) -> int:
        """Largest limit within a cap; what its car may take back fits as well."""
        own, ref = wish.own, wish.evse.ref
        if own is None:
            return quantised(wish, cap)
        noise = own.noise(wish.evse)
        if any(cap[row] < noise[row] for row in ROWS):
            return 0  # whatever it is allowed, it is noisy
        narrow = replace(wish, evse=own.narrowed(wish.evse), own=None)
        level_da = quantised(narrow, subtract(cap, noise))
        whole = self._spare.whole_cap(
            own,
            _last_by(self._counting(ref), index),
            index=index,
            path=self._paths[ref],
            left=lambda one: self._left[one][index],
            is_hopeless=lambda one, row: (
                self._left[one][index][row] < 0 and self._share_of(one, index)[row] <= 0
            ),
        )
        return min(level_da, quantised(wish, whole))

    def _cap(self, wish: Wish, index: int) -> Draw:
        ref = wish.evse.ref
        drawn = _last_by(self._counting(ref), index)
        if wish.is_reserved:
            return drawn
        room = self.headroom(ref, index)
        if min(room) >= 0:
            return add(drawn, room)
        at_s = self._grid[index]
        settled = _settled(value_at(self._envelopes[ref], at_s), wish, at_s)
        floor = lowest(
            wish.least, highest((drawn, draw_of(wish.evse, wish.evse.floor_da)))
        )
        shares = [self._share_of(one, index) for one in self._paths[ref]]
        cap = [0, 0, 0, 0]
        for row in ROWS:
            if room[row] >= 0:
                cap[row] = drawn[row] + room[row]
            else:
                above = max(0, settled[row] - floor[row])
                share = min(one[row] for one in shares)
                cap[row] = floor[row] + math.floor(above * share)
        return (cap[0], cap[1], cap[2], cap[3])

    def _add(self, wish: Wish, schedule: LimitSchedule) -> None:
        """Take the room that a schedule may use beyond what counts already."""
        ref = wish.evse.ref
        held = as_held(wish.evse, wish.unit, schedule)
        later_s = self._grid[0] + elapsed_s(schedule, wish.relative_to)
        limits = [(0, schedule.steps[0].limit_da)]
        limits += [
            (bisect_left(self._grid, step.offset_s + later_s), step.limit_da)
            for step in schedule.steps[1:]
        ]
        levels = [(at, wish.counted(held, da)) for at, da in limits]
        wholes = [(at, counted(wish.evse, held, da)) for at, da in limits]
        before = self._counting(ref)
        after: list[Level] = []
        ends = len(self._grid)
        starts = sorted({*(at for at, _ in levels), *(at for at, _ in before), ends})
        for first, last in pairwise(starts):
            had = _last_by(before, first)
            has = highest((had, _last_by(levels, first)))
            after.append((first, has))
            if has != had:
                self._take(ref, range(first, last), subtract(has, had))
            if wish.own is not None:
                freed = highest((subtract(_last_by(wholes, first), has), NOTHING))
                self._keep_spare(ref, range(first, last), freed)
        self._drawn[ref] = after

    def _counting(self, ref: EvseRef) -> list[Level]:
        """What counts for an EVSE: its envelope, and what was placed."""
        known = self._drawn.get(ref)
        if known is None:
            known = self._drawn[ref] = self._rungs(self._envelopes[ref])
        return known

    def _keep_spare(self, ref: EvseRef, indices: Iterable[int], freed: Draw) -> None:
        """Keep free what its car may take back."""
        path = self._paths[ref]
        for index in indices:
            for cabinet_id, more in self._spare.keep(freed, index=index, path=path):
                all_left = self._left[cabinet_id]
                left = all_left[index] = subtract(all_left[index], more)
                if min(left) < 0:
                    self._exceeded[cabinet_id].add(index)

    def _take(self, ref: EvseRef, indices: Iterable[int], draw: Draw) -> None:
        for cabinet_id in self._paths[ref]:
            all_left, exceeded = self._left[cabinet_id], self._exceeded[cabinet_id]
            for index in indices:
                left = all_left[index] = subtract(all_left[index], draw)
                if min(left) < 0:
                    exceeded.add(index)

    def _rungs(self, stairs: Staircase) -> list[Level]:
        """A staircase by instants of the grid; the first from its begin on."""
        begin_s = self._grid[0]
        later = [(self._index[r.at_s], r.draw) for r in stairs if r.at_s > begin_s]
        return [(0, value_at(stairs, begin_s)), *later]

    def _what_is_left(
        self, rooms: Mapping[CabinetId, Staircase]
    ) -> dict[CabinetId, list[Draw]]:
        """Rooms less envelopes at every instant; notes where it may fall."""
        changes = {one: [NOTHING] * len(self._grid) for one in rooms}
        self._falls = {one: set() for one in rooms}
        for cabinet_id, room in rooms.items():
            self._change([cabinet_id], NOTHING, self._rungs(room), changes)
        for ref, stairs in self._envelopes.items():
            negative = [
                (at, subtract(NOTHING, draw)) for at, draw in self._rungs(stairs)
            ]
            self._change(self._paths[ref], NOTHING, negative, changes)
        return {one: list(accumulate(change, add)) for one, change in changes.items()}

    def _change(
        self,
        cabinet_ids: Sequence[CabinetId],
        before: Draw,
        rungs: Sequence[Level],
        changes: Mapping[CabinetId, list[Draw]],
    ) -> None:
        for index, draw in rungs:
            delta = subtract(draw, before)
            before = draw
            for cabinet_id in cabinet_ids:
                changed = changes[cabinet_id]
                changed[index] = add(changed[index], delta)
                if index and min(delta) < 0:
                    self._falls[cabinet_id].add(index)

    def _share_of(self, cabinet_id: CabinetId, index: int) -> Shares:
        """What of their current all keep above their floors where that is too much.

        Counted as it is once every decrease that was sent is seen: so that a decrease
        that is on its way is not asked for twice, and nobody is raised again while
        others are lowered.
        """
        known = self._shares.get((cabinet_id, index))
        if known is not None:
            return known
        left, movable = self._left_first[cabinet_id][index], NOTHING
        for wish in self._wishes:
            ref = wish.evse.ref
            if wish.is_reserved or cabinet_id not in self._paths[ref]:
                continue
            floor = wish.least
            drawn = value_at(self._envelopes[ref], self._grid[index])
            settled = _settled(drawn, wish, self._grid[index])
            left = add(left, subtract(drawn, settled))
            movable = add(movable, highest((subtract(settled, floor), NOTHING)))
        found = self._shares[cabinet_id, index] = _share(left, movable)
        return found


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


def _settled(drawn: Draw, wish: Wish, at_s: int) -> Draw:
    return drawn if wish.sent is None else lowest(drawn, value_at(wish.sent, at_s))


def _last_by(rungs: Sequence[Level], index: int) -> Draw:
    """What counts at an index; of several for one, the last."""
    found = rungs[0][1]
    for at, draw in rungs:
        if at > index:
            break
        found = draw
    return found


def _share(left: Draw, movable: Draw) -> Shares:
    one, two, three, total = (
        1.0
        if left[row] >= 0
        else max(0.0, 1 + left[row] / movable[row])
        if movable[row] > 0
        else 0.0
        for row in ROWS
    )
    return (one, two, three, total)


def _instants(
    envelopes: Mapping[EvseRef, Staircase],
    rooms: Mapping[CabinetId, Staircase],
    wishes: Sequence[Wish],
    from_s: int,
) -> list[int]:
    found = {int(from_s)}
    for stairs in (*envelopes.values(), *rooms.values()):
        found.update(int(rung.at_s) for rung in stairs if rung.at_s > from_s)
    for wish in wishes:
        found.update(at_s for at_s, _ in wish.levels if at_s > from_s)
        found.add(max(from_s, wish.hold_until_s))
    return sorted(found)


def _at_most(count: int, steps: list[LimitStep]) -> tuple[LimitStep, ...]:
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
