"""Days of charging at one cabinet, drawn from a seed: who comes, when, for how much.

The same kind and seed always give the same cars, loads, sun and prices, whatever the
limit is. Nothing here is fitted to a policy: the few constants of a kind were set once
so that earliest-departure-first delivers about what it is known to deliver on such
cabinets (work 63 A: 89.5 % of the energy, 82 % of the drivers fully served; public
50 A: 92 % and 78 %), on seeds 1 to 20, and are kept since.
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

STEP_S: Final = 900
N_STEP: Final = 96
"""Length of a day; forecasts repeat it for the hours after its end."""

NOMINAL_V: Final = 230
_PER_HOUR: Final = 3600 // STEP_S
_KW_PER_A: Final = NOMINAL_V / 1000


class Kind(StrEnum):
    """What sort of place the cabinet serves."""

    WORK = "work"
    HOME = "home"
    PUBLIC = "public"
    DEPOT = "depot"


class Mix(StrEnum):
    """Which phases the cars use.

    ``USUAL``: 60 % on three phases, 40 % on one; ``THREE``: all on three; ``SAME``: all
    on one and the same phase; ``TWO``: every third car on two phases.
    """

    USUAL = "usual"
    THREE = "three"
    SAME = "same"
    TWO = "two"


class Disturbance(StrEnum):
    """What differs from what was said or foreseen; the same for every policy.

    ``EARLY``: every fifth car leaves 15 to 120 minutes before it said; ``WRONG``: every
    stated departure is off by an hour (standard deviation), both ways; ``NOISE``: sun
    and headroom of later steps are forecast with errors (sun: 40 % and a bias of up to
    40 %; headroom: 15 %); ``DROP``: the limit falls to 40 % for three busy hours, as
    announced.
    """

    NONE = "none"
    EARLY = "early"
    WRONG = "wrong"
    NOISE = "noise"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """One visit.

    Attributes:
        arrival_step: First step in which it is plugged in.
        departure_step: First step in which it is gone, in truth.
        stated_step: When its driver said that it leaves.
        phases: Grid phases it draws on.
        max_a: Largest current, A per phase.
        energy_wh: What it takes until it is full; what its driver asks for.
        is_stated: Whether its driver said anything at all.
    """

    arrival_step: int
    departure_step: int
    stated_step: int
    phases: tuple[int, ...]
    max_a: float
    energy_wh: int
    is_stated: bool = True

    @property
    def kw_per_a(self) -> float:
        """Power of one ampere per phase, kW."""
        return _KW_PER_A * len(self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A cabinet over 24 hours.

    Attributes:
        kind: What sort of place.
        seed: Where the day comes from.
        start: Begin of step 0, UTC.
        limit_a: Shape (n_step,), A on each phase.
        load_a: Shape (3, n_step), A: everything else behind the cabinet.
        sun_w: Shape (n_step,), W of PV that only cars can use.
        price_micro: Shape (n_step,), millionths of the currency per kWh bought.
        feed_in_micro: Millionths per kWh of PV that nobody uses.
        cars: By arrival.
        usual_wh: What the operator assumes of a driver who says nothing.
        usual_stay: The same for the stay, steps.
        disturbance: What differs from what was said.
    """

    kind: Kind
    seed: int
    start: datetime
    limit_a: tuple[float, ...]
    load_a: tuple[tuple[float, ...], ...]
    sun_w: tuple[float, ...]
    price_micro: tuple[int, ...]
    feed_in_micro: int
    cars: tuple[Car, ...]
    usual_wh: int
    usual_stay: int
    disturbance: Disturbance = Disturbance.NONE

    @property
    def n_step(self) -> int:
        """Number of steps."""
        return len(self.limit_a)

    def head_a(self, step: int) -> tuple[float, ...]:
        """What cars may draw on each phase in a step, A."""
        return tuple(max(0.0, self.limit_a[step] - row[step]) for row in self.load_a)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Habit:
    """Constants of a kind; hours by the clock, energies in kWh."""

    first_hour: int
    load_a: tuple[float, float]
    sun_kw: float
    mean_kwh: float
    spread: float
    usual_wh: int
    usual_stay_h: float


