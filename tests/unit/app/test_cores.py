"""The loop and the writer share a core where a site wants that; nobody else must."""

import asyncio
import os
import threading

import pytest

from gateway import cores
from gateway.errors import StartupError

ALLOWED = cores.allowed()


def test_threads_are_kept_on_a_core_within_the_block() -> None:
    core, stop = min(ALLOWED), threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    assert other.native_id is not None
    with cores.kept_on(core, other.native_id):
        assert os.sched_getaffinity(0) == {core}
        assert os.sched_getaffinity(other.native_id) == {core}
    assert cores.allowed() == ALLOWED
    stop.set()
    other.join()


def test_without_a_core_nothing_is_changed() -> None:
    with cores.kept_on(None):
        assert cores.allowed() == ALLOWED


def test_a_core_that_is_not_there_is_told() -> None:
    absent = max(ALLOWED) + 1
    told = rf"core {absent} \(server\.core\)"
    with pytest.raises(StartupError, match=told), cores.kept_on(absent):
        pass


async def test_workers_of_a_bound_loop_run_anywhere() -> None:
    cores.free_workers()
    with cores.kept_on(min(ALLOWED)):
        assert await asyncio.to_thread(cores.allowed) == ALLOWED
