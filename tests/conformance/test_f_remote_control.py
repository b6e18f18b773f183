"""Block F, remote control: OCPP 2.0.1 part 6, cases for a central system."""

from typing import Any

import pytest

from tests.conformance.desk import (
    AVAILABLE,
    OCCUPIED,
    Operator,
    Transaction,
    stamp,
)
from tests.conformance.states import (
    authorize,
    energy_transfer,
    ev_connected,
    session_of,
    tell_state,
)
from tests.support.raw_station import RawStation

REMOTE_START_ID = 4711


def start(token: str, *, evse_id: int | None = None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "idToken": {"idToken": token, "type": "ISO14443"},
        "remoteStartId": REMOTE_START_ID,
    }
    return asked if evse_id is None else asked | {"evseId": evse_id}


async def remote_start(
    operator: Operator, station: RawStation, token: str, **answer: object
) -> None:
    station.handlers["RequestStartTransaction"] = lambda _: {
        "status": "Accepted",
        **answer,
    }
    asked = start(token)
    told = await operator.accepted(station, "RequestStartTransaction", asked)
    assert told["status"] == "Accepted"
    assert station.calls("RequestStartTransaction") == [asked]


def remotely_started(charging: Transaction) -> dict[str, Any]:
    return {
        "transactionInfo": {
            "transactionId": charging.transaction_id,
            "remoteStartId": REMOTE_START_ID,
        }
    }


@pytest.mark.use_case("F01", "C05")
@pytest.mark.case("TC_F_01_CSMS")
async def test_a_plugged_in_car_can_be_started_remotely(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await ev_connected(operator, station, "F01")
        wire_id = charging.transaction_id
        await remote_start(operator, station, "F01", transactionId=wire_id)
        answer = await charging.event(
            "Updated", "RemoteStart", authorized=True, **remotely_started(charging)
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        assert (await session_of(operator, charging))["id_token"] == "F01"


@pytest.mark.use_case("F02")
@pytest.mark.case("TC_F_02_CSMS", "TC_F_03_CSMS")
@pytest.mark.parametrize("asks_first", [True, False])
async def test_a_remote_start_may_come_before_the_car(
    operator: Operator, *, asks_first: bool
) -> None:
    await operator.token("F02")
    async with operator.booted() as station:
        await remote_start(operator, station, "F02")
        if asks_first:
            assert (await authorize(station, "F02"))["status"] == "Accepted"
        charging = Transaction(station, "F02")
        answer = await charging.event(
            "Started", "RemoteStart", authorized=True, **remotely_started(charging)
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await tell_state(station, OCCUPIED)
        await charging.event("Updated", "CablePluggedIn", state="EVConnected")
        assert (await session_of(operator, charging))["ended_at"] is None


@pytest.mark.use_case("F02")
@pytest.mark.case("TC_F_04_CSMS")
async def test_a_remote_start_lapses_when_no_car_comes(operator: Operator) -> None:
    await operator.token("F04")
    async with operator.booted() as station:
        await remote_start(operator, station, "F04")
        charging = Transaction(station, "F04")
        await charging.event(
            "Started", "RemoteStart", authorized=True, **remotely_started(charging)
        )
        assert await charging.event("Updated", "EVConnectTimeout") is not None
        assert (await session_of(operator, charging))["ended_at"] is None


@pytest.mark.use_case("F05")
@pytest.mark.case("TC_F_06_CSMS")
async def test_a_connector_can_be_unlocked(operator: Operator) -> None:
    async with operator.booted() as station:
        station.handlers["UnlockConnector"] = lambda _: {"status": "Unlocked"}
        asked = {"evseId": 1, "connectorId": 1}
        told = await operator.accepted(station, "UnlockConnector", asked)
        assert told == {"status": "Unlocked"}
        assert station.calls("UnlockConnector") == [asked]


async def trigger(
    operator: Operator, station: RawStation, message: str, evse_id: int | None
) -> None:
    asked: dict[str, Any] = {"requestedMessage": message}
    if evse_id is not None:
        asked["evse"] = {"id": evse_id, "connectorId": 1}
    told = await operator.accepted(station, "TriggerMessage", asked)
    assert told["status"] == "Accepted"
    assert station.calls("TriggerMessage") == [asked]


def triggered_values(evse_id: int) -> dict[str, Any]:
    sample = {"value": 4_200, "context": "Trigger"}
    return {
        "evseId": evse_id,
        "meterValue": [{"timestamp": stamp(), "sampledValue": [sample]}],
    }


@pytest.mark.use_case("F06")
@pytest.mark.case("TC_F_11_CSMS", "TC_F_12_CSMS")
@pytest.mark.parametrize("evse_id", [1, None])
async def test_meter_values_can_be_triggered(
    operator: Operator, evse_id: int | None
) -> None:
    async with operator.booted() as station:
        await trigger(operator, station, "MeterValues", evse_id)
        for number in (1, 2) if evse_id is None else (evse_id,):
            assert await station.ask("MeterValues", triggered_values(number)) == {}


@pytest.mark.use_case("F06")
@pytest.mark.case("TC_F_13_CSMS", "TC_F_14_CSMS")
@pytest.mark.parametrize("evse_id", [1, None])
async def test_a_transaction_event_can_be_triggered(
    operator: Operator, evse_id: int | None
) -> None:
    async with operator.booted() as station:
        running = [
            await energy_transfer(operator, station, f"F13X{number}", evse_id=number)
            for number in ((1, 2) if evse_id is None else (evse_id,))
        ]
        await trigger(operator, station, "TransactionEvent", evse_id)
        for charging in running:
            charging.register_wh += 300
            await charging.event(
                "Updated", "Trigger", state="Charging", energy="Trigger"
            )
            session = await session_of(operator, charging)
            assert session["energy_milliwh"] == 300_000


@pytest.mark.use_case("F06")
@pytest.mark.case("TC_F_15_CSMS", "TC_F_18_CSMS", "TC_F_20_CSMS")
@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ("LogStatusNotification", {"status": "Idle"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
        ("Heartbeat", {}),
    ],
)
async def test_a_notice_of_the_station_can_be_triggered(
    operator: Operator, message: str, payload: dict[str, Any]
) -> None:
    async with operator.booted() as station:
        await trigger(operator, station, message, None)
        answer = await station.ask(message, payload)
    assert set(answer) == ({"currentTime"} if message == "Heartbeat" else set())


@pytest.mark.use_case("F06")
@pytest.mark.case("TC_F_23_CSMS", "TC_F_24_CSMS")
@pytest.mark.parametrize("status", [AVAILABLE, OCCUPIED])
async def test_a_connector_state_can_be_triggered(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        await tell_state(station, status)
        await trigger(operator, station, "StatusNotification", 1)
        await tell_state(station, status)
        seen = await operator.get(f"/stations/{station.station_id}")
    assert seen["evses"][0]["availability"] == status.lower()


@pytest.mark.use_case("F06")
@pytest.mark.case("TC_F_27_CSMS")
async def test_a_station_may_not_know_a_trigger(operator: Operator) -> None:
    async with operator.booted() as station:
        station.handlers["TriggerMessage"] = lambda _: {"status": "NotImplemented"}
        asked = {"requestedMessage": "SignV2GCertificate"}
        told = await operator.accepted(station, "TriggerMessage", asked)
        assert told == {"status": "NotImplemented"}
