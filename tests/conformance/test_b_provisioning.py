"""Block B, provisioning: OCPP 2.0.1 part 6, cases for a central system."""

from typing import Any

import pytest

from tests.conformance.desk import (
    AVAILABLE,
    OCCUPIED,
    Operator,
    connector_event,
    connector_status,
    stamp,
    variables_set,
)
from tests.conformance.states import ended, energy_transfer, tell_state
from tests.support.raw_station import RawStation

THRESHOLD = {
    "component": {"name": "OCPPCommCtrlr"},
    "variable": {"name": "OfflineThreshold"},
}
REMOTE = {
    "component": {"name": "AuthCtrlr"},
    "variable": {"name": "AuthorizeRemoteStart"},
}
PROFILE = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "ocppCsmsUrl": "ws://127.0.0.1:9000/ocpp",
    "messageTimeout": 30,
    "securityProfile": 1,
    "ocppInterface": "Wired0",
}


async def boot(station: RawStation, reason: str) -> str:
    told = {
        "reason": reason,
        "chargingStation": {"vendorName": "Voltwerk", "model": "Duo"},
    }
    answer = await station.ask("BootNotification", told)
    assert answer["interval"] > 0
    status: str = answer["status"]
    return status


async def set_registration(operator: Operator, station_id: str, word: str) -> None:
    answer = await operator.http.put(
        f"/stations/{station_id}", json={"registration": word}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.use_case("B01", "G01")
@pytest.mark.case("TC_B_01_CSMS")
async def test_a_cold_boot_is_accepted_and_states_are_taken(operator: Operator) -> None:
    station_id = await operator.register()
    async with operator.connect(station_id) as station:
        assert await boot(station, "PowerUp") == "Accepted"
        await tell_state(station, AVAILABLE)
        seen = await operator.get(f"/stations/{station_id}")
    assert seen["evses"][0]["availability"] == "available"


@pytest.mark.use_case("B02")
@pytest.mark.case("TC_B_02_CSMS")
async def test_a_pending_station_is_asked_and_accepted_later(
    operator: Operator,
) -> None:
    station_id = await operator.register(registration="Pending")
    async with operator.connect(station_id) as station:
        assert await boot(station, "PowerUp") == "Pending"
        station.handlers["GetVariables"] = lambda asked: {
            "getVariableResult": [
                {"attributeStatus": "Accepted", "attributeValue": "60", **one}
                for one in asked["getVariableData"]
            ]
        }
        read = await operator.accepted(
            station, "GetVariables", {"getVariableData": [THRESHOLD]}
        )
        assert read["getVariableResult"][0]["attributeValue"] == "60"
        await set_registration(operator, station_id, "Accepted")
        assert await boot(station, "PowerUp") == "Accepted"
        await tell_state(station, AVAILABLE)


@pytest.mark.use_case("B02", "B03")
@pytest.mark.case("TC_B_30_CSMS")
@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
async def test_a_station_that_is_not_accepted_may_only_boot(
    operator: Operator, registration: str
) -> None:
    station_id = await operator.register(registration=registration)
    async with operator.connect(station_id) as station:
        assert await boot(station, "PowerUp") == registration
        for action, payload in (
            ("StatusNotification", connector_status(AVAILABLE)),
            ("NotifyEvent", connector_event(AVAILABLE)),
        ):
            answer = await station.call(action, payload)
            assert answer[0] == 4
            assert answer[2] == "SecurityError"


@pytest.mark.use_case("B02", "B03", "F06")
@pytest.mark.case("TC_B_31_CSMS")
@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
async def test_a_boot_can_be_triggered_before_its_time(
    operator: Operator, registration: str
) -> None:
    station_id = await operator.register(registration=registration)
    async with operator.connect(station_id) as station:
        assert await boot(station, "PowerUp") == registration
        await set_registration(operator, station_id, "Accepted")
        asked = {"requestedMessage": "BootNotification"}
        told = await operator.accepted(station, "TriggerMessage", asked)
        assert told == {"status": "Accepted"}
        assert asked in station.calls("TriggerMessage")
        assert await boot(station, "Triggered") == "Accepted"
        await tell_state(station, AVAILABLE)


@pytest.mark.use_case("B06")
@pytest.mark.case("TC_B_06_CSMS", "TC_B_07_CSMS")
@pytest.mark.parametrize("variables", [[THRESHOLD], [THRESHOLD, REMOTE]])
async def test_variables_are_read(
    operator: Operator, variables: list[dict[str, Any]]
) -> None:
    async with operator.booted() as station:
        station.handlers["GetVariables"] = lambda asked: {
            "getVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "attributeValue": f"value of {one['variable']['name']}",
                    "component": one["component"],
                    "variable": one["variable"],
                }
                for one in asked["getVariableData"]
            ]
        }
        answer = await operator.http.post(
            f"/stations/{station.station_id}/variables/read", json={"items": variables}
        )
        (asked,) = station.calls("GetVariables")
    assert asked["getVariableData"] == variables
    items = answer.json()["items"]
    assert [one["value"] for one in items] == [
        f"value of {one['variable']['name']}" for one in variables
    ]


