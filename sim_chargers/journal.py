"""What a station said and heard lately: for its log files, and for flows that wait."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sim_chargers.frames import Payload

KEPT_EXCHANGES: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call and what became of it.

    Attributes:
        is_ours: The station called; else the central system did.
        answer: Payload of the answer; None where there was none, or an error.
        error: Why there is no answer: an OCPP error code, ``timeout`` or ``offline``.
        at: Station time of the answer.
    """

    at: datetime
    is_ours: bool
    action: str
    payload: Payload
    answer: Payload | None
    error: str | None = None


@dataclass(slots=True)
class Journal:
    """The last exchanges of one station, numbered from 0."""

    n_noted: int = 0
    _kept: deque[Exchange] = field(default_factory=lambda: deque(maxlen=KEPT_EXCHANGES))
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, exchange: Exchange) -> None:
        """Append an exchange and wake those who wait for one."""
        self._kept.append(exchange)
        self.n_noted += 1
        self._news.set()
        self._news = asyncio.Event()

    def since(self, number: int) -> list[tuple[int, Exchange]]:
        """List the kept exchanges from a number on, each with its number."""
        first = self.n_noted - len(self._kept)
        return [(first + i, e) for i, e in enumerate(self._kept) if first + i >= number]

    async def until(
        self, is_wanted: Callable[[int, Exchange], bool], *, since: int
    ) -> tuple[int, Exchange]:
        """Wait for an exchange, which may have happened already."""
        while True:
            for number, exchange in self.since(since):
                if is_wanted(number, exchange):
                    return number, exchange
            since = max(since, self.n_noted)
            await self._news.wait()
