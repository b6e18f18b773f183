"""How limits are placed and checked, instant by instant: slow, and plain to read.

The gateway looks only where something may change (`gateway.services.safe_limits`,
`gateway.domain.envelope.worsened`); tests hold it to what is found here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.domain.envelope import (
    NOTHING,
    ROWS,
    TOTAL,
    Draw,
    Staircase,
    UnixS,
    Violation,
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
from gateway.services.safe_limits import _share as share
from gateway.services.wishes import (
    MAX_PERIOD,
    Wish,
    as_held,
    at_most,
    elapsed_s,
    quantised,
)


class PlainBoard:
    """The headroom of a group over time, while limits are placed one by one."""

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
        del margins  # nobody here is counted on fewer phases than its EVSE has
        self._now = now.replace(microsecond=0)
        self._paths = paths
        wishes = tuple(wishes)
        self._grid = instants(envelopes, rooms, wishes, unix_s(now))
        self._drawn = {ref: on_grid(one, self._grid) for ref, one in envelopes.items()}
        self._left = {
            cabinet_id: on_grid(room, self._grid) for cabinet_id, room in rooms.items()
        }
        self._settled = self._when_settled(wishes)
        for ref, drawn in self._drawn.items():
            self._take(ref, drawn)
        self._shares = self._shed_shares(wishes)

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
        for index, at_s in enumerate(self._grid):
            cap = self._cap(wish, index)
            wished = draw_of(evse, wish.at(at_s))
            level_da = min(level_da, quantised(wish, lowest(cap, wished)))
            if at_s >= wish.hold_until_s:
                level_da = floor_da
            level_da = max(level_da, floor_da)
            if not steps or steps[-1].limit_da != level_da:
                steps.append(
                    LimitStep(offset_s=at_s - self._grid[0], limit_da=level_da)
                )
        schedule = LimitSchedule(
            start=self._now - timedelta(seconds=wish.skew_s),
            steps=at_most(min(MAX_PERIOD, wish.max_period), steps),
        )
        self._add(wish, schedule)
        return schedule

    def _cap(self, wish: Wish, index: int) -> Draw:
        ref = wish.evse.ref
        drawn = self._drawn[ref][index]
        if wish.is_reserved:
            return drawn
        settled = self._settled[ref][index]
        room = self.headroom(ref, index)
        floor = draw_of(wish.evse, wish.evse.floor_da)
        cap = [0, 0, 0, 0]
        for row in ROWS:
            if room[row] >= 0:
                cap[row] = drawn[row] + room[row]
            else:
                share = min(
                    self._shares[cabinet_id][index][row]
                    for cabinet_id in self._paths[ref]
                )
                above = max(0, settled[row] - floor[row])
                cap[row] = floor[row] + math.floor(above * share)
        return (cap[0], cap[1], cap[2], cap[3])

    def _add(self, wish: Wish, schedule: LimitSchedule) -> None:
        ref = wish.evse.ref
        held = as_held(wish.evse, wish.unit, schedule)
        late_s = wish.skew_s + elapsed_s(schedule, wish.relative_to)
        drawn: list[Draw] = []
        for at_s, before in zip(self._grid, self._drawn[ref], strict=True):
            allowed = schedule.at(
                self._now + timedelta(seconds=at_s - self._grid[0] - late_s)
            )
            drawn.append(highest((before, counted(wish.evse, held, allowed))))
        more = [
            subtract(after, before)
            for after, before in zip(drawn, self._drawn[ref], strict=True)
        ]
        self._drawn[ref] = drawn
        self._take(ref, more)

    def _take(self, ref: EvseRef, draws: Sequence[Draw]) -> None:
        for cabinet_id in self._paths[ref]:
            left = self._left[cabinet_id]
            for index, draw in enumerate(draws):
                left[index] = subtract(left[index], draw)

    def _when_settled(self, wishes: Sequence[Wish]) -> dict[EvseRef, list[Draw]]:
        """What counts once every decrease that was sent is seen.

        So that a decrease that is on its way is not asked for twice, and nobody is
        raised again while others are lowered.
        """
        found = dict(self._drawn)
        for wish in wishes:
            if wish.sent is not None:
                ref = wish.evse.ref
                sent = on_grid(wish.sent, self._grid)
                found[ref] = [
                    lowest(drawn, level)
                    for drawn, level in zip(self._drawn[ref], sent, strict=True)
                ]
        return found

    def _shed_shares(
        self, wishes: Sequence[Wish]
    ) -> dict[CabinetId, list[tuple[float, float, float, float]]]:
        movable = {
            cabinet_id: [(0, 0, 0, 0)] * len(self._grid) for cabinet_id in self._left
        }
        left_then = {cabinet_id: list(left) for cabinet_id, left in self._left.items()}
        for wish in wishes:
            if wish.is_reserved:
                continue
            ref = wish.evse.ref
            floor = draw_of(wish.evse, wish.evse.floor_da)
            for cabinet_id in self._paths[ref]:
                sums, left = movable[cabinet_id], left_then[cabinet_id]
                for index, settled in enumerate(self._settled[ref]):
                    freed = subtract(self._drawn[ref][index], settled)
                    left[index] = add(left[index], freed)
                    above = highest((subtract(settled, floor), NOTHING))
                    sums[index] = add(sums[index], above)
        return {
            cabinet_id: [
                share(left, above)
                for left, above in zip(left_then[cabinet_id], sums, strict=True)
            ]
            for cabinet_id, sums in movable.items()
        }


def instants(
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


def on_grid(stairs: Staircase, grid: Sequence[int]) -> list[Draw]:
    """What a staircase says at each instant."""
    return [value_at(stairs, UnixS(at_s)) for at_s in grid]


def plain_worsened(
    before: Mapping[EvseRef, Staircase],
    after: Mapping[EvseRef, Staircase],
    paths: Mapping[EvseRef, Sequence[CabinetId]],
    rooms: Mapping[CabinetId, Staircase],
    *,
    from_s: int,
) -> tuple[Violation, ...]:
    """Where ``after`` exceeds the room at some instant and draws more than ``before``.

    A reduction that does not yet suffice is not a violation of its own.
    """
    found: list[Violation] = []
    for cabinet_id, room in rooms.items():
        below = [ref for ref in after if cabinet_id in paths[ref]]
        stairs = (*(before[ref] for ref in below), *(after[ref] for ref in below), room)
        instants = {from_s, *(r.at_s for one in stairs for r in one)}
        for at_s in sorted(at_s for at_s in instants if at_s >= from_s):
            left = value_at(room, at_s)
            for row in ROWS:
                new = sum(value_at(after[ref], at_s)[row] for ref in below)
                old = sum(value_at(before[ref], at_s)[row] for ref in below)
                if new > left[row] and new > old:
                    found.append(
                        Violation(
                            cabinet_id=cabinet_id,
                            row=row,
                            at_s=UnixS(at_s),
                            draw_da=new,
                            room_da=left[row],
                        )
                    )
    return tuple(found)
