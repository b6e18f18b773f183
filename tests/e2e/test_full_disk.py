"""A disk without room: the system itself refuses the writes of a running gateway.

``RLIMIT_FSIZE`` of the process is lowered while it runs, so that no file of its can
grow: the database, its log and the embedded chain meet EFBIG in the middle of whatever
they write. Raising it is room again.
"""

import asyncio
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.test_kill9 import (
    STATIONS,
    check_acknowledged,
    check_chain,
    check_log,
    check_once,
    check_receipts,
    configured,
    prepare,
    settled,
    tracebacks,
    yard,
)
from tests.support.gateway_process import (
    GatewayProcess,
    gateway,
)
from tests.support.queue_station import QueueStation

pytestmark = pytest.mark.e2e

ROOM_BYTES = (0, 5_000, 60_000)
"""What is left for the log when the disk fills up, in each round: nothing, a part of a
page, the middle of a group."""
NOTHING = -1
"""Not even what is there can be written over."""
FULL_S = 1.5
TIMEOUT_S = 30.0


@pytest.mark.timeout(300)
async def test_a_disk_without_room_loses_nothing_and_all_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    ports, token = await configured(tmp_path)
    stations = yard(ports[0])
    async with (
        asyncio.TaskGroup() as group,
        gateway(tmp_path, ports, admin_token=token) as running,
    ):
        await prepare(running)
        for station in stations:
            group.create_task(station.run())
        for room_bytes in ROOM_BYTES:
            await until_acknowledged(stations, 20)
            n_failed = await failed_writes(running)
            fill_disk(running, room_bytes)
            await until_failed(running, n_failed)
            check_acknowledged(tmp_path, stations)
            make_room(running)
            await until_ready(running, True)
        await until_acknowledged(stations, 20)
        fill_disk(running, NOTHING)
        await until_ready(running, False)
        n_acknowledged = acknowledged(stations)
        await asyncio.sleep(FULL_S)
        assert acknowledged(stations) == n_acknowledged
        check_acknowledged(tmp_path, stations)
        make_room(running)
        await until_ready(running, True)
        await until_acknowledged(stations, 20)
        for station in stations:
            station.drain()
        n_session = await settled(running, stations)
        await check_receipts(running)
        assert not tracebacks(running)
        assert await running.stop() == 0
    assert n_session > len(STATIONS)
    check_acknowledged(tmp_path, stations)
    check_once(tmp_path, stations)
    check_log(tmp_path)
    check_chain(tmp_path)


def fill_disk(running: GatewayProcess, room_bytes: int) -> None:
    """From now on no file of the gateway grows far beyond the size of its log."""
    log = running.folder / "data" / "wattproof.db-wal"
    _, hard = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
    limit = 0 if room_bytes == NOTHING else log.stat().st_size + room_bytes
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (limit, hard))


def make_room(running: GatewayProcess) -> None:
    _, hard = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def acknowledged(stations: Sequence[QueueStation]) -> int:
    return sum(len(station.acknowledged) for station in stations)


async def until_acknowledged(stations: Sequence[QueueStation], number: int) -> None:
    """Wait for so many more answers."""
    target = acknowledged(stations) + number
    async with asyncio.timeout(TIMEOUT_S):
        while acknowledged(stations) < target:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


async def failed_writes(running: GatewayProcess) -> float:
    async with running.client() as api:
        text = (await api.get(f"{running.api_url}/metrics")).text
    (line,) = (
        one
        for one in text.splitlines()
        if one.startswith("wattproof_store_failed_groups_total ")
    )
    return float(line.split()[1])


async def until_failed(running: GatewayProcess, before: float) -> None:
    """Wait until the system has refused another write."""
    async with asyncio.timeout(TIMEOUT_S):
        while await failed_writes(running) == before:  # noqa: ASYNC110 - it asks over HTTP
            await asyncio.sleep(0.1)


async def until_ready(running: GatewayProcess, wanted: bool) -> None:
    async with running.client() as api, asyncio.timeout(TIMEOUT_S):
        while True:
            answer = await api.get(f"{running.api_url}/readyz")
            assert answer.status_code in {200, 503}
            if answer.json()["parts"]["store"] is wanted:
                return
            await asyncio.sleep(0.1)
