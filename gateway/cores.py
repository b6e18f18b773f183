"""Processor cores of threads and processes, where the system lets one choose.

Event loop and writer take turns on the interpreter; on two cores, each turn moves what
both touch from one core's caches to the other's. On one they need a third less time for
a message. Whatever else computes is kept off that decision.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from gateway.errors import StartupError


def allowed() -> frozenset[int]:
    """Cores that this thread may run on; empty where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    return frozenset(os.sched_getaffinity(0))


def run_on(cores: frozenset[int]) -> None:
    """Let this thread, and the threads and processes it starts, run on these cores."""
    if cores:
        os.sched_setaffinity(0, cores)


def free_workers() -> None:
    """Let the threads that the running loop gives work to run on every core."""
    workers = ThreadPoolExecutor(initializer=run_on, initargs=(allowed(),))
    asyncio.get_running_loop().set_default_executor(workers)


@contextmanager
def kept_on(core: int | None, *thread_ids: int) -> Iterator[None]:
    """Keep this thread and others on one core within the block.

    Args:
        core: Number of the core; ``None`` leaves everything as it is.
        thread_ids: Native ids of the others.

    Raises:
        StartupError: There is no such core, or the system has no such choice.
    """
    if core is None:
        yield
        return
    before = allowed()
    if core not in before:
        known = ", ".join(map(str, sorted(before))) or "none can be chosen here"
        raise StartupError(f"cannot run on core {core} (server.core): {known}")
    mine = threading.get_native_id()
    for thread_id in (mine, *thread_ids):
        os.sched_setaffinity(thread_id, {core})
    try:
        yield
    finally:
        run_on(before)
