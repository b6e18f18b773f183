"""The offline optimum: what any policy could deliver at most, knowing the whole day.

A linear program over every car and step with continuous currents, solved by HiGHS. It
maximises energy and, among equals, lowers the cost; it does not maximise the number of
fully served drivers, so it bounds their energy, not their number.

Cars that are set in whole ampere never use a part of one: with the headroom of each
phase cut to whole ampere it is still a bound for every policy, and a nearer one.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from benchmarks.optimizer_days import STEP_S, Day

_ENERGY_WORTH: Final = 1_000.0
"""Currency per delivered kWh: energy before money."""

_STEP_H: Final = STEP_S / 3600

_ROUNDING_A: Final = 1e-6
"""Heads are differences of tenths: 57.999999 A are 58."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The best that is possible.

    Attributes:
        delivered_wh: Shape (n_car,).
        wanted_wh: Shape (n_car,).
        cost: Of this energy, currency.
    """

    delivered_wh: tuple[float, ...]
    wanted_wh: tuple[int, ...]
    cost: float

    @property
    def energy(self) -> float:
        """Part of all wanted energy."""
        return sum(self.delivered_wh) / sum(self.wanted_wh)

    @property
    def cost_per_kwh(self) -> float:
        """Currency per delivered kWh."""
        return self.cost / (sum(self.delivered_wh) / 1000)


def bound(day: Day, *, in_whole_a: bool = False) -> Bound:
    """Solve a day with everything known.

    Args:
        day: Who comes and what is left for them.
        in_whole_a: Cut the headroom of each phase to whole ampere.

    Raises:
        RuntimeError: HiGHS did not find the optimum.
    """
    slots = [
        (index, step)
        for index, car in enumerate(day.cars)
        for step in range(car.arrival_step, car.departure_step)
    ]
    n_slot, n_step = len(slots), day.n_step
    kw_per_a = np.array([car.kw_per_a for car in day.cars])
    car_of = np.array([index for index, _ in slots])
    step_of = np.array([step for _, step in slots])
    kwh_per_a = kw_per_a[car_of] * _STEP_H
    rows, columns, values, caps = _limits(day, slots, in_whole_a=in_whole_a)
    # Energy of each car, then power of each step, which the sun covers in part.
    at = np.arange(n_slot)
    n_row = len(caps)
    rows += [*(n_row + car_of), *(n_row + len(day.cars) + step_of)]
    columns += [*at, *at]
    values += [*kwh_per_a, *kwh_per_a]
    caps += [car.energy_wh / 1000 for car in day.cars]
    rows += list(n_row + len(day.cars) + np.arange(n_step))
    columns += list(n_slot + np.arange(n_step))
    values += [-1.0] * n_step
    caps += [watt * _STEP_H / 1000 for watt in day.sun_w]
    feed_in = day.feed_in_micro / 1e6
    price = np.array(day.price_micro) / 1e6
    found: Any = linprog(  # type: ignore[call-overload]  # the stubs know no sparse matrix
        np.concatenate([(feed_in - _ENERGY_WORTH) * kwh_per_a, price - feed_in]),
        A_ub=coo_array((values, (rows, columns)), shape=(len(caps), n_slot + n_step)),
        b_ub=caps,
        bounds=np.array(
            [(0.0, day.cars[index].max_a) for index, _ in slots]
            + [(0.0, np.inf)] * n_step
        ),
        method="highs",
    )
    if not found.success:
        raise RuntimeError(f"no offline optimum: {found.message}")
    kwh = found.x[:n_slot] * kwh_per_a
    delivered = np.bincount(car_of, kwh, minlength=len(day.cars))
    bought = found.x[n_slot:]
    return Bound(
        delivered_wh=tuple(float(1000 * one) for one in delivered),
        wanted_wh=tuple(car.energy_wh for car in day.cars),
        cost=float(feed_in * kwh.sum() + ((price - feed_in) * bought).sum()),
    )


def _limits(
    day: Day, slots: list[tuple[int, int]], *, in_whole_a: bool
) -> tuple[list[int], list[int], list[float], list[float]]:
    """One row per phase and step: triplets and right-hand sides, A."""
    rows: list[int] = []
    columns: list[int] = []
    for column, (index, step) in enumerate(slots):
        for phase in day.cars[index].phases:
            rows.append(3 * step + phase)
            columns.append(column)
    caps = [head for step in range(day.n_step) for head in day.head_a(step)]
    if in_whole_a:
        caps = [float(math.floor(head + _ROUNDING_A)) for head in caps]
    return rows, columns, [1.0] * len(rows), caps
