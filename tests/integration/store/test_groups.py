"""How jobs come together in one commit."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store import gathering
from gateway.store.gathering import PATIENCE_S, PLENTY, Gathering
from gateway.store.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "groups.sqlite3"


@pytest.fixture
def opened(path: Path) -> Iterator[Writer]:
    made = Writer(path)
    yield made
    made.close()


def nothing(_conn: sqlite3.Connection) -> None:
    """A job."""


async def test_jobs_of_turns_that_follow_each_other_share_a_commit(
    opened: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "PATIENCE_S", 5.0)  # whatever else the machine does
    opened.start(asyncio.get_running_loop())
    await opened.run(nothing)
    commits = opened.counters.commits
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            for _ in range(4):
                group.create_task(opened.run(nothing))
            await asyncio.sleep(0)
    assert opened.counters.commits == commits + 1
    assert opened.counters.jobs >= 13


async def test_a_loop_that_never_rests_hands_over_all_the_same(opened: Writer) -> None:
    loop = asyncio.get_running_loop()
    opened.start(loop)
    await opened.run(nothing)
    commits, started_s = opened.counters.commits, loop.time()
    async with asyncio.TaskGroup() as group:
        while opened.counters.commits == commits:
            group.create_task(opened.run(nothing))
            await asyncio.sleep(0)
            assert loop.time() < started_s + PATIENCE_S + 30, "the first job starves"


async def test_what_was_gathered_is_written_when_the_store_closes(
    opened: Writer, path: Path
) -> None:
    opened.start(asyncio.get_running_loop())
    opened.submit_with(
        lambda conn: conn.execute("CREATE TABLE told (n INTEGER)"), lambda *_: None
    )
    opened.close()
    with sqlite3.connect(path) as conn:
        assert conn.execute("SELECT count(*) FROM told").fetchone() == (0,)
    conn.close()


async def test_a_lonely_job_waits_for_no_others() -> None:
    portions: list[list[int]] = []
    gathered = Gathering[int](asyncio.get_running_loop(), portions.append)
    gathered.add(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert portions == [[1]]


async def test_plenty_is_handed_over_at_once() -> None:
    portions: list[list[int]] = []
    gathered = Gathering[int](asyncio.get_running_loop(), portions.append)
    for number in range(PLENTY):
        gathered.add(number)
    await asyncio.sleep(0)
    assert [len(portion) for portion in portions] == [PLENTY]


async def test_while_many_come_portions_keep_a_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(gathering, "PACE_S", 2.0)
    portions: list[tuple[float, int]] = []
    gathered = Gathering[int](
        loop, lambda some: portions.append((loop.time(), len(some)))
    )
    gathered.add(0)
    gathered.give()  # the window of counting begins
    monkeypatch.setattr(gathering, "MANY_PER_S", 0.001)
    monkeypatch.setattr(gathering, "WINDOW_S", 0.0)
    gathered.add(1)
    gathered.give()  # from now on there are many
    gathered.add(2)
    await asyncio.sleep(0.01)
    gathered.add(3)
    assert len(portions) == 2
    async with asyncio.timeout(30):
        while len(portions) < 3:  # noqa: ASYNC110 - the loop itself hands them over
            await asyncio.sleep(0.05)
    assert [n for _, n in portions] == [1, 1, 2]
    assert portions[2][0] - portions[1][0] >= 1.9


async def test_few_jobs_keep_no_pace() -> None:
    portions: list[int] = []
    gathered = Gathering[int](
        asyncio.get_running_loop(), lambda some: portions.append(len(some))
    )
    for _ in range(3):
        gathered.add(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(gathering.WINDOW_S)
    assert portions == [1, 1, 1]
