"""Says in words why a session does not get all of its energy."""

from collections import Counter
from datetime import timedelta

from optimizer.layout import DJ_PER_WH, Currents, Layout, Room
from optimizer.outcome import Cause, Reason


def shortfalls_wh(layout: Layout, currents: Currents) -> tuple[int, ...]:
    """Return the unmet energy per session, whole Wh, rounded up."""
    return tuple(
        -((layout.delivered_dj(index, row) - layout.need_dj[index]) // DJ_PER_WH)
        for index, row in enumerate(currents)
    )


def explain(layout: Layout, currents: Currents) -> tuple[Reason, ...]:
    """Give one reason for every session that stays short."""
    short = [i for i, wh in enumerate(shortfalls_wh(layout, currents)) if wh > 0]
    if not short:
        return ()
    rooms = _rooms(layout, currents)
    return tuple(_reason(layout, currents, rooms, index) for index in short)


def _rooms(layout: Layout, currents: Currents) -> list[Room]:
    rooms = [Room(layout, step) for step in range(layout.problem.n_step)]
    for index, row in enumerate(currents):
        for step, current_da in enumerate(row):
            rooms[step].take(index, current_da)
    return rooms


def _reason(
    layout: Layout, currents: Currents, rooms: list[Room], index: int
) -> Reason:
    stay, high = layout.stay[index], layout.high_da[index]
    if stay == 0 or high == 0:
        why = (
            "no time is left before departure"
            if stay == 0
            else "its largest current is below its smallest"
        )
        return _plain(layout, index, Cause.GONE, why)
    best_dj = high * layout.dj_per_da[index] * stay
    if best_dj < layout.need_dj[index]:
        rate = f"{high / 10:g} A until departure is too little"
        return _plain(layout, index, Cause.STAY, rate)
    blocked: dict[int, int] = {}
    for step in range(stay):
        held = currents[index][step]
        if held >= high:
            continue
        bound, row = rooms[step].bound_da(index, held)
        if row is not None and layout.permitted_da(index, bound) <= held:
            blocked[step] = row
    if not blocked:
        return _plain(layout, index, Cause.UNIT, "minimum current and units bind")
    worst, _ = Counter(blocked.values()).most_common(1)[0]
    steps = [step for step, row in blocked.items() if row == worst]
    first, until = steps[0], steps[-1] + 1
    row_ = layout.rows[worst]
    begin, end = (_clock(layout, step) for step in (first, until))
    return Reason(
        session_id=layout.problem.sessions[index].session_id,
        cause=Cause.LIMIT,
        cabinet_id=row_.cabinet_id,
        phase=row_.phase,
        against=row_.against,
        from_step=first,
        until_step=until,
        text=f"{row_.name} is full in {_steps(len(steps))} from {begin} to {end}",
    )


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _plain(layout: Layout, index: int, cause: Cause, text: str) -> Reason:
    return Reason(
        session_id=layout.problem.sessions[index].session_id,
        cause=cause,
        from_step=0,
        until_step=layout.stay[index],
        text=text,
    )


def _clock(layout: Layout, step: int) -> str:
    problem = layout.problem
    when = problem.start + timedelta(seconds=step * problem.step_s)
    return f"{when:%Y-%m-%d %H:%M}Z"
