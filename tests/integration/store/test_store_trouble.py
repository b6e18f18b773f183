"""A store in trouble behind a real port: nothing confirmed falsely, nothing lost.

Each trouble is met over real sockets by the whole gateway: a disk that is full, one
that takes five seconds for a commit, a file that is locked, one that cannot be written.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from gateway.store import writer as writer_module
from gateway.store.schema import WriterConnection, connect
from sim_chargers.clock import to_wire
from tests.support.api_site import ApiSite, api_site
from tests.support.journal import NOON
from tests.support.raw_station import RawStation

START = {
    "connectorId": 1,
    "idTag": "DRIVER",
    "meterStart": 1000,
    "timestamp": "2026-06-01T12:00:00Z",
}
TIMEOUT_S = 2
"""Of stations' messages, for the tests that exceed it."""


@asynccontextmanager
async def site(
    folder: Path, *, message_timeout_s: int = 30
) -> AsyncIterator[tuple[ApiSite, RawStation]]:
    """A gateway with one station that has booted."""
    ocpp = {"message_timeout_s": message_timeout_s}
    async with api_site(folder, ocpp=ocpp) as made:
        await made.register("OLD")
        await made.call("PUT", "/id-tokens/DRIVER", {"status": "Accepted"})
        async with made.station("OLD") as station:
            await station.boot()
            yield made, station


async def start(station: RawStation, minutes: int = 0) -> list[Any]:
    at = to_wire(NOON + timedelta(minutes=minutes))
    return await station.call("StartTransaction", {**START, "timestamp": at})


