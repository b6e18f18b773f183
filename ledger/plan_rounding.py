"""The currents that follow from a relaxed plan, or from the rule of a fallback.

As docs/optimizer.md (From the relaxed plan to currents). Whole numbers throughout, so
that everybody comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.pack_step import Left, Offers, StepRows, pack
from ledger.plan_bound import unmet_uj
from ledger.plan_limits import Limit, limits_of
from ledger.plan_problem import Car, PlanProblem
from ledger.plan_relaxed import UA_PER_DA, RelaxedPlan

DJ_PER_WH: Final = 36_000
PACK_MAX: Final = 120
_SHORT_WH: Final = 500
_HALVED_MILLI: Final = 1_386
_LAST_CHANCE_MILLI: Final = 1_000
_N_PHASE: Final = 3
_FIRST_TO_LEAVE: Final = 20


class Care(NamedTuple):
    """What counts in a step that is packed, thousandths."""

    fill: int
    urgent: int
    finish: int


class Rules(NamedTuple):
    """What differs between versions of the algorithm.

    Attributes:
        has_last_chance: Where targets are followed, who cannot wait another step starts
            if the plan wants it to, and nobody is completed for its own sake.
        is_by_phase: Whose last chance it is is urgent by the phase, not by kW.
    """

    has_last_chance: bool
    is_by_phase: bool


CARES: Final[Mapping[str, Care]] = {
    "economy": Care(500, 10_000, 10_000),
    "finish": Care(1_500, 10_000, 10_000),
    "fair": Care(1_500, 5_000, 6_000),
}
_FILLS_ABOVE: Final = 1_000


def rounded(
    plan: RelaxedPlan,
    values: Sequence[int],
    taken: Mapping[tuple[int, int], int],
    rules: Rules,
) -> list[list[int]]:
    """Return the currents of a relaxed plan, per session and step.

    Args:
        plan: The relaxed plan.
        values: Its currents, microampere.
        taken: What batteries are told to draw, by limit and step.
        rules: Of the algorithm.
    """
    problem = plan.problem
    cars, n_step, step_s = problem.cars, problem.n_step, problem.step_s
    care = CARES[_mode(plan, values)]
    fills = care.fill > _FILLS_ABOVE
    if fills:
        rules = Rules(has_last_chance=False, is_by_phase=False)
    target = [[0] * n_step for _ in cars]
    for column, value in zip(plan.columns, values, strict=False):
        target[column.car][column.step] += value
    rest = [car.energy_wh * DJ_PER_WH for car in cars]
    carried = [0] * len(cars)
    found = [[0] * n_step for _ in cars]
    kept: list[Left] = []
    to_pack = PACK_MAX
    steps = _steps(problem, plan.limits, taken)
    for step, rows in enumerate(steps):
        wanted = [row[step] + more for row, more in zip(target, carried, strict=True)]
        left = Left(rows)
        now, is_crowded = _round_down(rows, left, step_s, step, wanted, rest)
        if step == 0 or (to_pack > 0 and (is_crowded or fills)):
            to_pack -= sum(one > 0 for one in rest)
            offers = _by_target(cars, care, step_s, step, wanted, rest, rules)
            now = pack(rows, offers)
            left = Left(rows)
            for index, current in enumerate(now):
                left.give(index, 0, current)
        kept.append(left)
        for index, current in enumerate(now):
            found[index][step] = current
            rest[index] -= current * cars[index].volts * step_s
            carried[index] = wanted[index] - current * UA_PER_DA
    _fill(plan, kept, found, rest)
    return found


def by_rule(problem: PlanProblem) -> list[list[int]]:
    """Return the currents of a fallback: earliest departure first, step 0 packed."""
    cars, step_s = problem.cars, problem.step_s
    rest = [car.energy_wh * DJ_PER_WH for car in cars]
    found = [[0] * problem.n_step for _ in cars]
    for step, rows in enumerate(_steps(problem, limits_of(problem), {})):
        waiting = sorted(
            (car.departure_step, index)
            for index, car in enumerate(cars)
            if rest[index] > 0 and step < car.stay and car.high > 0
        )
        order = [index for _, index in waiting]
        if step == 0:
            now = pack(rows, _by_rank(cars, step_s, order, rest))
        else:
            left, now = Left(rows), [0] * len(cars)
            for index in order:
                wanted = _enough(cars[index], step_s, rest[index])
                now[index] = left.largest(index, wanted)
                left.give(index, 0, now[index])
        for index, current in enumerate(now):
            found[index][step] = current
            rest[index] -= current * cars[index].volts * step_s
    return found


def _mode(plan: RelaxedPlan, values: Sequence[int]) -> str:
    if plan.problem.mode != "auto":
        return plan.problem.mode
    is_short = sum(unmet_uj(plan, values)) > _SHORT_WH * DJ_PER_WH * UA_PER_DA
    return "finish" if is_short else "economy"


def _steps(
    problem: PlanProblem,
    limits: Sequence[Limit],
    taken: Mapping[tuple[int, int], int],
) -> Iterator[StepRows]:
    of_car = [
        [(row, one.cars[index]) for row, one in enumerate(limits) if index in one.cars]
        for index in range(len(problem.cars))
    ]
    for step in range(problem.n_step):
        less = [taken.get((row, step), 0) for row in range(len(limits))]
        pairs = list(zip(limits, less, strict=True))
        yield StepRows(
            cars=problem.cars,
            limits=limits,
            of_car=of_car,
            head=[max(0, one.head(step) - drawn) for one, drawn in pairs],
            room=[max(0, one.room(step) - drawn) for one, drawn in pairs],
        )


def _enough(car: Car, step_s: int, rest: int) -> int:
    """Return the least permitted current that delivers the rest in one step."""
    if rest <= 0:
        return 0
    need = -(-rest // (car.volts * step_s))
    return min(max(car.low, -(-need // car.unit) * car.unit), car.high)


def _laxity(car: Car, step_s: int, step: int, rest: int) -> int:
    """Return how long a session can wait, thousandths of a step."""
    rate = max(1, car.high * car.volts * step_s)
    return (car.stay - step) * 1000 - rest * 1000 // rate


def _round_down(  # noqa: PLR0917 - one step's state
    rows: StepRows,
    left: Left,
    step_s: int,
    step: int,
    wanted: Sequence[int],
    rest: Sequence[int],
) -> tuple[list[int], bool]:
    """Round down, then start who saved up half a minimum; tell who could not."""
    now, is_crowded = [0] * len(rows.cars), False
    order = sorted(
        (_laxity(car, step_s, step, rest[index]), index)
        for index, car in enumerate(rows.cars)
        if 2 * wanted[index] >= car.low * UA_PER_DA
        and rest[index] > 0
        and step < car.stay
        and car.high > 0
    )
    for _, index in order:
        car, whole = rows.cars[index], wanted[index] // UA_PER_DA
        if whole >= car.low:
            most = min(_enough(car, step_s, rest[index]), whole)
            now[index] = left.largest(index, most)
            left.give(index, 0, now[index])
    for _, index in order:
        if now[index] == 0:
            now[index] = left.largest(index, rows.cars[index].low)
            left.give(index, 0, now[index])
            is_crowded = is_crowded or now[index] == 0
    return now, is_crowded


def _fill(
    plan: RelaxedPlan,
    kept: Sequence[Left],
    found: list[list[int]],
    rest: list[int],
) -> None:
    """Give sessions that are short what is free, cheapest step first, but step 0."""
    cars, step_s = plan.problem.cars, plan.problem.step_s
    short = sorted(
        (_laxity(cars[i], step_s, 0, cars[i].energy_wh * DJ_PER_WH), i)
        for i, missing in enumerate(rest)
        if missing > 0
    )
    for _, index in short:
        car, use = cars[index], plan.use[index]
        per_da = car.volts * step_s
        for step in sorted(range(1, car.stay), key=lambda t: (use[t], t)):
            if rest[index] <= 0:
                break
            held = found[index][step]
            wanted = _enough(car, step_s, rest[index] + held * per_da)
            best = kept[step].largest(index, wanted, held)
            if best > held:
                kept[step].give(index, held, best)
                found[index][step] = best
                rest[index] -= (best - held) * per_da


def _by_target(  # noqa: PLR0917 - one step's state
    cars: Sequence[Car],
    care: Care,
    step_s: int,
    step: int,
    wanted: Sequence[int],
    rest: Sequence[int],
    rules: Rules,
) -> Offers:
    """Value the currents of every session by how near they come to the plan."""
    found = {}
    for index, car in enumerate(cars):
        most = _enough(car, step_s, rest[index]) if step < car.stay else 0
        if most == 0:
            continue
        need = rest[index] * UA_PER_DA // (car.volts * step_s)
        goal = max(0, min(wanted[index], most * UA_PER_DA, need))
        laxity = max(0, _laxity(car, step_s, step, rest[index]))
        finish, urgent = care.finish, _halved(care.urgent, laxity)
        if rules.has_last_chance and goal and laxity < _LAST_CHANCE_MILLI:
            goal = max(goal, min(car.low * UA_PER_DA, need))
            if rules.is_by_phase:
                urgent = urgent * _N_PHASE // car.n_power
        if rules.has_last_chance and not goal:
            finish = 0
        options = []
        for value in (0, *range(car.low, most + 1, car.unit)):
            useful = min(value * UA_PER_DA, need)
            amount = care.fill * useful - 1000 * abs(useful - goal)
            amount += urgent * min(useful, goal)
            if value * UA_PER_DA >= need:
                amount += finish * 1_000_000
            worth = (car.volts * car.weight_milli * amount + 500_000_000) // 10**9
            options.append((value, worth))
        found[index] = options
    return found


def _by_rank(
    cars: Sequence[Car], step_s: int, order: Sequence[int], rest: Sequence[int]
) -> Offers:
    """Value the currents of step 0 by who leaves first."""
    count, found = len(order), {}
    for rank, index in enumerate(order):
        car = cars[index]
        need = rest[index] * UA_PER_DA // (car.volts * step_s)
        power = car.volts * car.weight_milli
        power *= (1 + _FIRST_TO_LEAVE) * count - _FIRST_TO_LEAVE * rank
        below = count * 10**6
        values = (0, *range(car.low, _enough(car, step_s, rest[index]) + 1, car.unit))
        found[index] = [
            (
                value,
                (2 * power * min(value * UA_PER_DA, need) + below) // (2 * below),
            )
            for value in values
        ]
    return dict(sorted(found.items()))


def _halved(full: int, laxity: int) -> int:
    """Return ``full`` halved with every 1386 of laxity, linear in between."""
    times, rest = divmod(laxity, _HALVED_MILLI)
    times = min(times, 60)
    return (full >> times) - (full >> (times + 1)) * rest // _HALVED_MILLI
