"""One message on its way into the tables: its facts, sessions and leaves."""

import sqlite3
from typing import Final, assert_never

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
from gateway.domain.ids import EvseRef, IdToken, SessionId
from gateway.domain.metering import samples_in
from gateway.domain.session import Session, SessionEvent
from gateway.store import clocks, deviations, facts, pages, sessions
from gateway.store.entry import (
    CommittedFact,
    Entry,
    Hooks,
    Receipt,
    TokenDecision,
    TokenQuestion,
)
from gateway.store.folds import Folds
from gateway.store.matching import Matching

BEGINNING: Final = frozenset({"Authorized", "RemoteStart"})
"""Triggers (2.0.1, TriggerReasonEnumType) of updates in which a driver begins."""


def append_entry(conn: sqlite3.Connection, entry: Entry, hooks: Hooks) -> Receipt:
    """Store one message in the transaction of the caller."""
    return _Append(conn, entry, hooks, facts.frame(conn, entry)).run()


class _Append:
    """One message whose frame is stored already."""

    def __init__(
        self, conn: sqlite3.Connection, entry: Entry, hooks: Hooks, offset: int
    ) -> None:
        self.conn = conn
        self.entry = entry
        self.hooks = hooks
        self.offset = offset
        self.matching = Matching(conn, entry, offset)
        self.folds = Folds(conn, entry, hooks, offset)
        self.registration: str | None = None
        self.authorization: TokenDecision | None = None

    def run(self) -> Receipt:
        """Store it; what this does for an update, `Batch.take` must do or leave."""
        entry = self.entry
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
            closed=tuple(self.folds.closed),
            session=session,
            transaction_number=number,
            authorization=self.authorization,
            registration=self.registration,
        )

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
        known = self.matching.start(event)
        session, is_new = self.folds.fold(known, event)
        if session.has_start and not known.has_start:
            session = self.folds.order(session)
            if event.reservation_id is not None:
                facts.reservation_used(self.conn, event, session.session_id)
            self._note_start(session, event)
        return session, is_new

    def _updated(self, event: SessionUpdated) -> tuple[Session | None, bool]:
        known, reason = self.matching.find(event)
        if known is not None:
            session, is_new = self.folds.fold(known, event)
            self._note_terms(known, session, event)
            return session, is_new
        is_new = False
        if reason is not None:
            is_new = facts.orphaned(
                self.conn,
                event,
                register_milliwh=None,
                reason=reason,
                offset=self.offset,
            )
        return None, self.folds.readings(event, None, samples_in(event)) or is_new

    def _ended(self, event: SessionEnded) -> tuple[Session | None, bool]:
        known, reason = self.matching.find(event)
        if known is None:
            repeated = sessions.ended_like(
                self.conn, event.station_id, event.occurred_at, event.register_milliwh
            )
            if repeated is not None:
                return repeated, False
            known, matched = self.matching.end(event)
            if known is None:
                is_new = facts.orphaned(
                    self.conn,
                    event,
                    register_milliwh=event.register_milliwh,
                    reason=reason or "unknown_transaction",
                    offset=self.offset,
                )
                has_reading = self.folds.readings(event, None, samples_in(event))
                return None, has_reading or is_new
            if matched:
                known = self.folds.remember(known, "matched_by_place")
        session, is_new = self.folds.fold(known, event)
        self._note_terms(known, session, event)
        return session, is_new

    def _state_of_session(self, event: EvseStatusChanged) -> Session | None:
        if event.evse.evse_id == 0:
            return None
        found = sessions.open_at_evse(
            self.conn, event.evse.station_id, event.evse.evse_id
        )
        if len(found) != 1:
            return None
        return self.folds.save(found[0], folding.apply_status(found[0], event))

    def _note_start(self, session: Session, event: SessionStarted) -> None:
        sealer = self.hooks.sealer
        leaf_index = None
        if sealer is not None and session.has_terms:
            leaf_index = sealer.session_started(self.conn, session, event)
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

    def _note_terms(self, before: Session, after: Session, event: SessionEvent) -> None:
        """Promise a tariff to a driver who was not known at the start.

        Energy that flowed without one has the tariff of the station, whoever comes.
        """
        sealer = self.hooks.sealer
        if sealer is None or not after.has_start:
            return
        if before.has_terms or not after.has_terms:
            return
        if after.has_delivered:
            after = replace(after, id_token=None, token_kind=None)
        leaf_index = sealer.session_started(self.conn, after, event)
        self.conn.execute(
            "UPDATE session SET start_leaf_index = ?"
            " WHERE session_id = ? AND start_leaf_index IS NULL",
            (leaf_index, after.session_id),
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
