"""Checks a plan against every limit, independently of how it was made.

Works from the fields of the problem alone and shares no code with the model, the
rules or the repair. Exact: integers in 0.1 A, no tolerance. Nothing is sent that does
not pass here.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from optimizer.outcome import Plan
from optimizer.problem import CabinetProblem

Grid = NDArray[np.int64]


class Rule(StrEnum):
    """What a plan can break."""

    SHAPE = "shape"
    LIMIT = "limit"
    FLOOR_ROOM = "floor_room"
    IMBALANCE = "imbalance"
    RANGE = "range"
    UNIT = "unit"
    STAY = "stay"
    POWER = "power"
    STORED = "stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule at one step.

    Attributes:
        rule: Which.
        subject: Cabinet id and phase, session id or battery id.
        step: When; 0 for ``SHAPE``.
        value_da: What is planned, 0.1 A; of a battery its power, W, or Wh.
        bound_da: What is allowed, the same unit.
    """

    rule: Rule
    subject: str
    step: int
    value_da: int
    bound_da: int


def check(problem: CabinetProblem, plan: Plan) -> tuple[Violation, ...]:
    """Return every violation of a plan; an empty tuple means that it may be sent.

    Each step is checked against every cabinet (phase by phase and in W), over the
    whole tree; and each current against 0-or-minimum, maximum, unit and stay.
    """
    ids = tuple(session.session_id for session in problem.sessions)
    shape = (len(ids), problem.n_step)
    same = (plan.group_id, plan.start, plan.step_s, plan.session_ids) == (
        problem.group_id,
        problem.start,
        problem.step_s,
        ids,
    )
    lengths = {len(row) for row in plan.currents_da}
    if not same or len(plan.currents_da) != len(ids) or lengths - {problem.n_step}:
        return (_violation(Rule.SHAPE, problem.group_id, 0, len(ids), shape[0]),)
    currents = np.array(plan.currents_da, dtype=np.int64).reshape(shape)
    powers: Grid | None = None
    if plan.battery_ids or plan.battery_w:
        names = tuple(battery.battery_id for battery in problem.batteries)
        rows = {len(row) for row in plan.battery_w}
        n_row = len(plan.battery_w)
        if plan.battery_ids != names or n_row != len(names) or rows != {problem.n_step}:
            return (_violation(Rule.SHAPE, problem.group_id, 0, n_row, len(names)),)
        powers = np.array(plan.battery_w, dtype=np.int64)
    return (
        *_check_sessions(problem, currents),
        *_check_batteries(problem, powers),
        *_check_cabinets(problem, currents, powers),
        *_check_imbalance(problem, currents),
    )


def _check_sessions(problem: CabinetProblem, currents: Grid) -> list[Violation]:
    found: list[Violation] = []
    steps = np.arange(problem.n_step)
    for session, row in zip(problem.sessions, currents, strict=True):
        low, high, unit = (
            round(value * 10)
            for value in (session.min_a, session.max_a, session.step_a)
        )
        name = session.session_id
        on = row != 0
        for rule, broken, bound in (
            (Rule.STAY, on & (steps >= session.departure_step), 0),
            (Rule.RANGE, on & (row < low), low),
            (Rule.RANGE, on & (row > high), high),
            (Rule.UNIT, row % unit != 0, unit),
        ):
            found += [
                _violation(rule, name, int(step), int(row[step]), bound)
                for step in np.flatnonzero(broken)
            ]
    return found


def _check_batteries(problem: CabinetProblem, powers: Grid | None) -> list[Violation]:
    """Check what batteries are told against their rates and what they can store."""
    found: list[Violation] = []
    if powers is None:
        return found
    for battery, row in zip(problem.batteries, powers, strict=True):
        name = battery.battery_id
        for broken, bound in (
            (row > battery.max_charge_w, battery.max_charge_w),
            (row < -battery.max_discharge_w, -battery.max_discharge_w),
        ):
            found += [
                _violation(Rule.POWER, name, int(step), int(row[step]), bound)
                for step in np.flatnonzero(broken)
            ]
        lowest = min(battery.reserve_wh, battery.energy_wh)
        stored = Fraction(battery.energy_wh)
        for step, watts in enumerate(row.tolist()):
            kept = Fraction(battery.efficiency_permille, 1000) if watts > 0 else 1
            stored += Fraction(watts * problem.step_s, 3600) * kept
            for is_broken, bound in (
                (stored > battery.capacity_wh, battery.capacity_wh),
                (stored < lowest, lowest),
            ):
                if is_broken:
                    value = round(stored)
                    found.append(_violation(Rule.STORED, name, step, value, bound))
    return found


