"""The next readings of running sessions, many messages to a statement.

Nearly every message says the same: the next reading of a session that runs. What it
changes is known without asking the database, because the writer remembers the session
and nothing can repeat or contradict a reading that is later than all others. So the
rows of many such messages are collected and written by few statements per table.

Whatever is not surely of that kind (`Batch.take` returns ``None``) takes the way of a
single message (`gateway.store.append.append_entry`). Both ways write the same rows.
"""

from typing import Final

from gateway.domain import session as folding
from gateway.domain.events import SessionUpdated, is_backlog
from gateway.domain.ids import SessionId
from gateway.domain.metering import Sample, samples_in
from gateway.domain.session import Session
from gateway.store import deviations, facts, readings, sessions
from gateway.store.entry import (
    CommittedFact,
    Entry,
    Receipt,
    Sealer,
    StoredReading,
)
from gateway.store.schema import WriterConnection

NO_NUMBER: Final = frozenset({"0", "-1"})
"""Wire ids of stations that never learnt the number of their 1.6 transaction."""


class Batch:
    """Messages that were understood, but whose rows are not written yet.

    The caller owns the transaction, and must `flush` before anything else reads or
    writes the tables.
    """

    def __init__(self, conn: WriterConnection, sealer: Sealer | None) -> None:
        self._conn = conn
        self._sealer = sealer
        self._next_offset = 0
        self._frames: list[tuple[int, Entry]] = []
        self._readings: list[tuple[StoredReading, SessionId, int]] = []
        self._sessions: dict[SessionId, tuple[Session, Session]] = {}

    def take(self, entry: Entry) -> Receipt | None:
        """Fold a message now and write it later; ``None`` if it is not of this kind."""
        event = _only_update(entry)
        if event is None or event.transaction_id is None:
            return None
        remembered = self._conn.remembered
        key = (entry.station_id, event.transaction_id)
        before: Session | None = remembered.get(key)
        if before is None or not _is_settled_in(before):
            return None
        samples = event.samples or samples_in(event)
        if len(samples) > 1 and readings.falls(samples):
            return None
        for sample in samples:
            if not _is_next(before, sample):
                return None
        after = folding.apply(before, event, samples)
        if after.register_end_milliwh != before.register_end_milliwh:
            return None  # it may tell something about the session after it
        offset = self._offset()
        self._frames.append((offset, entry))
        if entry.deviations:
            deviations.count(self._conn, entry, offset)
        for sample in samples:
            stored = StoredReading(
                session_id=after.session_id,
                station_id=entry.station_id,
                evse_id=after.evse_id,
                received_at=event.received_at,
                sample=sample,
            )
            self._readings.append((stored, after.session_id, offset))
        is_changed = after != before
        if is_changed:
            first = self._sessions.get(after.session_id)
            before = before if first is None else first[0]
            self._sessions[after.session_id] = (before, after)
            remembered[key] = after  # an update never ends a session
        fact = CommittedFact(
            event=event,
            session=after,
            is_new=is_changed or bool(samples),
            is_backlog=is_backlog(event),
        )
        return Receipt(offset=offset, facts=(fact,), session=after)

    def flush(self) -> None:
        """Write all rows that were collected."""
        if not self._frames:
            return
        conn = self._conn
        facts.insert_frames(
            conn, [facts.frame_row(offset, entry) for offset, entry in self._frames]
        )
        last_ids: dict[SessionId, int] = {}
        if self._readings:
            stored = [one for one, _, _ in self._readings]
            first = None if self._sealer is None else self._sealer.metered(conn, stored)
            last_ids = readings.insert_new(conn, self._readings, first)
        sessions.update_all(conn, self._sessions.values(), last_ids)
        self._frames, self._readings, self._sessions = [], [], {}

    def _offset(self) -> int:
        """The journal position of one more message."""
        if not self._frames:
            self._next_offset = facts.next_offset(self._conn)
        offset = self._next_offset
        self._next_offset += 1
        return offset


def _is_settled_in(session: Session) -> bool:
    """Whether an update leaves where and when it began, and who pays by what terms."""
    return session.has_start and session.evse_id > 0 and session.id_token is not None


def _only_update(entry: Entry) -> SessionUpdated | None:
    """The event of a message that says nothing but how a session goes on."""
    if len(entry.events) != 1 or entry.authorize is not None:
        return None
    event = entry.events[0]
    if not isinstance(event, SessionUpdated) or event.signed or event.id_token:
        return None
    if entry.is_ours and event.transaction_id in NO_NUMBER:
        return None
    return event


def _is_next(before: Session, sample: Sample) -> bool:
    """Whether a sample is surely new to its session, and no drop.

    Later than all others; or as late as the latest with a register above all others,
    as from a station whose clock shows no fractions of a second.
    """
    if before.sampled_at is None or sample.sampled_at > before.sampled_at:
        return not readings.may_drop(before, sample)
    register, highest = sample.register_milliwh, before.register_last_milliwh
    return (
        sample.sampled_at == before.sampled_at
        and register is not None
        and highest is not None
        and register > highest
    )
