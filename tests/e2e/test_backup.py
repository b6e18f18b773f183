"""A backup of a gateway at work, put back as an operator would."""

import asyncio
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_kill9 import (
    QUICK_STEPS,
    STATIONS,
    check_acknowledged,
    database,
    put_tags,
    yard,
)
from tests.support.gateway_process import (
    WATTPROOF,
    GatewayProcess,
    environment,
    gateway,
    new_token,
    run_cli,
    write_config,
)
from tests.support.queue_station import PASSWORD

pytestmark = pytest.mark.e2e


async def test_a_backup_of_a_busy_gateway_with_its_chain_is_put_back_and_goes_on(
    tmp_path: Path,
) -> None:
    ports = write_config(
        tmp_path,
        dict.fromkeys(STATIONS, PASSWORD),
        ledger="embedded",
        extra=QUICK_STEPS,
    )
    token = await new_token(tmp_path)
    stations = yard(ports[0])
    async with asyncio.TaskGroup() as group:
        for station in stations:
            group.create_task(station.run())
        async with gateway(tmp_path, ports, admin_token=token) as running:
            await put_tags(running)
            await settled_on_chain(running, 3)
            known = [list(station.acknowledged) for station in stations]
            code, out, err = await run_cli(tmp_path, "backup", "copy")
            assert code == 0, err
            assert "chain.db: ok" in out
            assert "complete" in out
            await asyncio.sleep(1.0)
            for station in stations:
                station.drain()
            for station in stations:
                await station.drained.wait()
            assert await running.stop() == 0

    code, out, err = await run_cli(tmp_path, "check", "copy")
    assert (code, out.splitlines()[-1]) == (0, "good"), out + err
    for station, before in zip(stations, known, strict=True):
        station.acknowledged = before
    (tmp_path / "data").rename(tmp_path / "lost")
    shutil.copytree(tmp_path / "copy", tmp_path / "data")
    check_acknowledged(tmp_path, stations)
    with database(tmp_path) as conn:
        (n_session,) = conn.execute(
            "SELECT count(*) FROM session WHERE phase = 'ended'"
        ).fetchone()
    async with gateway(tmp_path, ports, admin_token=token) as running:
        state = await settled_on_chain(running, n_session)
        assert state["alarms"] == []
        assert not [line for line in running.log if "Traceback" in line]
        assert await running.stop() == 0


async def settled_on_chain(running: GatewayProcess, at_least: int) -> dict[str, Any]:
    async with running.client() as api, asyncio.timeout(60):
        while True:
            state: dict[str, Any] = (await api.get("/ledger")).json()
            if state["settlements_on_chain"] >= at_least:
                return state
            await asyncio.sleep(0.25)


async def test_a_backup_that_is_killed_leaves_no_folder_of_its_name(
    tmp_path: Path,
) -> None:
    """What is left says itself that it is unfinished, and the next try succeeds."""
    write_config(tmp_path, {})
    await new_token(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data" / "wattproof.db")) as conn:
        conn.execute("CREATE TABLE filler AS SELECT zeroblob(150000000) AS x")
        conn.commit()
    process = await asyncio.create_subprocess_exec(
        *WATTPROOF, "backup", "copy", cwd=tmp_path, env=environment()
    )
    async with asyncio.timeout(30):
        while not [one for one in unfinished(tmp_path) if has_begun(one)]:  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.001)
    process.kill()
    await process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "copy").exists()
    assert len(unfinished(tmp_path)) == 1
    code, _out, err = await run_cli(tmp_path, "backup", "copy")
    assert code == 0, err


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob(".copy.unfinished-*"))


def has_begun(folder: Path) -> bool:
    return (folder / "wattproof.db").exists()
