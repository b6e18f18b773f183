import asyncio
from pathlib import Path

import pytest

from gateway.domain.ids import StationId
from gateway.domain.session import SessionPhase
from gateway.errors import RequestError
from gateway.services.commissioning import Commissioning
from gateway.services.retesting import Retesting
from tests.integration.dispatch.yard import Yard, site_of, until, yard

CP1 = StationId("CP1")


def commissioning(place: Yard) -> Commissioning:
    return Commissioning(
        dispatch=place.dispatch,
        stations=place.links,
        clock=place.clock,
        firmware_of=lambda _: "1.2",
        step_within_s=3.0,
        return_within_s=3.0,
    )


async def set_up(place: Yard) -> None:
    place.boot(1)
    await until(
        lambda: place.rows("SELECT leftovers_known FROM station_trust") == [(1,)]
    )


async def test_an_obedient_station_is_proven_and_told_what_was_not_tested(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        await set_up(place)
        found = await commissioning(place).run(CP1)
        assert found["is_proven"] is True
        assert found["tested"] == ["default", "step", "drop"]
        assert found["untested"] == ["restart", "long_outage"]
        assert place.limit_da(1) == 0  # the step is over

        def is_proven() -> bool:
            evse = place.dispatch.evse(CP1, 1)
            return evse is not None and (evse.is_proven, evse.bound_da) == (True, 0)

        await until(is_proven)


async def test_a_running_session_has_to_follow_the_step(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        await set_up(place)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)

        async def drive() -> None:
            while True:
                place.report(1, current_a=(place.limit_da(1) or 0) / 10)
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            driver = tasks.create_task(drive())
            found = await commissioning(place).run(CP1)
            assert found["is_proven"] is False  # nobody saw its default rule
            assert found["tested"] == ["step"]
            await until(lambda: place.limit_da(1) == 320)
            driver.cancel()
            place.report(1, phase=SessionPhase.ENDED)
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        await until(lambda: all(e.session is None for e in runner.state.evses.values()))
        found = await commissioning(place).run(CP1)
        assert found["is_proven"] is True
        assert found["tested"] == ["default", "step", "drop"]


@pytest.mark.quirk(25)
async def test_a_station_that_only_says_yes_stays_unproven(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        place.station(1).ignores = True
        await set_up(place)
        found = await commissioning(place).run(CP1)
        assert found["is_proven"] is False

        def is_in_doubt() -> bool:
            evse = place.dispatch.evse(CP1, 1)
            return evse is not None and (evse.doubt, evse.bound_da) == (
                "failed_test",
                320,
            )

        await until(is_in_doubt)


async def test_only_a_connected_station_can_be_tested(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        place.drop(1)
        with pytest.raises(RequestError) as refused:
            await commissioning(place).run(CP1)
        assert refused.value.status == 409


@pytest.mark.quirk(10)
async def test_a_station_that_keeps_its_floor_over_a_restart_is_proven_for_it(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        await set_up(place)
        found = await commissioning(place).run(CP1, restart=True)
        assert found["tested"] == ["default", "step", "drop", "restart"]
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        await until(lambda: runner.state.stations[CP1].trust.survives_restart)
        assert not runner.state.stations[CP1].is_tested
        n_sent = len(place.station(1).log)
        place.boot(1, "1.2")
        await until(lambda: len(place.station(1).log) > n_sent)  # it is set up again


@pytest.mark.quirk(10)
async def test_a_station_that_forgets_its_floor_is_proven_but_for_restarts(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        await set_up(place)
        place.station(1).forgets = True
        found = await commissioning(place).run(CP1, restart=True)
        assert found["is_proven"] is True
        assert found["untested"] == ["restart", "long_outage"]
        steps = {one["step"]: one for one in found["steps"]}  # type: ignore[attr-defined]  # a list of steps
        assert steps["restart"]["passed"] is False
        await until(lambda: place.limit_da(1) == 0)  # it is set again


@pytest.mark.quirk(26)
async def test_a_session_is_at_its_floor_when_the_network_has_been_away(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        await set_up(place)
        first = await commissioning(place).run(CP1, outage_s=0.5)
        assert first["tested"] == ["default", "step", "drop", "long_outage"]
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)

        async def drive() -> None:
            while True:
                if place.station(1).online:
                    place.report(1, current_a=(place.limit_da(1) or 0) / 10)
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            driver = tasks.create_task(drive())
            found = await commissioning(place).run(CP1, outage_s=2.0)
            driver.cancel()
        steps = {one["step"]: one for one in found["steps"]}  # type: ignore[attr-defined]  # a list of steps
        assert steps["long_outage"]["passed"] is True, steps
        assert "0 A measured" in steps["long_outage"]["detail"]
        await until(lambda: place.limit_da(1) == 320)


@pytest.mark.quirk(26)
async def test_a_session_that_charges_on_without_network_fails_the_test(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        await set_up(place)
        place.report(1)
        await until(lambda: place.limit_da(1) == 320)

        async def drive() -> None:
            while True:
                if place.station(1).online:
                    held = place.station(1).session
                    low = held is not None and held.steps[0].limit_da <= 60
                    place.report(1, current_a=6 if low else 32)
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            driver = tasks.create_task(drive())
            found = await commissioning(place).run(CP1, outage_s=2.0)
            driver.cancel()
        assert found["is_proven"] is False
        steps = {one["step"]: one for one in found["steps"]}  # type: ignore[attr-defined]  # a list of steps
        assert steps["long_outage"]["passed"] is False, steps


async def test_another_firmware_is_tested_by_itself_once_nobody_charges(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        place.boot(1, "1.2")
        await set_up(place)
        test = commissioning(place)
        assert (await test.run(CP1))["is_proven"] is True
        runner = place.dispatch.runner(CP1)
        assert runner is not None
        await until(lambda: runner.state.stations[CP1].trust.is_proven)
        retesting = Retesting(
            dispatch=place.dispatch,
            writer=place.writer,
            test=test.run,
            stations=lambda: [CP1],
            firmware_of=lambda _: "2.0",
            look_s=0.05,
        )
        place.report(1)
        place.boot(1, "2.0")
        await until(lambda: not runner.state.stations[CP1].trust.is_proven)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(retesting.run())
            await asyncio.sleep(0.3)
            assert not runner.state.stations[CP1].trust.is_proven  # somebody charges
            place.report(1, phase=SessionPhase.ENDED)
            await until(lambda: runner.state.stations[CP1].trust.is_proven)
            task.cancel()
