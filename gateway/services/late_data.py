"""Data that come after a settlement and say otherwise: proposals, never edits.

A settled bill stands. Where a late sample, a second word of the station about start or
end, or a signed record would have made another bill, the difference is shown to an
operator: in the driver's favour it becomes a credit with one click, against the driver
it is shown and nothing else.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

import msgspec
import structlog

from gateway.bus import Bus, FactCommitted, Lagged, Notice, Subscription
from gateway.clock import Clock
from gateway.domain.bill import Bill
from gateway.domain.ids import SessionId
from gateway.domain.reasons import Verdict
from gateway.domain.session import Session, SessionPhase
from gateway.domain.verdict import Judgement
from gateway.errors import StoreError
from gateway.services import signed_meter
from gateway.services.billing import make_bill
from gateway.services.crediting import Rating
from gateway.services.session_energy import judge_in
from gateway.store import corrections, money, sessions
from gateway.store.corrections import ProposalRecord
from gateway.store.money import BillRow
from gateway.store.queries import Queries
from gateway.store.reading_trail import OF_SESSION
from gateway.store.times import to_text
from gateway.store.writer import Writer

GATHER_S: Final = 2.0
"""Real seconds to gather what else comes late: a backlog is looked at once."""
RETRY_S: Final = 1.0
BATCH: Final = 20
"""Sessions looked at in one writer job: bounds what others wait for."""
LOOK_BACK: Final = 50_000
"""Readings looked at after a start: among them is what came as we crashed."""

_MISSED: Final = (
    "SELECT session_id FROM amendment"
    " UNION SELECT session_id FROM (SELECT session_id, leaf_index FROM reading"
    "  ORDER BY reading_id DESC LIMIT ?) JOIN bill USING (session_id)"
    " WHERE status = 'settled' AND leaf_index > settlement_leaf_index"
)
_LATE_READING: Final = f"SELECT 1 FROM reading {OF_SESSION} AND leaf_index > ? LIMIT 1"  # noqa: S608 - a constant clause
_AMENDMENTS: Final = (
    "SELECT kind, occurred_at, register_milliwh FROM amendment"
    " JOIN frame ON frame.offset = frame_offset"
    " WHERE session_id = ? AND received_at > ? ORDER BY frame_offset"
)
_log: Final = structlog.get_logger()


class LateData:
    """Looks again at settled sessions that something came for; run it as a task."""

    def __init__(
        self,
        *,
        queries: Queries,
        writer: Writer,
        bus: Bus,
        clock: Clock,
        rating: Rating,
    ) -> None:
        self._queries = queries
        self._rating = rating
        self._writer = writer
        self._bus = bus
        self._clock = clock

    async def run(self) -> None:
        """Catch up with what came before a crash, then follow the bus for ever."""
        with self._bus.subscribe(
            "late-data", wants=_may_be_late, of=(FactCommitted,)
        ) as subscription:
            await self._look(await self._missed())
            while True:
                await self._look(await self._next(subscription))

    async def _next(self, subscription: Subscription) -> set[SessionId]:
        found: set[SessionId] = set()
        is_lagged = _take(await subscription.batch(), found)
        await asyncio.sleep(GATHER_S)
        return found | await self._missed() if is_lagged else found

    async def _missed(self) -> set[SessionId]:
        while True:
            try:
                return await asyncio.to_thread(self._queries.read_now, missed)
            except StoreError as error:
                _log.warning("late_data.delayed", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _look(self, session_ids: Iterable[SessionId]) -> None:
        waiting = sorted(session_ids)
        while waiting:
            try:
                found = await self._review(waiting[:BATCH])
            except StoreError as error:
                _log.warning("late_data.delayed", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            waiting = waiting[BATCH:]
            for one in found:
                _log.warning(
                    "session.contradicted",
                    session_id=one.session_id,
                    reasons=list(one.reasons),
                    amount_minor=one.amount_minor,
                )

    async def _review(self, session_ids: Sequence[SessionId]) -> list[ProposalRecord]:
        """Look beside the writer; only what was found is written."""
        suspects = await asyncio.to_thread(
            self._queries.read_now,
            partial(contradicted, session_ids=session_ids, rating=self._rating),
        )
        if not suspects:
            return []
        now = self._clock.now()
        return await self._writer.run(
            partial(review_all, session_ids=suspects, now=now, rating=self._rating)
        )


def contradicted(
    conn: sqlite3.Connection, *, session_ids: Iterable[SessionId], rating: Rating
) -> list[SessionId]:
    """Those of the sessions that are settled, and whose data say otherwise."""
    return [one for one in session_ids if _is_contradicted(conn, one, rating)]


def _is_contradicted(
    conn: sqlite3.Connection, session_id: SessionId, rating: Rating
) -> bool:
    """What fails for one session alone must keep no other one waiting."""
    try:
        return _found(conn, session_id, rating) is not None
    except sqlite3.Error:
        raise
    except Exception:  # noqa: BLE001 - the outer edge of one session: told; it is looked at again when more comes
        _log.exception("session.not_reviewed", session_id=session_id)
        return False


def missed(conn: sqlite3.Connection) -> set[SessionId]:
    """Settled sessions that something may have come for while nobody looked."""
    return {SessionId(row[0]) for row in conn.execute(_MISSED, (LOOK_BACK,))}


def review_all(
    conn: sqlite3.Connection,
    *,
    session_ids: Iterable[SessionId],
    now: datetime,
    rating: Rating,
) -> list[ProposalRecord]:
    """Review sessions in the caller's transaction; returns what is new."""
    found = (
        review_in(conn, session_id=one, now=now, rating=rating) for one in session_ids
    )
    return [one for one in found if one is not None]