def _check_cabinets(
    problem: CabinetProblem, currents: Grid, powers: Grid | None
) -> list[Violation]:
    found: list[Violation] = []
    by_id = {cabinet.cabinet_id: cabinet for cabinet in problem.cabinets}
    n_cabinet, n_step = len(by_id), problem.n_step
    position = {name: index for index, name in enumerate(by_id)}
    drawn = np.zeros((n_cabinet, 3, n_step), dtype=np.int64)
    claimed = np.zeros((n_cabinet, 3, n_step), dtype=np.int64)
    floors = np.zeros((n_cabinet, 3), dtype=np.int64)
    for session, row in zip(problem.sessions, currents, strict=True):
        floor = round(session.floor_a * 10)
        above: str | None = session.cabinet_id
        while above is not None:
            for phase in session.phases:
                drawn[position[above], phase] += row
                claimed[position[above], phase] += np.maximum(row, floor)
                floors[position[above], phase] += floor
            above = by_id[above].parent
    charging = _charging(problem, powers)
    drawn += charging
    claimed += charging
    for index, cabinet in enumerate(problem.cabinets):
        reserved = np.rint(np.array(cabinet.reserved_a) * 10).astype(np.int64)
        if cabinet.limit_a is not None:
            limit = np.rint(np.array(cabinet.limit_a) * 10).astype(np.int64)
            for phase in range(3):
                found += _over(
                    f"{cabinet.cabinet_id} L{phase + 1}",
                    limit[phase] - reserved[phase],
                    drawn[index, phase],
                    claimed[index, phase],
                    int(floors[index, phase]),
                )
        if cabinet.limit_w is not None:
            limit_w = np.array(cabinet.limit_w).astype(np.int64)
            total_da = limit_w * 10 // problem.nominal_v - reserved.sum(axis=0)
            found += _over(
                f"{cabinet.cabinet_id} total",
                total_da,
                drawn[index].sum(axis=0),
                claimed[index].sum(axis=0),
                int(floors[index].sum()),
            )
    return found


def _charging(problem: CabinetProblem, powers: Grid | None) -> Grid:
    """Return what batteries are told to draw of each cabinet, beyond what is reserved.

    Shape (n_cabinet, 3, n_step), 0.1 A.
    """
    parents = {cabinet.cabinet_id: cabinet.parent for cabinet in problem.cabinets}
    position = {name: index for index, name in enumerate(parents)}
    found = np.zeros((len(parents), 3, problem.n_step), dtype=np.int64)
    if powers is None:
        return found
    for battery, watts in zip(problem.batteries, powers, strict=True):
        per_a = problem.nominal_v * len(battery.phases)
        taken = -(-np.maximum(watts, 0) * 10 // per_a)
        taken[0] = max(0, taken[0] - round(battery.held_a * 10))
        above: str | None = battery.cabinet_id
        while above is not None:
            for phase in battery.phases:
                found[position[above], phase] += taken
            above = parents[above]
    return found


def _check_imbalance(problem: CabinetProblem, currents: Grid) -> list[Violation]:
    """Compare the worst difference of two phases: cars on one of them take all.

    A car that draws on fewer phases than are counted may draw on any of them.
    """
    found: list[Violation] = []
    parents = {cabinet.cabinet_id: cabinet.parent for cabinet in problem.cabinets}
    for cabinet in problem.cabinets:
        if cabinet.imbalance_a is None:
            continue
        bound = round(cabinet.imbalance_a * 10)
        for one in range(3):
            for other in range(3):
                worst = np.zeros(problem.n_step, dtype=np.int64)
                floors = 0
                for session, row in zip(problem.sessions, currents, strict=True):
                    place: str | None = session.cabinet_id
                    while place not in {None, cabinet.cabinet_id}:
                        place = parents[str(place)]
                    used = session.n_power_phase or len(session.phases)
                    is_even = other in session.phases and used == len(session.phases)
                    if place is None or one not in session.phases or is_even:
                        continue
                    floor = round(session.floor_a * 10)
                    worst += np.maximum(row, floor)
                    floors += floor
                if one != other:
                    found += [
                        _violation(
                            Rule.IMBALANCE,
                            f"{cabinet.cabinet_id} L{one + 1} against L{other + 1}",
                            int(step),
                            int(worst[step]),
                            bound,
                        )
                        for step in np.flatnonzero(worst > max(bound, floors))
                    ]
    return found


def _over(
    name: str, free_da: Grid, drawn_da: Grid, claimed_da: Grid, floors_da: int
) -> list[Violation]:
    """Compare one limit: what is asked for, and what is claimed with the floors.

    Floors that do not fit by themselves are not the plan's fault, but then nothing
    may be claimed above them.
    """
    head_da = np.maximum(free_da, 0)
    room_da = np.maximum(free_da, floors_da)
    return [
        _violation(rule, name, int(step), int(value[step]), int(bound[step]))
        for rule, value, bound in (
            (Rule.LIMIT, drawn_da, head_da),
            (Rule.FLOOR_ROOM, claimed_da, room_da),
        )
        for step in np.flatnonzero(value > bound)
    ]


def _violation(
    rule: Rule, subject: str, step: int, value_da: int, bound_da: int
) -> Violation:
    return Violation(
        rule=rule, subject=subject, step=step, value_da=value_da, bound_da=bound_da
    )
