"""The journal: one message, its facts and their leaves in one transaction.

`append_entry` runs in the writer's thread. Natural keys make repetitions harmless:
what is already there changes nothing, and the answer is the same as the first time.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from gateway.domain import session as folding
from gateway.domain.events import (
    DeviceReported,
    Event,
    EvseStatusChanged,
    ReservationChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    StationBooted,
    StationNotified,
    is_backlog,
)
from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId, session_id_of
from gateway.domain.metering import FIRST_TRUSTED_YEAR, Sample, judge, samples_in
from gateway.domain.session import EndedBy, Session, SessionEvent, SessionPhase
from gateway.store import (
    clocks,
    continuity,
    deviations,
    facts,
    pages,
    readings,
    sessions,
)
from gateway.store.entry import (
    CommittedFact,
    Entry,
    FinalCost,
    Judge,
    Rating,
    Receipt,
    Sealer,
    StoredReading,
    TokenDecision,
    TokenQuestion,
)
from gateway.store.in_order import NO_NUMBER, Batch
from gateway.store.schema import WriterConnection
from gateway.store.times import to_text
from gateway.store.writer import Writer

BEGINNING: Final = frozenset({"Authorized", "RemoteStart"})
"""Triggers (2.0.1, TriggerReasonEnumType) of updates in which a driver begins."""

Appended: TypeAlias = Callable[[Receipt | None, BaseException | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the wiring injects into the journal; all run inside the transaction.

    Attributes:
        judge: Decides about tokens.
        sealer: Makes ledger leaves; ``None`` without a ledger.
        rating: Rated power of an EVSE, for plausibility.
        final_cost: What an ended session costs, for answers that have room for it.
    """

    judge: Judge
    sealer: Sealer | None = None
    rating: Rating | None = None
    final_cost: FinalCost | None = None


class Store:
    """The writer with the journal's one operation; reads are in `queries`."""

    def __init__(self, writer: Writer, hooks: Hooks) -> None:
        self.writer = writer
        self.hooks = hooks

    def append(self, entry: Entry, on_done: Appended) -> None:
        """Store a message; ``on_done`` runs on the loop after the sync.

        Raises:
            StoreBusy: Too many writes are waiting: do not answer the message.
            StoreError: The store is closed: do not answer the message.
        """
        self.writer.submit_with(AppendJob(entry, self.hooks), on_done)

    async def append_and_wait(self, entry: Entry) -> Receipt:
        """Store a message and wait for its commit.

        Raises:
            StoreError: Nothing was stored.
        """
        return await self.writer.run(AppendJob(entry, self.hooks))


class AppendJob(msgspec.Struct, frozen=True, gc=False):
    """One message for the writer; a `gateway.store.jobs.JointJob`."""

    entry: Entry
    hooks: Hooks

    def __call__(self, conn: sqlite3.Connection) -> Receipt:
        """Store this message."""
        return append_entry(conn, self.entry, self.hooks)

    @property
    def is_telemetry(self) -> bool:
        """Whether the message is no part of a transaction, nor asks for a decision."""
        return self.entry.is_telemetry

    @staticmethod
    def run_all(
        conn: WriterConnection, jobs: Sequence["AppendJob"]
    ) -> Sequence[Receipt]:
        """Store messages in their order, with as few statements as possible."""
        batch = Batch(conn, jobs[0].hooks.sealer)
        receipts = []
        for job in jobs:
            receipt = batch.take(job.entry)
            if receipt is None:
                batch.flush()
                receipt = job(conn)
            receipts.append(receipt)
        batch.flush()
        return receipts


def append_entry(conn: sqlite3.Connection, entry: Entry, hooks: Hooks) -> Receipt:
    """Store one message in the transaction of the caller."""
    return _Append(conn, entry, hooks).run()


