"""Turns of stations: once each, some at a time, and nobody's failure spreads."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.domain.ids import StationId
from gateway.services.line import Line

CP1, CP2 = StationId("CP1"), StationId("CP2")


async def played(line: Line, script: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        task = group.create_task(line.run())
        await script()
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - counts turns of the loop
        await asyncio.sleep(0)


async def test_what_fails_for_one_station_costs_no_other_its_turn() -> None:
    done = asyncio.Event()
    goes_on = asyncio.Event()

    async def work(station_id: StationId) -> None:
        if station_id == CP1:
            raise TypeError("unhashable type: 'dict'")
        await goes_on.wait()
        done.set()

    line = Line(work, name="test", at_once=2)

    async def script() -> None:
        line.put(CP2)
        line.put(CP1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        goes_on.set()
        await done.wait()

    with structlog.testing.capture_logs() as logs:
        await played(line, script)
    assert [(one["event"], one["station_id"]) for one in logs] == [("turn.failed", CP1)]


async def test_a_station_waits_once_and_is_never_worked_for_twice_at_a_time() -> None:
    turns: list[StationId] = []
    at_work: set[StationId] = set()
    release = asyncio.Event()

    async def work(station_id: StationId) -> None:
        assert station_id not in at_work
        at_work.add(station_id)
        turns.append(station_id)
        await release.wait()
        at_work.discard(station_id)

    line = Line(work, name="test", at_once=4)

    async def script() -> None:
        for _ in range(100):
            line.put(CP1)
        await until(lambda: turns == [CP1])
        for _ in range(100):
            line.put(CP1)
        line.put(CP2)
        await until(lambda: turns == [CP1, CP2])
        release.set()
        await until(lambda: len(turns) == 3 and not at_work)
        await asyncio.sleep(0.01)

    await played(line, script)
    assert turns == [CP1, CP2, CP1]


async def test_no_more_stations_than_allowed_are_worked_for_at_once() -> None:
    busiest, busy, n_left = 0, 0, 50

    async def work(_station_id: StationId) -> None:
        nonlocal busy, busiest, n_left
        busy += 1
        busiest = max(busy, busiest)
        await asyncio.sleep(0)
        busy -= 1
        n_left -= 1

    line = Line(work, name="test", at_once=3)

    async def script() -> None:
        for number in range(50):
            line.put(StationId(f"CP{number}"))
        await until(lambda: n_left == 0)

    await played(line, script)
    assert busiest == 3
