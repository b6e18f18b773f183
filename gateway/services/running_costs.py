"""The cost of running sessions, at hand before their messages are answered.

What a session was promised and what it has cost are read once, then carried forward in
memory: an answer takes a look-up and a multiplication. A session that is not at hand
yet is answered without a cost and read for the next time.
"""

import asyncio
import sqlite3
from functools import partial
from typing import Final

import structlog

from gateway.domain.ids import SessionId
from gateway.domain.running_cost import RunningCost, beginning, so_far
from gateway.domain.session import Session, SessionPhase
from gateway.domain.tariff import TariffError
from gateway.errors import StoreError
from gateway.store import money, sessions
from gateway.store.queries import Queries

MAX_KEPT: Final = 20_000
"""Sessions at hand, about 0.5 KB each."""
MAX_WAITING: Final = 10_000

_log = structlog.get_logger()


class RunningCosts:
    """Run it as a task. Loop thread only."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._known: dict[SessionId, RunningCost | None] = {}
        self._line: asyncio.Queue[SessionId] = asyncio.Queue(MAX_WAITING)
        self._waiting: set[SessionId] = set()

    def total_cost(self, session: Session) -> str | None:
        """The cost so far in major units; ``None`` if it is not at hand or unknown."""
        cost = self.cost_of(session)
        return None if cost is None else cost.text

    def cost_of(self, session: Session) -> RunningCost | None:
        """The cost so far; see `total_cost`."""
        session_id = session.session_id
        if session.phase is SessionPhase.ENDED:
            self._known.pop(session_id, None)
            return None
        if not session.has_terms:
            return None
        if session_id not in self._known:
            self._ask(session_id)
            return None
        known = self._known[session_id]
        if known is None:
            return None
        cost = so_far(known, session)
        if cost is not None:
            self._known[session_id] = cost
        return cost

    async def load(self, session: Session) -> RunningCost | None:
        """The cost so far, read now if it is not at hand."""
        if session.has_terms and session.session_id not in self._known:
            await self._read(session.session_id)
        return self.cost_of(session)

    async def run(self) -> None:
        """Read sessions that were asked for, for ever."""
        while True:
            session_id = await self._line.get()
            self._waiting.discard(session_id)
            try:
                await self._read(session_id)
            except StoreError as error:
                _log.warning("cost.not_read", session_id=session_id, why=str(error))

    def _ask(self, session_id: SessionId) -> None:
        if session_id in self._waiting:
            return
        try:
            self._line.put_nowait(session_id)
        except asyncio.QueueFull:
            return  # the next message of the session asks again
        self._waiting.add(session_id)

    async def _read(self, session_id: SessionId) -> None:
        if session_id in self._known:
            return
        found = await asyncio.to_thread(
            self._queries.read_now, partial(read_cost, session_id=session_id)
        )
        while len(self._known) >= MAX_KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[session_id] = found


def read_cost(conn: sqlite3.Connection, *, session_id: SessionId) -> RunningCost | None:
    """The cost of a session by its stored registers; ``None`` if it has no price."""
    session = sessions.by_id(conn, session_id)
    tariff = money.promised_tariff(conn, session_id)
    if session is None or tariff is None:
        return None
    cost = beginning(tariff, session)
    if cost is None:
        return None
    try:
        for point in money.registers_of(conn, session_id):
            cost = cost.to(point)
    except TariffError:
        return None
    return cost