async def stays_unanswered(station: RawStation, for_s: float = 1.0) -> None:
    """A start is not answered, while heartbeats are."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(start(station))
        async with asyncio.timeout(for_s + 30):
            for _ in range(3):
                await asyncio.sleep(for_s / 3)
                answer = await station.ask("Heartbeat", {})
                assert "currentTime" in answer
        assert not waiting.done(), waiting.result()
        waiting.cancel()


async def n_session(made: ApiSite) -> int:
    (row,) = await made.parts.queries.rows("SELECT count(*) FROM session", ())
    return int(row[0])


async def recovered(made: ApiSite, station: RawStation) -> None:
    """The same start is taken now, once."""
    answer = await start(station)
    assert answer[0] == 3
    assert answer[2]["transactionId"] >= 1
    assert await start(station) == [3, f"m{int(answer[1][1:]) + 1}", answer[2]]
    assert await n_session(made) == 1
    parts = (await made.client.get("/readyz")).json()["parts"]
    assert parts["store"] is True


async def metric(made: ApiSite, name: str) -> float:
    text = (await made.client.get("/metrics")).text
    (line,) = (one for one in text.splitlines() if one.startswith(f"wattproof_{name} "))
    return float(line.split()[1])


def fill_disk(conn: sqlite3.Connection) -> None:
    """No page can be added any more."""
    conn.execute("PRAGMA max_page_count = 1")  # raised to the current size


def make_room(conn: sqlite3.Connection) -> None:
    conn.execute("PRAGMA max_page_count = 1073741823")


def cannot_write(path: Path, *, busy_timeout_ms: int) -> WriterConnection:
    """Opened as on a disk that was remounted read-only."""
    conn = connect(path, busy_timeout_ms=busy_timeout_ms)
    conn.execute("PRAGMA query_only = ON")
    return conn


def never_writes(conn: sqlite3.Connection) -> None:
    conn.execute("PRAGMA query_only = ON")


async def test_on_a_full_disk_exactly_what_was_confirmed_is_stored(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as (made, station):
        await made.gateway.writer.run(fill_disk)
        n_confirmed = 0
        while await is_confirmed(made, station, n_confirmed):  # while pages have room
            n_confirmed += 1
        await station.ask("Heartbeat", {})
        assert not await is_confirmed(made, station, n_confirmed)
        assert await n_session(made) == n_confirmed
        assert await metric(made, "messages_unanswered_total") >= 2
        assert await metric(made, "store_failed_groups_total") >= 2
        await made.gateway.writer.run(make_room)
        assert await is_confirmed(made, station, n_confirmed)
        assert await is_confirmed(made, station, n_confirmed)
        assert await n_session(made) == n_confirmed + 1
        assert await metric(made, "store_hung_up_total") == 0


async def is_confirmed(made: ApiSite, station: RawStation, number: int) -> bool:
    """Whether the n-th start is answered; it is, or it counts as unanswered."""
    before = await metric(made, "messages_unanswered_total")
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        answer = group.create_task(start(station, number))
        while not answer.done():
            if await metric(made, "messages_unanswered_total") > before:
                answer.cancel()
                return False
            await asyncio.sleep(0.05)
    return bool(answer.result()[0] == 3)


async def test_a_disk_that_takes_five_seconds_delays_answers_and_loses_none(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as (made, station):
        made.gateway.writer._commit_delay_s = 5.0
        begun_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(start(station))
            await asyncio.sleep(0.2)
            async with asyncio.timeout(4):  # of the five
                while await metric(made, "store_blocked_seconds") <= 1.0:
                    await station.ask("Heartbeat", {})
                    await asyncio.sleep(0.1)
            assert not waiting.done()
        answer = waiting.result()
        assert answer[0] == 3
        assert asyncio.get_running_loop().time() - begun_s >= 5.0
        made.gateway.writer._commit_delay_s = 0.0
        await recovered(made, station)
        assert await metric(made, "store_hung_up_total") == 0


async def test_a_file_that_another_process_locks_is_waited_for(tmp_path: Path) -> None:
    async with site(tmp_path) as (made, station):
        with closing(sqlite3.connect(made.gateway.writer.path)) as other:
            other.isolation_level = None
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(start(station))
                for _ in range(4):
                    await asyncio.sleep(0.5)
                    await station.ask("Heartbeat", {})
                assert not waiting.done()
                other.execute("ROLLBACK")
        assert waiting.result()[0] == 3
        await recovered(made, station)


async def test_a_read_only_disk_leaves_transactions_unanswered_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path) as (made, station):
        with monkeypatch.context() as trouble:
            trouble.setattr(writer_module, "connect", cannot_write)
            await made.gateway.writer.run(never_writes)
            await stays_unanswered(station)
            assert (await made.client.get("/readyz")).status_code == 503
            assert await n_session(made) == 0
        await recovered(made, station)


async def test_a_long_outage_sends_stations_offline_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station that is offline keeps its queue; one that is online gives up."""
    async with site(tmp_path, message_timeout_s=TIMEOUT_S) as (made, station):
        await made.register("NEW")
        async with made.station("NEW", "2.0.1") as idle:
            await idle.boot()
            with monkeypatch.context() as trouble, capture_logs() as logs:
                trouble.setattr(writer_module, "connect", cannot_write)
                await made.gateway.writer.run(never_writes)
                async with asyncio.timeout(TIMEOUT_S + 30):
                    with pytest.raises(asyncio.CancelledError):
                        await start(station)
                assert station._socket is not None
                assert station._socket.close_code == 1013
                for _ in range(3):
                    with pytest.raises(InvalidStatus) as refused:
                        async with made.station("OLD"):
                            pass
                    assert refused.value.response.status_code == 503
                    await asyncio.sleep(0.3)
                await idle.ask("Heartbeat", {})
                assert await metric(made, "store_hung_up_total") == 1
                assert await metric(made, "store_blocked_seconds") >= TIMEOUT_S
            async with asyncio.timeout(30):
                while await metric(made, "store_blocked_seconds") > 0:  # noqa: ASYNC110 - it asks over HTTP
                    await asyncio.sleep(0.1)
            async with made.station("OLD") as back:
                await recovered(made, back)
            await idle.ask("Heartbeat", {})
    events = [log["event"] for log in logs if "store" in log["event"]]
    assert events.count("store.stations_kept_out") == 1
