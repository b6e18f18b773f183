"""OCPP 1.6: who charges, from the first word of a station to the bill."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, stamp, until
from tests.conformance.states_v16 import start, status, stop
from tests.support.raw_station import RawStation


async def newest(operator: Operator, station: RawStation) -> dict[str, Any]:
    return (await operator.sessions(station))[0]


@pytest.mark.action16("BootNotification from the station")
@pytest.mark.parametrize("registration", ["Accepted", "Pending", "Rejected"])
async def test_a_boot_is_answered_as_the_operator_says_and_decides_the_rest(
    operator: Operator, registration: str
) -> None:
    station_id = await operator.register(registration=registration)
    async with operator.connect(station_id, version="1.6") as station:
        answer = await station.ask(
            "BootNotification",
            {
                "chargePointVendor": "Voltwerk",
                "chargePointModel": "Duo",
                "chargePointSerialNumber": "S1",
                "firmwareVersion": "1.0",
            },
        )
        assert answer["status"] == registration
        assert answer["currentTime"].endswith("Z")
        assert answer["interval"] > 0
        frame = await station.call("Heartbeat", {})
        seen = await operator.get(f"/stations/{station_id}")
    assert (frame[0] == 3) is (registration == "Accepted")
    assert (seen["vendor"], seen["firmware"]) == ("Voltwerk", "1.0")


@pytest.mark.action16("StatusNotification from the station")
@pytest.mark.parametrize(
    ("word", "availability"),
    [
        ("Available", "available"),
        ("Preparing", "occupied"),
        ("Charging", "occupied"),
        ("SuspendedEV", "occupied"),
        ("SuspendedEVSE", "occupied"),
        ("Finishing", "occupied"),
        ("Reserved", "reserved"),
        ("Unavailable", "unavailable"),
        ("Faulted", "faulted"),
    ],
)
async def test_every_state_of_a_connector_is_shown(
    operator: Operator, word: str, availability: str
) -> None:
    async with operator.booted(version="1.6") as station:
        error = "GroundFailure" if word == "Faulted" else "NoError"
        await status(station, word, errorCode=error)
        await status(station, "Available", connectorId=2)
        evses = (await operator.get(f"/stations/{station.station_id}"))["evses"]
    assert [one["availability"] for one in evses] == [availability, "available"]
    assert (evses[0]["error_code"] == "GroundFailure") is (word == "Faulted")


@pytest.mark.action16("Authorize from the station")
async def test_a_token_is_judged_by_what_is_known_of_it(operator: Operator) -> None:
    await operator.token("V16GOOD", group="V16FAMILY")
    await operator.token("V16BLOCKED", status="Blocked")
    await operator.token("V16OLD", expires_at="2020-01-01T00:00:00Z")
    async with operator.booted(version="1.6") as station:
        told = {}
        for token in ("V16GOOD", "v16good", "V16BLOCKED", "V16OLD", "V16NOBODY"):
            told[token] = (await station.ask("Authorize", {"idTag": token}))[
                "idTagInfo"
            ]
    assert {token: info["status"] for token, info in told.items()} == {
        "V16GOOD": "Accepted",
        "v16good": "Accepted",
        "V16BLOCKED": "Blocked",
        "V16OLD": "Expired",
        "V16NOBODY": "Invalid",
    }
    assert told["V16GOOD"]["parentIdTag"] == "V16FAMILY"


@pytest.mark.action16(
    "StartTransaction from the station",
    "MeterValues from the station",
    "StopTransaction from the station",
)
async def test_a_session_is_metered_and_billed_by_its_registers(
    operator: Operator,
) -> None:
    await operator.token("V16DRIVER")
    async with operator.booted(version="1.6") as station:
        answer = await start(station, "V16DRIVER")
        assert answer["idTagInfo"]["status"] == "Accepted"
        number = answer["transactionId"]
        assert number > 0
        sample = {"timestamp": stamp(), "sampledValue": [{"value": "3500"}]}
        told = {"connectorId": 1, "transactionId": number, "meterValue": [sample]}
        assert await station.ask("MeterValues", told) == {}
        session = await newest(operator, station)
        assert (session["energy_milliwh"], session["ended_at"]) == (2_500_000, None)
        end = await stop(station, number, 6_000, reason="EVDisconnected")
        assert end.get("idTagInfo") is None, "no token was presented"
        session = await newest(operator, station)
        path = f"/sessions/{session['session_id']}/bill"

        async def billed() -> Any:
            found = await operator.http.get(path)
            return found.json() if found.is_success else None

        bill = await until(billed)
    assert session["energy_milliwh"] == 5_000_000
    assert session["stop_reason"] == "EVDisconnected"
    assert bill["amount_minor"] == 200, "5 kWh at 0.40"


@pytest.mark.action16(
    "StartTransaction from the station", "StopTransaction from the station"
)
async def test_a_start_that_is_refused_is_a_session_all_the_same(
    operator: Operator,
) -> None:
    async with operator.booted(version="1.6") as station:
        answer = await start(station, "V16STRANGER")
        assert answer["idTagInfo"]["status"] == "Invalid"
        end = await stop(
            station,
            answer["transactionId"],
            1_000,
            reason="DeAuthorized",
            idTag="V16STRANGER",
        )
        assert end["idTagInfo"]["status"] == "Invalid"
        session = await newest(operator, station)
    assert session["stop_reason"] == "DeAuthorized"
    assert session["ended_at"] is not None


@pytest.mark.action16("StopTransaction from the station")
@pytest.mark.parametrize("number", [-1, 424242])
async def test_a_stop_that_belongs_to_nothing_is_answered(
    operator: Operator, number: int
) -> None:
    async with operator.booted(version="1.6") as station:
        assert "status" not in await stop(station, number, 5_000)
        assert [
            one for one in await operator.sessions(station) if one["id_token"]
        ] == []


@pytest.mark.action16(
    "RemoteStartTransaction to the station", "RemoteStopTransaction to the station"
)
async def test_a_remote_start_and_stop_are_effected_by_what_follows(
    operator: Operator,
) -> None:
    await operator.token("V16REMOTE")
    async with operator.booted(version="1.6") as station:
        begin = {"evse_id": 1, "id_token": "V16REMOTE"}
        started = await operator.command(station, "remote_start", begin, "accepted")
        assert station.calls("RemoteStartTransaction") == [
            {"idTag": "V16REMOTE", "connectorId": 1}
        ]
        assert await operator.sessions(station) == [], "an answer is no session"
        number = (await start(station, "V16REMOTE"))["transactionId"]
        await operator.command_until(started, "effected")
        session = await newest(operator, station)
        asked = await operator.http.post(f"/sessions/{session['session_id']}/stop")
        stopping = await operator.command_until(asked.json(), "accepted")
        assert station.calls("RemoteStopTransaction") == [{"transactionId": number}]
        assert (await newest(operator, station))["ended_at"] is None
        await stop(station, number, 2_000, reason="Remote")
        await operator.command_until(stopping, "effected")
        assert (await newest(operator, station))["stop_reason"] == "Remote"


@pytest.mark.action16(
    "RemoteStartTransaction to the station", "RemoteStopTransaction to the station"
)
async def test_a_remote_start_and_stop_may_be_refused(operator: Operator) -> None:
    async with operator.booted(version="1.6") as station:
        for action in ("RemoteStartTransaction", "RemoteStopTransaction"):
            station.handlers[action] = lambda _: {"status": "Rejected"}
        for action, payload in (
            ("RemoteStartTransaction", {"idTag": "V16NO"}),
            ("RemoteStopTransaction", {"transactionId": 9}),
        ):
            found = await operator.command(station, action, payload, "failed")
            assert (found["reason"], found["detail"]) == ("refused", "Rejected")
