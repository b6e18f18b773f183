"""Block O, messages on a station's display (OCPP 2.0.1 part 2)."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, Transaction
from tests.conformance.paging import reported
from tests.support.raw_station import RawStation


def place(station: RawStation) -> str:
    return f"/stations/{station.station_id}/display-messages"


async def show(
    operator: Operator, station: RawStation, content: str, **members: object
) -> dict[str, Any]:
    answer = await operator.http.post(
        place(station), json={"content": content, **members}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def shown(operator: Operator, station: RawStation) -> dict[int, str]:
    """Texts by the ids of their messages, as they are stored."""
    found = await operator.get(place(station))
    return {one["message"]["id"]: one["message"]["message"]["content"] for one in found}


def message(number: int, content: str) -> dict[str, Any]:
    return {
        "id": number,
        "priority": "NormalCycle",
        "message": {"format": "UTF8", "content": content},
    }


@pytest.mark.use_case("O01")
async def test_a_message_is_shown_with_all_that_was_said_of_it(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        said = await show(
            operator,
            station,
            "Grüße ☀",
            message_id=3,
            language="de",
            priority="InFront",
            state="Idle",
            starts_at="2026-01-01T00:00:00+01:00",
            ends_at="2036-01-01T00:00:00Z",
        )
        assert (said["status"], said["message_id"]) == ("Accepted", 3)
        (sent,) = station.calls("SetDisplayMessage")
        assert await shown(operator, station) == {3: "Grüße ☀"}
    told = sent["message"]
    assert told["message"] == {"format": "UTF8", "language": "de", "content": "Grüße ☀"}
    assert (told["priority"], told["state"]) == ("InFront", "Idle")
    assert told["startDateTime"].startswith("2025-12-31T23:00:00")
    assert told["startDateTime"].endswith("Z")


@pytest.mark.use_case("O01")
@pytest.mark.parametrize(
    "status",
    [
        "NotSupportedMessageFormat",
        "NotSupportedPriority",
        "NotSupportedState",
        "Rejected",
        "UnknownTransaction",
    ],
)
async def test_a_message_that_is_refused_is_not_shown(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        station.handlers["SetDisplayMessage"] = lambda _: {"status": status}
        assert (await show(operator, station, "A"))["status"] == status
        assert await shown(operator, station) == {}


@pytest.mark.use_case("O06")
async def test_a_message_with_the_same_id_or_in_front_replaces(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        await show(operator, station, "A", message_id=1)
        await show(operator, station, "B", message_id=1)
        assert await shown(operator, station) == {1: "B"}
        await show(operator, station, "C", message_id=2, priority="AlwaysFront")
        await show(operator, station, "D", message_id=3, priority="AlwaysFront")
        assert await shown(operator, station) == {1: "B", 3: "D"}
        station.handlers["SetDisplayMessage"] = lambda _: {"status": "Rejected"}
        await show(operator, station, "E", message_id=1)
        assert await shown(operator, station) == {1: "B", 3: "D"}


@pytest.mark.use_case("O02")
async def test_a_message_for_a_transaction_goes_with_its_end(
    operator: Operator,
) -> None:
    await operator.token("O02DRIVER")
    async with operator.booted() as station:
        charging = Transaction(station, "O02DRIVER")
        await charging.event("Started", "Authorized", authorized=True)
        await show(operator, station, "All", message_id=1)
        wire_id = charging.transaction_id
        await show(operator, station, "You", message_id=2, transaction_id=wire_id)
        sent = station.calls("SetDisplayMessage")[-1]["message"]
        assert sent["transactionId"] == wire_id
        assert await shown(operator, station) == {1: "All", 2: "You"}
        await charging.event("Ended", "StopAuthorized", reason="Local")
        assert await shown(operator, station) == {1: "All"}


@pytest.mark.use_case("O03")
async def test_all_messages_are_reported_in_pages(operator: Operator) -> None:
    async with operator.booted() as station:
        await show(operator, station, "Forgotten", message_id=1)
        told = [
            {"tbc": True, "messageInfo": [message(4, "four"), message(5, "five")]},
            {"tbc": False, "messageInfo": [message(6, "six")]},
        ]
        said = await reported(
            operator,
            station,
            operator.http.build_request("POST", f"{place(station)}/refresh"),
            asked="GetDisplayMessages",
            action="NotifyDisplayMessages",
            told=told,
        )
        assert (said["status"], said["state"]) == ("Accepted", "complete")
        assert await shown(operator, station) == {4: "four", 5: "five", 6: "six"}
        station.handlers["GetDisplayMessages"] = lambda _: {"status": "Unknown"}
        answer = await operator.http.post(f"{place(station)}/refresh")
        assert answer.json()["status"] == "Unknown"
        assert await shown(operator, station) == {}


@pytest.mark.use_case("O04")
async def test_some_messages_are_asked_for_and_the_others_stay(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        await show(operator, station, "one", message_id=1)
        await show(operator, station, "two", message_id=2, priority="InFront")
        asked = {"requestId": 901, "id": [2], "priority": "InFront", "state": "Idle"}
        told = await operator.accepted(station, "GetDisplayMessages", asked)
        assert told == {"status": "Accepted"}
        assert station.calls("GetDisplayMessages") == [asked]
        page = {"requestId": 901, "messageInfo": [message(2, "two, now")]}
        assert await station.ask("NotifyDisplayMessages", page) == {}
        assert await shown(operator, station) == {1: "one", 2: "two, now"}


@pytest.mark.use_case("O05")
@pytest.mark.parametrize("status", ["Accepted", "Unknown"])
async def test_a_message_is_cleared_and_one_that_is_unknown_is_gone_as_well(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        await show(operator, station, "one", message_id=1)
        await show(operator, station, "two", message_id=2)
        station.handlers["ClearDisplayMessage"] = lambda _: {"status": status}
        answer = await operator.http.delete(f"{place(station)}/1")
        assert answer.json()["status"] == status
        assert station.calls("ClearDisplayMessage") == [{"id": 1}]
        assert await shown(operator, station) == {2: "two"}