class _Append:
    """One message on its way into the tables."""

    def __init__(self, conn: sqlite3.Connection, entry: Entry, hooks: Hooks) -> None:
        self.conn = conn
        self.entry = entry
        self.hooks = hooks
        self.offset = 0
        self.closed: list[Session] = []
        self.registration: str | None = None
        self.authorization: TokenDecision | None = None

    def run(self) -> Receipt:
        """Store it; what this does for an update, `Batch.take` must do or leave."""
        entry = self.entry
        self.offset = facts.frame(self.conn, entry)
        if entry.deviations:
            deviations.count(self.conn, entry, self.offset)
        committed = tuple(self._fact(event) for event in entry.events)
        if entry.authorize is not None and self.authorization is None:
            self._authorize(entry.authorize, entry.authorize_evse)
        session = next(
            (fact.session for fact in reversed(committed) if fact.session), None
        )
        number = None
        is_start = any(isinstance(event, SessionStarted) for event in entry.events)
        if session is not None and is_start and entry.is_ours:
            number = sessions.number_of(self.conn, session.session_id)
        return Receipt(
            offset=self.offset,
            facts=committed,
            closed=tuple(self.closed),
            session=session,
            transaction_number=number,
            authorization=self.authorization,
            registration=self.registration,
            final_cost=self._final_cost(session),
        )

    def _final_cost(self, session: Session | None) -> str | None:
        hook = self.hooks.final_cost
        if hook is None or session is None or not self.entry.wants_cost:
            return None
        if session.phase is not SessionPhase.ENDED:
            return None
        return hook(self.conn, session)

    def _fact(self, event: Event) -> CommittedFact:
        conn = self.conn
        session: Session | None = None
        match event:
            case SessionStarted() | SessionUpdated() | SessionEnded():
                session, is_new = self._session_event(event)
                if not isinstance(event, SessionUpdated):
                    clocks.note(conn, event)
            case EvseStatusChanged():
                clocks.note(conn, event)
                is_new = facts.status_changed(conn, event)
                session = self._state_of_session(event) if is_new else None
            case StationBooted():
                self.registration = facts.booted(conn, event)
                sessions.interrupt(conn, event)
                clocks.forget(conn, event.station_id)
                is_new = True
            case ReservationChanged():
                is_new = facts.reservation_changed(conn, event)
            case DeviceReported():
                is_new = pages.device_reported(conn, event)
            case StationNotified():
                is_new = self._notified(event)
            case _:
                assert_never(event)
        return CommittedFact(
            event=event,
            session=session,
            is_new=is_new,
            is_backlog=is_backlog(event),
        )

    def _notified(self, event: StationNotified) -> bool:
        pages.notified(self.conn, event, self.offset)
        kept = pages.without_personal(event)
        if kept is not event:
            facts.replace_content(self.conn, self.offset, self.entry.message_id, kept)
        return facts.notified(self.conn, kept, self.offset)

    def _session_event(self, event: SessionEvent) -> tuple[Session | None, bool]:
        session: Session | None
        match event:
            case SessionStarted():
                session, is_new = self._started(event)
            case SessionUpdated():
                session, is_new = self._updated(event)
            case SessionEnded():
                session, is_new = self._ended(event)
            case _:
                assert_never(event)
        if event.id_token is not None:
            self._authorize(
                event.id_token,
                event.evse or _place(session),
                session_id=None if session is None else session.session_id,
                begins=_begins(session, event),
                is_start=_begins(session, event) and not is_backlog(event),
            )
        return session, is_new

    def _started(self, event: SessionStarted) -> tuple[Session, bool]:
        station_id = event.evse.station_id
        if event.transaction_id is None:
            session_id = session_id_of(
                station_id, _natural_key(self.conn, self.entry, event)
            )
            known = sessions.by_id(self.conn, session_id)
        else:
            known, session_id = self._by_station_id(event, event.transaction_id)
        if known is None:
            known = self._create(session_id, station_id, event.transaction_id, event)
        session, is_new = self._fold(known, event)
        if session.has_start and not known.has_start:
            session = self._order(session)
            if event.reservation_id is not None:
                facts.reservation_used(self.conn, event, session.session_id)
            self._note_start(session, event)
        return session, is_new

    def _updated(self, event: SessionUpdated) -> tuple[Session | None, bool]:
        known, reason = self._find(event)
        if known is not None:
            return self._fold(known, event)
        is_new = False
        if reason is not None:
            is_new = facts.orphaned(
                self.conn,
                event,
                register_milliwh=None,
                reason=reason,
                offset=self.offset,
            )
        return None, self._readings(event, None, samples_in(event)) or is_new

    def _ended(self, event: SessionEnded) -> tuple[Session | None, bool]:
        known, reason = self._find(event)
        if known is None:
            repeated = sessions.ended_like(
                self.conn, event.station_id, event.occurred_at, event.register_milliwh
            )
            if repeated is not None:
                return repeated, False
            known, matched = self._match_end(event)
            if known is None:
                is_new = facts.orphaned(
                    self.conn,
                    event,
                    register_milliwh=event.register_milliwh,
                    reason=reason or "unknown_transaction",
                    offset=self.offset,
                )
                return None, self._readings(event, None, samples_in(event)) or is_new
            if matched:
                known = self._remember(known, "matched_by_place")
        return self._fold(known, event)

    def _find(
        self, event: SessionUpdated | SessionEnded
    ) -> tuple[Session | None, str | None]:
        """The session an event belongs to, or why there is none."""
        wire_id = event.transaction_id
        if wire_id is not None and not self.entry.is_ours:
            known, session_id = self._by_station_id(event, wire_id)
            if known is None:
                known = self._create(session_id, event.station_id, wire_id, event)
            return known, None
        if wire_id is not None and wire_id not in NO_NUMBER:
            found = sessions.by_wire_id(self.conn, event.station_id, wire_id)
            if found:
                return found[0], None
        if isinstance(event, SessionEnded):
            return None, "unknown_transaction"
        evse_id = 0 if event.evse is None else event.evse.evse_id
        candidates = (
            sessions.during(self.conn, event.station_id, evse_id, event.occurred_at)
            if evse_id > 0
            else []
        )
        if len(candidates) == 1:
            return candidates[0], None
        if wire_id is None:
            return None, None
        return None, "ambiguous_place" if candidates else "unknown_transaction"

    def _by_station_id(
        self, event: SessionEvent, wire_id: str
    ) -> tuple[Session | None, SessionId]:
        """A session under an id that the station made (OCPP 2.0.1).

        A station may use an id again, against the specification: a start at another
        time is another session, and later facts go to the latest one before them.
        """
        station_id = self.entry.station_id
        found = sessions.by_wire_id(self.conn, station_id, wire_id)
        if not found:
            return None, session_id_of(station_id, (wire_id,))
        if isinstance(event, SessionStarted):
            for session in found:
                if not session.has_start or session.started_at == event.occurred_at:
                    return session, session.session_id
            again = session_id_of(station_id, (wire_id, to_text(event.occurred_at)))
            return None, again
        before = [
            session
            for session in found
            if session.started_at is not None
            and session.started_at <= event.occurred_at
        ]
        session = before[-1] if before else found[0]
        return session, session.session_id

    def _match_end(self, event: SessionEnded) -> tuple[Session | None, bool]:
        """An end whose transaction is unknown: the one session it can mean.

        Without one, the end itself is all we know of a session, if it can only have
        been on one EVSE. Returns the session and whether it was there before.
        """
        station_id = event.station_id
        open_now = [
            session
            for session in sessions.open_at_station(
                self.conn, station_id, event.occurred_at
            )
            if _may_end(session, event)
        ]
        if len(open_now) == 1:
            return open_now[0], True
        if open_now:
            return None, False
        evse_id = (
            event.evse.evse_id
            if event.evse is not None
            else sessions.only_evse(self.conn, station_id)
        )
        if not evse_id:
            return None, False
        key = ("end", event.transaction_id, to_text(event.occurred_at))
        session_id = session_id_of(station_id, (*key, str(event.register_milliwh)))
        placed = replace(
            event,
            evse=EvseRef(station_id=station_id, evse_id=evse_id, connector_id=evse_id),
        )
        wire_id = None if event.transaction_id in NO_NUMBER else event.transaction_id
        return self._create(session_id, station_id, wire_id, placed), False

    def _create(
        self,
        session_id: SessionId,
        station_id: StationId,
        wire_id: str | None,
        event: SessionEvent,
    ) -> Session:
        """A row for a session of which nothing is known yet."""
        number: int | None = None
        if wire_id is None and isinstance(event, SessionStarted):
            number = sessions.allot_number(self.conn, station_id)
            wire_id = str(number)
        session = replace(
            folding.empty(session_id, station_id, wire_id),
            received_at=event.received_at,
        )
        if event.evse is not None:
            session = replace(
                session,
                evse_id=event.evse.evse_id,
                connector_id=event.evse.connector_id,
            )
        sessions.insert(self.conn, session, self.offset)
        if number is not None:
            self.conn.execute(
                "UPDATE session SET transaction_number = ? WHERE session_id = ?",
                (number, session_id),
            )
        return session

    def _fold(self, before: Session, event: SessionEvent) -> tuple[Session, bool]:
        is_new = False
        if not isinstance(event, SessionUpdated) and folding.is_amendment(
            before, event
        ):
            is_new = facts.amended(self.conn, event, before.session_id, self.offset)
        samples = samples_in(event)
        dropped = readings.falls(samples) or any(
            readings.has_drop(self.conn, before, sample) for sample in samples
        )
        after = folding.apply(before, event, samples)
        if dropped:
            after = replace(
                after, verdicts=folding.add_words(after.verdicts, "register_drop")
            )
        is_new = self._readings(event, after, samples) or is_new
        after = self._save(before, after)
        if after.ended_by is EndedBy.STATION and before.ended_by is not after.ended_by:
            self.conn.execute(
                "UPDATE session SET end_offset = ? WHERE session_id = ?",
                (self.offset, after.session_id),
            )
        return after, is_new or after != before

    def _readings(
        self, event: SessionEvent, session: Session | None, samples: Sequence[Sample]
    ) -> bool:
        """Store the samples of an event; returns whether any was new."""
        place = event.evse
        evse_id = 0 if place is None else place.evse_id
        if session is not None:
            evse_id = session.evse_id
        session_id = None if session is None else session.session_id
        is_new = False
        for sample in samples:
            stored = StoredReading(
                session_id=session_id,
                station_id=self.entry.station_id,
                evse_id=evse_id,
                received_at=event.received_at,
                sample=sample,
            )
            is_new |= readings.insert(self.conn, stored, self.offset, self.hooks.sealer)
        for signed in event.signed:
            is_new |= readings.insert_signed(
                self.conn,
                signed,
                session_id=session_id,
                station_id=self.entry.station_id,
                evse_id=evse_id,
                offset=self.offset,
            )
        return is_new

    def _order(self, session: Session) -> Session:
        """Never two open sessions on one EVSE: a later start ends an earlier one."""
        at = sessions.order_time(session)
        for earlier in sessions.closable_before(self.conn, session, at):
            over = folding.supersede(earlier, at, session.register_start_milliwh)
            if over != earlier:
                self.closed.append(self._save(earlier, over))
        if session.ended_by is EndedBy.STATION:
            return session
        later = sessions.next_start(self.conn, session, at)
        if later is None:
            return session
        over = folding.supersede(
            session, sessions.order_time(later), later.register_start_milliwh
        )
        return self._save(session, over)

    def _remember(self, session: Session, word: str) -> Session:
        marked = replace(session, verdicts=folding.add_words(session.verdicts, word))
        return self._save(session, marked)

    def _save(self, before: Session, after: Session) -> Session:
        if after.phase is SessionPhase.ENDED:
            previous = continuity.previous_end(self.conn, after)
            after = judged(after, self.hooks.rating, previous)
        sessions.update(self.conn, before, after)
        if after.register_end_milliwh != before.register_end_milliwh:
            self._judge_next(after)
        return after

    def _judge_next(self, session: Session) -> None:
        """Judge a session again whose start may be the end of this one."""
        later = sessions.next_without_start(self.conn, session)
        if later is not None:
            self._save(later, later)

    def _state_of_session(self, event: EvseStatusChanged) -> Session | None:
        if event.evse.evse_id == 0:
            return None
        found = sessions.open_at_evse(
            self.conn, event.evse.station_id, event.evse.evse_id
        )
        if len(found) != 1:
            return None
        return self._save(found[0], folding.apply_status(found[0], event))

    def _note_start(self, session: Session, event: SessionStarted) -> None:
        sealer = self.hooks.sealer
        leaf_index = (
            None
            if sealer is None
            else sealer.session_started(self.conn, session, event)
        )
        self.conn.execute(
            "UPDATE session SET start_leaf_index = ?, reservation_id = ?,"
            " remote_start_id = ? WHERE session_id = ?",
            (
                leaf_index,
                event.reservation_id,
                event.remote_start_id,
                session.session_id,
            ),
        )

    def _authorize(
        self,
        token: IdToken,
        evse: EvseRef | None,
        *,
        session_id: SessionId | None = None,
        begins: bool = False,
        is_start: bool = False,
    ) -> None:
        self.authorization = self.hooks.judge(
            self.conn,
            TokenQuestion(
                station_id=self.entry.station_id,
                evse=evse,
                token=token,
                at=self.entry.received_at,
                session_id=session_id,
                begins=begins,
                is_start=is_start,
            ),
        )


