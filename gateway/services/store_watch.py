"""When nothing can be stored for long, stations had better be offline.

A message that bills stays unanswered while the store is away, and its station sends it
again; but each try that it counts as a failure brings it nearer to giving up (1.6,
3.7.1; 2.0.1, E13). A station without a connection counts nothing and keeps its queue.
So once an outage has lasted as long as stations wait for an answer, the connections on
which something waits are closed and none is let in, until a write reaches the disk.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from gateway.errors import StoreError
from gateway.services.ingest import IngestCounters
from gateway.store.jobs import Job
from gateway.store.writer import Done

LOOK_S: Final = 0.5
"""Real seconds between two looks."""
REASON: Final = "nothing can be stored: come later"
_WRITE: Final = "UPDATE store_state SET closed_cleanly = 0"

_log: Final = structlog.get_logger()


class Messages(Protocol):
    """What is asked of the ingest."""

    @property
    def counters(self) -> IngestCounters:
        """What happened to messages."""
        ...

    @property
    def is_down(self) -> bool:
        """Whether the last message that was to be stored could not be."""
        ...


class Probes(Protocol):
    """Where a write is tried; `gateway.store.writer.Writer`."""

    def submit_with(self, job: Job[None], on_done: Done[None]) -> None:
        """Run a job in a group commit."""
        ...


class StoreWatch:
    """Knows for how long nothing was stored, and acts on it. Loop thread only.

    Args:
        probes: Where a write is tried.
        messages: What becomes of stations' messages.
        hang_up: Closes the connections on which a message waits; how many.
        timeout_s: Real seconds for which stations wait for an answer.

    Attributes:
        n_hung_up: Connections closed so far.
    """

    def __init__(
        self,
        *,
        probes: Probes,
        messages: Messages,
        hang_up: Callable[[str], int],
        timeout_s: float,
    ) -> None:
        self.n_hung_up = 0
        self._probes = probes
        self._messages = messages
        self._hang_up = hang_up
        self._timeout_s = timeout_s
        self._now_s = asyncio.get_running_loop().time
        self._since_s: float | None = None
        self._is_probing = False
        self._is_told = False
        self._n_taken = 0
        self._n_known = 0

    @property
    def blocked_s(self) -> float:
        """Real seconds for which nothing has been stored; 0 while the store works."""
        return 0.0 if self._since_s is None else self._now_s() - self._since_s

    @property
    def is_shut(self) -> bool:
        """Whether stations are kept outside."""
        return self.blocked_s >= self._timeout_s

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Look once."""
        messages, now_s = self._messages, self._now_s()
        has_news = messages.counters.messages != self._n_taken
        self._n_taken = messages.counters.messages
        if not messages.is_down:
            self._n_known = messages.counters.unanswered
        if self._since_s is None and messages.counters.unanswered > self._n_known:
            self._since_s = now_s
        if not self._is_probing and (has_news or self._since_s is not None):
            self._probe(now_s)
        if self.is_shut:
            self._shut()

    def _shut(self) -> None:
        n_closed = self._hang_up(REASON)
        self.n_hung_up += n_closed
        if not self._is_told:
            self._is_told = True
            _log.error(
                "store.stations_kept_out",
                blocked_s=round(self.blocked_s, 1),
                n_closed=n_closed,
            )

    def _probe(self, now_s: float) -> None:
        """Try a write; until it is on disk the store counts as blocked."""
        try:
            self._probes.submit_with(_write, self._probed)
        except StoreError:
            self._since_s = now_s if self._since_s is None else self._since_s
            return
        self._is_probing = True
        if self._since_s is None:
            self._since_s = now_s

    def _probed(self, _result: None, error: BaseException | None) -> None:
        self._is_probing = False
        if error is not None:
            return
        n_unanswered = self._messages.counters.unanswered
        has_failed = self._messages.is_down and n_unanswered > self._n_known
        if has_failed and not self.is_shut:
            return  # a small write went through, but no message did since
        self._n_known = n_unanswered
        if self._is_told:
            self._is_told = False
            _log.info("store.stations_let_in", after_s=round(self.blocked_s, 1))
        self._since_s = None


def _write(conn: sqlite3.Connection) -> None:
    conn.execute(_WRITE)
