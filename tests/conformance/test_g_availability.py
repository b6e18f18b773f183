"""Block G, availability: OCPP 2.0.1 part 6, cases for a central system."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.conformance.desk import (
    AVAILABLE,
    Operator,
    connector_event,
    stamp,
)
from tests.conformance.states import energy_transfer, tell_state

UNAVAILABLE = "Unavailable"
STATION: dict[str, Any] = {}
EVSE = {"evse": {"id": 1}}
CONNECTOR = {"evse": {"id": 1, "connectorId": 1}}


@pytest.mark.use_case("G01", "G03", "G04")
@pytest.mark.case(
    "TC_G_03_CSMS",
    "TC_G_04_CSMS",
    "TC_G_05_CSMS",
    "TC_G_06_CSMS",
    "TC_G_07_CSMS",
    "TC_G_08_CSMS",
)
@pytest.mark.parametrize("what", [EVSE, STATION, CONNECTOR])
@pytest.mark.parametrize(
    ("wanted", "status"), [("Inoperative", UNAVAILABLE), ("Operative", AVAILABLE)]
)
async def test_availability_can_be_changed(
    operator: Operator, what: dict[str, Any], wanted: str, status: str
) -> None:
    async with operator.booted() as station:
        before = AVAILABLE if status == UNAVAILABLE else UNAVAILABLE
        numbers = (1,) if what else (1, 2)
        for number in numbers:
            await tell_state(station, before, evse_id=number)
        asked = {"operationalStatus": wanted, **what}
        told = await operator.accepted(station, "ChangeAvailability", asked)
        assert told == {"status": "Accepted"}
        assert station.calls("ChangeAvailability") == [asked]
        for number in numbers:
            await tell_state(station, status, evse_id=number)
        seen = await operator.get(f"/stations/{station.station_id}")
    for number in numbers:
        assert seen["evses"][number - 1]["availability"] == status.lower()


@pytest.mark.use_case("G03", "G04")
@pytest.mark.case("TC_G_11_CSMS", "TC_G_14_CSMS", "TC_G_17_CSMS")
@pytest.mark.parametrize("what", [EVSE, STATION, CONNECTOR])
async def test_a_change_waits_for_the_transaction(
    operator: Operator, what: dict[str, Any]
) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "G11")
        station.handlers["ChangeAvailability"] = lambda _: {"status": "Scheduled"}
        asked = {"operationalStatus": "Inoperative", **what}
        told = await operator.accepted(station, "ChangeAvailability", asked)
        assert told == {"status": "Scheduled"}
        if not what:
            await tell_state(station, UNAVAILABLE, evse_id=2)
        await charging.event("Ended", "StopAuthorized", reason="Local")
        await tell_state(station, UNAVAILABLE)
        seen = await operator.get(f"/stations/{station.station_id}")
    assert seen["evses"][0]["availability"] == "unavailable"


@pytest.mark.use_case("G05")
@pytest.mark.case("TC_G_20_CSMS")
async def test_a_lock_that_fails_is_noted(operator: Operator) -> None:
    notice = connector_event("true")
    notice["eventData"][0] |= {
        "timestamp": stamp(),
        "component": {"name": "ConnectorPlugRetentionLock", "evse": {"id": 1}},
        "variable": {"name": "Problem"},
    }
    async with operator.booted() as station:
        assert await station.ask("NotifyEvent", notice) == {}


@pytest.mark.use_case("G02")
@pytest.mark.action16("Heartbeat from the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_heartbeat_tells_the_time_and_that_the_station_lives(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        answer = await station.ask("Heartbeat", {})
        seen = await operator.get(f"/stations/{station.station_id}")
    told = answer["currentTime"]
    assert told.endswith("Z")
    off = SystemClock().now() - datetime.fromisoformat(told)
    assert abs(off) < timedelta(seconds=5)
    assert seen["online"]
    assert seen["last_seen_at"] >= told[:19]
