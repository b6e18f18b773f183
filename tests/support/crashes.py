"""Ways to kill a gateway with ``kill -9``, when and how settled by a seed."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.support.gateway_process import (
    WATTPROOF,
    GatewayProcess,
    environment,
    run_cli,
)

LIKELY: Final = {
    "load": 10,
    "start": 4,
    "checkpoint": 3,
    "stop": 2,
    "backup": 1,
}
"""Kinds of crashes, and how often each comes: while stations send, before it is ready
(so that recovery itself is killed), at a checkpoint, in a graceful stop, in a backup.
"""
LOAD_S: Final = 1.2
"""Longest life under load."""
START_S: Final = 2.5
"""Longest life where the start is killed; a longer start is killed all the same."""
STOP_S: Final = 0.3
BACKUP_S: Final = 0.1
BACKUP_KILLED_TOO: Final = 0.5
"""Of crashes in a backup, the share in which the backup is killed as well."""
CHECKPOINT_TIMEOUT_S: Final = 5.0
BACKUP_TIMEOUT_S: Final = 60.0
LOOK_S: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """One kill.

    Attributes:
        kind: One of `LIKELY`.
        share: Of the longest life of its kind after which it comes, 0 to 1.
    """

    kind: str
    share: float


def crashes(seed: int, number: int) -> Iterator[Crash]:
    """First one of each kind, then by chance."""
    dice = Random(seed)  # noqa: S311 - when to kill, not a secret
    kinds = list(LIKELY)
    dice.shuffle(kinds)
    kinds += dice.choices(list(LIKELY), list(LIKELY.values()), k=number)
    for kind in kinds[:number]:
        yield Crash(kind=kind, share=dice.random())


async def crash(running: GatewayProcess, planned: Crash) -> None:
    """Let a gateway that serves run on for a while, and kill it.

    Raises:
        AssertionError: A backup that it left behind is no good.
    """
    match planned.kind:
        case "load":
            await asyncio.sleep(LOAD_S * planned.share)
            await running.kill()
        case "checkpoint":
            await asyncio.sleep(LOAD_S * planned.share)
            await until_written(running.folder / "data" / "wattproof.db")
            await running.kill()
        case "stop":
            running.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(STOP_S * planned.share)
            if running.process.returncode is None:
                await running.kill()
        case "backup":
            await _crash_in_backup(running, planned)
        case _:
            raise AssertionError(planned.kind)


async def crash_while_starting(folder: Path, planned: Crash) -> None:
    """Start a gateway and kill it, most likely before it serves."""
    process = await asyncio.create_subprocess_exec(
        *WATTPROOF,
        *("run", "--config", "config.toml"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    async with asyncio.TaskGroup() as group:
        log = group.create_task(process.communicate())
        await asyncio.sleep(START_S * planned.share)
        assert process.returncode is None, (await log)[0].decode()
        process.kill()
    assert process.returncode == -signal.SIGKILL


async def until_written(path: Path) -> None:
    """Wait until pages of the log are moved into the database."""
    before = _written_at(path)
    until_s = time.monotonic() + CHECKPOINT_TIMEOUT_S
    while _written_at(path) == before and time.monotonic() < until_s:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(LOOK_S)


def _written_at(path: Path) -> int:
    return path.stat().st_mtime_ns


async def _crash_in_backup(running: GatewayProcess, planned: Crash) -> None:
    target = running.folder / "copy"
    process = await asyncio.create_subprocess_exec(
        *WATTPROOF,
        "backup",
        target.name,
        cwd=running.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    try:
        async with asyncio.timeout(BACKUP_TIMEOUT_S):
            while not has_begun(target):  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(LOOK_S)
        await asyncio.sleep(BACKUP_S * planned.share)
        await running.kill()
        if planned.share < BACKUP_KILLED_TOO:
            if process.returncode is None:
                process.kill()
            await process.wait()
        else:
            out, _ = await asyncio.wait_for(process.communicate(), BACKUP_TIMEOUT_S)
            assert process.returncode == 0, out.decode()
            assert target.exists()
        if target.exists():  # it may have been whole before it was killed
            code, told, err = await run_cli(running.folder, "check", target.name)
            assert (code, told.splitlines()[-1]) == (0, "good"), told + err
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        for folder in (target, *unfinished(target)):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def unfinished(target: Path) -> list[Path]:
    """Folders in which a backup is being made, or was."""
    return list(target.parent.glob(f".{target.name}.unfinished-*"))


def has_begun(target: Path) -> bool:
    """Whether a backup is being made, or is done."""
    return target.exists() or any(
        (one / "wattproof.db").exists() for one in unfinished(target)
    )
