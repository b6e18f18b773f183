"""The limits of a plan as rows of whole numbers, and whether currents keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from ledger.plan_problem import PHASES, Cabinet, Car, PlanProblem

Currents = Sequence[Sequence[int]]
"""Per session, per step, 0.1 A."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of one cabinet: the sum of ``a * current`` over its members.

    Attributes:
        cabinet_id: Whose.
        phase: Grid phase, from 0; ``None`` for the sum over the phases.
        against: For a limit of imbalance the phase that carries nothing of the cars.
        cars: Coefficient by session.
        stores: Coefficient by battery.
        free: Per step limit minus reserved; may be negative.
        floors: What its cars may draw whatever is sent.
        held: What of ``reserved`` in step 0 is its batteries'.
    """

    cabinet_id: str
    phase: int | None
    against: int | None
    cars: Mapping[int, int]
    stores: Mapping[int, int]
    free: Sequence[int]
    floors: int
    held: int

    @property
    def name(self) -> str:
        """Name it in words."""
        if self.phase is None:
            return f"{self.cabinet_id} in total"
        if self.against is None:
            return f"{self.cabinet_id} phase L{self.phase + 1}"
        phases = f"L{self.phase + 1} against L{self.against + 1}"
        return f"{self.cabinet_id} imbalance of {phases}"

    def head(self, step: int) -> int:
        """Return what may be drawn."""
        return max(0, self.free[step])

    def room(self, step: int) -> int:
        """Return what may be drawn above the floors."""
        return max(0, self.free[step] - self.floors)

    def open_head(self, step: int) -> int:
        """Return the head of the relaxed plan: batteries may be told less."""
        return max(0, self.free[step] + self.held) if step == 0 else self.head(step)

    def open_room(self, step: int) -> int:
        """Return what the relaxed plan has above the floors."""
        return max(0, self.open_head(step) - self.floors)


def limits_of(problem: PlanProblem) -> tuple[Limit, ...]:
    """Return every limit that has somebody behind it, in the order of the page."""
    places = problem.places()

    def is_below(place: str | None, cabinet: Cabinet) -> bool:
        while place is not None and place != cabinet.cabinet_id:
            place = places[place]
        return place is not None

    found = []
    for cabinet in problem.cabinets:
        cars = [
            i for i, car in enumerate(problem.cars) if is_below(car.cabinet_id, cabinet)
        ]
        stores = [
            b
            for b, store in enumerate(problem.stores)
            if is_below(store.cabinet_id, cabinet)
        ]
        found += [
            limit
            for limit in _of_cabinet(problem, cabinet, cars, stores)
            if limit.cars or limit.stores
        ]
    return tuple(found)


def _of_cabinet(
    problem: PlanProblem,
    cabinet: Cabinet,
    behind: Sequence[int],
    stored: Sequence[int],
) -> Iterator[Limit]:
    reserved, n_step = cabinet.reserved_da, problem.n_step

    def limit(
        phase: int | None,
        free: Sequence[int],
        cars: dict[int, int],
        stores: dict[int, int],
        against: int | None = None,
    ) -> Limit:
        return Limit(
            cabinet_id=cabinet.cabinet_id,
            phase=phase,
            against=against,
            cars=cars,
            stores=stores,
            free=free,
            floors=sum(a * problem.cars[i].floor for i, a in cars.items()),
            held=sum(a * problem.stores[b].held for b, a in stores.items()),
        )

    if cabinet.limit_da is not None:
        for phase in PHASES:
            pairs = zip(cabinet.limit_da[phase], reserved[phase], strict=True)
            yield limit(
                phase,
                [most - taken for most, taken in pairs],
                {i: 1 for i in behind if phase in problem.cars[i].phases},
                {b: 1 for b in stored if phase in problem.stores[b].phases},
            )
    if cabinet.limit_w is not None:
        yield limit(
            None,
            [
                10 * watts // problem.nominal_v - sum(row[step] for row in reserved)
                for step, watts in enumerate(cabinet.limit_w)
            ],
            {i: len(problem.cars[i].phases) for i in behind},
            {b: len(problem.stores[b].phases) for b in stored},
        )
    if cabinet.imbalance_da is not None:
        seen = set()
        for phase, other in permutations(PHASES, 2):
            cars = [i for i in behind if _is_uneven(problem.cars[i], phase, other)]
            if (phase, *cars) in seen:
                continue
            seen.add((phase, *cars))
            yield limit(
                phase,
                [cabinet.imbalance_da] * n_step,
                dict.fromkeys(cars, 1),
                {},
                other,
            )


def _is_uneven(car: Car, phase: int, other: int) -> bool:
    """Tell whether a car may load one phase and not the other."""
    return phase in car.phases and (
        other not in car.phases or car.n_power < len(car.phases)
    )


def broken_limit(
    problem: PlanProblem,
    limits: Sequence[Limit],
    currents: Currents,
    taken: Mapping[tuple[int, int], int] | None = None,
) -> str | None:
    """Name the first current that must not be, or the first limit that is not kept.

    Args:
        problem: What was planned.
        limits: Of it.
        currents: Per session and step.
        taken: What batteries are told to draw, by limit and step.
    """
    for car, row in zip(problem.cars, currents, strict=True):
        for step, current in enumerate(row):
            if not car.permits(current):
                return f"session {car.session_id} step {step}: {current} is no current"
            if current and step >= car.stay:
                return f"session {car.session_id} step {step}: after departure"
    floors = [car.floor for car in problem.cars]
    for number, limit in enumerate(limits):
        for step in range(problem.n_step):
            drawn = above = 0
            for index, a in limit.cars.items():
                current = currents[index][step]
                drawn += a * current
                above += a * max(0, current - floors[index])
            less = taken.get((number, step), 0) if taken else 0
            head = max(0, limit.head(step) - less)
            if drawn > head or above > max(0, limit.room(step) - less):
                return f"{limit.name} step {step}: {drawn} is above the limit"
    return None
