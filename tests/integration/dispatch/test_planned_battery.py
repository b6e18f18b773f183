"""A battery is planned beside a car and told so: meters, plans, commands together."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from gateway.config.meters import MeterPart
from gateway.domain.ids import CabinetId, SessionId
from gateway.domain.phases import ALL_PHASES
from gateway.domain.session import SessionPhase
from gateway.domain.topology import Battery, Site
from gateway.meters.poller import Meter, Poller
from gateway.meters.port import Measured
from gateway.meters.simulated import SimulatedBattery, SimulatedSite
from gateway.services.batteries import Batteries
from gateway.services.battery_plans import BatteryPlans
from gateway.services.battery_rule import BY_PLAN
from gateway.store import plans as plan_rows
from optimizer import CabinetProblem, certificate
from tests.integration.dispatch.yard import EPOCH, Yard, site_of, until, yard

SPEED = 10.0
BATTERY = Battery(
    id="cellar",
    cabinet_id=CabinetId("A"),
    capacity_wh=10_000,
    max_charge_w=3_000,
    max_discharge_w=3_000,
    is_controlled=True,
    follows_plan=True,
    target_percent=90,
)


def prices(start: datetime, step_s: int, n_step: int) -> Sequence[int]:
    """Cheap for the first hours, then dear."""
    dear = EPOCH + timedelta(hours=6)
    return [
        100_000 if start + timedelta(seconds=step * step_s) < dear else 400_000
        for step in range(n_step)
    ]


def place_of(limit_a: int) -> Site:
    place = site_of(1, limit_a=limit_a)
    cabinet = replace(place.cabinets[0], feeder_meter="grid")
    return replace(place, cabinets=(cabinet,), batteries=(BATTERY,))


@dataclass
class Cellar:
    """The yard with its battery."""

    yard: Yard
    plans: BatteryPlans
    batteries: Batteries
    battery: SimulatedBattery

    def is_heard(self) -> bool:
        """Whether plans can count with it."""
        return self.plans.energy_wh("cellar", self.yard.clock.now()) is not None

    def was_told_by_plan(self) -> bool:
        """Whether a plan made it charge."""
        told = self.batteries.states["cellar"].history
        return any(one.why == BY_PLAN and one.power_w > 0 for one in told)

    def newest_plan(self) -> tuple[CabinetProblem, dict[str, object]] | None:
        """The newest plan that was stored, if a battery is in it."""
        found = self.yard.rows("SELECT max(plan_id) FROM plan")[0][0]
        if not isinstance(found, int):
            return None
        conn = sqlite3.connect(self.yard.writer.path)
        try:
            row = plan_rows.plan(conn, found)
        finally:
            conn.close()
        if row is None or row.certificate is None:
            return None
        problem = CabinetProblem.from_json(json.loads(row.problem))
        return (problem, json.loads(row.certificate)) if problem.batteries else None


@asynccontextmanager
async def cellar(path: Path, *, limit_a: int) -> AsyncIterator[Cellar]:
    """A running yard whose meters are made up and read all the time."""
    site, plans = place_of(limit_a), BatteryPlans()
    async with yard(path, site, speed=SPEED, prices=prices, batteries=plans) as place:
        place.solver.engine = "auto"
        made_up = SimulatedSite(
            site, clock=place.clock, made_up={"cellar", "grid", "pump"}
        )

        async def tell(battery_id: str, power_w: int) -> None:
            await made_up.device(battery_id).set_power_w(power_w)

        batteries = Batteries(
            site=site,
            cabinets=place.dispatch,
            bus=place.bus,
            clock=place.clock,
            put=place.dispatch.put_reading,
            tell=tell,
            prices=prices,
            plans=plans,
        )

        def held(battery_id: str, measured: Measured, at: datetime) -> None:
            batteries.heard(
                battery_id,
                power_w=measured.power_w,
                energy_wh=measured.energy_wh,
                soc_percent=measured.soc_percent,
                at=at,
            )

        poller = Poller(
            [
                Meter(
                    id=name,
                    part=part,
                    device=made_up.device(name),
                    phases=ALL_PHASES,
                    interval_s=2,
                    deadline_s=5,
                    stale_after_s=300,
                    nominal_v=230,
                )
                for part, name in (
                    (MeterPart.BATTERY, "cellar"),
                    (MeterPart.LOAD, "pump"),
                    (MeterPart.FEEDER, "grid"),
                )
            ],
            put=batteries.put,
            clock=place.clock,
            held=held,
        )
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(poller.run()),
                tasks.create_task(batteries.run()),
            ]
            yield Cellar(place, plans, batteries, made_up.batteries["cellar"])
            for task in running:
                task.cancel()


async def test_it_is_planned_with_a_car_and_told_what_the_plan_says(
    tmp_path: Path,
) -> None:
    async with cellar(tmp_path, limit_a=63) as one:
        one.yard.boot(1)
        await until(one.is_heard)
        one.yard.report(1)
        await until(one.was_told_by_plan)
        await until(lambda: one.battery.power_w > 0)
        await until(lambda: one.newest_plan() is not None)
        found = one.newest_plan()
        assert found is not None
        problem, made = found
        verdict = certificate.verify(problem, made)
        assert verdict.holds, verdict
        assert verdict.is_optimal
        assert [battery.battery_id for battery in problem.batteries] == ["cellar"]


async def test_a_car_that_needs_all_gets_it_and_the_battery_waits(
    tmp_path: Path,
) -> None:
    """26 A less margin and a pump at its worst are 15 A: for the car alone."""
    async with cellar(tmp_path, limit_a=26) as one:
        one.yard.boot(1)
        await until(one.is_heard)
        one.yard.report(1)
        await until(lambda: one.newest_plan() is not None)
        await until(lambda: (one.yard.limit_da(1) or 0) >= 60)
        one.yard.report(1, phase=SessionPhase.ENDED)
        assert SessionId("s1") not in one.yard.sessions.open
        await until(one.was_told_by_plan)
