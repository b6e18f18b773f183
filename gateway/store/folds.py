"""Sessions on their way back into their rows: folded, ordered, judged.

A fold is pure (`gateway.domain.session`); what it needs to know of other rows, and what
it changes in them, is here.
"""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.domain import session as folding
from gateway.domain.events import SessionUpdated
from gateway.domain.metering import Sample, samples_in
from gateway.domain.neighbours import Before
from gateway.domain.session import EndedBy, Session, SessionEvent, SessionPhase
from gateway.domain.signed_session import UNSIGNED, SignedFinding
from gateway.domain.verdict import UNKNOWN, judge
from gateway.store import continuity, facts, readings, sessions, signed
from gateway.store.entry import Entry, Hooks, Rating, StoredReading


class Folds:
    """Applies the events of one message to sessions and stores what they become.

    Attributes:
        closed: Sessions that were ended because a later one started.
    """

    def __init__(
        self, conn: sqlite3.Connection, entry: Entry, hooks: Hooks, offset: int
    ) -> None:
        self.conn = conn
        self.entry = entry
        self.hooks = hooks
        self.offset = offset
        self.closed: list[Session] = []

    def fold(self, before: Session, event: SessionEvent) -> tuple[Session, bool]:
        """Apply an event; returns the session and whether anything was new."""
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
        is_new = self.readings(event, after, samples) or is_new
        after = self.save(before, after)
        if after.ended_by is EndedBy.STATION and before.ended_by is not after.ended_by:
            self.conn.execute(
                "UPDATE session SET end_offset = ? WHERE session_id = ?",
                (self.offset, after.session_id),
            )
        return after, is_new or after != before

    def readings(
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
        for record in event.signed:
            is_new |= readings.insert_signed(
                self.conn,
                record,
                session_id=session_id,
                station_id=self.entry.station_id,
                evse_id=evse_id,
                offset=self.offset,
            )
        return is_new

    def order(self, session: Session) -> Session:
        """Never two open sessions on one EVSE: a later start ends an earlier one."""
        at = sessions.order_time(session)
        for earlier in sessions.closable_before(self.conn, session, at):
            over = folding.supersede(earlier, at, session.register_start_milliwh)
            if over != earlier:
                self.closed.append(self.save(earlier, over))
        if session.ended_by is EndedBy.STATION:
            return session
        later = sessions.next_start(self.conn, session, at)
        if later is None:
            return session
        over = folding.supersede(
            session, sessions.order_time(later), later.register_start_milliwh
        )
        return self.save(session, over)

    def remember(self, session: Session, word: str) -> Session:
        """Note a word that the verdict is explained by."""
        marked = replace(session, verdicts=folding.add_words(session.verdicts, word))
        return self.save(session, marked)

    def save(self, before: Session, after: Session) -> Session:
        """Store a session, judged once it is over; returns it as stored."""
        if after.phase is SessionPhase.ENDED:
            before_it = continuity.before(self.conn, after)
            signed_finding = signed.current(self.conn, after.session_id) or UNSIGNED
            after = judged(after, self.hooks.rating, before_it, signed_finding)
        sessions.update(self.conn, before, after)
        if after.register_end_milliwh != before.register_end_milliwh:
            self._judge_next(after)
        return after

    def _judge_next(self, session: Session) -> None:
        """Judge a session again whose start may be the end of this one."""
        later = sessions.next_without_start(self.conn, session)
        if later is not None:
            self.save(later, later)


def judged(
    session: Session,
    rating: Rating | None,
    before: Before = UNKNOWN,
    finding: SignedFinding = UNSIGNED,
) -> Session:
    """The session with its verdict, once it is over; see `verdict.judge`."""
    if session.phase is not SessionPhase.ENDED:
        return session
    rated_w = None if rating is None else rating(session.station_id, session.evse_id)
    judgement = judge(
        session,
        rated_w=rated_w,
        signed=finding,
        before=before,
    )
    verdict = judgement.verdict.value
    return session if verdict == session.verdict else replace(session, verdict=verdict)
