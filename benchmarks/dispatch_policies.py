"""Days of the plans' benchmark (`optimizer_days`) played through the dispatch."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from typing_extensions import override

from benchmarks.dispatch_days import site_of
from benchmarks.dispatch_past import PastArrivals, past_needs
from benchmarks.dispatch_setting import Setting, Trouble
from benchmarks.dispatch_station import Visit
from benchmarks.dispatch_tally import Tally
from benchmarks.dispatch_ways import USUAL, Ways
from benchmarks.dispatch_world import World
from benchmarks.optimizer_days import STEP_S, Car, Day
from benchmarks.optimizer_loop import cost_of
from gateway.domain.topology import Load, Pv, Site, Station
from gateway.services.dispatch_ports import Solver
from optimizer import CabinetProblem, Fallback, Outcome, reasons, rules, solve
from optimizer.layout import DJ_PER_WH, Layout

POLICIES: Final = (
    "edf",
    "edf_packed",
    "finish",
    "learnt",
    "economy",
    "foreseen",
)
"""As in the plans' benchmark; `KNOWING` ones also know past days."""

KNOWING: Final = frozenset({"learnt", "foreseen"})
_MODES: Final = {"learnt": "finish", "foreseen": "auto"}
FULL_SHARE: Final = 0.99
FLOOR_DA: Final = 60
ANNOUNCED_S: Final = 60.0
"""So soon after the start of a day an operator sets the lower limit of its drop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A day as its drivers and its operator see it.

    Attributes:
        energy: Delivered over wanted.
        full: Share of the cars that left with 99 % of what they wanted.
        worst: Delivered over wanted of the car that fared worst.
        cost_per_kwh: Of what cars drew, PV at what it would have earned.
    """

    energy: float
    full: float
    worst: float
    cost_per_kwh: float
    tally: Tally


class PlainEdf:
    """Earliest departure first, as the rule gives it, without any packing."""

    def __init__(self, took_s: float, tally: Tally) -> None:
        self._took_s = took_s
        self._tally = tally

    async def solve(
        self, problem: CabinetProblem, *, is_urgent: bool = True
    ) -> Outcome:
        """See `dispatch_ports.Solver`."""
        del is_urgent  # there is one group, and nobody to wait for
        began_s = time.thread_time()
        outcome = solve(problem, deadline_s=30.0, engine="edf")
        layout = Layout.of(problem)
        currents = rules.edf(layout)
        plan = replace(
            outcome.plan,
            currents_da=currents,
            energy_wh=tuple(
                layout.delivered_dj(index, row) // DJ_PER_WH
                for index, row in enumerate(currents)
            ),
            shortfall_wh=reasons.shortfalls_wh(layout, currents),
            reasons=(),
        )
        self._tally.solver_cpu_s += time.thread_time() - began_s
        self._tally.solves += 1
        await asyncio.sleep(self._took_s)
        return Fallback(plan=plan, certificate=outcome.certificate, why="by rule")


class PolicyWorld(World):
    """A world whose plans one of `POLICIES` makes."""

    def __init__(self, setting: Setting, policy: str) -> None:
        is_rule = policy.startswith("edf")
        mode = "finish" if is_rule else _MODES.get(policy, policy)
        super().__init__(
            replace(setting, mode=mode), engine="edf" if is_rule else "auto"
        )
        self._policy = policy

    @override
    def solver(self) -> Solver:
        if self._policy == "edf":
            return PlainEdf(self.setting.solve_s, self.tally)
        return super().solver()


def setting_of(
    day: Day, ways: Ways = USUAL, *, knows_past: bool = False, step_s: float = 10.0
) -> Setting:
    """A day as a site: every car at an EVSE of its own, other loads metered by phase.

    Cars take what they want at full current to the end: as in the plans' benchmark.

    Args:
        day: From `Ways.day`, which knows who says what.
        ways: What the site is like.
        knows_past: Stays of silent drivers, and how wrong others are, come from past
            days; otherwise the site's configuration says how long silent ones stay.
        step_s: Of the physics.
    """
    first = max(0, min(car.arrival_step for car in day.cars) - 1)
    last = min(day.n_step, max(car.departure_step for car in day.cars) + 1)
    lower = [step for step, amps in enumerate(day.limit_a) if amps < max(day.limit_a)]
    begins_s = (lower[0] - first) * STEP_S if lower else 0.0
    return Setting(
        site=_site_of(day, ways, knows_past=knows_past),
        visits=[_visit(index, car, first) for index, car in enumerate(day.cars)],
        troubles=[
            Trouble(
                at_s=ANNOUNCED_S,
                kind="limit",
                value=day.limit_a[lower[0]] + ways.margin_a,
            )
        ]
        if lower
        else [],
        notice_s=begins_s - ANNOUNCED_S,
        drop_s=len(lower) * STEP_S,
        hours=(last - first) * STEP_S / 3600,
        step_s=step_s,
        start=day.start + timedelta(seconds=first * STEP_S),
        loads_a={f"phase {p}": row[first:] for p, row in enumerate(day.load_a)},
        sun_w=day.sun_w[first:],
        prices=partial(_prices, day),
        feed_in=partial(_feed_in, day),
        need_defaults=past_needs(day) if knows_past else None,
        arrivals=PastArrivals(day=day) if knows_past else None,
        seed=day.seed,
    )