def review_in(
    conn: sqlite3.Connection, *, session_id: SessionId, now: datetime, rating: Rating
) -> ProposalRecord | None:
    """Look again at a settled session; keep what speaks against its bill.

    Returns:
        The proposal if it is new, else ``None``.
    """
    found = _found(conn, session_id, rating)
    if found is None:
        return None
    reasons, bill = found
    proposal = ProposalRecord(
        session_id=session_id,
        reasons=reasons,
        found=None if bill is None else bill.to_json(),
        energy_milliwh=None if bill is None else bill.energy_milliwh,
        amount_minor=None if bill is None else bill.amount_minor,
        found_at=now,
        state="open",
    )
    return proposal if corrections.put_proposal(conn, proposal) else None


def contradiction(
    conn: sqlite3.Connection, session: Session, row: BillRow, rating: Rating
) -> tuple[tuple[str, ...], Bill | None] | None:
    """What the data of a settled session say against its bill.

    The most certain word counts: signed registers, then the station's latest word
    about start and end, then the highest register of a sample.

    Args:
        conn: Any connection, in a transaction.
        session: As it is stored now.
        row: Its settled bill.
        rating: Rated power of an EVSE, W.

    Returns:
        Why, and the bill it would be (``None`` where none can be made); ``None`` where
        all agrees.
    """
    document = row.document
    decision = corrections.decision_on(conn, session.session_id)
    if document is None or (decision is not None and decision.decision == "corrected"):
        return None  # a person has looked at the data, and knows better
    finding = signed_meter.current(conn, session)
    is_late = _has_late_reading(conn, session.session_id, row)
    session, amended = _amended(conn, session, row.decided_at)
    rated_w = rating(session.station_id, session.evse_id)
    judgement = judge_in(conn, session, rated_w=rated_w, signed=finding)
    judgement, beyond = _beyond(session, judgement) if is_late else (judgement, ())
    known = (document["register_start_milliwh"], document["register_end_milliwh"])
    registers = judgement.register_start_milliwh, judgement.register_end_milliwh
    if registers == known and not amended and not is_late:
        return None
    tariff = money.promised_tariff(conn, session.session_id)
    bill, why_not = make_bill(conn, session, judgement, tariff)
    if bill is not None and bill.to_json() == document:
        return None
    signed = ["signed_registers"] if judgement.verdict is Verdict.OK else []
    reasons = [*amended, *beyond, *([why_not] if why_not else [])]
    if registers != known:
        reasons += signed or ["other_registers"]
    return tuple(dict.fromkeys(reasons or ["late_samples"])), bill


def _found(
    conn: sqlite3.Connection, session_id: SessionId, rating: Rating
) -> tuple[tuple[str, ...], Bill | None] | None:
    row = money.find_bill(conn, session_id)
    if row is None or row.status != "settled":
        return None
    session = sessions.by_id(conn, session_id)
    return None if session is None else contradiction(conn, session, row, rating)


def _amended(
    conn: sqlite3.Connection, session: Session, settled_at: datetime
) -> tuple[Session, tuple[str, ...]]:
    """The session as the station's latest word, after the settlement, has its ends."""
    reasons: list[str] = []
    values = session.session_id, to_text(settled_at)
    for kind, occurred_at, register in conn.execute(_AMENDMENTS, values):
        at = datetime.fromisoformat(occurred_at)
        if kind == "ended":
            reasons.append("amended")
            session = msgspec.structs.replace(
                session,
                ended_at=at,
                register_end_milliwh=session.register_end_milliwh
                if register is None
                else register,
            )
        else:
            reasons.append("amended_start")
            session = msgspec.structs.replace(
                session,
                started_at=at,
                register_start_milliwh=session.register_start_milliwh
                if register is None
                else register,
            )
    return session, tuple(dict.fromkeys(reasons))


def _beyond(
    session: Session, judgement: Judgement
) -> tuple[Judgement, tuple[str, ...]]:
    """The end at the highest register of a sample, where that is above the end."""
    word = "sample_outside_registers"
    last, end = session.register_last_milliwh, judgement.register_end_milliwh
    start = judgement.register_start_milliwh
    if (
        word not in judgement.reasons
        or judgement.verdict is Verdict.OK
        or last is None
        or end is None
        or start is None
        or last <= end
    ):
        return judgement, ()
    energy_milliwh = last - start
    return (
        replace(judgement, register_end_milliwh=last, energy_milliwh=energy_milliwh),
        (word,),
    )


def _has_late_reading(
    conn: sqlite3.Connection, session_id: SessionId, row: BillRow
) -> bool:
    after = row.settlement_leaf_index
    if after is None:
        return False
    return conn.execute(_LATE_READING, (session_id, after)).fetchone() is not None


def _may_be_late(notice: Notice) -> bool:
    return (
        isinstance(notice, FactCommitted)
        and notice.session is not None
        and notice.session.phase is SessionPhase.ENDED
    )


def _take(notices: Iterable[Notice | Lagged], found: set[SessionId]) -> bool:
    """Add the sessions of notices; says whether some notices were lost."""
    is_lagged = False
    for notice in notices:
        if isinstance(notice, Lagged):
            is_lagged = True
        elif isinstance(notice, FactCommitted) and notice.session is not None:
            found.add(notice.session.session_id)
    return is_lagged
