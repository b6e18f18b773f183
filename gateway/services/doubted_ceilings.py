"""Offers cars that take less than they may an ampere more, where nobody else wants it.

A plan gives such a car what it takes: a limit above it would be room that nobody uses.
But what it takes may change, and only an offer above it can show that. So it is made of
what the plan leaves over; the car that takes it is offered everything again
(`gateway.domain.car_facts`).
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from gateway.domain.ids import SessionId
from gateway.services.evse_state import EvseState
from optimizer import CabinetProblem
from optimizer.layout import Layout, Room
from optimizer.outcome import Plan

Levels: TypeAlias = tuple[tuple[int, int], ...]
"""(From when on, 0.1 A), never rising."""


def doubted(
    levels: Mapping[SessionId, Levels],
    problem: CabinetProblem,
    plan: Plan,
    ceilings: Mapping[SessionId, int],
) -> dict[SessionId, Levels]:
    """Raise the first level of cars that are planned with all they take.

    Args:
        levels: What each session is to be allowed by the plan.
        problem: What was planned.
        plan: What leaves the room.
        ceilings: By session, 0.1 A: what it takes and an ampere more, within its
            rating.
    """
    found = dict(levels)
    layout = Layout.of(problem)
    room = Room(layout, 0)
    now_da = [row[0] for row in plan.currents_da]
    for index, current_da in enumerate(now_da):
        room.take(index, current_da)
    for index, name in enumerate(plan.session_ids):
        session_id = SessionId(name)
        most_da = ceilings.get(session_id)
        has_all = 0 < now_da[index] == layout.high_da[index]
        if most_da is None or not has_all or most_da <= now_da[index]:
            continue
        if room.spare_da(index, now_da[index]) < most_da - now_da[index]:
            continue
        room.take(index, -now_da[index])
        room.take(index, most_da)
        (first, _), *later = levels[session_id]
        found[session_id] = ((first, most_da), *later)
    return found


def ceilings_of(evses: Iterable[EvseState]) -> dict[SessionId, int]:
    """What cars take and an ampere more, where that is known and within the rating."""
    found: dict[SessionId, int] = {}
    for one in evses:
        most_da = one.car.ceiling_da
        if one.session is not None and most_da is not None:
            found[one.session.session_id] = min(most_da, one.evse.max_da)
    return found