_HABITS: Final = {
    Kind.WORK: _Habit(
        first_hour=0,
        load_a=(4, 12),
        sun_kw=25,
        mean_kwh=12.5,
        spread=0.55,
        usual_wh=13_000,
        usual_stay_h=7.5,
    ),
    Kind.HOME: _Habit(
        first_hour=12,
        load_a=(6, 16),
        sun_kw=12,
        mean_kwh=17,
        spread=0.6,
        usual_wh=18_000,
        usual_stay_h=12,
    ),
    Kind.PUBLIC: _Habit(
        first_hour=0,
        load_a=(2, 6),
        sun_kw=15,
        mean_kwh=13.1,
        spread=0.55,
        usual_wh=13_000,
        usual_stay_h=3,
    ),
    Kind.DEPOT: _Habit(
        first_hour=12,
        load_a=(6, 14),
        sun_kw=20,
        mean_kwh=35,
        spread=0.3,
        usual_wh=35_000,
        usual_stay_h=11,
    ),
}
_FEED_IN_MICRO: Final = 80_000
_HOURLY: Final = (
    *(0.22, 0.21, 0.20, 0.20, 0.21, 0.24, 0.30, 0.35, 0.36, 0.32, 0.28, 0.25),
    *(0.23, 0.23, 0.25, 0.28, 0.33, 0.39, 0.43, 0.43, 0.38, 0.32, 0.27, 0.24),
)
"""A dynamic tariff, currency per kWh by hour: cheap at night and at noon."""


def draw(
    kind: Kind,
    limit_a: float,
    seed: int,
    *,
    n: int = 30,
    mix: Mix = Mix.USUAL,
) -> Day:
    """Draw a day.

    Args:
        kind: What sort of place.
        limit_a: Of the cabinet, on each phase, A.
        seed: Any integer.
        n: How many cars come.
        mix: Which phases they use.
    """
    habit = _HABITS[kind]
    rng = Random(f"{kind}/{n}/{mix}/{seed}")
    hours = [(habit.first_hour + step / _PER_HOUR) % 24 for step in range(N_STEP)]
    price_by_hour = [price * math.exp(rng.gauss(0, 0.08)) for price in _HOURLY]
    cloud = rng.uniform(0.25, 1)
    cars = sorted(
        (_car(kind, habit, mix, rng) for _ in range(n)),
        key=lambda car: (car.arrival_step, car.departure_step, car.energy_wh),
    )
    return Day(
        kind=kind,
        seed=seed,
        start=datetime(2026, 6, 1, habit.first_hour, tzinfo=UTC) + timedelta(days=seed),
        limit_a=(limit_a,) * N_STEP,
        load_a=tuple(_load(habit, hours, rng) for _ in range(3)),
        sun_w=tuple(
            1000 * habit.sun_kw * cloud * _sun(hour) * rng.uniform(0.7, 1)
            for hour in hours
        ),
        price_micro=tuple(round(1e6 * price_by_hour[int(hour)]) for hour in hours),
        feed_in_micro=_FEED_IN_MICRO,
        cars=tuple(cars),
        usual_wh=habit.usual_wh,
        usual_stay=round(habit.usual_stay_h * _PER_HOUR),
    )


def disturbed(day: Day, disturbance: Disturbance) -> Day:
    """Return the day with something going otherwise than said."""
    rng = Random(f"{disturbance}/{day.kind}/{day.seed}")
    limit_a, cars = day.limit_a, list(day.cars)
    if disturbance is Disturbance.EARLY:
        for index, car in enumerate(cars):
            sooner = rng.randint(1, 8)
            if rng.random() < 0.2:  # noqa: PLR2004 - every fifth
                leaves = max(car.arrival_step + 1, car.departure_step - sooner)
                cars[index] = replace(car, departure_step=leaves)
    elif disturbance is Disturbance.WRONG:
        for index, car in enumerate(cars):
            stated = car.departure_step + round(rng.gauss(0, _PER_HOUR))
            stated = max(car.arrival_step + 2, stated)
            cars[index] = replace(car, stated_step=stated)
    elif disturbance is Disturbance.DROP:
        here = [
            sum(car.arrival_step <= step < car.departure_step for car in cars)
            for step in range(day.n_step)
        ]
        first = max(range(day.n_step - 12), key=lambda s: (sum(here[s : s + 12]), -s))
        limit_a = tuple(
            0.4 * limit if first <= step < first + 12 else limit
            for step, limit in enumerate(limit_a)
        )
    return replace(day, limit_a=limit_a, cars=tuple(cars), disturbance=disturbance)


