"""The closed loop of a day: plan again at every step, knowing only who is there.

``run`` plays a day with a policy. Every 15 minutes the policy sees the cars that are
plugged in, what they (or the operator's defaults) say they need, and forecasts; step 0
of its answer is applied as it stands. Everything above a limit is counted, whoever
planned it.
"""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from random import Random
from typing import Final

from benchmarks.optimizer_days import (
    NOMINAL_V,
    STEP_S,
    Car,
    Day,
    Disturbance,
    Kind,
    draw,
)
from benchmarks.optimizer_past import HISTORY, past_stays
from optimizer import clock, forecast, rules
from optimizer.chain import first_proven
from optimizer.layout import Currents, Layout
from optimizer.leaving import uncertain
from optimizer.maxplus_fast import Fast
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from optimizer.relaxed import RelaxedProblem
from optimizer.repair import first_permitted
from optimizer.rescue import rescued
from optimizer.spare_time import with_spare_time

HORIZON: Final = 96
"""Steps of every plan, as in the gateway."""

FULL: Final = 0.99
"""A driver with this part of the need is fully served."""

_TOP_UP_WH: Final = 2_000
_OVERDUE: Final = 4
_DEADLINE_S: Final = 60.0
_STEP_H: Final = STEP_S / 3600
_SLACK_A: Final = 1e-6


class Policy(StrEnum):
    """Who decides; ``LEARNT`` and ``FORESEEN`` also know past days.

    See ``optimizer.leaving``; ``FORESEEN`` also ``optimizer.forecast``.
    """

    EDF = "edf"
    LLF = "llf"
    EQUAL = "equal"
    UNCONTROLLED = "uncontrolled"
    EDF_PACKED = "edf_packed"
    FINISH = "finish"
    FAIR = "fair"
    ECONOMY = "economy"
    LEARNT = "learnt"
    AUTO = "auto"
    FORESEEN = "foreseen"


