"""From an ended session to a bill and a settlement, exactly once.

What one is worth is in `gateway.services.judging`, the transaction that writes it in
`gateway.services.settling`. A crash at any point costs nothing: ended sessions without
a bill are found again.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import structlog

from gateway.bus import (
    Bus,
    FactCommitted,
    Lagged,
    Notice,
    SessionSettled,
    Subscription,
)
from gateway.clock import Clock
from gateway.domain.ids import SessionId
from gateway.domain.session import SessionPhase
from gateway.errors import RequestError, StoreError
from gateway.services.judging import Terms
from gateway.services.meter_key_alarm import raise_alarm
from gateway.services.preparing import Prepared, prepare
from gateway.services.settling import (
    Settled,
    release_in,
    settle_at_once,
    settle_in,
)
from gateway.services.signed_meter import KeyChanged
from gateway.store import money
from gateway.store.money import BillRow
from gateway.store.queries import Queries
from gateway.store.writer import Writer

T = TypeVar("T")

RETRY_S: Final = 1.0
BATCH: Final = 100
"""Sessions looked up at once when there are many to judge."""
ATTEMPTS: Final = 3
"""How often a session is worked out beside the writer; then in it, and it is done."""

_log: Final = structlog.get_logger()


class Settlement:
    """Settles sessions as they end; run it as a task."""

    def __init__(
        self,
        *,
        writer: Writer,
        queries: Queries,
        bus: Bus,
        clock: Clock,
        terms: Terms,
    ) -> None:
        self._writer = writer
        self._queries = queries
        self._bus = bus
        self._clock = clock
        self._terms = terms

    async def run(self) -> None:
        """Catch up with what ended meanwhile, then follow the bus for ever."""
        with self._bus.subscribe(
            "settlement", wants=_may_settle, of=(FactCommitted,)
        ) as subscription:
            await self._patiently(self.catch_up)
            while True:
                await self._follow(subscription)

    async def catch_up(self) -> int:
        """Judge every ended session that has no bill; returns how many."""
        done, left_out = 0, set[SessionId]()
        while True:
            limit = BATCH + len(left_out)
            waiting = await self._read(partial(money.sessions_to_judge, limit=limit))
            new = [one for one in waiting if one not in left_out]
            if not new:
                return done
            for session_id in new:
                if await self._is_judged(session_id):
                    done += 1
                else:
                    left_out.add(session_id)

    async def settle(self, session_id: SessionId) -> BillRow | None:
        """Judge one session (again, while its bill is held).

        Returns:
            Its bill, ``None`` while it runs or if it is unknown.

        Raises:
            StoreError: Nothing was stored; try again.
        """
        for _ in range(ATTEMPTS):
            now = self._clock.now()
            prepared = await self._prepare(session_id)
            if prepared is None:
                return None
            done = await self._writer.run(
                partial(settle_in, prepared=prepared, now=now)
            )
            if done is not None:
                return self._tell(done, now)
        now = self._clock.now()
        done = await self._writer.run(
            partial(settle_at_once, session_id=session_id, terms=self._terms, now=now)
        )
        return None if done is None else self._tell(done, now)

    async def release(
        self, session_id: SessionId, actor: str, seen_minor: int | None = None
    ) -> BillRow:
        """Settle a held bill on an operator's word (audited).

        Args:
            session_id: The session.
            actor: Token of the operator.
            seen_minor: The amount that the operator saw; ``None``: whatever it is.

        Raises:
            RequestError: 404 no bill; 409 settled already, no bill can be made, it is
                another amount than was seen, or the session changes right now.
        """
        if seen_minor is not None:  # what is refused must be there to be looked at
            await self.settle(session_id)
        for _ in range(ATTEMPTS):
            now = self._clock.now()
            prepared = await self._prepare(session_id)
            if prepared is None:
                raise RequestError(404, "no_bill", "this session has no bill")
            row = await self._writer.run(
                partial(
                    release_in,
                    prepared=prepared,
                    actor=actor,
                    now=now,
                    seen_minor=seen_minor,
                )
            )
            if row is not None:
                self._publish(row)
                return row
        raise RequestError(409, "changing", "this session changes now; try again")

    async def _prepare(self, session_id: SessionId) -> Prepared | None:
        work = partial(prepare, session_id=session_id, terms=self._terms)
        return await self._read(work)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Off the loop and off the writer: nobody waits for it."""
        return await asyncio.to_thread(self._queries.read_now, work)

    def _tell(self, done: Settled, now: datetime) -> BillRow:
        self._warn(done.changed, now)
        if done.is_new:
            self._publish(done.row)
        return done.row

    async def _follow(self, subscription: Subscription) -> None:
        for notice in await subscription.batch():
            if isinstance(notice, Lagged):
                await self._patiently(self.catch_up)
            elif isinstance(notice, FactCommitted) and notice.session is not None:
                session = notice.session
                if session.phase is SessionPhase.ENDED:
                    await self._patiently(partial(self._is_judged, session.session_id))

    async def _is_judged(self, session_id: SessionId) -> bool:
        """Judge one; what fails for it alone must keep no other one waiting.

        Raises:
            StoreError: Nothing was stored; try again.
        """
        try:
            return await self.settle(session_id) is not None
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - the outer edge of one session: told; it is found again at the next start
            _log.exception("session.not_judged", session_id=session_id)
            return False

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        """Settle, waiting for a store that is busy or full: nothing is skipped."""
        while True:
            try:
                await work()
            except StoreError as error:
                _log.warning("settlement.delayed", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _warn(self, changed: tuple[KeyChanged, ...], now: datetime) -> None:
        """Tell people that a meter signs with a key that nobody vouched for."""
        for one in changed:
            raise_alarm(self._bus, one, now)

    def _publish(self, row: BillRow) -> None:
        _log.info(
            "session.judged",
            session_id=row.session_id,
            status=row.status,
            verdict=row.verdict,
            reasons=list(row.reasons),
            energy_milliwh=row.energy_milliwh,
            amount_minor=row.amount_minor,
            currency=row.currency,
        )
        self._bus.publish(
            SessionSettled(
                session_id=row.session_id, status=row.status, at=row.decided_at
            )
        )


def _may_settle(notice: Notice) -> bool:
    """A session that is over, by its own end or by a later start."""
    return (
        isinstance(notice, FactCommitted)
        and notice.session is not None
        and notice.session.phase is SessionPhase.ENDED
    )
