"""Whether a relaxed plan keeps its constraints, what it costs, and what all cost.

Integers throughout; a unit is 1 / 18e15 of a millionth of the currency. Any duals give
a lower bound on the cost of every plan: a dishonest prover gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ledger.plan_limits import Limit
from ledger.plan_relaxed import UA_PER_DA, RelaxedPlan

UNIT_PER_MICRO: Final = 18 * 10**15
GAP_MICRO: Final = 1_000
GAP_SHARE: Final = 100_000
_LIMIT: Final = 18_000_000
_STEADY: Final = 180_000
_NJ_PER_WH: Final = 3_600 * 10**9
_UJ_PER_WH: Final = 3_600 * 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Duals:
    """Prices that prove the bound: per session, bound, shared step and move."""

    energy: Sequence[int]
    limit: Sequence[int]
    sun: Sequence[int]
    stored: Sequence[int]


def unmet_uj(plan: RelaxedPlan, values: Sequence[int]) -> list[int]:
    """Return what is missing per session, microjoule; negative: too much."""
    step_s = plan.problem.step_s
    found = [car.energy_wh * _UJ_PER_WH for car in plan.problem.cars]
    for column, value in zip(plan.columns, values, strict=False):
        found[column.car] -= plan.problem.cars[column.car].volts * step_s * value
    return found


def broken_constraint(plan: RelaxedPlan, values: Sequence[int]) -> str | None:
    """Name the first constraint that a relaxed plan does not keep; no tolerance."""
    for column, value in zip(plan.columns, values, strict=False):
        if not 0 <= value <= column.cap * UA_PER_DA:
            return f"session {column.car} step {column.step}: current out of range"
    for bound in plan.bounds:
        drawn = sum(a * values[member] for member, a in bound.members.items())
        if drawn > bound.cap * UA_PER_DA:
            name = plan.limits[bound.limit].name
            return f"{name} step {bound.step}: above the limit"
    for index, missing in enumerate(unmet_uj(plan, values)):
        if missing < 0:
            return f"session {index}: more energy than needed"
    return _broken_store(plan, values) if plan.cells else None


def _broken_store(plan: RelaxedPlan, values: Sequence[int]) -> str | None:
    for cell, value in zip(plan.cells, values[len(plan.columns) :], strict=True):
        if not 0 <= value <= cell.cap:
            return f"battery {cell.store} step {cell.step}: power out of range"
    for (index, step), level in _levels(plan, values).items():
        store = plan.problem.stores[index]
        low, high = store.low_wh * _NJ_PER_WH, store.capacity_wh * _NJ_PER_WH
        if not low <= level <= high:
            return f"battery {index} step {step}: stores too much or too little"
    drawn_uw = _drawn_uw(plan, values)
    for step in plan.shared:
        if drawn_uw[step] < 0:
            return f"step {step}: batteries give more than is drawn"
    return None


def cost(plan: RelaxedPlan, values: Sequence[int]) -> int:
    """Return what a relaxed plan costs, units."""
    problem, total = plan.problem, 0
    for column, value in zip(plan.columns, values, strict=False):
        volts = problem.cars[column.car].volts
        price = plan.use[column.car][column.step]
        total += 5000 * price * volts * problem.step_s * value
        total += 18 * volts * value * value
        if column.present is not None:
            total += _STEADY * (value - column.present * UA_PER_DA) ** 2
    for index, missing in enumerate(unmet_uj(plan, values)):
        total += 5000 * plan.shortage[index] * missing
        squared = plan.fairness * missing * missing
        total += -(-squared // _per_need(plan, index))
    total += _cost_of_cells(plan, values[len(plan.columns) :], values)
    drawn_uw = _drawn_uw(plan, values)
    for step in plan.sunny:
        used_uw = min(drawn_uw[step], problem.pv_w[step] * 10**6)
        total -= 5000 * plan.saving[step] * problem.step_s * used_uw
    return total


def lower_bound(plan: RelaxedPlan, duals: Duals) -> int:
    """Return what every plan costs at least, units; limits and sun not negative."""
    problem, total = plan.problem, 0
    sun = dict(zip(plan.shared, duals.sun, strict=True))
    slopes = [
        5
        * problem.cars[index].volts
        * problem.step_s
        * (1000 * plan.use[index][step] - duals.energy[index] - sun.get(step, 0))
        for index, step, *_ in plan.columns
    ]
    slopes += _slopes_of_cells(plan, duals.stored, sun)
    for bound, price in zip(plan.bounds, duals.limit, strict=True):
        total -= price * _LIMIT * bound.cap * UA_PER_DA
        for member, a in bound.members.items():
            slopes[member] += price * _LIMIT * a
    for column, slope in zip(plan.columns, slopes, strict=False):
        square, cap = 18 * problem.cars[column.car].volts, column.cap * UA_PER_DA
        if column.present is not None:
            present = column.present * UA_PER_DA
            total += _STEADY * present * present
            total += _least(square + _STEADY, slope - 2 * _STEADY * present, cap)
        else:
            total += _least(square, slope, cap)
    for cell, slope in zip(plan.cells, slopes[len(plan.columns) :], strict=True):
        total += _least(18 * problem.stores[cell.store].volts, slope, cell.cap)
    for index, car in enumerate(problem.cars):
        need, below = car.energy_wh * _UJ_PER_WH, _per_need(plan, index)
        total += 5 * duals.energy[index] * need
        slope = below * 5 * (1000 * plan.shortage[index] - duals.energy[index])
        total += _least(plan.fairness, slope, need) // below
    for step in plan.sunny:
        slope = 5 * (sun[step] - 1000 * plan.saving[step]) * problem.step_s
        total += min(0, slope * problem.pv_w[step] * 10**6)
    if plan.cells:
        total += _least_stored(plan, duals.stored)
        for step, price in sun.items():
            total -= 5 * price * problem.step_s * problem.load_w[step] * 10**6
    return total


def is_small(cost_units: int, bound_units: int) -> bool:
    """Tell whether the gap is one that is accepted."""
    slack = max(GAP_MICRO * UNIT_PER_MICRO, abs(cost_units) // GAP_SHARE)
    return cost_units - bound_units <= slack


def told_w(
    plan: RelaxedPlan, values: Sequence[int]
) -> tuple[list[list[int]], dict[tuple[int, int], int]]:
    """Return what batteries are told, W, and what that takes of limits, 0.1 A.

    The first by battery and step, charging positive; the second by limit and step.
    """
    problem = plan.problem
    found = [[0] * problem.n_step for _ in problem.stores]
    taken: dict[tuple[int, int], int] = {}
    left = {
        (number, step): limit.room(step)
        for number, limit in enumerate(plan.limits)
        if limit.stores
        for step in range(problem.n_step)
    }
    net: dict[tuple[int, int], int] = {}
    for cell, value in zip(plan.cells, values[len(plan.columns) :], strict=True):
        flow = value if cell.charges else -value
        net[cell[:2]] = net.get(cell[:2], 0) + flow
    level = [store.energy_wh * 3_600_000 for store in problem.stores]
    for (index, step), flow in net.items():
        store = problem.stores[index]
        watts = abs(flow) * store.volts // 10**6
        if flow > 0:
            above = _above(plan.limits, index)
            held = store.held if step == 0 else 0
            room = min(left[number, step] // a for number, a in above) + held
            free = store.capacity_wh * 3_600_000 - level[index]
            stored_per_w = problem.step_s * store.efficiency_permille
            watts = min(watts, room * store.volts // 10, free // stored_per_w)
            level[index] += watts * stored_per_w
            drawn = max(0, -(-10 * watts // store.volts) - held)
            for number, a in above:
                left[number, step] -= a * drawn
                taken[number, step] = taken.get((number, step), 0) + a * drawn
            found[index][step] = watts
        else:
            spare = level[index] - store.low_wh * 3_600_000
            watts = min(watts, spare // (problem.step_s * 1000))
            level[index] -= watts * problem.step_s * 1000
            found[index][step] = -watts
    return found, taken


def _above(limits: Sequence[Limit], index: int) -> list[tuple[int, int]]:
    return [
        (number, limit.stores[index])
        for number, limit in enumerate(limits)
        if index in limit.stores
    ]


def _levels(plan: RelaxedPlan, values: Sequence[int]) -> Mapping[tuple[int, int], int]:
    """Return what is stored after every move, nanojoule."""
    problem = plan.problem
    level = [store.energy_wh * _NJ_PER_WH for store in problem.stores]
    found: dict[tuple[int, int], int] = {}
    for cell, value in zip(plan.cells, values[len(plan.columns) :], strict=True):
        store = problem.stores[cell.store]
        kept = store.efficiency_permille if cell.charges else -1000
        level[cell.store] += store.volts * problem.step_s * kept * value
        found[cell[:2]] = level[cell.store]
    return found


def _drawn_uw(plan: RelaxedPlan, values: Sequence[int]) -> list[int]:
    """Return what is drawn here and no battery gives, per step, microwatt."""
    problem = plan.problem
    load_w = problem.load_w if plan.cells else (0,) * problem.n_step
    found = [watts * 10**6 for watts in load_w]
    for column, value in zip(plan.columns, values, strict=False):
        found[column.step] += problem.cars[column.car].volts * value
    for cell, value in zip(plan.cells, values[len(plan.columns) :], strict=True):
        sign = 1 if cell.charges else -1
        found[cell.step] += sign * problem.stores[cell.store].volts * value
    return found


def _cost_of_cells(
    plan: RelaxedPlan, cell_values: Sequence[int], values: Sequence[int]
) -> int:
    problem, total = plan.problem, 0
    for cell, value in zip(plan.cells, cell_values, strict=True):
        store, price = problem.stores[cell.store], problem.imports[cell.step]
        if not cell.charges:
            price = store.wear_micro_per_kwh - price
        total += 5000 * price * store.volts * problem.step_s * value
        total += 18 * store.volts * value * value
    ends = {index: level for (index, _), level in _levels(plan, values).items()}
    for index, level in ends.items():
        target = problem.stores[index].target_wh * _NJ_PER_WH
        total += 5 * plan.refill[index] * max(0, target - level)
    return total


def _slopes_of_cells(
    plan: RelaxedPlan, worths: Sequence[int], sun: Mapping[int, int]
) -> list[int]:
    problem = plan.problem
    stored = dict(zip(plan.moves, worths, strict=True))
    found = []
    for cell in plan.cells:
        store, worth = problem.stores[cell.store], stored[cell[:2]]
        price, given = problem.imports[cell.step], sun.get(cell.step, 0)
        if cell.charges:
            milli = 1000 * (1000 * price - given) - store.efficiency_permille * worth
        else:
            milli = 1000 * (1000 * (store.wear_micro_per_kwh - price) + given + worth)
        found.append(5 * store.volts * problem.step_s * milli // 1000)
    return found


def _least_stored(plan: RelaxedPlan, worths: Sequence[int]) -> int:
    """Return the minimum over what is stored after each move, in microjoule."""
    by_store: dict[int, list[int]] = {}
    for (index, _), worth in zip(plan.moves, worths, strict=True):
        by_store.setdefault(index, []).append(worth)
    total = 0
    for index, own in by_store.items():
        store = plan.problem.stores[index]
        start, low, high, target = (
            wh * _UJ_PER_WH
            for wh in (
                *(store.energy_wh, store.low_wh),
                *(store.capacity_wh, store.target_wh),
            )
        )
        total -= 5 * own[0] * start
        for worth, after in pairwise(own):
            total += min(5 * (worth - after) * low, 5 * (worth - after) * high)
        total += min(
            5 * own[-1] * level + 5000 * plan.refill[index] * max(0, target - level)
            for level in (low, high, min(max(low, target), high))
        )
    return total


def _per_need(plan: RelaxedPlan, index: int) -> int:
    return 720_000 * max(plan.problem.cars[index].energy_wh, 1000)


def _least(square: int, slope: int, cap: int) -> int:
    """Return the minimum of ``square*z^2 + slope*z`` over 0 to cap, rounded down."""
    if slope >= 0:
        return 0
    if -slope >= 2 * square * cap:
        return (square * cap + slope) * cap
    return -(slope * slope // (4 * square)) - 1
