"""Turns a relaxed plan into currents that chargers accept: 0, or units from a minimum.

Pure integer logic with ties broken by index: the same relaxed plan gives the same
currents on every machine, so whoever verifies a plan repeats it. Every current is
handed out through ``Room``, which refuses what does not fit a limit or a floor.
"""

from collections.abc import Sequence
from typing import Final

from optimizer.layout import MICROAMP_PER_DA, Currents, Layout, Room
from optimizer.maxplus import Kernel
from optimizer.packing import pack, policy
from optimizer.relaxed import RelaxedProblem
from optimizer.worth import Situation

PACK_MAX: Final = 120
"""Steps are packed until so many sessions were, counted once per step: the first step
always, later ones where rounding leaves someone out or energy is short. A large group
is planned again before it would matter; a small one is told more exactly what to
expect."""

Table = list[list[int]]
"""Shape (n_session, n_step)."""


def to_permitted(
    relaxed: RelaxedProblem,
    current_ua: Sequence[int],
    kernel: Kernel | None = None,
    beside: Layout | None = None,
) -> Currents:
    """Round a relaxed plan to permitted currents.

    Step 0, the one that is sent, is packed as a whole. Then step by step: what
    rounding took from a session is carried to its next step; a current too small to
    start waits until half a minimum is saved up. What is still short at the end is
    filled into the cheapest free steps.

    Args:
        relaxed: The relaxed problem.
        current_ua: Shape (n_column + n_cell,), microampere.
        kernel: Who computes the tables of the packing; default: the standard library.
        beside: The layout with what batteries are told taken off; default: the layout.
    """
    layout = relaxed.layout if beside is None else beside
    packing = policy(relaxed, current_ua)
    target_ua = targets_ua(relaxed, current_ua)
    remaining = list(layout.need_dj)
    carried_ua = [0] * len(remaining)
    planned: Table = [[0] * layout.problem.n_step for _ in remaining]
    rooms = [Room(layout, step) for step in range(layout.problem.n_step)]
    packs_left = PACK_MAX
    for step in range(layout.problem.n_step):
        room = rooms[step]
        wanted = [
            target[step] + carried
            for target, carried in zip(target_ua, carried_ua, strict=True)
        ]
        now, crowded = _round(layout, room, step, wanted, remaining)
        if step == 0 or (packs_left > 0 and (crowded or packing.fills)):
            packs_left -= sum(rest > 0 for rest in remaining)
            room = rooms[step] = Room(layout, step)
            now = pack(
                Situation(
                    layout=layout,
                    packing=packing,
                    step=step,
                    target_ua=wanted,
                    remaining_dj=remaining,
                ),
                kernel,
            )
            for index, current_da in enumerate(now):
                room.take(index, current_da)
        for index, current_da in enumerate(now):
            planned[index][step] = current_da
            remaining[index] -= current_da * layout.dj_per_da[index]
            carried_ua[index] = wanted[index] - current_da * MICROAMP_PER_DA
    _fill(relaxed, rooms, planned, remaining)
    return tuple(tuple(row) for row in planned)


def first_permitted(
    relaxed: RelaxedProblem,
    current_ua: Sequence[int],
    kernel: Kernel | None = None,
) -> list[int]:
    """Round step 0 of a relaxed plan alone, as ``to_permitted`` does, 0.1 A."""
    layout = relaxed.layout
    now = Situation(
        layout=layout,
        packing=policy(relaxed, current_ua),
        step=0,
        target_ua=[target[0] for target in targets_ua(relaxed, current_ua)],
        remaining_dj=list(layout.need_dj),
    )
    return pack(now, kernel)


def targets_ua(relaxed: RelaxedProblem, current_ua: Sequence[int]) -> Table:
    """Return the relaxed current per session and step, both bands together."""
    n_step = relaxed.layout.problem.n_step
    found: Table = [[0] * n_step for _ in relaxed.layout.problem.sessions]
    for column, value in zip(relaxed.columns, current_ua, strict=False):
        found[column.session][column.step] += value
    return found


def _round(
    layout: Layout,
    room: Room,
    step: int,
    wanted_ua: list[int],
    remaining_dj: list[int],
) -> tuple[list[int], bool]:
    """Round down, then start what saved up half a minimum, least laxity first.

    Returns:
        The currents, handed out of ``room``, and whether the step was too crowded to
        start someone.
    """
    crowded = False
    now = [0] * len(wanted_ua)
    order = sorted(
        (layout.laxity_milli(index, step, remaining_dj[index]), index)
        for index, wanted in enumerate(wanted_ua)
        if 2 * wanted >= layout.low_da[index] * MICROAMP_PER_DA
        and remaining_dj[index] > 0
        and step < layout.stay[index]
        and layout.high_da[index] > 0
    )
    for _, index in order:
        whole = wanted_ua[index] // MICROAMP_PER_DA
        if whole >= layout.low_da[index]:
            enough = layout.sufficient_da(index, remaining_dj[index])
            now[index] = room.largest_da(index, min(enough, whole))
            room.take(index, now[index])
    for _, index in order:
        if now[index] == 0:
            now[index] = room.largest_da(index, layout.low_da[index])
            room.take(index, now[index])
            crowded = crowded or now[index] == 0
    return now, crowded


def _fill(
    relaxed: RelaxedProblem, rooms: list[Room], planned: Table, remaining_dj: list[int]
) -> None:
    """Give sessions that are short what is still free, cheapest step first.

    Step 0 is left alone: it was packed as a whole.
    """
    layout = relaxed.layout
    short = [i for i, rest in enumerate(remaining_dj) if rest > 0]
    short.sort(key=lambda i: (layout.laxity_milli(i, 0, layout.need_dj[i]), i))
    for index in short:
        use = relaxed.prices.use[index]
        for step in sorted(range(1, layout.stay[index]), key=lambda t: (use[t], t)):
            if remaining_dj[index] <= 0:
                break
            held = planned[index][step]
            back_dj = held * layout.dj_per_da[index]
            enough = layout.sufficient_da(index, remaining_dj[index] + back_dj)
            best = rooms[step].largest_da(index, enough, held)
            if best > held:
                rooms[step].take(index, -held)
                rooms[step].take(index, best)
                planned[index][step] = best
                remaining_dj[index] -= (best - held) * layout.dj_per_da[index]
