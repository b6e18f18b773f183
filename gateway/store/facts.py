"""Rows of the facts that are not sessions: boots, states, reports, notices."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, TypeAlias

import msgspec

from gateway.domain.events import (
    EvseStatusChanged,
    ReservationChanged,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    StationBooted,
    StationNotified,
)
from gateway.domain.metering import FIRST_TRUSTED_YEAR
from gateway.store import meters
from gateway.store.entry import Entry
from gateway.store.many import marks, write_rows
from gateway.store.times import to_text

FrameRow: TypeAlias = tuple[int | None, str, str, str, str, bytearray, str | None]

_FRAME: Final = (
    "INSERT OR FAIL INTO frame"
    " (offset, station_id, received_at, message_id, action, raw, deviations) "
)
_LAST_OFFSET: Final = "SELECT seq FROM sqlite_sequence WHERE name = 'frame'"
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_RESERVATION_WORDS: Final = {"Expired": "Expired", "Removed": "Cancelled"}


def booted(conn: sqlite3.Connection, event: StationBooted) -> str:
    """Keep what a boot says; returns the registration to answer with."""
    now = to_text(event.received_at)
    conn.execute(
        "INSERT OR IGNORE INTO station (station_id, source) VALUES (?, 'adopted')",
        (event.station_id,),
    )
    row = conn.execute(
        "UPDATE station SET vendor = ?, model = ?, serial = ?, firmware = ?,"
        " boot_reason = ?, booted_at = ?, last_seen_at = ?,"
        " boot_answer = registration, accepted_at = CASE registration"
        " WHEN 'Accepted' THEN coalesce(accepted_at, ?) END,"
        " restart_needed_at = CASE WHEN ? THEN restart_needed_at END"
        " WHERE station_id = ? RETURNING registration",
        (
            event.vendor,
            event.model,
            event.serial,
            event.firmware,
            event.reason,
            now,
            now,
            now,
            event.is_asked,
            event.station_id,
        ),
    ).fetchone()
    serial = event.meter_serial
    meters.note_boot(conn, event.station_id, event.received_at, serial)
    return str(row[0])


def boot(conn: sqlite3.Connection, station_id: str) -> str:
    """Names the latest boot of a station; empty before the first."""
    row = conn.execute(
        "SELECT booted_at FROM station WHERE station_id = ?", (station_id,)
    ).fetchone()
    return "" if row is None or row[0] is None else str(row[0])


def status_changed(conn: sqlite3.Connection, event: EvseStatusChanged) -> bool:
    """Keep the latest state of a connector; returns whether it changed."""
    occurred_at = event.occurred_at
    if occurred_at.year < FIRST_TRUSTED_YEAR:
        occurred_at = event.received_at
    received = to_text(event.received_at)
    cursor = conn.execute(
        "INSERT INTO evse_status VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET availability = excluded.availability,"
        " charging_state = excluded.charging_state,"
        " wire_status = excluded.wire_status, error_code = excluded.error_code,"
        " info = excluded.info, occurred_at = excluded.occurred_at,"
        " received_at = excluded.received_at, ordered_at = excluded.ordered_at"
        " WHERE excluded.ordered_at > evse_status.ordered_at"
        " OR (excluded.ordered_at = evse_status.ordered_at"
        " AND (excluded.wire_status, excluded.error_code, excluded.info)"
        " IS NOT (evse_status.wire_status, evse_status.error_code, evse_status.info))",
        (
            event.evse.station_id,
            event.evse.evse_id,
            event.evse.connector_id,
            event.availability.value,
            None if event.charging_state is None else event.charging_state.value,
            event.wire_status,
            event.error_code,
            event.info,
            to_text(event.occurred_at),
            received,
            min(to_text(occurred_at), received),
        ),
    )
    return cursor.rowcount == 1


def reservation_changed(conn: sqlite3.Connection, event: ReservationChanged) -> bool:
    """Take over what a station says became of a reservation."""
    status = _RESERVATION_WORDS.get(event.status)
    if status is None:
        return False
    cursor = conn.execute(
        "UPDATE reservation SET status = ?, changed_at = ?"
        " WHERE reservation_id = ? AND station_id = ? AND status = 'Reserved'",
        (
            status,
            to_text(event.received_at),
            event.reservation_id,
            event.station_id,
        ),
    )
    return cursor.rowcount == 1


def reservation_used(
    conn: sqlite3.Connection, event: SessionStarted, session_id: str
) -> None:
    """Note that a session used a reservation of its station."""
    conn.execute(
        "UPDATE reservation SET status = 'Used', session_id = ?, changed_at = ?"
        " WHERE reservation_id = ? AND station_id = ?"
        " AND status IN ('Reserved', 'Expired')",
        (
            session_id,
            to_text(event.received_at),
            event.reservation_id,
            event.evse.station_id,
        ),
    )


def notified(conn: sqlite3.Connection, event: StationNotified, offset: int) -> bool:
    """Keep a notice as it came."""
    conn.execute(
        "INSERT INTO notification (station_id, topic, occurred_at, received_at, body,"
        " frame_offset) VALUES (?, ?, ?, ?, ?, ?)",
        (
            event.station_id,
            event.topic,
            to_text(event.occurred_at),
            to_text(event.received_at),
            _encode(event.body).decode(),
            offset,
        ),
    )
    return True


def orphaned(
    conn: sqlite3.Connection,
    event: SessionUpdated | SessionEnded,
    *,
    register_milliwh: int | None,
    reason: str,
    offset: int,
) -> bool:
    """Keep a fact about a transaction that nobody knows; returns whether it is new."""
    cursor = conn.execute(
        "INSERT OR IGNORE INTO orphan (station_id, kind, transaction_id, evse_id,"
        " occurred_at, received_at, register_milliwh, reason, frame_offset)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.station_id,
            "ended" if isinstance(event, SessionEnded) else "updated",
            event.transaction_id,
            None if event.evse is None else event.evse.evse_id,
            to_text(event.occurred_at),
            to_text(event.received_at),
            register_milliwh,
            reason,
            offset,
        ),
    )
    return cursor.rowcount == 1


def amended(
    conn: sqlite3.Connection,
    event: SessionStarted | SessionEnded,
    session_id: str,
    offset: int,
) -> bool:
    """Keep a second, different word; returns whether it is new."""
    is_end = isinstance(event, SessionEnded)
    cursor = conn.execute(
        "INSERT OR IGNORE INTO amendment VALUES (?, ?, ?, ?, ?, ?)",
        (
            session_id,
            "ended" if is_end else "started",
            to_text(event.occurred_at),
            event.register_milliwh,
            event.stop_reason if isinstance(event, SessionEnded) else None,
            offset,
        ),
    )
    return cursor.rowcount == 1


def next_offset(conn: sqlite3.Connection) -> int:
    """The offset that the next frame gets; none is used twice."""
    row = conn.execute(_LAST_OFFSET).fetchone()
    return 1 if row is None else int(row[0]) + 1


def frame(conn: sqlite3.Connection, entry: Entry) -> int:
    """Keep a frame exactly as it came; returns its offset in the journal."""
    offset = conn.execute(_insert_frames(1), frame_row(None, entry)).lastrowid
    assert offset is not None, "an INSERT sets lastrowid"
    return offset


def frame_row(offset: int | None, entry: Entry) -> FrameRow:
    """A frame as a row; without an offset it gets the next one."""
    deviations = None
    if entry.deviations:
        deviations = _encode(
            [
                {"kind": found.kind, "path": found.path, "detail": found.detail}
                for found in entry.deviations
            ]
        ).decode()
    return (
        offset,
        entry.station_id,
        to_text(entry.received_at),
        entry.message_id,
        entry.action,
        bytearray(
            entry.raw
        ),  # sqlite3 looks for adapters of bytes, at five times the cost
        deviations,
    )


def insert_frames(conn: sqlite3.Connection, rows: Sequence[FrameRow]) -> None:
    """Keep frames at their offsets."""
    write_rows(conn, _insert_frames, rows)


@cache
def _insert_frames(n_row: int) -> str:
    return _FRAME + marks(n_row, 7)


def replace_content(
    conn: sqlite3.Connection, offset: int, message_id: str, event: StationNotified
) -> None:
    """Keep of a frame only what ``event`` still says: the rest is personal."""
    raw = _encode([2, message_id, event.topic, event.body])
    conn.execute("UPDATE frame SET raw = ? WHERE offset = ?", (raw, offset))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFrame:
    """A frame that was answered with an error; call it with a connection to keep it."""

    station_id: str
    received_at: datetime
    message_id: str
    action: str
    error_kind: str
    description: str
    raw: bytes

    @property
    def is_telemetry(self) -> bool:
        """A frame that nobody could read bills nobody."""
        return True

    def __call__(self, conn: sqlite3.Connection) -> None:
        """Store the frame."""
        conn.execute(
            "INSERT INTO refused_frame (station_id, received_at, message_id, action,"
            " error_kind, description, raw) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self.station_id,
                to_text(self.received_at),
                self.message_id,
                self.action,
                self.error_kind,
                self.description,
                self.raw,
            ),
        )
