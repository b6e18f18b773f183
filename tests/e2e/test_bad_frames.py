"""Broken frames, tolerated ones, takeovers and floods over a real socket."""

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.gateway_process import GatewayProcess, gateway, write_config
from tests.support.queue_station import (
    PASSWORD,
    Payload,
    accept,
    ask,
    connected,
    receive,
    stamp,
)

pytestmark = pytest.mark.e2e

BOOTS: Final[dict[str, Payload]] = {
    "ocpp1.6": {"chargePointVendor": "Raw", "chargePointModel": "Frames"},
    "ocpp2.0.1": {
        "reason": "PowerUp",
        "chargingStation": {"vendorName": "Raw", "model": "Frames"},
    },
}
LONG_ID: Final = "x" * 37
AUTHORIZE_201: Final = {"idToken": {"idToken": "T", "type": "ISO14443"}}

REFUSED: Final[list[tuple[str, str, str | None, str | None]]] = [
    # version, frame, message id of the CALLERROR (None: no answer), its code
    ("ocpp1.6", "no json", None, None),
    ("ocpp1.6", "[2]", None, None),
    ("ocpp1.6", "{}", None, None),
    ("ocpp1.6", f'[2,"{LONG_ID}","Heartbeat",{{}}]', None, None),
    ("ocpp1.6", '[2,"i","Heartbeat"]', "i", "FormationViolation"),
    ("ocpp1.6", '[2,"i",7,{}]', "i", "FormationViolation"),
    ("ocpp1.6", '[2,"i","Heartbeat",[]]', "i", "FormationViolation"),
    ("ocpp1.6", '[2,"i","Fly",{}]', "i", "NotImplemented"),
    ("ocpp1.6", '[2,"i","Reset",{"type":"Soft"}]', "i", "NotSupported"),
    ("ocpp1.6", '[2,"i","Authorize",{}]', "i", "OccurenceConstraintViolation"),
    ("ocpp1.6", '[2,"i","Authorize",{"idTag":7}]', "i", "TypeConstraintViolation"),
    (
        "ocpp1.6",
        '[2,"i","Authorize",{"idTag":"123456789012345678901"}]',
        "i",
        "PropertyConstraintViolation",
    ),
    (
        "ocpp1.6",
        '[2,"i","Authorize",{"idTag":"T","x":1}]',
        "i",
        "FormationViolation",
    ),
    (
        "ocpp1.6",
        '[2,"i","StartTransaction",{"connectorId":1,"idTag":"T"}]',
        "i",
        "OccurenceConstraintViolation",
    ),
    ("ocpp1.6", '[5,"i",{}]', None, None),
    ("ocpp1.6", '[3,"nobody-asked"]', None, None),
    ("ocpp2.0.1", "no json", "-1", "RpcFrameworkError"),
    ("ocpp2.0.1", "[2]", "-1", "RpcFrameworkError"),
    ("ocpp2.0.1", "{}", "-1", "RpcFrameworkError"),
    ("ocpp2.0.1", f'[2,"{LONG_ID}","Heartbeat",{{}}]', "-1", "RpcFrameworkError"),
    ("ocpp2.0.1", '[2,"i","Heartbeat"]', "i", "RpcFrameworkError"),
    ("ocpp2.0.1", '[2,"i",7,{}]', "i", "RpcFrameworkError"),
    ("ocpp2.0.1", '[2,"i","Heartbeat",[]]', "i", "FormatViolation"),
    ("ocpp2.0.1", '[2,"i","Fly",{}]', "i", "NotImplemented"),
    ("ocpp2.0.1", '[2,"i","Reset",{"type":"Immediate"}]', "i", "NotSupported"),
    ("ocpp2.0.1", '[2,"i","Authorize",{}]', "i", "OccurrenceConstraintViolation"),
    (
        "ocpp2.0.1",
        '[2,"i","Authorize",{"idToken":"T"}]',
        "i",
        "TypeConstraintViolation",
    ),
    (
        "ocpp2.0.1",
        '[2,"i","Authorize",{"idToken":{"idToken":"T","type":"Paper"}}]',
        "i",
        "PropertyConstraintViolation",
    ),
    (
        "ocpp2.0.1",
        json.dumps([2, "i", "Authorize", {**AUTHORIZE_201, "x": 1}]),
        "i",
        "FormatViolation",
    ),
    ("ocpp2.0.1", '[5,"i",{}]', "i", "MessageTypeNotSupported"),
    ("ocpp2.0.1", '[3,"nobody-asked"]', None, None),
]
"""As `docs/conformance.md` has it, Frames and Error codes."""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    ports = write_config(tmp_path, dict.fromkeys(("CP1", "CP2"), PASSWORD))
    async with gateway(tmp_path, ports) as process:
        yield process
        assert not [line for line in process.log if "Traceback" in line]


