"""The process around the parts: its loop, signals, collector and running tasks."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias, TypeVar

import structlog

from gateway.errors import StartupError

SWITCH_S: Final = 0.0005
"""How long a thread keeps the interpreter when another one wants it."""
YOUNG_OBJECTS: Final = 5_000
"""Allocations between two looks of the collector at young objects."""
_MALLOPT: Final = (
    (-8, 1),  # M_ARENA_MAX: heaps
    (-2, 1 << 20),  # M_TOP_PAD: bytes taken at once
    (-1, 64 << 20),  # M_TRIM_THRESHOLD: bytes free at its end before any go back
    (-3, 4 << 20),  # M_MMAP_THRESHOLD: a size from which each is mapped by itself
)
RESTART_S: Final = 1.0
"""Real seconds before a part that failed is started again."""

_log = structlog.get_logger()

T = TypeVar("T")
Start: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]], str], None]
"""Starts a part, which may run for ever, under a name."""


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run on a loop of its own; what kept a part from starting comes out plain.

    Raises:
        StartupError: A part could not start.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(work)
    except BaseExceptionGroup as group:
        expected, others = group.split(StartupError)
        if expected is None or others is not None:
            raise
        raise _first(expected) from None


def _first(group: BaseExceptionGroup[StartupError]) -> StartupError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it exists."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


def stop_on_signals(stop: asyncio.Event) -> None:
    """First SIGINT or SIGTERM: stop gracefully; the second: at once."""
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            os._exit(130)
        sys.stderr.write("stopping; once more to stop at once\n")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)


@contextmanager
def on_hangup(told: Callable[[], None]) -> Iterator[None]:
    """Call ``told`` on SIGHUP within the block, where there is such a thing."""
    number = getattr(signal, "SIGHUP", None)
    loop = asyncio.get_running_loop()
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop.add_signal_handler(number, told)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


def calm_collector() -> None:
    """Take what the start made out of the collector's sight: it is here to stay.

    Half a million objects of the libraries would else be walked again and again, a
    tenth of a second each time, while stations wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 20)


def keep_memory() -> None:
    """One heap for all threads, which grows by large steps. Call before they start.

    glibc's heap of a further thread grows page by page: while the writer's page cache
    fills, 2,000 calls to the system a second, each of which stops the event loop, too.
    Another C library has nothing to set, and nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    for option, value in _MALLOPT:
        mallopt(option, value)


def share_interpreter() -> None:
    """Let the writer's thread have the interpreter soon after it asks.

    It asks after every statement; at Python's 5 ms, a busy loop would make a group of
    messages wait for tens of milliseconds.
    """
    sys.setswitchinterval(SWITCH_S)


@asynccontextmanager
async def tasks() -> AsyncIterator[Start]:
    """Parts that run for ever and end with the block."""
    async with asyncio.TaskGroup() as group:
        started: list[asyncio.Task[None]] = []

        def start(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
            started.append(group.create_task(supervised(work, name), name=name))

        try:
            yield start
        finally:
            for task in started:
                task.cancel()


async def supervised(
    work: Callable[[], Coroutine[Any, Any, None]],
    name: str,
    *,
    pause_s: float = RESTART_S,
) -> None:
    """Run a part until it ends: what fails in one must not stop the others.

    Every part finds its place again from the store, so a restart loses nothing.
    """
    while True:
        try:
            await work()
        except StartupError:
            raise
        except Exception:  # noqa: BLE001 - the outer edge of a part: told, then restarted
            _log.exception("part.failed", part=name)
        else:
            return  # it has nothing to do
        await asyncio.sleep(pause_s)
