"""Sessions against the registers of their cabinet's main meter, over real sockets."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway.bus import AlarmRaised
from gateway.services.residual_watch import ResidualWatch
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    folder = tmp_path_factory.mktemp("site")
    passwords = {"OLD": PASSWORD, "NEW": PASSWORD}
    async with api_site(folder, passwords) as running:
        await running.register("MAIN")
        await running.call("PUT", "/stations/MAIN", {"main_meter": "grid-meter"})
        await running.call("PUT", "/id-tokens/T1", {})
        yield running


async def main_register(station: RawStation, at: datetime, wh: float) -> None:
    row = {"timestamp": at.isoformat(), "sampledValue": [{"value": str(wh)}]}
    await station.ask("MeterValues", {"connectorId": 0, "meterValue": [row]})


async def charge(site: ApiSite, station: RawStation, at: datetime, wh: int) -> Any:
    """An hour; its bill."""
    begun = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "T1",
            "meterStart": 1000,
            "timestamp": at.isoformat(),
        },
    )
    await station.ask(
        "StopTransaction",
        {
            "transactionId": begun["transactionId"],
            "meterStop": 1000 + wh,
            "timestamp": (at + timedelta(hours=1)).isoformat(),
        },
    )
    name = station.station_id
    rows = await site.call("GET", f"/sessions?station_id={name}")
    number = str(begun["transactionId"])
    (mine,) = (one for one in rows if one["transaction_id"] == number)
    path = f"/sessions/{mine['session_id']}/bill"

    async def is_judged() -> bool:
        return (await site.send("GET", path)).is_success

    await site.until(is_judged)
    return await site.call("GET", path)


@pytest.mark.quirk(23)
async def test_a_session_above_its_main_meter_is_held_and_one_below_is_not(
    site: ApiSite,
) -> None:
    now = site.parts.clock.now()
    began = now - timedelta(hours=5)
    async with site.station("MAIN") as main, site.station("OLD") as station:
        await main.boot()
        await station.boot()
        for minutes, wh in ((-10, 50_000), (30, 51_500), (80, 53_000), (290, 53_200)):
            await main_register(main, began + timedelta(minutes=minutes), wh)
        honest = await charge(site, station, began, 2_500)
        assert honest["state"] == "settled", honest["reasons"]
        shown = await site.call("GET", "/cabinets/main/residual?hours=6")
        assert (shown["fit"], shown["main_milliwh"]) == ("fits", 3_200_000)
        assert (shown["sessions_milliwh"], shown["sessions"]) == (2_500_000, 1)
        assert shown["residual_milliwh"] == 700_000
        async with site.station("NEW") as other:
            await other.boot()
            wrong = await charge(site, other, began + timedelta(minutes=2), 9_000)
        assert (wrong["state"], wrong["verdict"]) == ("held", "suspicious")
        assert wrong["reasons"] == ["exceeds_main_meter"]


@pytest.mark.quirk(23)
async def test_sessions_that_exceed_their_main_meter_together_are_an_alarm_once(
    site: ApiSite,
) -> None:
    began = site.parts.clock.now() - timedelta(hours=20)
    async with site.station("MAIN") as main:
        await main.boot()
        for minutes, wh in ((-10, 40_000), (70, 48_000)):
            await main_register(main, began + timedelta(minutes=minutes), wh)
    for name in ("OLD", "NEW"):  # each alone may have drawn that
        async with site.station(name) as station:
            await station.boot()
            bill = await charge(site, station, began, 7_000)
        assert bill["state"] == "settled", bill["reasons"]
    parts = site.parts
    watch = ResidualWatch(
        queries=parts.queries,
        bus=parts.bus,
        clock=parts.clock,
        site=lambda: parts.directory.site,
    )
    with parts.bus.subscribe("test", of=(AlarmRaised,)) as alarms:
        await watch.look()
        await watch.look()
        (alarm,) = alarms.drain()
    assert isinstance(alarm, AlarmRaised)
    assert (alarm.station_id, alarm.component) == ("MAIN", "MainMeter")
    shown = await site.call("GET", "/cabinets/main/residual", role="viewer")
    assert shown["fit"] == "exceeded"


async def test_a_cabinet_without_a_main_meter_has_no_residual(site: ApiSite) -> None:
    await site.call("GET", "/cabinets/nowhere/residual", status=404)
    await site.call("PUT", "/stations/MAIN", {"main_meter": None})
    answer = await site.send("GET", "/cabinets/main/residual")
    assert (answer.status_code, answer.json()["error"]) == (404, "no_main_meter")
