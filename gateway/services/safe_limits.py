"""Turns wishes into schedules that fit: safe without network, solver or gateway.

A wish (`gateway.services.wishes`) says what an EVSE should be allowed from now on. What
is sent starts at most at the headroom that is confirmed now, never rises, and ends in
the EVSE's floor. Headroom that an earlier limit may still use counts as taken until
that limit is surely gone; so decreases always fit and increases wait for them.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import accumulate, pairwise
from typing import TypeAlias

from gateway.domain.envelope import (
    NOTHING,
    ROWS,
    TOTAL,
    Draw,
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
from gateway.domain.limits import LimitSchedule, LimitStep
from gateway.domain.spare import spare_ref
from gateway.services.spare_rooms import SpareRooms
from gateway.services.wishes import (
    MAX_PERIOD,
    Wish,
    as_held,
    at_most,
    elapsed_s,
    quantised,
)

Shares: TypeAlias = tuple[float, float, float, float]
"""By row, what part of the current above the floors is kept."""

Level: TypeAlias = tuple[int, Draw]
"""From an index of the grid on, until the next one."""


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

    def least(self) -> dict[CabinetId, Draw]:
        """Smallest room left behind each cabinet, now or later."""
        return {one: reduce(lowest, left) for one, left in self._left.items()}

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
            steps=at_most(min(MAX_PERIOD, wish.max_period), steps),
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
