"""How far the event loop is behind, and who may come in while it is.

A site that comes back after a power cut is the normal case and is served as fast as it
comes; only when work already accepted waits for seconds are further stations sent away
for a while, a few per second excepted, so that every one gets in at last.
"""

import asyncio
from typing import Final

import structlog

TICK_S: Final = 0.25
LAG_S: Final = 2.0
"""A loop this far behind is saturated: answers would come too late for stations."""
ENTRIES_PER_S: Final = 100.0
"""Handshakes that go on even then."""


_log = structlog.get_logger()


class Pressure:
    """Measures the loop's lag and rations handshakes. Loop thread only."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        self._tokens = ENTRIES_PER_S
        self._filled_at_s = 0.0

    async def measure(self) -> None:
        """Measure for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.note(loop.time() - due_s)

    def note(self, lag_s: float) -> None:
        """Take one measurement; a high one wears off over a few good ones."""
        was_behind = self.lag_s >= LAG_S
        self.lag_s = max(lag_s, self.lag_s / 2)
        if was_behind != (self.lag_s >= LAG_S):
            event = "loop.caught_up" if was_behind else "loop.behind"
            _log.warning(event, lag_s=round(self.lag_s, 2))

    def may_enter(self, now_s: float) -> bool:
        """Whether one more handshake is served now."""
        if self.lag_s < LAG_S:
            return True
        gained = (now_s - self._filled_at_s) * ENTRIES_PER_S
        self._tokens = min(ENTRIES_PER_S, self._tokens + gained)
        self._filled_at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
