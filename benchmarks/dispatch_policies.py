"""Days of the plans' benchmark (`optimizer_days`) played through the dispatch."""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from typing_extensions import override

from benchmarks.dispatch_days import site_of
from benchmarks.dispatch_setting import Setting
from benchmarks.dispatch_station import Visit
from benchmarks.dispatch_tally import Tally
from benchmarks.dispatch_world import World
from benchmarks.optimizer_days import STEP_S, Day
from gateway.domain.topology import Load, Site
from gateway.services.dispatch_ports import Solver
from optimizer import CabinetProblem, Fallback, Outcome, reasons, rules, solve
from optimizer.layout import DJ_PER_WH, Layout

POLICIES: Final = ("edf", "edf_packed", "finish", "economy")
FULL_SHARE: Final = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A day as its drivers and its operator see it.

    Attributes:
        energy: Delivered over wanted.
        full: Share of the cars that left with 99 % of what they wanted.
        worst: Delivered over wanted of the car that fared worst.
    """

    energy: float
    full: float
    worst: float
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
        mode = "finish" if is_rule else policy
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
    day: Day,
    *,
    step_s: float = 10.0,
    frees_phases: bool = True,
    margin_a: float = 0.0,
    is_wired_alike: bool = False,
) -> Setting:
    """A day as a site: every car at an EVSE of its own, other loads metered by phase.

    Cars take what they want at full current to the end: as in the plans' benchmark. A
    margin comes on top of the limit, so that cars have the same room with any. EVSEs
    have three phases or, ``is_wired_alike``, those that their car uses.
    """
    first = max(0, min(car.arrival_step for car in day.cars) - 1)
    last = min(day.n_step, max(car.departure_step for car in day.cars) + 1)
    site = site_of(
        len(day.cars),
        limit_a=day.limit_a[0] + margin_a,
        margin_a=margin_a,
        default_energy_wh=day.usual_wh,
        default_stay_s=day.usual_stay * STEP_S,
    )
    stations = tuple(
        replace(
            station,
            evses=(
                replace(
                    station.evses[0],
                    phases=car.phases if is_wired_alike else _rotated(car.phases),
                ),
            ),
        )
        for station, car in zip(site.stations, day.cars, strict=True)
    )
    loads = tuple(
        Load(
            id=f"phase {phase}",
            cabinet_id=site.cabinets[0].id,
            phases=(phase,),
            worst_case_da=round(max(row) * 10) + 10,
        )
        for phase, row in enumerate(day.load_a)
    )

    def prices(start: datetime, step_s: int, n_step: int) -> list[int]:
        from_step = int((start - day.start).total_seconds() // step_s)
        return [
            day.price_micro[(from_step + step) % day.n_step] for step in range(n_step)
        ]

    whole: Site = replace(
        site, stations=stations, loads=loads, free_unused_phases=frees_phases
    )
    return Setting(
        site=whole,
        visits=[
            Visit(
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
            for index, car in enumerate(day.cars)
        ],
        hours=(last - first) * STEP_S / 3600,
        step_s=step_s,
        start=day.start + timedelta(seconds=first * STEP_S),
        loads_a={f"phase {p}": row[first:] for p, row in enumerate(day.load_a)},
        prices=prices,
        seed=day.seed,
    )


def play(
    day: Day,
    policy: str,
    *,
    frees_phases: bool = True,
    margin_a: float = 0.0,
    is_wired_alike: bool = False,
) -> Score:
    """Play a day with one policy; see ``setting_of``."""
    setting = setting_of(
        day,
        frees_phases=frees_phases,
        margin_a=margin_a,
        is_wired_alike=is_wired_alike,
    )
    tally = PolicyWorld(setting, policy).run()
    shares = [
        tally.delivered_wh.get(index, 0.0) / visit.energy_wh
        for index, visit in enumerate(setting.visits)
    ]
    wanted_wh = sum(visit.energy_wh for visit in setting.visits)
    return Score(
        energy=sum(tally.delivered_wh.values()) / wanted_wh,
        full=sum(share >= FULL_SHARE for share in shares) / len(shares),
        worst=min(shares),
        tally=tally,
    )


def _rotated(phases: tuple[int, ...]) -> tuple[int, ...]:
    """The wiring of a three-phase EVSE whose first terminals a car draws on."""
    return (*phases, *(phase for phase in range(3) if phase not in phases))
