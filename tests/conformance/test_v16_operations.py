"""OCPP 1.6: what operators ask of a station, and what shows that it was done."""

import asyncio
from typing import Any

import pytest

from tests.conformance.desk import PASSWORD, Operator
from tests.conformance.states_v16 import start, status, stop
from tests.support.queue_station import stamp
from tests.support.raw_station import RawStation


async def refuses(
    operator: Operator,
    station: RawStation,
    action: str,
    payload: dict[str, Any],
    word: str,
) -> None:
    station.handlers[action] = lambda _: {"status": word}
    found = await operator.command(station, action, payload, "failed")
    assert (found["reason"], found["detail"]) == ("refused", word)


@pytest.mark.action16("Reset to the station")
@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_a_reset_is_effected_by_the_next_boot(
    operator: Operator, kind: str
) -> None:
    station_id = await operator.register()
    async with operator.connect(station_id, version="1.6") as station:
        await station.boot()
        asked = await operator.command(station, "Reset", {"type": kind}, "accepted")
        assert station.calls("Reset") == [{"type": kind}]
        await station.ask("Heartbeat", {})
        await operator.command_until(asked, "accepted")
    async with operator.connect(station_id, version="1.6") as again:
        await again.boot()
        await operator.command_until(asked, "effected")
        await refuses(operator, again, "Reset", {"type": kind}, "Rejected")


@pytest.mark.action16("UnlockConnector to the station")
@pytest.mark.parametrize("word", ["Unlocked", "UnlockFailed", "NotSupported"])
async def test_unlocking_is_what_the_station_says(
    operator: Operator, word: str
) -> None:
    async with operator.booted(version="1.6") as station:
        station.handlers["UnlockConnector"] = lambda _: {"status": word}
        state = "effected" if word == "Unlocked" else "failed"
        await operator.command(station, "UnlockConnector", {"connectorId": 1}, state)
        assert station.calls("UnlockConnector") == [{"connectorId": 1}]


@pytest.mark.action16("ChangeAvailability to the station")
@pytest.mark.parametrize("connector_id", [0, 1])
async def test_availability_is_changed_when_the_connectors_say_so(
    operator: Operator, connector_id: int
) -> None:
    async with operator.booted(version="1.6") as station:
        wanted = {"connectorId": connector_id, "type": "Inoperative"}
        asked = await operator.command(
            station, "ChangeAvailability", wanted, "accepted"
        )
        for number in (1, 2) if connector_id == 0 else (1,):
            await asyncio.sleep(0.1)
            await operator.command_until(asked, "accepted")
            await status(station, "Unavailable", connectorId=number)
        await operator.command_until(asked, "effected")
        await refuses(operator, station, "ChangeAvailability", wanted, "Rejected")


@pytest.mark.action16("ChangeAvailability to the station")
async def test_a_scheduled_change_waits_for_the_end_of_the_session(
    operator: Operator,
) -> None:
    await operator.token("V16SCHEDULED")
    async with operator.booted(version="1.6") as station:
        number = (await start(station, "V16SCHEDULED"))["transactionId"]
        station.handlers["ChangeAvailability"] = lambda _: {"status": "Scheduled"}
        wanted = {"connectorId": 1, "type": "Inoperative"}
        asked = await operator.command(
            station, "ChangeAvailability", wanted, "accepted"
        )
        await status(station, "Charging")
        await operator.command_until(asked, "accepted")
        await stop(station, number, 2_000)
        await status(station, "Unavailable")
        await operator.command_until(asked, "effected")


BOOT = {"chargePointVendor": "Voltwerk", "chargePointModel": "Duo"}
CONNECTOR = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


@pytest.mark.action16("TriggerMessage to the station")
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("BootNotification", BOOT),
        ("DiagnosticsStatusNotification", {"status": "Idle"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
        ("Heartbeat", {}),
        ("MeterValues", {"connectorId": 1, "meterValue": []}),
        ("StatusNotification", CONNECTOR),
    ],
)
async def test_a_triggered_message_is_waited_for(
    operator: Operator, word: str, message: dict[str, Any]
) -> None:
    """A heartbeat leaves no fact, so its acceptance has to do."""
    if word == "MeterValues":
        sample = {"timestamp": stamp(), "sampledValue": [{"value": "1"}]}
        message = message | {"meterValue": [sample]}
    async with operator.booted(version="1.6") as station:
        wanted: dict[str, Any] = {"requestedMessage": word}
        if "connectorId" in message:
            wanted["connectorId"] = 1
        state = "effected" if word == "Heartbeat" else "accepted"
        asked = await operator.command(station, "TriggerMessage", wanted, state)
        assert station.calls("TriggerMessage") == [wanted]
        await station.ask(word, message)
        await operator.command_until(asked, "effected")
        for refusal in ("Rejected", "NotImplemented"):
            await refuses(operator, station, "TriggerMessage", wanted, refusal)