@pytest.mark.use_case("B05")
@pytest.mark.case("TC_B_09_CSMS", "TC_B_10_CSMS")
@pytest.mark.parametrize(
    "variables",
    [
        [THRESHOLD | {"value": "123"}],
        [THRESHOLD | {"value": "123"}, REMOTE | {"value": "false"}],
    ],
)
async def test_variables_are_set(
    operator: Operator, variables: list[dict[str, Any]]
) -> None:
    async with operator.booted() as station:
        station.handlers["SetVariables"] = variables_set
        answer = await operator.http.post(
            f"/stations/{station.station_id}/variables/write", json={"items": variables}
        )
        (asked,) = station.calls("SetVariables")
    sent = [
        (one["component"], one["variable"], one["attributeValue"])
        for one in asked["setVariableData"]
    ]
    assert sent == [
        (one["component"], one["variable"], one["value"]) for one in variables
    ]
    assert [one["status"] for one in answer.json()["items"]] == ["Accepted"] * len(sent)


@pytest.mark.use_case("B07")
@pytest.mark.case("TC_B_12_CSMS", "TC_B_13_CSMS")
@pytest.mark.parametrize("base", ["ConfigurationInventory", "FullInventory"])
async def test_a_base_report_is_asked_for_and_all_its_parts_are_taken(
    operator: Operator, base: str
) -> None:
    async with operator.booted() as station:
        asked = {"requestId": 77, "reportBase": base}
        told = await operator.accepted(station, "GetBaseReport", asked)
        assert told == {"status": "Accepted"}
        assert station.calls("GetBaseReport") == [asked]
        for number, (one, value) in enumerate(((THRESHOLD, "60"), (REMOTE, "true"))):
            report = one | {"variableAttribute": [{"value": value}]}
            told = await station.ask(
                "NotifyReport",
                {
                    "requestId": 77,
                    "generatedAt": stamp(),
                    "seqNo": number,
                    "tbc": number == 0,
                    "reportData": [report],
                },
            )
            assert told == {}
        model = await operator.get(f"/stations/{station.station_id}/device-model")
    shown = str(model)
    assert "OfflineThreshold" in shown
    assert "AuthorizeRemoteStart" in shown


async def reset(
    operator: Operator, station: RawStation, status: str, asked: dict[str, Any]
) -> None:
    station.handlers["Reset"] = lambda _: {"status": status}
    told = await operator.accepted(station, "Reset", asked)
    assert told == {"status": status}
    assert station.calls("Reset") == [asked]


@pytest.mark.use_case("B11")
@pytest.mark.case("TC_B_20_CSMS")
async def test_an_idle_station_restarts(operator: Operator) -> None:
    async with operator.booted() as station:
        await reset(operator, station, "Accepted", {"type": "OnIdle"})
        assert await boot(station, "RemoteReset") == "Accepted"
        await tell_state(station, AVAILABLE)


@pytest.mark.use_case("B12")
@pytest.mark.case("TC_B_21_CSMS", "TC_B_26_CSMS")
@pytest.mark.parametrize("what", [{}, {"evseId": 1}])
async def test_a_restart_waits_for_the_transaction(
    operator: Operator, what: dict[str, Any]
) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "B21")
        await reset(operator, station, "Scheduled", {"type": "OnIdle", **what})
        answer = await charging.event(
            "Updated", "StopAuthorized", state="EVConnected", authorized=True
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await charging.event(
            "Ended", "EVCommunicationLost", state="Idle", reason="EVDisconnected"
        )
        await ended(operator, charging)
        if not what:
            assert await boot(station, "ScheduledReset") == "Accepted"
            await tell_state(station, AVAILABLE)


@pytest.mark.use_case("B12")
@pytest.mark.case("TC_B_22_CSMS", "TC_B_27_CSMS")
@pytest.mark.parametrize("what", [{}, {"evseId": 1}])
async def test_a_restart_at_once_ends_the_transaction(
    operator: Operator, what: dict[str, Any]
) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "B22")
        await reset(operator, station, "Accepted", {"type": "Immediate", **what})
        await charging.event(
            "Ended", "ResetCommand", state="EVConnected", reason="ImmediateReset"
        )
        assert (await ended(operator, charging))["stop_reason"] == "ImmediateReset"
        if not what:
            assert await boot(station, "RemoteReset") == "Accepted"
            await tell_state(station, OCCUPIED)
            await tell_state(station, AVAILABLE, evse_id=2)


@pytest.mark.use_case("B11")
@pytest.mark.case("TC_B_25_CSMS")
async def test_an_idle_evse_restarts(operator: Operator) -> None:
    async with operator.booted() as station:
        asked = {"type": "OnIdle", "evseId": 1}
        await reset(operator, station, "Accepted", asked)


@pytest.mark.use_case("B09")
@pytest.mark.case("TC_B_42_CSMS", "TC_B_44_CSMS")
@pytest.mark.parametrize("status", ["Accepted", "Failed"])
async def test_a_network_profile_is_set_and_may_fail(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        station.handlers["SetNetworkProfile"] = lambda _: {"status": status}
        asked = {"configurationSlot": 1, "connectionData": PROFILE}
        told = await operator.accepted(station, "SetNetworkProfile", asked)
        assert told == {"status": status}
        assert station.calls("SetNetworkProfile") == [asked]