async def booted(opened: ClientConnection, subprotocol: str) -> None:
    answer = await ask(opened, "boot", "BootNotification", BOOTS[subprotocol])
    assert answer[2]["status"] == "Accepted"


def rows(running: GatewayProcess, sql: str, *values: str) -> list[tuple[Any, ...]]:
    path = f"file:{running.folder}/data/wattproof.db?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as conn:
        return conn.execute(sql, values).fetchall()


FACTS: Final = (
    "SELECT (SELECT count(*) FROM session), (SELECT count(*) FROM reading),"
    " (SELECT count(*) FROM orphan), (SELECT count(*) FROM notification),"
    " (SELECT count(*) FROM evse_status), (SELECT count(*) FROM frame)"
)


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_each_broken_frame_gets_its_answer_and_leaves_no_fact(
    running: GatewayProcess, subprotocol: str
) -> None:
    cases = [case[1:] for case in REFUSED if case[0] == subprotocol]
    async with connected(running.ocpp_url, "CP1", subprotocol) as opened:
        await booted(opened, subprotocol)
        await ask(opened, "before", "Heartbeat", {})
        (before,) = rows(running, FACTS)
        for number, (frame, message_id, code) in enumerate(cases):
            await opened.send(frame)
            if message_id is not None:
                answer = await receive(opened)
                assert answer[:3] == [4, message_id, code], frame
            # The socket lives on, and what had no answer got none before this one.
            alive = await ask(opened, f"alive-{number}", "Heartbeat", {})
            assert alive[0] == 3, frame
            assert "currentTime" in alive[2]
    assert await until_refused(running, len(cases))
    (after,) = rows(running, FACTS)
    assert after == before
    kept = [bytes(row[0]) for row in rows(running, "SELECT raw FROM refused_frame")]
    assert kept[0] == b"no json"


async def until_refused(running: GatewayProcess, count: int) -> bool:
    for _ in range(300):
        if rows(running, "SELECT count(*) FROM refused_frame") == [(count,)]:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_binary_and_oversized_frames_cost_the_sender_only(
    running: GatewayProcess,
) -> None:
    async with (
        connected(running.ocpp_url, "CP1", "ocpp1.6") as opened,
        connected(running.ocpp_url, "CP2", "ocpp1.6") as other,
    ):
        await booted(opened, "ocpp1.6")
        await booted(other, "ocpp1.6")
        await opened.send("[2," + "9" * 200_000)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await receive(opened)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert (await ask(other, "1", "Heartbeat", {}))[0] == 3


TOLERATED: Final[list[tuple[str, str, Payload, str]]] = [
    (
        "ocpp1.6",
        "BootNotification",
        {
            "chargePointVendor": "A vendor with a name longer than allowed",
            "chargePointModel": "M",
            "shoeSize": 43,
        },
        "over_long",
    ),
    (
        "ocpp1.6",
        "StatusNotification",
        {"connectorId": 1, "errorCode": "EverythingIsFine", "status": "Available"},
        "unknown_enum",
    ),
    (
        "ocpp1.6",
        "MeterValues",
        {
            "connectorId": 1,
            "meterValue": [
                {
                    "timestamp": "2026-11-23T10:00:00",
                    "sampledValue": [{"value": 17, "unit": "KWH"}],
                }
            ],
        },
        "wrong_type",
    ),
    (
        "ocpp2.0.1",
        "StatusNotification",
        {
            "timestamp": "yesterday",
            "connectorStatus": "Occupied",
            "evseId": "1",
            "connectorId": 1,
        },
        "timestamp_unusable",
    ),
    (
        "ocpp2.0.1",
        "TransactionEvent",
        {
            "eventType": "Updated",
            "timestamp": "2026-11-23T10:00:00Z",
            "triggerReason": "BecauseICan",
            "transactionInfo": {"transactionId": "t1"},
            "shoeSize": 43,
        },
        "missing_member",
    ),
]


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_what_can_be_understood_is_stored_flagged_and_answered(
    running: GatewayProcess, subprotocol: str
) -> None:
    cases = [case[1:] for case in TOLERATED if case[0] == subprotocol]
    async with connected(running.ocpp_url, "CP1", subprotocol) as opened:
        await booted(opened, subprotocol)
        for number, (action, payload, kind) in enumerate(cases):
            answer = await ask(opened, f"odd-{number}", action, payload)
            assert answer[0] == 3, answer
            found = rows(
                running,
                "SELECT deviations, raw FROM frame WHERE message_id = ?",
                f"odd-{number}",
            )
            assert len(found) == 1, "stored before it was answered"
            assert kind in {one["kind"] for one in json.loads(found[0][0])}
            assert json.loads(found[0][1])[3] == payload
        async with running.client() as api:
            shown = await api.get("/stations/CP1/deviations")
        assert len(shown.json()) >= len(cases)
    assert rows(running, "SELECT count(*) FROM refused_frame") == [(0,)]


