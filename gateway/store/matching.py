"""Which session an event belongs to, if necessary a new one."""

import hashlib
import sqlite3

from msgspec.structs import replace

from gateway.domain import session as folding
from gateway.domain.events import SessionEnded, SessionStarted, SessionUpdated
from gateway.domain.ids import EvseRef, SessionId, StationId, session_id_of
from gateway.domain.metering import FIRST_TRUSTED_YEAR
from gateway.domain.session import Session, SessionEvent
from gateway.store import facts, sessions
from gateway.store.entry import Entry
from gateway.store.in_order import NO_NUMBER
from gateway.store.times import to_text


class Matching:
    """Finds the sessions of one message; makes rows for those not known yet."""

    def __init__(self, conn: sqlite3.Connection, entry: Entry, offset: int) -> None:
        self.conn = conn
        self.entry = entry
        self.offset = offset

    def start(self, event: SessionStarted) -> Session:
        """The session that starts here, as it was before."""
        station_id = event.evse.station_id
        if event.transaction_id is None:
            session_id = session_id_of(
                station_id, _natural_key(self.conn, self.entry, event)
            )
            known = sessions.by_id(self.conn, session_id)
        else:
            known, session_id = self._by_station_id(event, event.transaction_id)
        if known is None:
            return self._create(session_id, station_id, event.transaction_id, event)
        return known

    def find(
        self, event: SessionUpdated | SessionEnded
    ) -> tuple[Session | None, str | None]:
        """The session an event belongs to, or why there is none."""
        wire_id = event.transaction_id
        if wire_id is not None and not self.entry.is_ours:
            known, session_id = self._by_station_id(event, wire_id)
            if known is None and _is_vendors(event):
                return None, "unknown_transaction"
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

    def end(self, event: SessionEnded) -> tuple[Session | None, bool]:
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


def _is_vendors(event: SessionUpdated | SessionEnded) -> bool:
    """Whether it is no TransactionEvent: signed data in a vendor's own message.

    Such a message names a session, but makes none.
    """
    return (
        isinstance(event, SessionUpdated)
        and event.evse is None
        and event.sequence is None
        and event.trigger is None
    )


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
