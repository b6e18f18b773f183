"""What an ended session costs, for the answer to the message that ended it.

It is the judgement that makes the bill, read beside the writer, so that nobody waits
for a long session but its own station. A cost that is not final is not told.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import structlog

from gateway.domain.session import Session
from gateway.errors import StoreError
from gateway.services.judging import Terms, final_cost
from gateway.store.queries import Queries

MAX_AT_ONCE: Final = 2
MAX_WAITING: Final = 1_000
"""Answers that wait for a cost; more go out without one."""
DEADLINE_S: Final = 5.0
"""Real seconds, after which an answer goes out without a cost."""

OnCost: TypeAlias = Callable[[str | None], None]

_log: Final = structlog.get_logger()


class FinalCosts:
    """Run it as a task. Loop thread only."""

    def __init__(self, *, queries: Queries, terms: Terms) -> None:
        self._queries = queries
        self._terms = terms
        self._line: asyncio.Queue[tuple[Session, OnCost]] = asyncio.Queue(MAX_WAITING)

    def ask(self, session: Session, told: OnCost) -> None:
        """Find out; ``told`` is called once, with major units or ``None``."""
        try:
            self._line.put_nowait((session, told))
        except asyncio.QueueFull:
            _log.warning("cost.left_out", session_id=session.session_id)
            told(None)

    async def run(self) -> None:
        """Find out what is asked for, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(MAX_AT_ONCE):
                tasks.create_task(self._serve(), name=f"costs.final.{number}")

    async def _serve(self) -> None:
        while True:
            session, told = await self._line.get()
            told(await self._cost(session))

    async def _cost(self, session: Session) -> str | None:
        work = partial(final_cost, session=session, terms=self._terms)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asyncio.to_thread(self._queries.read_now, work)
        except TimeoutError:
            _log.warning("cost.late", session_id=session.session_id)
        except StoreError as error:
            _log.warning("cost.not_read", session_id=session.session_id, why=str(error))
        except Exception:  # noqa: BLE001 - the outer edge of one cost: told, and answered without
            _log.exception("cost.failed", session_id=session.session_id)
        return None
