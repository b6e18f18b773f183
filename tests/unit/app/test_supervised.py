"""A part that fails is told and started again; the others never notice."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.errors import StartupError
from gateway.process import supervised


async def test_a_part_that_fails_is_logged_and_runs_again() -> None:
    runs: list[int] = []
    again = asyncio.Event()

    async def part() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise KeyError("a bug in a page")
        again.set()
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group, asyncio.timeout(30):
            task = group.create_task(supervised(part, "part.live", pause_s=0))
            await again.wait()
            task.cancel()
    assert len(runs) == 2
    assert [(line["event"], line["part"]) for line in logs] == [
        ("part.failed", "part.live")
    ]


async def test_what_cannot_start_ends_the_whole() -> None:
    async def part() -> None:
        raise StartupError("the chain's file is not one")

    with pytest.raises(StartupError):
        await supervised(part, "part.anchoring", pause_s=0)


async def test_a_part_that_has_nothing_to_do_ends() -> None:
    runs: list[int] = []

    async def part() -> None:
        runs.append(1)

    async with asyncio.timeout(30):
        await supervised(part, "part.anchoring", pause_s=0)
    assert runs == [1]
