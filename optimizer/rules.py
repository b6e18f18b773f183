"""Closed-form rules: what a fallback carries and what every release is compared with.

All are feasible by construction, except ``uncontrolled``, which is the profile a car
would draw without any load management.
"""

from collections.abc import Callable
from functools import partial

from optimizer.layout import Currents, Layout, Room
from optimizer.maxplus import Kernel
from optimizer.packing import pack_offers
from optimizer.worth import by_rank

Rank = Callable[[int, int, int], tuple[int, ...]]
"""(session index, step, remaining dj) -> sort key, smallest first."""


def edf(layout: Layout) -> Currents:
    """Earliest departure first: the next to leave takes all it can use."""
    return _greedy(layout, partial(_departure, layout))


def llf(layout: Layout) -> Currents:
    """Least laxity first: who can least afford to wait takes all it can use."""

    def laxity(index: int, step: int, remaining_dj: int) -> tuple[int, ...]:
        rate_dj = max(1, layout.high_da[index] * layout.dj_per_da[index])
        departure = layout.problem.sessions[index].departure_step
        milli = (departure - step) * 1000 - remaining_dj * 1000 // rate_dj
        return (milli, departure)

    return _greedy(layout, laxity)


def edf_packed(layout: Layout, kernel: Kernel | None = None) -> Currents:
    """Earliest departure first in what is sent, packed so that no phase is stranded.

    Step 0 has the currents with the most worth together, see ``worth.by_rank``. The
    steps after it are ``edf``: they only say what is expected.

    Args:
        layout: The problem in integers.
        kernel: Who computes the tables of the packing; default: the standard library.
    """
    active = _waiting(layout, 0, list(layout.need_dj))
    active.sort(key=lambda i: (layout.problem.sessions[i].departure_step, i))
    first = pack_offers(layout, 0, by_rank(layout, active), kernel)
    return _greedy(layout, partial(_departure, layout), first=first)


def equal_share(layout: Layout) -> Currents:
    """Share every step evenly: all start at their minimum, then rise unit by unit.

    Where not all minima fit, the earliest departures start.
    """
    remaining = list(layout.need_dj)
    steps: list[list[int]] = []
    for step in range(layout.problem.n_step):
        room, now = Room(layout, step), [0] * len(remaining)
        rising = _waiting(layout, step, remaining)
        rising.sort(key=lambda i: (layout.problem.sessions[i].departure_step, i))
        while rising:
            rising = [i for i in rising if _raise_unit(layout, room, now, i, remaining)]
        _deliver(layout, remaining, now)
        steps.append(now)
    return _by_session(layout, steps)


def uncontrolled(layout: Layout) -> Currents:
    """Draw the most from now on until the need is met, heeding no limit at all."""
    remaining = list(layout.need_dj)
    steps: list[list[int]] = []
    for step in range(layout.problem.n_step):
        now = [0] * len(remaining)
        for index in _waiting(layout, step, remaining):
            now[index] = layout.sufficient_da(index, remaining[index])
        _deliver(layout, remaining, now)
        steps.append(now)
    return _by_session(layout, steps)


def _departure(
    layout: Layout, index: int, _step: int, _remaining_dj: int
) -> tuple[int, ...]:
    return (layout.problem.sessions[index].departure_step,)


def _greedy(layout: Layout, rank: Rank, first: list[int] | None = None) -> Currents:
    """Serve the sessions one after the other in every step, but for a given first."""
    remaining = list(layout.need_dj)
    steps: list[list[int]] = []
    for step in range(layout.problem.n_step):
        if step == 0 and first is not None:
            now = first
        else:
            now = _in_order(layout, rank, step, remaining)
        _deliver(layout, remaining, now)
        steps.append(now)
    return _by_session(layout, steps)


def _in_order(
    layout: Layout, rank: Rank, step: int, remaining_dj: list[int]
) -> list[int]:
    room, now = Room(layout, step), [0] * len(remaining_dj)
    keyed = [
        (rank(index, step, remaining_dj[index]), index)
        for index in _waiting(layout, step, remaining_dj)
    ]
    for _key, index in sorted(keyed):
        wanted = layout.sufficient_da(index, remaining_dj[index])
        now[index] = room.largest_da(index, wanted)
        room.take(index, now[index])
    return now


def _waiting(layout: Layout, step: int, remaining_dj: list[int]) -> list[int]:
    return [
        index
        for index, rest in enumerate(remaining_dj)
        if rest > 0 and step < layout.stay[index] and layout.high_da[index] > 0
    ]


def _raise_unit(
    layout: Layout, room: Room, now: list[int], index: int, remaining_dj: list[int]
) -> bool:
    held = now[index]
    wanted = layout.low_da[index] if held == 0 else held + layout.unit_da[index]
    enough = layout.sufficient_da(index, remaining_dj[index])
    if wanted > enough or room.largest_da(index, wanted, held) != wanted:
        return False
    room.take(index, -held)
    room.take(index, wanted)
    now[index] = wanted
    return True


def _deliver(layout: Layout, remaining_dj: list[int], now: list[int]) -> None:
    for index, current_da in enumerate(now):
        remaining_dj[index] -= current_da * layout.dj_per_da[index]


def _by_session(layout: Layout, steps: list[list[int]]) -> Currents:
    return tuple(
        tuple(now[index] for now in steps)
        for index in range(len(layout.problem.sessions))
    )
