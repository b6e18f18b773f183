"""What a site's own history says of cars that will still come, and what follows.

Following the price saves money and delivers all, where there is room for the cars that
come later; where there is not, the cheap hours are full when they have come, and cars
that waited leave without their energy. Which of both holds is not seen in who is
plugged in now. So past days are asked: each of their visits that comes later than now
is expected again, its energy spread evenly over its stay, and of the sums of all days a
high quantile is held free in later steps. If then anything is short by the plain rule
of earliest departure first, or what is expected does not fit by itself, cars are served
at once (``FINISH``); otherwise the price is followed (``ECONOMY``), around what is held
free. Nothing is held free in the first step, which is the one that is sent.

Only plans depend on it: no limit is ever widened.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from optimizer import rules
from optimizer.grid import MAX_CURRENT_A, PHASES
from optimizer.layout import DJ_PER_WH, Layout
from optimizer.parts import CabinetLimit
from optimizer.problem import CabinetProblem, Mode

SHARE: Final = 0.9
"""Of past days that needed no more than what is held free, step by step."""

SHORT_WH: Final = 500
"""A shortage above it is foreseen; below, it is rounding."""

LEAST_DAYS: Final = 5
"""Fewer past days say nothing: cars are served at once."""

Expected = tuple[float, ...]
"""Shape (n_step,): A on each phase; on which phase a car comes is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A stay of the past.

    Attributes:
        arrival_step: Step of its day in which it began.
        n_step: How many steps it stayed, at least one.
        energy_wh: What was charged.
        n_phase: Phases it drew on.
    """

    arrival_step: int
    n_step: int
    energy_wh: int
    n_phase: int


def expected_a(
    days: Sequence[Iterable[Visit]],
    *,
    now_step: int,
    n_step: int,
    step_s: int,
    nominal_v: int = 230,
    share: float = SHARE,
) -> Expected:
    """Return what cars that come later are expected to draw on each phase, A.

    Args:
        days: Visits of past days that were like this one.
        now_step: The present step, counted from where the days begin.
        n_step: Steps to look ahead, from the present one on.
        step_s: Length of a step, s.
        nominal_v: Voltage from phase to neutral.
        share: Quantile over the days.
    """
    per_day = 86_400 // step_s
    sums: list[list[float]] = []
    for visits in days:
        drawn = [0.0] * n_step
        for visit in visits:
            first = (visit.arrival_step - now_step) % per_day
            if first == 0:
                continue
            wh_per_a = nominal_v * visit.n_phase * step_s / 3600
            mean_a = visit.energy_wh / wh_per_a / max(1, visit.n_step)
            mean_a *= visit.n_phase / len(PHASES)
            for step in range(first, min(n_step, first + visit.n_step)):
                drawn[step] += mean_a
        sums.append(drawn)
    if not sums:
        return (0.0,) * n_step
    at = math.ceil(share * len(sums)) - 1
    return tuple(sorted(column)[max(0, at)] for column in zip(*sums, strict=True))


def foreseen(
    problem: CabinetProblem, expected: Mapping[str, Expected] | None
) -> CabinetProblem:
    """Choose the mode of an ``AUTO`` problem by what is expected to come.

    Args:
        problem: With another mode it is returned as it is.
        expected: By cabinet, of its whole subtree; None without a history.

    Returns:
        The problem in mode ``FINISH``; or ``ECONOMY`` with what is expected reserved
        in every step but the first.
    """
    if problem.mode is not Mode.AUTO:
        return problem
    served_at_once = replace(problem, mode=Mode.FINISH)
    if expected is None:
        return served_at_once
    held = replace(
        problem,
        mode=Mode.ECONOMY,
        cabinets=tuple(
            _held(cabinet, expected.get(cabinet.cabinet_id), problem.n_step)
            for cabinet in problem.cabinets
        ),
    )
    before, after = Layout.of(problem), Layout.of(held)
    last = max(after.stay, default=0)
    if _overload_wh(before, after, expected, last) > SHORT_WH:
        return served_at_once
    return served_at_once if _short_wh(after) > SHORT_WH else held


def unwaiting(problem: CabinetProblem, silent: Collection[str]) -> CabinetProblem:
    """Let nobody wait for a better price who did not say how long the car stays.

    Under ``ECONOMY`` the cars named are likely to leave as soon as their energy can be
    there at their largest current. With any slack they would wait in every plan anew,
    and so for ever. Where the cabinet is full until then, the plan still goes on to
    the departure that is assumed: nobody is short who can be served later.

    Args:
        problem: With another mode it is returned as it is.
        silent: Ids of sessions whose departure is only assumed.
    """
    if problem.mode is not Mode.ECONOMY or not silent:
        return problem
    layout = Layout.of(problem)
    sessions = list(problem.sessions)
    for index, session in enumerate(sessions):
        rate_dj = layout.high_da[index] * layout.dj_per_da[index]
        if session.session_id in silent and rate_dj > 0:
            soon = -(-layout.need_dj[index] // rate_dj)
            leaves = (soon,) if soon < session.departure_step else ()
            sessions[index] = replace(session, leaving_steps=leaves)
    return replace(problem, sessions=tuple(sessions))


def _held(
    cabinet: CabinetLimit, expected: Expected | None, n_step: int
) -> CabinetLimit:
    if expected is None:
        return cabinet
    later = (0.0, *expected[1:n_step])
    return replace(
        cabinet,
        reserved_a=[
            [
                min(MAX_CURRENT_A, taken + more)
                for taken, more in zip(row, later, strict=True)
            ]
            for row in cabinet.reserved_a
        ],
    )


def _overload_wh(
    before: Layout, after: Layout, expected: Mapping[str, Expected], last: int
) -> float:
    """Energy of what is expected that does not even fit by itself, Wh."""
    problem = before.problem
    wh_per_da = problem.nominal_v * problem.step_s / 3600 / 10
    found = 0.0
    for one, other in zip(before.rows, after.rows, strict=True):
        series = expected.get(one.cabinet_id)
        if one.phase is None or series is None:
            continue
        for step in range(1, last):
            if other.head_da[step] == 0:
                found += max(0.0, 10 * series[step] - one.head_da[step])
    return found * wh_per_da


def _short_wh(layout: Layout) -> float:
    """What the rule leaves short though the stay would do, Wh."""
    found = 0
    for index, row in enumerate(rules.edf(layout)):
        possible_dj = min(
            layout.need_dj[index],
            layout.high_da[index] * layout.stay[index] * layout.dj_per_da[index],
        )
        found += possible_dj - min(possible_dj, layout.delivered_dj(index, row))
    return found / DJ_PER_WH