def undeclared(day: Day, share: float) -> Day:
    """Return the day with this share of drivers saying nothing."""
    rng = Random(f"undeclared/{day.kind}/{day.seed}")
    cars = tuple(replace(car, is_stated=rng.random() >= share) for car in day.cars)
    return replace(day, cars=cars)


def _car(kind: Kind, habit: _Habit, mix: Mix, rng: Random) -> Car:
    phases, max_a = _wiring(mix, rng)
    arrives_h, stays_h = _visit(kind, rng)
    first = round((arrives_h - habit.first_hour) * _PER_HOUR)
    first = min(max(0, first), N_STEP - 3)
    last = min(N_STEP, first + max(2, round(stays_h * _PER_HOUR)))
    most_kwh = _KW_PER_A * len(phases) * max_a * (last - first) / _PER_HOUR
    wanted_kwh = habit.mean_kwh * rng.lognormvariate(
        -(habit.spread**2) / 2, habit.spread
    )
    energy_wh = int(1000 * max(1.5, min(wanted_kwh, 0.92 * most_kwh)))
    return Car(
        arrival_step=first,
        departure_step=last,
        stated_step=last,
        phases=phases,
        max_a=max_a,
        energy_wh=min(energy_wh, int(1000 * most_kwh)),
    )


def _wiring(mix: Mix, rng: Random) -> tuple[tuple[int, ...], float]:
    draw_phase, draw_kind, draw_max = rng.randrange(3), rng.random(), rng.random()
    three: tuple[int, ...] = (0, 1, 2)
    strong_a = 32.0 if draw_max < 0.3 else 16.0  # noqa: PLR2004 - three of ten
    if mix is Mix.SAME:
        return (0,), strong_a
    if mix is Mix.TWO and draw_kind < 1 / 3:
        return (draw_phase, (draw_phase + 1) % 3), 16.0
    if mix is Mix.THREE or draw_kind < 0.6:  # noqa: PLR2004 - six of ten
        return three, 32.0 if draw_max < 0.1 else 16.0  # noqa: PLR2004 - one of ten
    return (draw_phase,), strong_a


def _visit(kind: Kind, rng: Random) -> tuple[float, float]:
    """Hour of arrival (above 24 on the next morning) and length of a stay, h."""
    match kind:
        case Kind.WORK:
            if rng.random() < 0.25:  # noqa: PLR2004 - every fourth is a visitor
                return rng.uniform(8, 16), rng.uniform(1, 4)
            return rng.gauss(8.25, 1.0), max(3.0, rng.gauss(7.5, 1.3))
        case Kind.HOME:
            arrives_h = min(25.0, max(13.0, rng.gauss(18.3, 1.9)))
            return arrives_h, max(2.0, rng.gauss(31.3, 1.1) - arrives_h)
        case Kind.PUBLIC:
            around = 10.5 if rng.random() < 0.5 else 17.0  # noqa: PLR2004 - half
            return min(22.0, max(6.0, rng.gauss(around, 2.2))), min(
                9.0, 0.75 + rng.lognormvariate(0.7, 0.55)
            )
        case Kind.DEPOT:
            arrives_h = min(23.0, max(14.0, rng.gauss(17.5, 1.3)))
            return arrives_h, max(4.0, rng.gauss(30.0, 0.6) - arrives_h)


def _load(habit: _Habit, hours: list[float], rng: Random) -> tuple[float, ...]:
    low, high = habit.load_a
    scale = rng.uniform(0.7, 1.3)
    found, swing = [], 0.0
    for hour in hours:
        swing = 0.8 * swing + rng.gauss(0, 0.06)
        busy = math.exp(-(((hour - 13) / 5) ** 2) / 2)
        level = scale * (low + (high - low) * busy) * math.exp(swing)
        found.append(round(level, 1))
    return tuple(found)


def _sun(hour: float) -> float:
    return max(0.0, math.sin(math.pi * (hour - 5.5) / 15)) ** 1.5 if hour > 5.5 else 0.0  # noqa: PLR2004 - sunrise