_KNOWING: Final = frozenset({Policy.LEARNT, Policy.FORESEEN})
_RULES: Final[dict[Policy, Callable[[Layout], Currents]]] = {
    Policy.EDF: rules.edf,
    Policy.LLF: rules.llf,
    Policy.EQUAL: rules.equal_share,
    Policy.UNCONTROLLED: rules.uncontrolled,
    Policy.EDF_PACKED: rules.edf_packed,
}
_MODES: Final = {
    Policy.FINISH: Mode.FINISH,
    Policy.LEARNT: Mode.FINISH,
    Policy.FAIR: Mode.FAIR,
    Policy.ECONOMY: Mode.ECONOMY,
    Policy.AUTO: Mode.AUTO,
    Policy.FORESEEN: Mode.AUTO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a day came to.

    Attributes:
        delivered_wh: Shape (n_car,).
        wanted_wh: Shape (n_car,): what each car would have taken.
        cost: Currency paid for the energy of the cars.
        switches: Starts and pauses of cars that still want energy.
        plugged_h: Hours that cars were plugged in, all together.
        violation_a: Most current above a limit on any phase, A; 0 for none.
        cpu_ms: Per decision, CPU time of the policy.
        n_fallback: Decisions for which no solver had a proof.
    """

    delivered_wh: tuple[float, ...]
    wanted_wh: tuple[int, ...]
    cost: float
    switches: int
    plugged_h: float
    violation_a: float
    cpu_ms: tuple[float, ...]
    n_fallback: int

    @property
    def served(self) -> tuple[float, ...]:
        """Part of the need that each car got."""
        return tuple(
            got / want
            for got, want in zip(self.delivered_wh, self.wanted_wh, strict=True)
        )

    @property
    def energy(self) -> float:
        """Part of all wanted energy that was delivered."""
        return sum(self.delivered_wh) / sum(self.wanted_wh)

    @property
    def full(self) -> float:
        """Part of the drivers who were fully served."""
        return statistics.fmean(part >= FULL for part in self.served)

    @property
    def worst(self) -> float:
        """What the worst served driver got."""
        return min(self.served)

    @property
    def p10(self) -> float:
        """What the driver at the tenth percentile got."""
        return sorted(self.served)[math.ceil(len(self.served) / 10) - 1]

    @property
    def cost_per_kwh(self) -> float:
        """Currency per delivered kWh."""
        return self.cost / (sum(self.delivered_wh) / 1000)

    @property
    def switches_per_h(self) -> float:
        """Starts and pauses per hour plugged in."""
        return self.switches / self.plugged_h


@dataclass(slots=True)
class _Cable:
    """State of one plugged-in car."""

    car: Car
    rest_wh: float
    limit_a: float = 0.0
    switches: int = 0

    def need_wh(self, day: Day) -> int:
        """What is still needed as far as the policy can know."""
        if self.car.is_stated:
            return int(self.rest_wh)
        return int(max(day.usual_wh - self.had_wh, _TOP_UP_WH))

    @property
    def had_wh(self) -> float:
        """What it got up to now."""
        return self.car.energy_wh - self.rest_wh

    def leaves(self, day: Day, step: int) -> int:
        """When the policy believes that it leaves, in steps from now."""
        if self.car.is_stated:
            says = self.car.stated_step - step
            return says if says > 0 else _OVERDUE
        return max(self.car.arrival_step + day.usual_stay - step, _OVERDUE)


def run(day: Day, policy: Policy) -> Score:
    """Play a day; see ``optimizer_days`` for days with surprises or silent drivers."""
    cables = [_Cable(car, float(car.energy_wh)) for car in day.cars]
    cost, violation_a, n_fallback = 0.0, 0.0, 0
    cpu_ms: list[float] = []
    for step in range(day.n_step):
        here = [
            cable
            for cable in cables
            if cable.car.arrival_step <= step < cable.car.departure_step
            and cable.rest_wh >= 1
        ]
        if not here:
            continue
        problem = _problem(day, step, here, policy)
        past = past_draw(day.kind, step) if policy is Policy.FORESEEN else None
        began_s = time.process_time()
        if past is not None:
            problem = forecast.foreseen(problem, {"A": past})
        problem = forecast.unwaiting(
            problem, {str(n) for n, one in enumerate(here) if not one.car.is_stated}
        )
        problem = with_spare_time(problem)
        if policy not in _RULES:
            had = {str(n): one.had_wh for n, one in enumerate(here)}
            problem = rescued(problem, had)
        limits_da, is_fallback = _decide(problem, policy)
        cpu_ms.append(1000 * (time.process_time() - began_s))
        n_fallback += is_fallback
        drawn_kw = 0.0
        used_a = [0.0, 0.0, 0.0]
        for cable, limit_da in zip(here, limits_da, strict=True):
            for phase in cable.car.phases:
                used_a[phase] += limit_da / 10
            drawn_kw += _charge(cable, limit_da / 10)
        cost += cost_of(day, step, drawn_kw)
        above_a = max(
            used - head for used, head in zip(used_a, day.head_a(step), strict=True)
        )
        violation_a = max(violation_a, above_a if above_a > _SLACK_A else 0.0)
    return Score(
        delivered_wh=tuple(c.car.energy_wh - c.rest_wh for c in cables),
        wanted_wh=tuple(c.car.energy_wh for c in cables),
        cost=cost,
        switches=sum(c.switches for c in cables),
        plugged_h=sum(c.departure_step - c.arrival_step for c in day.cars) * _STEP_H,
        violation_a=violation_a,
        cpu_ms=tuple(cpu_ms),
        n_fallback=n_fallback,
    )


def _decide(problem: CabinetProblem, policy: Policy) -> tuple[list[int], bool]:
    """Return the limits of step 0, 0.1 A, and whether they are a fallback's.

    As ``solve`` decides, without the later steps, the check and the certificate.
    """
    if policy in _RULES:
        return [row[0] for row in _RULES[policy](Layout.of(problem))], False
    relaxed = RelaxedProblem.of(Layout.of(problem))
    until_s = clock.monotonic_s() + _DEADLINE_S
    answer = first_proven(relaxed, "auto", until_s, clock.monotonic_s, [])
    if answer is None:
        return [row[0] for row in rules.edf_packed(relaxed.layout, Fast())], True
    return first_permitted(relaxed, answer.proven.current_ua, Fast()), False


@cache
def past_draw(kind: Kind, step: int) -> forecast.Expected:
    """What cars that come after a step drew on past days."""
    days = [
        [
            forecast.Visit(
                arrival_step=car.arrival_step,
                n_step=car.departure_step - car.arrival_step,
                energy_wh=car.energy_wh,
                n_phase=len(car.phases),
            )
            for car in draw(kind, 63, seed).cars
        ]
        for seed in HISTORY
    ]
    return forecast.expected_a(
        days, now_step=step, n_step=HORIZON, step_s=STEP_S, nominal_v=NOMINAL_V
    )


def _problem(day: Day, step: int, here: list[_Cable], policy: Policy) -> CabinetProblem:
    """What the policy gets to see. Rules decide on step 0 alone: they see no more."""
    n_step = 1 if policy in _RULES else HORIZON
    ahead = [(step + offset) % day.n_step for offset in range(n_step)]
    head, sun = [1.0] * n_step, [1.0] * n_step
    if day.disturbance is Disturbance.NOISE:
        rng = Random(f"noise/{day.kind}/{day.seed}/{step}")
        bias = Random(f"bias/{day.kind}/{day.seed}").uniform(0.6, 1.4)
        head = [1.0, *(rng.gauss(1, 0.15) for _ in ahead[1:])]
        sun = [1.0, *(bias * max(0.0, rng.gauss(1, 0.4)) for _ in ahead[1:])]
    limit_a = [
        [
            max(0.0, head[at] * (day.limit_a[t] - day.load_a[phase][t]))
            for at, t in enumerate(ahead)
        ]
        for phase in range(3)
    ]
    return CabinetProblem(
        group_id=f"{day.kind}{day.seed}",
        start=day.start,
        step_s=STEP_S,
        n_step=n_step,
        nominal_v=NOMINAL_V,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=limit_a, reserved_a=[[0.0] * n_step] * 3
            ),
        ),
        sessions=tuple(
            _session(str(index), cable, day, step, policy)
            for index, cable in enumerate(here)
        ),
        import_price_micro_per_kwh=[day.price_micro[t] for t in ahead],
        feed_in_price_micro_per_kwh=[day.feed_in_micro] * n_step,
        pv_w=[sun[at] * day.sun_w[t] for at, t in enumerate(ahead)],
        mode=_MODES.get(policy, Mode.FINISH),
    )


def _session(
    name: str, cable: _Cable, day: Day, step: int, policy: Policy
) -> EvSession:
    car = cable.car
    session = EvSession(
        session_id=name,
        cabinet_id="A",
        phases=car.phases,
        energy_wh=cable.need_wh(day),
        departure_step=cable.leaves(day, step),
        max_a=car.max_a,
        present_a=cable.limit_a,
    )
    if policy not in _KNOWING:
        return session
    past = past_stays(day.kind, day.disturbance)
    if car.is_stated:
        likely = [car.stated_step - step + later for later in past.later]
    else:
        begin = car.arrival_step
        likely = [begin + stay - step for stay in past.like(begin)]
    return uncertain(session, likely)


def _charge(cable: _Cable, limit_a: float) -> float:
    """Let a car draw what it is allowed to; returns its mean power, kW."""
    if (limit_a > 0) != (cable.limit_a > 0):
        cable.switches += 1
    cable.limit_a = limit_a
    drawn_wh = min(cable.rest_wh, 1000 * limit_a * cable.car.kw_per_a * _STEP_H)
    cable.rest_wh -= drawn_wh
    return drawn_wh / 1000 / _STEP_H


def cost_of(day: Day, step: int, drawn_kw: float) -> float:
    """What the energy of a step costs: sun first, at what it would have earned."""
    sunny_kw = min(drawn_kw, day.sun_w[step] / 1000)
    bought_kw = drawn_kw - sunny_kw
    micro = bought_kw * day.price_micro[step] + sunny_kw * day.feed_in_micro
    return micro * _STEP_H / 1e6