@pytest.mark.action16("ExtendedTriggerMessage to the station")
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("LogStatusNotification", {"status": "Idle"}),
        ("StatusNotification", CONNECTOR),
        ("Heartbeat", {}),
    ],
)
async def test_an_extended_trigger_is_waited_for_as_well(
    operator: Operator, word: str, message: dict[str, Any]
) -> None:
    async with operator.booted(version="1.6") as station:
        wanted = {"requestedMessage": word}
        state = "effected" if word == "Heartbeat" else "accepted"
        asked = await operator.command(station, "ExtendedTriggerMessage", wanted, state)
        await station.ask(word, message)
        await operator.command_until(asked, "effected")
        await refuses(
            operator, station, "ExtendedTriggerMessage", wanted, "NotImplemented"
        )


@pytest.mark.action16("ClearCache to the station")
async def test_a_cache_is_emptied_or_not(operator: Operator) -> None:
    async with operator.booted(version="1.6") as station:
        await operator.command(station, "ClearCache", {}, "effected")
        await refuses(operator, station, "ClearCache", {}, "Rejected")


@pytest.mark.action16(
    "GetConfiguration to the station", "ChangeConfiguration to the station"
)
async def test_settings_are_read_compared_written_and_read_back(
    operator: Operator,
) -> None:
    held = {"HeartbeatInterval": "60", "Same": "true", "Liar": "0", "Fixed": "1"}

    def read(asked: dict[str, Any]) -> dict[str, Any]:
        keys = asked.get("key") or list(held)
        return {
            "configurationKey": [
                {"key": key, "value": held[key], "readonly": key == "Fixed"}
                for key in keys
                if key in held
            ],
            "unknownKey": [key for key in keys if key not in held],
        }

    def write(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["key"] == "Fixed":
            return {"status": "Rejected"}
        if asked["key"] not in held:
            return {"status": "NotSupported"}
        if asked["key"] != "Liar":
            held[asked["key"]] = asked["value"]
        return {"status": "Accepted"}

    async with operator.booted(version="1.6") as station:
        station.handlers["GetConfiguration"] = read
        station.handlers["ChangeConfiguration"] = write
        await operator.accepted(station, "GetConfiguration", {})
        path = f"/stations/{station.station_id}/configuration"
        known = await operator.get(path)
        assert {one["key"]: one["value"] for one in known["keys"]} == held
        wanted = {"HeartbeatInterval": "300", "Same": "TRUE", "Liar": "1", "Fixed": "2"}
        wanted["NoSuch"] = "3"
        answer = await operator.http.post(f"{path}/diff", json={"wanted": wanted})
        found = {
            name: sorted(one["key"] for one in items)
            for name, items in answer.json().items()
        }
        assert found == {
            "same": ["Same"],
            "differs": ["HeartbeatInterval", "Liar"],
            "read_only": ["Fixed"],
            "unknown": ["NoSuch"],
        }
        assert station.calls("ChangeConfiguration") == []
        answer = await operator.http.post(f"{path}/apply", json={"wanted": wanted})
        assert {one["key"]: one["result"] for one in answer.json()["items"]} == {
            "HeartbeatInterval": "verified",
            "Same": "unchanged",
            "Liar": "not_verified",
            "Fixed": "refused",
            "NoSuch": "refused",
        }
        known = await operator.get(path)
    values = {one["key"]: one["value"] for one in known["keys"]}
    assert values["HeartbeatInterval"] == "300"


@pytest.mark.action16("ChangeConfiguration to the station")
@pytest.mark.parametrize("status_word", ["Accepted", "Rejected"])
async def test_the_key_of_a_station_is_changed_if_it_takes_it(
    operator: Operator, status_word: str
) -> None:
    station_id = await operator.register()
    async with operator.connect(station_id, version="1.6") as station:
        await station.boot()
        station.handlers["ChangeConfiguration"] = lambda _: {"status": status_word}
        answer = await operator.http.post(f"/stations/{station_id}/password-rotation")
        is_taken = status_word == "Accepted"
        assert answer.json() == {"outcome": "result", "changed": is_taken}
        (asked,) = station.calls("ChangeConfiguration")
    assert asked["key"] == "AuthorizationKey"
    new = asked["value"]
    assert new not in answer.text
    async with operator.connect(
        station_id, version="1.6", password=new if is_taken else PASSWORD
    ) as again:
        await again.boot()
    shown = (operator.desk.folder / "gateway.log").read_text("utf-8")
    assert new not in shown
