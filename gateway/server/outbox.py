"""Frames that leave together, at the end of a turn of the event loop.

A write to a socket is the dearest single step of an answer, and dearest when it wakes a
peer that sleeps. Written back to back, the answers of one turn cost a fifth less of the
whole message than written one by one between the messages (``docs/performance.md``).
"""

from collections.abc import Callable
from typing import Final, Protocol

import structlog

MOST: Final = 128
"""Connections that may wait; then all are written, to bound the wait of the first."""


_log = structlog.get_logger()


class Writes(Protocol):
    """A connection with frames to write."""

    def write_out(self) -> None:
        """Write them."""
        ...


class Outbox:
    """Connections with frames to write. Loop thread only.

    Args:
        soon: Calls back at the end of this turn, as ``loop.call_soon``.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        self._soon = soon
        self._waiting: list[Writes] = []

    def add(self, connection: Writes) -> None:
        """Write what this connection has, soon."""
        waiting = self._waiting
        if not waiting:
            self._soon(self.empty)
        waiting.append(connection)
        if len(waiting) >= MOST:
            self.empty()

    def empty(self) -> None:
        """Write what all connections have."""
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            try:
                connection.write_out()
            except Exception:  # noqa: BLE001 - the outer edge: one connection never keeps others from writing
                _log.exception("link.write_failed")
