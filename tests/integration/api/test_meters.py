"""What operators see of meters, and what their word does."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

UNIT = "/stations/KILO/meters/unit"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def boot(station: RawStation, model: str) -> None:
    said = {"chargePointVendor": "Oddwerk", "chargePointModel": model}
    await station.ask("BootNotification", said)


async def charge(
    station: RawStation, ended_at: datetime, start_wh: float, *, scale: float = 1.0
) -> float:
    """Half an hour at 10 kW, as registers of this scale show it; the end, Wh."""
    started_at = ended_at - timedelta(minutes=30)
    answer = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "T1",
            "meterStart": round(start_wh),
            "timestamp": started_at.isoformat(),
        },
    )
    number = answer["transactionId"]
    for minutes in (0, 10, 20, 30):
        at = started_at + timedelta(minutes=minutes)
        wh = start_wh + 10_000 * minutes / 60 * scale
        sampled = [
            {"value": f"{wh:.3f}", "unit": "Wh"},
            {"value": "10000", "measurand": "Power.Active.Import", "unit": "W"},
        ]
        await station.ask(
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": number,
                "meterValue": [{"timestamp": at.isoformat(), "sampledValue": sampled}],
            },
        )
    end_wh = start_wh + 5_000 * scale
    await station.ask(
        "StopTransaction",
        {
            "transactionId": number,
            "meterStop": end_wh,
            "timestamp": ended_at.isoformat(),
        },
    )
    return end_wh


async def bills(site: ApiSite, station_id: str) -> list[dict[str, Any]]:
    rows = await site.call("GET", f"/sessions?station_id={station_id}")
    return [await bill(site, row["session_id"]) for row in rows]


async def bill(site: ApiSite, session_id: str) -> dict[str, Any]:
    async def is_there() -> bool:
        answer = await site.send("GET", f"/sessions/{session_id}/bill")
        return answer.is_success

    await site.until(is_there)
    found: dict[str, Any] = await site.call("GET", f"/sessions/{session_id}/bill")
    return found


@pytest.mark.quirk(22)
async def test_a_register_a_thousand_times_too_low_is_suggested_not_multiplied(
    site: ApiSite,
) -> None:
    await site.register("KILO")
    await site.call("PUT", "/id-tokens/T1", {})
    now = site.parts.clock.now()
    async with site.station("KILO") as station:
        await boot(station, "Kilo")
        wh = 7_000.0
        for back in (3, 2):
            wh = await charge(station, now - timedelta(hours=back), wh, scale=0.001)
        found = await site.call("GET", "/stations/KILO/meters", role="viewer")
        (evse,) = found["evses"]
        assert evse["unit"]["verdict"] == "thousand_times_too_low"
        assert (evse["unit"]["factor"], evse["unit"]["compared_with"]) == (
            "1000",
            "power",
        )
        (model,) = await site.call("GET", "/meters?vendor=oddwerk&model=kilo")
        assert (model["unit"]["factor"], model["decision"]) == ("1000", None)
        held = await bills(site, "KILO")
        assert {one["state"] for one in held} == {"held"}
        assert all("register_against_power" in one["reasons"] for one in held)
        assert {one["energy_milliwh"] for one in held} == {5_000}

        said = {"decision": "confirmed"}
        await site.call("PUT", UNIT, said, role="viewer", status=403)
        told = await site.call("PUT", UNIT, said)
        assert (told["decision"]["scope"], told["decision"]["factor"]) == (
            "station",
            "1000",
        )
        await charge(station, now - timedelta(minutes=5), wh, scale=1.0)
        latest = (await bills(site, "KILO"))[0]
        assert (latest["state"], latest["energy_milliwh"]) == ("held", 5_000_000)
        assert "register_unit" in latest["reasons"]
    actions = [
        line["action"] for line in await site.call("GET", "/audit", role="admin")
    ]
    assert "register_unit.decided" in actions
    await site.call("DELETE", UNIT, status=204)
    await site.call("DELETE", UNIT, status=404)


@pytest.mark.quirk(22)
async def test_a_word_about_a_model_counts_for_its_stations_but_not_above_theirs(
    site: ApiSite,
) -> None:
    now = site.parts.clock.now()
    await site.call("PUT", "/id-tokens/T1", {})
    for station_id in ("TWIN-1", "TWIN-2"):
        await site.register(station_id)
        async with site.station(station_id) as station:
            await boot(station, "Twin")
    body = {"vendor": "ODDWERK", "model": "twin", "decision": "confirmed"}
    (model,) = await site.call("PUT", "/meters/unit", body)
    assert (model["stations"], model["decision"]["decision"]) == (2, "confirmed")
    await site.call("PUT", "/stations/TWIN-2/meters/unit", {"decision": "dismissed"})
    for station_id, status in (("TWIN-1", "held"), ("TWIN-2", "settled")):
        async with site.station(station_id) as station:
            await charge(station, now - timedelta(minutes=40), 1000)
        (found,) = await bills(site, station_id)
        assert found["state"] == status
    await site.call("PUT", "/meters/unit", body | {"model": "none"}, status=404)
    await site.call("DELETE", "/meters/unit?vendor=Oddwerk&model=Twin", status=204)


@pytest.mark.quirk(21)
async def test_a_meter_that_begins_anew_is_shown_with_its_segments(
    site: ApiSite,
) -> None:
    await site.register("ANEW")
    await site.call("PUT", "/id-tokens/T1", {})
    now = site.parts.clock.now()
    async with site.station("ANEW") as station:
        await boot(station, "Anew")
        for back in (4, 3, 2):
            await charge(station, now - timedelta(hours=back), 0.0)
    found = await site.call("GET", "/stations/ANEW/meters")
    (evse,) = found["evses"]
    assert evse["semantics"] == "per_transaction"
    assert [one["opened_by"] for one in evse["segments"]] == ["first", "reset", "reset"]
    assert evse["unit"]["verdict"] == "as_said"
    (model,) = await site.call("GET", "/meters?model=Anew")
    assert model["semantics"] == {"per_transaction": 1}
    assert (await site.call("GET", "/stations/NEW/meters"))["evses"] == []
    await site.call("GET", "/stations/NOBODY/meters", status=404)


async def test_how_the_energy_of_a_session_was_found_is_shown(site: ApiSite) -> None:
    await site.register("FOUND")
    async with site.station("FOUND") as station:
        await boot(station, "M1")
        await charge(station, site.parts.clock.now(), 70_000)
    (session,) = await site.call("GET", "/sessions?station_id=FOUND")
    await bill(site, session["session_id"])
    path = f"/sessions/{session['session_id']}/metering"
    found = await site.call("GET", path, role="viewer")
    judgement, sources = found["judgement"], found["sources"]
    assert (judgement["verdict"], judgement["basis"]) == ("ok-unsigned", "transaction")
    assert judgement["energy_milliwh"] == 5_000_000
    assert judgement["since_the_session_before"]["kind"] == "none"
    assert sources["samples"]["highest_milliwh"] == 75_000_000
    assert sources["power"]["estimate_milliwh"] == 5_000_000
    assert sources["intervals"] is None
    assert judgement["reasons"] == []
