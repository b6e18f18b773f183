"""The relaxed plan of a problem: columns, cells, bounds and prices, in whole numbers.

As docs/optimizer.md derives them. A column is the current of a car in a step, within
or above its floor; a cell is the current that a battery charges or discharges with.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.plan_limits import Limit, limits_of
from ledger.plan_problem import PlanProblem

UA_PER_DA: Final = 100_000
SHORTAGE_MICRO: Final = 5_000_000
KEEP_MICRO: Final = 20_000
_SMALL_WH: Final = 10_000


class Goal(NamedTuple):
    """Weights of a mode."""

    earliness: int
    permille: int
    fairness: int


GOALS: Final[Mapping[str, Goal]] = {
    "finish": Goal(5000, 500, 0),
    "fair": Goal(5000, 0, 2_000_000),
    "economy": Goal(2000, 500, 0),
    "auto": Goal(2000, 500, 0),
}


class Column(NamedTuple):
    """Cap and present current in 0.1 A; present is ``None`` but in step 0."""

    car: int
    step: int
    is_above: bool
    cap: int
    present: int | None


class Cell(NamedTuple):
    """A battery's current in a step; the cap in microampere."""

    store: int
    step: int
    charges: bool
    cap: int


class Bound(NamedTuple):
    """A limit that could bind; cap in 0.1 A; cells follow the columns."""

    limit: int
    step: int
    members: Mapping[int, int]
    cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxedPlan:
    """What the numbers of a certificate stand for.

    Attributes:
        sunny: Steps in which PV that is used saves money.
        shared: These, and steps in which a battery discharges.
        moves: (battery, step) of every step with a cell.
        use: Price per session and step.
        shortage: Price of what is missing, per session.
        saving: Per step.
        refill: Price of what is missing from a battery's target.
    """

    problem: PlanProblem
    limits: tuple[Limit, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    bounds: tuple[Bound, ...]
    sunny: tuple[int, ...]
    shared: tuple[int, ...]
    moves: tuple[tuple[int, int], ...]
    use: tuple[tuple[int, ...], ...]
    shortage: tuple[int, ...]
    saving: tuple[int, ...]
    refill: tuple[int, ...]

    @property
    def fairness(self) -> int:
        """Return the weight of squared shortages."""
        return GOALS[self.problem.mode].fairness


def relaxed_plan(problem: PlanProblem) -> RelaxedPlan:
    """Derive everything from a problem."""
    limits = limits_of(problem)
    columns = tuple(_columns(problem, limits))
    driven = {column.step for column in columns}
    cells = tuple(
        cell
        for index in range(len(problem.stores))
        for cell in _cells(problem, limits, index, driven)
    )
    saving = tuple(
        max(0, bought - sold)
        for bought, sold in zip(problem.imports, problem.feed_ins, strict=True)
    )
    used = driven.union(cell.step for cell in cells if cell.charges)
    given = {cell.step for cell in cells if not cell.charges}
    sunny = tuple(
        step
        for step in range(problem.n_step)
        if saving[step] > 0 and problem.pv_w[step] > 0 and step in used
    )
    use, shortage = _prices(problem)
    dearest = max(0, *problem.imports)
    return RelaxedPlan(
        problem=problem,
        limits=limits,
        columns=columns,
        cells=cells,
        bounds=tuple(_bounds(problem, limits, columns, cells)),
        sunny=sunny,
        shared=tuple(sorted(given.union(sunny))),
        moves=tuple(dict.fromkeys((cell.store, cell.step) for cell in cells)),
        use=use,
        shortage=shortage,
        saving=saving,
        refill=tuple(
            dearest * 1000 // store.efficiency_permille
            + store.wear_micro_per_kwh
            + KEEP_MICRO
            for store in problem.stores
        ),
    )


def _columns(problem: PlanProblem, limits: Sequence[Limit]) -> Iterator[Column]:
    full = [
        {step for step in range(problem.n_step) if limit.open_room(step) == 0}
        for limit in limits
    ]
    for index, car in enumerate(problem.cars):
        if car.energy_wh == 0 or car.high == 0:
            continue
        closed: set[int] = set()
        for limit, steps in zip(limits, full, strict=True):
            if index in limit.cars:
                closed |= steps
        within, above = min(car.floor, car.high), car.high - car.floor
        for step in range(car.stay):
            if within > 0:
                present = min(car.present, car.floor) if step == 0 else None
                yield Column(index, step, False, within, present)
            if above > 0 and step not in closed:
                present = max(0, car.present - car.floor) if step == 0 else None
                yield Column(index, step, True, above, present)


def _cells(
    problem: PlanProblem, limits: Sequence[Limit], index: int, driven: set[int]
) -> Iterator[Cell]:
    store = problem.stores[index]
    if store.low_wh == store.capacity_wh:
        return
    in_ua = store.max_charge_w * 10**6 // store.volts
    out_ua = store.max_discharge_w * 10**6 // store.volts
    above = [limit for limit in limits if index in limit.stores]
    is_empty = store.energy_wh == store.low_wh
    is_full = store.energy_wh == store.capacity_wh
    for step in range(problem.n_step):
        has_room = all(limit.open_room(step) > 0 for limit in above)
        has_use = step in driven or problem.load_w[step] > 0
        charges = in_ua > 0 and has_room and not is_full
        gives = out_ua > 0 and has_use and not is_empty
        if charges:
            yield Cell(index, step, True, in_ua)
        if gives:
            yield Cell(index, step, False, out_ua)
        is_empty = is_empty and not charges
        is_full = is_full and not gives


def _bounds(
    problem: PlanProblem,
    limits: Sequence[Limit],
    columns: Sequence[Column],
    cells: Sequence[Cell],
) -> Iterator[Bound]:
    at = {column[:3]: number for number, column in enumerate(columns)}
    charging = {
        cell[:2]: number
        for number, cell in enumerate(cells, len(columns))
        if cell.charges
    }
    for number, limit in enumerate(limits):
        for step in range(problem.n_step):
            head = limit.open_head(step)
            is_starved = head < limit.floors
            cap = head if is_starved else head - limit.floors
            members: dict[int, int] = {}
            most = 0
            for index, a in limit.cars.items():
                column = at.get((index, step, not is_starved))
                if column is not None:
                    members[column] = a
                    most += a * columns[column].cap * UA_PER_DA
            for index, a in limit.stores.items():
                cell = charging.get((index, step))
                if cell is not None:
                    members[cell] = a
                    most += a * cells[cell - len(columns)].cap
            if most > cap * UA_PER_DA:
                yield Bound(number, step, members, cap)


def _prices(
    problem: PlanProblem,
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Return the price of use per session and step, and of shortage per session."""
    goal, cars = GOALS[problem.mode], problem.cars
    count = len(cars)
    by_departure = sorted(range(count), key=lambda i: (cars[i].departure_step, i))
    rank = {index: place for place, index in enumerate(by_departure)}
    plain = [
        [
            price
            + goal.earliness
            * (step * problem.step_s * (2 * count - rank[index]))
            // (900 * count)
            for step, price in enumerate(problem.imports)
        ]
        for index in range(count)
    ]
    dearest = max((price for row in plain for price in row), default=0)
    use, shortage = [], []
    for car, row in zip(cars, plain, strict=True):
        small = goal.permille * _SMALL_WH // (_SMALL_WH + car.energy_wh)
        scarce = SHORTAGE_MICRO * (1000 + small) // 1000
        worth = car.weight_milli * scarce // 1000
        below = len(car.leaving) + 1
        use.append(
            tuple(
                price + worth * bisect_right(car.leaving, step) // below
                for step, price in enumerate(row)
            )
        )
        shortage.append(max(0, dearest) + worth)
    return tuple(use), tuple(shortage)
