"""Planned again at every step, arrivals unknown: more energy than the rule delivers."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from optimizer import rules
from optimizer.layout import Currents, Layout
from optimizer.outcome import Optimal, Relaxed
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat

N_STEP = 40
LIMIT_A = 32.0
Policy = Callable[[CabinetProblem], Currents]


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    arrival_step: int
    departure_step: int
    phases: tuple[int, ...]
    max_a: float
    energy_wh: int


def congested_day(seed: int) -> list[Car]:
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    cars = []
    for _ in range(14):
        arrival = rng.randrange(0, N_STEP - 8)
        phases = (0, 1, 2) if rng.random() < 0.6 else (rng.randrange(3),)
        cars.append(
            Car(
                arrival_step=arrival,
                departure_step=min(N_STEP, arrival + rng.randrange(6, 24)),
                phases=phases,
                max_a=rng.choice([16.0, 16.0, 32.0]),
                energy_wh=rng.randrange(2_000, 8_000) * len(phases),
            )
        )
    return cars


def delivered_wh(cars: list[Car], policy: Policy) -> float:
    rest = [float(car.energy_wh) for car in cars]
    for step in range(N_STEP):
        here = [
            index
            for index, car in enumerate(cars)
            if car.arrival_step <= step < car.departure_step and rest[index] >= 1
        ]
        n_left = N_STEP - step
        problem = CabinetProblem(
            group_id="g",
            start=START,
            step_s=900,
            n_step=n_left,
            cabinets=(
                CabinetLimit(
                    cabinet_id="A",
                    limit_a=flat(n_left, LIMIT_A),
                    reserved_a=flat(n_left, 0.0),
                ),
            ),
            sessions=tuple(
                EvSession(
                    session_id=str(index),
                    cabinet_id="A",
                    phases=cars[index].phases,
                    energy_wh=int(rest[index]),
                    departure_step=cars[index].departure_step - step,
                    max_a=cars[index].max_a,
                )
                for index in here
            ),
        )
        for index, row in zip(here, policy(problem), strict=True):
            drawn_wh = row[0] / 10 * 230 * len(cars[index].phases) * 0.25
            rest[index] = max(0.0, rest[index] - drawn_wh)
    return sum(car.energy_wh for car in cars) - sum(rest)


def planned(problem: CabinetProblem) -> Currents:
    outcome = solve(problem, deadline_s=60)
    assert isinstance(outcome, Optimal | Relaxed)
    return outcome.plan.currents_da


def test_planning_delivers_more_than_edf_on_congested_days() -> None:
    days = [congested_day(seed) for seed in range(4)]
    by_rule = sum(delivered_wh(d, lambda p: rules.edf(Layout.of(p))) for d in days)
    by_plan = sum(delivered_wh(d, planned) for d in days)
    assert by_plan > 1.02 * by_rule
