"""What could not be stored is not answered, and is taken when it is sent again."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreShed
from gateway.store.entry import Entry
from gateway.store.sqlite import Appended
from tests.support.ocpp_port import BOOT_16, Port, RawStation, open_port, until

START = {
    "connectorId": 1,
    "idTag": "DRIVER",
    "meterStart": 1000,
    "timestamp": "2026-06-01T12:00:00Z",
}
SAMPLES = {
    "connectorId": 1,
    "meterValue": [
        {"timestamp": "2026-06-01T12:00:00Z", "sampledValue": [{"value": "1"}]}
    ],
}


async def set_broken(port: Port, *, is_broken: bool) -> None:
    """Let SQLite take no writes, or take them again."""

    def job(conn: sqlite3.Connection) -> None:
        conn.execute(f"PRAGMA query_only = {int(is_broken)}")

    await port.writer.run(job)


async def booted(cp: RawStation) -> None:
    """Boot; the set-up then waits for an answer, and writes nothing."""
    assert (await cp.ask("BootNotification", BOOT_16))[0] == 3
    assert (await cp.receive())[2] == "GetConfiguration"


async def answers_to(cp: RawStation, message_id: str) -> list[list[Any]]:
    """Every answer to a message that comes before that to a heartbeat behind it."""
    await cp.send([2, "behind", "Heartbeat", {}])
    found: list[list[Any]] = []
    while True:
        frame = await cp.receive()
        if frame[0] in {3, 4} and frame[1] == "behind":
            return found
        if frame[0] in {3, 4} and frame[1] == message_id:
            found.append(frame)


async def test_what_a_broken_store_lost_is_taken_at_the_first_resend(
    tmp_path: Path,
) -> None:
    async with open_port(tmp_path) as port, port.station() as cp:
        await booted(cp)
        await set_broken(port, is_broken=True)
        call = [2, "start", "StartTransaction", START]
        await cp.send(call)
        await until(lambda: port.ingest.counters.unanswered == 1)
        assert await answers_to(cp, "start") == []
        await set_broken(port, is_broken=False)

        await cp.send(call)
        async with asyncio.timeout(30):
            while (frame := await cp.receive())[:2] != [3, "start"]:
                pass
        number = frame[2]["transactionId"]
        assert len(await port.queries.open_sessions()) == 1

        await cp.send(call)  # its answer got lost: the same one again
        (again,) = await answers_to(cp, "start")
        assert again[2]["transactionId"] == number
        assert len(await port.queries.open_sessions()) == 1


@pytest.mark.quirk(7)
async def test_what_was_shed_is_taken_at_the_first_resend(tmp_path: Path) -> None:
    """Row 7."""
    async with open_port(tmp_path) as port, port.station() as cp:
        await booted(cp)
        working = port.ingest._log

        class Crowded:
            def append(self, _entry: Entry, _on_done: Appended) -> None:
                raise StoreShed("10000 writes are waiting")

        port.ingest._log = Crowded()
        call = [2, "sample", "MeterValues", SAMPLES]
        await cp.send(call)
        assert await answers_to(cp, "sample") == []
        port.ingest._log = working
        await cp.send(call)
        async with asyncio.timeout(30):
            while (await cp.receive())[:2] != [3, "sample"]:
                pass