async def test_the_newest_connection_wins_and_a_late_close_changes_nothing(
    running: GatewayProcess,
) -> None:
    async with connected(running.ocpp_url, "CP1", "ocpp1.6") as old:
        await booted(old, "ocpp1.6")
        async with connected(running.ocpp_url, "CP1", "ocpp1.6") as new:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await receive(old)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            await old.close()
            # No boot: the station was accepted and only reconnected.
            assert (await ask(new, "1", "Heartbeat", {}))[0] == 3
            assert await is_online(running, "CP1")
            await operator_call(running, new)
        assert not await is_online(running, "CP1", expected=False)


async def operator_call(running: GatewayProcess, opened: ClientConnection) -> None:
    """An operator's call reaches this socket, and its answer the operator."""

    here = {"configurationKey": [], "unknownKey": ["here"]}

    async def station() -> None:
        while True:
            _, message_id, action, payload = json.loads(await opened.recv())
            is_ours = payload == {"key": ["where"]}
            answer = here if is_ours else accept(action, payload)
            await opened.send(json.dumps([3, message_id, answer]))
            if is_ours:
                return

    async with running.client() as api, asyncio.TaskGroup() as group:
        group.create_task(station())
        answer = await api.post(
            "/stations/CP1/calls",
            json={"action": "GetConfiguration", "payload": {"key": ["where"]}},
        )
    assert answer.json() == {"outcome": "result", "payload": here}


async def is_online(
    running: GatewayProcess, station_id: str, *, expected: bool = True
) -> bool:
    """Whether the API shows the station online; waits a little for ``expected``."""
    is_shown = not expected
    async with running.client() as api:
        for _ in range(300):
            station = (await api.get(f"/stations/{station_id}")).json()
            is_shown = bool(station["online"])
            if is_shown is expected:
                break
            await asyncio.sleep(0.1)
    return is_shown


async def test_a_half_open_connection_is_replaced_by_the_station_that_comes_back(
    running: GatewayProcess,
) -> None:
    async with connected(running.ocpp_url, "CP1", "ocpp2.0.1") as old:
        await booted(old, "ocpp2.0.1")
        old.transport.abort()
    async with connected(running.ocpp_url, "CP1", "ocpp2.0.1") as new:
        assert (await ask(new, "1", "Heartbeat", {}))[0] == 3
        assert await is_online(running, "CP1")


async def test_an_unauthenticated_connection_takes_nothing_over(
    running: GatewayProcess,
) -> None:
    async with connected(running.ocpp_url, "CP1", "ocpp1.6") as opened:
        await booted(opened, "ocpp1.6")
        with pytest.raises(websockets.InvalidStatus):
            async with connected(
                running.ocpp_url, "CP1", "ocpp1.6", password="wrong-password"
            ):
                pass
        assert (await ask(opened, "1", "Heartbeat", {}))[0] == 3


async def test_a_station_that_floods_does_not_slow_another(
    running: GatewayProcess,
) -> None:
    async with (
        connected(running.ocpp_url, "CP1", "ocpp1.6") as flooder,
        connected(running.ocpp_url, "CP2", "ocpp1.6") as other,
    ):
        await booted(flooder, "ocpp1.6")
        await booted(other, "ocpp1.6")
        quiet_s = await heartbeats(other, "quiet")
        async with asyncio.TaskGroup() as group:
            flood = [group.create_task(flood_frames(flooder))]
            flood.append(group.create_task(read_away(flooder)))
            await asyncio.sleep(0.5)
            loud_s = await heartbeats(other, "loud")
            for task in flood:
                task.cancel()
    # Loose: the machine is shared, and what matters is that nobody waits for seconds.
    assert loud_s < max(50 * quiet_s, 1.0), (quiet_s, loud_s)
    kept = rows(running, "SELECT count(*) FROM refused_frame")[0][0]
    assert 0 < kept <= 120, "a flood of rubbish does not fill the disk"


async def flood_frames(opened: ClientConnection) -> None:
    number = 0
    with_facts = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    try:
        while True:
            number += 1
            await opened.send("rubbish" * 100)
            frame = [2, f"f{number}", "StatusNotification", {**with_facts}]
            frame[3]["timestamp"] = stamp()  # type: ignore[index]  # the payload
            await opened.send(json.dumps(frame))
    except websockets.ConnectionClosed:
        return


async def read_away(opened: ClientConnection) -> None:
    try:
        async for _ in opened:
            pass
    except websockets.ConnectionClosed:
        return


async def heartbeats(opened: ClientConnection, name: str) -> float:
    """Of 100 heartbeats the 99th percentile, s."""
    took = []
    for number in range(100):
        began_s = time.perf_counter()
        answer = await ask(opened, f"{name}-{number}", "Heartbeat", {})
        took.append(time.perf_counter() - began_s)
        assert answer[0] == 3
    return statistics.quantiles(took, n=100)[-1]
