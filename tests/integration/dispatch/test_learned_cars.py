"""What cars show of themselves changes plans, through the whole of the dispatch."""

import asyncio
import json
import zlib
from datetime import timedelta
from pathlib import Path

from gateway.domain.car_facts import CarFacts
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.session import SessionPhase
from gateway.services.group_runner import GroupRunner
from gateway.services.limit_words import binding_of
from gateway.store import car_facts
from tests.integration.dispatch.yard import (
    EPOCH,
    FakeSessions,
    Yard,
    site_of,
    until,
    yard,
)


async def settled(place: Yard, *, n_station: int) -> None:
    for number in range(1, n_station + 1):
        place.boot(number)
    await until(
        lambda: all(s.default is not None for s in place.links.stations.values())
    )


def runner_of(place: Yard) -> GroupRunner:
    runner = place.dispatch.runner(StationId("CP1"))
    assert runner is not None
    return runner


def ceiling_da(place: Yard, number: int) -> int | None:
    ref = EvseRef(station_id=StationId(f"CP{number}"), evse_id=1)
    return runner_of(place).state.evses[ref].car.ceiling_da


async def sampled(place: Yard, number: int, most_a: float, *, seconds: float) -> None:
    """A car that takes at most so much tells its current all the time."""
    for _ in range(round(seconds / 0.1)):
        limit_a = (place.limit_da(number) or 0) / 10
        place.report(number, current_a=min(limit_a, most_a))
        await asyncio.sleep(0.1)


async def test_what_a_small_car_leaves_goes_to_the_next(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(2, limit_a=43)) as place:
        await settled(place, n_station=2)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        async with asyncio.timeout(20):
            while ceiling_da(place, 1) is None:
                await sampled(place, 1, 11.0, seconds=0.5)
        await until(lambda: place.limit_da(1) == 120)
        place.report(1, current_a=11.0)
        place.report(2)
        await until(lambda: (place.limit_da(2) or 0) >= 200)
        assert place.total_da() <= 320


async def test_what_a_car_showed_is_known_after_a_restart_until_it_leaves(
    tmp_path: Path,
) -> None:
    sessions = FakeSessions()
    async with yard(tmp_path, site_of(1), sessions=sessions) as place:
        await settled(place, n_station=1)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)
        async with asyncio.timeout(20):
            while ceiling_da(place, 1) is None:
                await sampled(place, 1, 11.0, seconds=0.5)
        await until(
            lambda: len(place.rows("SELECT * FROM car_fact WHERE taken_da")) == 1
        )
        known = ceiling_da(place, 1)
        stopped_at = place.clock.now()
    later = stopped_at + timedelta(minutes=1)
    async with yard(tmp_path, site_of(1), sessions=sessions, epoch=later) as place:
        assert known == 120
        await until(lambda: ceiling_da(place, 1) == known, within_s=20)
        place.report(1, phase=SessionPhase.ENDED)
        await until(lambda: place.rows("SELECT * FROM car_fact") == [])
        assert ceiling_da(place, 1) is None


async def test_what_a_car_takes_is_not_believed_long_after(tmp_path: Path) -> None:
    sessions = FakeSessions()
    async with yard(tmp_path, site_of(1), sessions=sessions) as place:
        session_id = place.report(1).session_id
        seen = CarFacts(n_phase=1, taken_da=110, taken_at=EPOCH, peak_da=300)
        await place.writer.run(lambda conn: car_facts.put(conn, session_id, seen))
    later = EPOCH + timedelta(hours=3)
    async with yard(tmp_path, site_of(1), sessions=sessions, epoch=later) as place:
        ref = EvseRef(station_id=StationId("CP1"), evse_id=1)
        phases_only = CarFacts(n_phase=1, peak_da=300)
        await until(
            lambda: runner_of(place).state.evses[ref].car == phases_only, within_s=20
        )


async def test_a_storm_of_plugs_is_planned_a_few_times_not_once_for_each(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(12)) as place:
        await settled(place, n_station=12)
        await asyncio.sleep(1.0)
        before, loop = len(place.solver.problems), asyncio.get_running_loop()
        began_s = loop.time()
        for number in range(1, 13):
            place.report(number)
            await asyncio.sleep(0.05)
        await until(lambda: len(place.solver.problems[-1].sessions) == 12)
        n_gap = (loop.time() - began_s) / 0.5  # the least pause between two
        assert len(place.solver.problems) - before <= 2 + n_gap


async def test_the_limit_that_binds_is_named_and_kept_with_the_plan(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(3, limit_a=43), proven=True) as place:
        place.solver.engine = "auto"
        await settled(place, n_station=3)
        for number in (1, 2, 3):
            place.report(number)
        await until(lambda: len(place.solver.problems[-1].sessions) == 3)
        runner = runner_of(place)
        await until(
            lambda: (
                runner.planning.plan is not None
                and len(runner.planning.plan.congestion) > 0
            )
        )
        now = place.clock.now()
        one = runner.state.evses[EvseRef(station_id=StationId("CP1"), evse_id=1)]
        binding = binding_of(runner, one, now)
        assert binding is not None
        assert binding.cabinet_id == CabinetId("A")
        assert binding.words.startswith("Cabinet A is full on L")
        assert binding.micro_per_kwh > 0
        view = place.dispatch.plan(CabinetId("A"))
        assert view is not None
        assert binding in view.bindings
        (stored,) = place.rows("SELECT result FROM plan ORDER BY plan_id DESC LIMIT 1")
        assert isinstance(stored[0], bytes)
        result = json.loads(zlib.decompress(stored[0]))
        assert result["congestion"][0]["cabinet_id"] == "A"
        assert result["congestion"][0]["micro_per_ah"] > 0