def _begins(session: Session | None, event: SessionEvent) -> bool:
    """Whether a driver begins here: some transactions start before anyone is known.

    With a start point before the authorization (2.0.1, E01) the token comes with an
    update; sent again, it is judged the same.
    """
    if isinstance(event, SessionStarted):
        return True
    return (
        isinstance(event, SessionUpdated)
        and event.trigger in BEGINNING
        and session is not None
        and session.id_token is not None
        and event.id_token is not None
        and event.id_token.key == session.id_token.casefold()
    )


def _place(session: Session | None) -> EvseRef | None:
    if session is None:
        return None
    return EvseRef(
        station_id=session.station_id,
        evse_id=session.evse_id,
        connector_id=session.connector_id,
    )


def judged(
    session: Session, rating: Rating | None, previous_end_milliwh: int | None = None
) -> Session:
    """The session with its verdict, once it is over; see `metering.judge`."""
    if session.phase is not SessionPhase.ENDED:
        return session
    rated_w = None if rating is None else rating(session.station_id, session.evse_id)
    judgement = judge(
        session, rated_w=rated_w, previous_end_milliwh=previous_end_milliwh
    )
    verdict = judgement.verdict.value
    return session if verdict == session.verdict else replace(session, verdict=verdict)


def _natural_key(
    conn: sqlite3.Connection, entry: Entry, event: SessionStarted
) -> tuple[str, ...]:
    """What makes a 1.6 start this start, however often it is sent.

    Where the station's clock cannot tell starts apart, the payload as sent must; and
    where even that says nothing (1970, register 0), the message id since the last boot:
    such stations count ids from one after each.
    """
    connector = str(event.evse.connector_id)
    register = str(event.register_milliwh)
    token = "" if event.id_token is None else event.id_token.key
    if (
        event.occurred_at.year >= FIRST_TRUSTED_YEAR
        and event.occurred_at != event.received_at
    ):
        return (connector, to_text(event.occurred_at), register, token)
    payload = hashlib.sha256(entry.payload).hexdigest()
    if not event.register_milliwh:
        return (
            connector,
            payload,
            entry.message_id,
            facts.boot(conn, entry.station_id),
        )
    return (connector, payload)


def _may_end(session: Session, event: SessionEnded) -> bool:
    """Whether an end without a known transaction can mean this session."""
    if event.evse is not None and event.evse.evse_id not in {0, session.evse_id}:
        return False
    token = event.id_token
    if (
        token is not None
        and session.id_token is not None
        and token.key != session.id_token.casefold()
    ):
        return False
    start, end = session.register_start_milliwh, event.register_milliwh
    return start is None or end is None or end >= start
