import asyncio
from pathlib import Path

import pytest

from gateway.domain.ids import StationId
from gateway.domain.session import SessionPhase
from gateway.errors import RequestError
from gateway.services.commissioning import Commissioning
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
        await asyncio.sleep(0.1)
        evse = place.dispatch.evse(CP1, 1)
        assert evse is not None
        assert (evse.is_proven, evse.bound_da) == (True, 0)


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
        await asyncio.sleep(0.1)
        evse = place.dispatch.evse(CP1, 1)
        assert evse is not None
        assert (evse.doubt, evse.bound_da) == ("failed_test", 320)


async def test_only_a_connected_station_can_be_tested(tmp_path: Path) -> None:
    async with yard(tmp_path, site_of(1), proven=False) as place:
        place.drop(1)
        with pytest.raises(RequestError) as refused:
            await commissioning(place).run(CP1)
        assert refused.value.status == 409