def play(day: Day, policy: str, ways: Ways = USUAL) -> Score:
    """Play a day with one policy; see ``setting_of``."""
    setting = setting_of(day, ways, knows_past=policy in KNOWING)
    tally = PolicyWorld(setting, policy).run()
    shares = [
        tally.delivered_wh.get(index, 0.0) / visit.energy_wh
        for index, visit in enumerate(setting.visits)
    ]
    wanted_wh = sum(visit.energy_wh for visit in setting.visits)
    delivered_wh = sum(tally.delivered_wh.values())
    return Score(
        energy=delivered_wh / wanted_wh,
        full=sum(share >= FULL_SHARE for share in shares) / len(shares),
        worst=min(shares),
        cost_per_kwh=_cost(day, setting, tally, ways) / (delivered_wh / 1000),
        tally=tally,
    )


def _site_of(day: Day, ways: Ways, *, knows_past: bool) -> Site:
    site = site_of(
        len(day.cars),
        limit_a=max(day.limit_a) + ways.margin_a,
        margin_a=ways.margin_a,
        default_energy_wh=day.usual_wh,
        default_stay_s=None if knows_past else day.usual_stay * STEP_S,
    )
    (cabinet,) = site.cabinets
    peak_w = round(max(day.sun_w))
    return replace(
        site,
        stations=tuple(
            _wired(station, car, ways, has_floor=_has_floor(index, day, ways))
            for index, (station, car) in enumerate(
                zip(site.stations, day.cars, strict=True)
            )
        ),
        loads=tuple(
            Load(
                id=f"phase {phase}",
                cabinet_id=cabinet.id,
                phases=(phase,),
                worst_case_da=round(max(row) * 10) + 10,
            )
            for phase, row in enumerate(day.load_a)
        ),
        pvs=(Pv(id="roof", cabinet_id=cabinet.id, peak_w=peak_w),)
        if ways.has_pv
        else (),
        free_unused_phases=ways.frees_phases,
    )


def _wired(station: Station, car: Car, ways: Ways, *, has_floor: bool) -> Station:
    (evse,) = station.evses
    phases = car.phases if ways.is_wired_alike else _rotated(car.phases)
    floor_da = FLOOR_DA if has_floor else 0
    return replace(station, evses=(replace(evse, phases=phases, floor_da=floor_da),))


def _has_floor(index: int, day: Day, ways: Ways) -> bool:
    """Evenly over the EVSEs, in the order in which their cars come."""
    n = len(day.cars)
    return (index + 1) * ways.n_floor // n > index * ways.n_floor // n


def _visit(index: int, car: Car, first: int) -> Visit:
    return Visit(
        station=index,
        arrival_s=(car.arrival_step - first) * STEP_S + 1.0,
        departure_s=float((car.departure_step - first) * STEP_S),
        energy_wh=car.energy_wh,
        stated_wh=car.energy_wh if car.is_stated else None,
        stated_departure_s=float((car.stated_step - first) * STEP_S)
        if car.is_stated
        else None,
        phases=len(car.phases),
        max_a=car.max_a,
    )


def _prices(day: Day, start: datetime, step_s: int, n_step: int) -> Sequence[int]:
    first = int((start - day.start).total_seconds() // step_s)
    return [day.price_micro[(first + step) % day.n_step] for step in range(n_step)]


def _feed_in(day: Day, start: datetime, step_s: int, n_step: int) -> Sequence[int]:
    del start, step_s  # it is the same all day
    return [day.feed_in_micro] * n_step


def _cost(day: Day, setting: Setting, tally: Tally, ways: Ways) -> float:
    """What cars' energy cost, as the plans' benchmark counts it."""
    billed = day if ways.has_pv else replace(day, sun_w=(0.0,) * day.n_step)
    first = int((setting.start - day.start).total_seconds() // STEP_S)
    hours = STEP_S / 3600
    return sum(
        cost_of(billed, min(first + quarter, day.n_step - 1), wh / 1000 / hours)
        for quarter, wh in tally.drawn_wh.items()
    )


def _rotated(phases: tuple[int, ...]) -> tuple[int, ...]:
    """The wiring of a three-phase EVSE whose first terminals a car draws on."""
    return (*phases, *(phase for phase in range(3) if phase not in phases))
