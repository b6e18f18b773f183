"""What a station's main meter measures is no session's, but maybe the cabinet's."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        for name in ("M16", "M201", "M-NOT"):
            await running.register(name)
        yield running


async def sample_16(station: RawStation, connector: int, amps: float, at: Any) -> None:
    sampled = [
        {
            "value": f"{amps + number}",
            "measurand": "Current.Import",
            "phase": phase,
            "unit": "A",
        }
        for number, phase in enumerate(("L1", "L2", "L3"))
    ]
    row = {"timestamp": at.isoformat(), "sampledValue": sampled}
    said = {"connectorId": connector, "meterValue": [row]}
    await station.ask("MeterValues", said)


async def reading(site: ApiSite, load_id: str) -> Any:
    """The newest measurement of a load: its current, or its power."""
    found = await site.parts.queries.rows(
        "SELECT current_da, power_w FROM load_reading WHERE load_id = ?", (load_id,)
    )
    return found[0] if found else None


@pytest.mark.quirk(23)
async def test_a_main_meter_is_the_feeder_meter_that_the_operator_says(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/stations/M16", {"main_meter": "grid-meter"})
    now = site.parts.clock.now()
    async with site.station("M16") as station, site.station("M-NOT") as other:
        await station.boot()
        await other.boot()
        await sample_16(other, 0, 1.0, now)  # nobody said what that measures
        await sample_16(station, 1, 2.0, now)  # of a connector
        await sample_16(station, 0, 3.0, now - timedelta(hours=3))  # out of a queue
        await sample_16(station, 0, 20.0, now + timedelta(hours=1))  # a fast clock

        async def is_measured() -> bool:
            return await reading(site, "grid-meter") is not None

        await site.until(is_measured)
    assert await reading(site, "grid-meter") == ("[200, 210, 220]", None)
    assert await site.call("GET", "/sessions?station_id=M16") == []


@pytest.mark.quirk(23)
async def test_evse_0_of_2_0_1_may_measure_other_equipment(site: ApiSite) -> None:
    await site.call("PUT", "/stations/M201", {"main_meter": "building"})
    power = {"value": 4321.0, "measurand": "Power.Active.Import"}
    row = {
        "timestamp": site.parts.clock.now().isoformat(),
        "sampledValue": [power],
    }
    async with site.station("M201", "2.0.1") as station:
        await station.boot()
        await station.ask("MeterValues", {"evseId": 0, "meterValue": [row]})

        async def is_measured() -> bool:
            return await reading(site, "building") is not None

        await site.until(is_measured)
    assert await reading(site, "building") == (None, 4321.0)


async def test_a_main_meter_is_one_that_there_is_and_of_one_station(
    site: ApiSite,
) -> None:
    said = {"main_meter": "nothing"}
    answer = await site.send("PUT", "/stations/M-NOT", said)
    assert answer.is_client_error
    assert "'nothing'" in answer.text
    await site.call("PUT", "/stations/M16", {"main_meter": "grid-meter"})
    answer = await site.send("PUT", "/stations/M-NOT", {"main_meter": "grid-meter"})
    assert answer.is_client_error
