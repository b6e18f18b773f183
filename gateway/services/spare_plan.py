"""Plans that fit beside the spare room for a car that takes its phases back.

That room is the largest current of any car that is counted on fewer phases than its
EVSE has (`gateway.domain.spare`), and a plan's rows know no largest of several. So it
is decided beforehand how large these currents may get, and so much is reserved; or
nobody is counted on fewer phases, which fits as well. Planned is the one of these that
serves all best now.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.phases import Rotation
from optimizer import CabinetLimit, CabinetProblem, EvSession
from optimizer.grid import MAX_CURRENT_A

CAPS_A: Final = (63, 32, 25, 20, 16)
"""How large the currents of cars that leave phases to others may get, A.

Not less: a car on one phase that leaves soon needs what it can get. Where even that is
too much to be left free, plans count all on all phases.
"""

RAISE_DA: Final = 10
TOTAL: Final = 3
UNLIMITED_DA: Final = 10**9


def heeded(
    problem: CabinetProblem,
    wired: Mapping[str, Rotation],
    margins: Mapping[str, int],
) -> CabinetProblem:
    """A problem whose plans leave the spare room that they need.

    Args:
        problem: With sessions on the phases that they are counted on; without room.
        wired: By session that is counted on fewer: the phases of its EVSE.
        margins: By cabinet: its margin, 0.1 A.
    """
    most_a = max(
        (one.max_a for one in problem.sessions if one.session_id in wired), default=0.0
    )
    if all(margins.get(c.cabinet_id, 0) >= most_a * 10 for c in problem.cabinets):
        return problem  # nothing has to be left besides
    whole = _Parts(
        cabinets=problem.cabinets,
        sessions=tuple(
            replace(one, phases=wired.get(one.session_id, one.phases))
            for one in problem.sessions
        ),
    )
    caps = [most_a, *(cap for cap in CAPS_A if cap < most_a)]
    choices = [whole, *(_capped(problem, wired, margins, cap) for cap in caps)]
    best = max(choices, key=lambda one: _served(one, problem.nominal_v))
    return replace(problem, cabinets=best.cabinets, sessions=best.sessions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What choices differ in: a whole problem is checked in full when it is made."""

    cabinets: tuple[CabinetLimit, ...]
    sessions: tuple[EvSession, ...]


def _capped(
    problem: CabinetProblem,
    wired: Mapping[str, Rotation],
    margins: Mapping[str, int],
    cap_a: float,
) -> _Parts:
    """Cars that leave phases to others draw at most ``cap_a``."""
    parents = {one.cabinet_id: one.parent for one in problem.cabinets}
    rows: dict[str, set[int]] = {one.cabinet_id: set() for one in problem.cabinets}
    for one in problem.sessions:
        left = set(wired.get(one.session_id, ())) - set(one.phases)
        for cabinet_id in _path(one.cabinet_id, parents):
            rows[cabinet_id] |= left
    return _Parts(
        cabinets=tuple(
            _with_room(
                one,
                rows[one.cabinet_id],
                max(0.0, cap_a - margins.get(one.cabinet_id, 0) / 10),
            )
            for one in problem.cabinets
        ),
        sessions=tuple(
            replace(one, max_a=max(min(one.max_a, cap_a), one.floor_a))
            if one.session_id in wired
            else one
            for one in problem.sessions
        ),
    )


def _with_room(cabinet: CabinetLimit, rows: set[int], room_a: float) -> CabinetLimit:
    if not rows or not room_a:
        return cabinet
    return replace(
        cabinet,
        reserved_a=tuple(
            tuple(min(value + room_a, MAX_CURRENT_A) for value in series)
            if row in rows
            else series
            for row, series in enumerate(cabinet.reserved_a)
        ),
    )


@dataclass(slots=True)
class _Car:
    session: EvSession
    path: Sequence[str]
    level_da: int = 0

    def raise_to(self, level_da: int, free: Mapping[str, list[int]]) -> bool:
        """Take so much if it fits."""
        more = level_da - self.level_da
        rows = (*self.session.phases, *(TOTAL,) * len(self.session.phases))
        if any(
            free[cabinet_id][row] < more * (len(rows) // 2 if row == TOTAL else 1)
            for cabinet_id in self.path
            for row in rows
        ):
            return False
        for cabinet_id in self.path:
            for row in rows:
                free[cabinet_id][row] -= more
        self.level_da = level_da
        return True


def _served(problem: _Parts, nominal_v: int) -> float:
    """How well all can be served in the first step, if they are served alike.

    First everybody's least current, by departure, then all are raised together. The
    more a car has, the less more of it is worth (proportional fairness): the currents
    of cars on one phase are not cut because those on three then make more of it.
    """
    parents = {one.cabinet_id: one.parent for one in problem.cabinets}
    free = {one.cabinet_id: _free(one, nominal_v) for one in problem.cabinets}
    cars = [
        _Car(
            session=one,
            path=_path(one.cabinet_id, parents),
        )
        for one in sorted(problem.sessions, key=lambda one: one.departure_step)
        if one.departure_step > 0 and one.energy_wh > 0 and one.max_a >= one.min_a
    ]
    rising = [one for one in cars if one.raise_to(round(one.session.min_a * 10), free)]
    while rising:
        rising = [
            one
            for one in sorted(rising, key=lambda one: one.level_da)
            if one.level_da + RAISE_DA <= round(one.session.max_a * 10)
            and one.raise_to(one.level_da + RAISE_DA, free)
        ]
    return sum(math.log1p(one.level_da) for one in cars)


def _free(cabinet: CabinetLimit, nominal_v: int) -> list[int]:
    reserved = [round(series[0] * 10) for series in cabinet.reserved_a]
    free = [UNLIMITED_DA] * (TOTAL + 1)
    if cabinet.limit_a is not None:
        for row, series in enumerate(cabinet.limit_a):
            free[row] = round(series[0] * 10) - reserved[row]
    if cabinet.limit_w is not None:
        free[TOTAL] = round(cabinet.limit_w[0] / nominal_v * 10) - sum(reserved)
    return free


def _path(cabinet_id: str, parents: Mapping[str, str | None]) -> list[str]:
    found: list[str] = []
    above: str | None = cabinet_id
    while above is not None:
        found.append(above)
        above = parents[above]
    return found
