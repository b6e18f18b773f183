"""An event loop whose time jumps: a day of a site in as long as its work takes.

Coroutines run as they are; whenever nothing is ready, the loop's clock moves to its
next timer instead of waiting for it. Loop clock and site clock are the same here, so
timeouts, debouncing and hold times keep the proportions that they have in production.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class _Jumps(selectors.SelectSelector):
    """Selects without waiting and lets the time pass that it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    @override
    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing will ever happen")
            self.now_s += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that never sleeps; no threads, processes or sockets may wake it."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    @override
    def time(self) -> float:
        return self._jumps.now_s


class VirtualClock:
    """Site time of a `VirtualLoop`: one site second a loop second.

    Attributes:
        epoch: Site time at the loop's 0.
    """

    speed = 1.0

    def __init__(self, epoch: datetime, loop: asyncio.AbstractEventLoop) -> None:
        self.epoch = epoch
        self._loop = loop

    def now(self) -> datetime:
        """Aware UTC site time."""
        return self.epoch + timedelta(seconds=self._loop.time())

    def real_s(self, site_s: float) -> float:
        """The same number: this clock is not scaled."""
        return site_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
