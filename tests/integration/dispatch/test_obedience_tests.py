"""Obedience tests that are planned, and the history of all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.domain.ids import StationId
from gateway.domain.obedience_plan import ObediencePlan
from gateway.domain.session import SessionPhase
from gateway.errors import RequestError
from gateway.services.commissioning import Commissioning
from gateway.services.obedience_tests import ObedienceTests, Trial
from gateway.store.commissioning import Cause
from gateway.store.times import to_text
from tests.integration.dispatch.yard import Yard, site_of, until, yard

CP1 = StationId("CP1")
NO_TESTS = "SELECT count(*) FROM commissioning_test"


def desk_of(place: Yard, trial: Trial | None = None) -> ObedienceTests:
    commissioning = Commissioning(
        dispatch=place.dispatch,
        stations=place.links,
        clock=place.clock,
        firmware_of=lambda _: "1.2",
        step_within_s=3.0,
        return_within_s=3.0,
    )
    return ObedienceTests(
        test=trial or commissioning.run,
        dispatch=place.dispatch,
        writer=place.writer,
        clock=place.clock,
        site=lambda: place.wired[0],
        firmware_of=lambda _: "1.2",
        look_s=0.05,
    )


@asynccontextmanager
async def idle_station(folder: Path) -> AsyncIterator[Yard]:
    async with yard(folder, site_of(1), proven=False) as place:
        place.boot(1)
        known = "SELECT leftovers_known FROM station_trust"
        await until(lambda: place.rows(known) == [(1,)], within_s=20)
        yield place


async def test_what_was_asked_for_is_kept_with_its_steps(tmp_path: Path) -> None:
    async with idle_station(tmp_path) as place:
        tests = desk_of(place)
        assert (await tests.asked(CP1))["is_proven"] is True
        (kept,) = await tests.history(CP1)
        assert (kept.cause, kept.is_proven, kept.firmware) == (Cause.ASKED, True, "1.2")
        assert [step["step"] for step in kept.steps] == ["default", "step", "drop"]
        assert kept.started_at < kept.ended_at
        await tests.after_firmware(CP1)
        causes = [one.cause for one in await tests.history(CP1)]
        assert causes == [Cause.FIRMWARE, Cause.ASKED], "latest first"


async def test_a_planned_test_waits_for_its_time_and_for_nobody_to_charge(
    tmp_path: Path,
) -> None:
    async with idle_station(tmp_path) as place:
        tests = desk_of(place)
        now = place.clock.now()
        due_at = now + timedelta(seconds=30)
        await tests.put_plan(ObediencePlan(station_id=CP1, due_at=due_at, every_days=7))
        place.report(1)
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        charging = runner.state.stations[CP1].evses
        await until(lambda: charging[0].session is not None, within_s=20)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(tests.run())
            await until(lambda: place.clock.now() > due_at, within_s=20)
            await asyncio.sleep(0.3)
            assert place.rows(NO_TESTS) == [(0,)], "somebody charges"
            place.report(1, phase=SessionPhase.ENDED)
            await until(lambda: place.rows(NO_TESTS) == [(1,)], within_s=20)
            planned = "SELECT due_at FROM commissioning_plan"
            then = to_text(due_at + timedelta(days=7))
            await until(lambda: place.rows(planned) == [(then,)], within_s=20)
            task.cancel()
        (kept,) = await tests.history(CP1)
        assert (kept.cause, kept.is_proven) == (Cause.SCHEDULE, True)


async def test_a_test_that_cannot_be_run_is_kept_and_tried_an_hour_later(
    tmp_path: Path,
) -> None:
    async with idle_station(tmp_path) as place:

        async def gone(
            station_id: StationId, *, restart: bool = False, outage_s: float = 0
        ) -> dict[str, object]:
            assert (station_id, restart, outage_s) == (CP1, True, 60)
            raise RequestError(409, "not_connected", "CP1 is not connected")

        tests = desk_of(place, gone)
        plan = ObediencePlan(
            station_id=CP1, due_at=place.clock.now(), restart=True, outage_s=60
        )
        await tests.put_plan(plan)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(tests.run())
            later = "SELECT due_at FROM commissioning_plan"
            first = place.rows(later)
            await until(lambda: place.rows(later) != first, within_s=20)
            task.cancel()
        (kept,) = await tests.history(CP1)
        assert kept.is_proven is None
        assert kept.trouble == "CP1 is not connected"
        again = await tests.plan(CP1)
        assert again is not None
        assert again.due_at >= plan.due_at + timedelta(hours=1)


async def test_one_test_at_a_time(tmp_path: Path) -> None:
    async with idle_station(tmp_path) as place:
        goes_on = asyncio.Event()

        async def slow(
            station_id: StationId, *, restart: bool = False, outage_s: float = 0
        ) -> dict[str, object]:
            assert (restart, outage_s) == (False, 0)
            await goes_on.wait()
            return {"station_id": station_id, "is_proven": True, "steps": []}

        tests = desk_of(place, slow)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(tests.asked(CP1))
            await asyncio.sleep(0)
            with pytest.raises(RequestError) as refused:
                await tests.asked(CP1)
            assert refused.value.code == "test_running"
            goes_on.set()
            assert (await first)["is_proven"] is True
        assert len(await tests.history(CP1)) == 1
