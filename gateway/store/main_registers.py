"""Registers of main meters, and of the sessions that they see."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.main_meter import Register
from gateway.domain.session import Session
from gateway.store import sessions
from gateway.store.reading_trail import OF_SESSION
from gateway.store.times import to_text

_MAIN: Final = (
    "FROM reading WHERE coalesce(session_id, station_id) = ?1 AND session_id IS NULL"
    " AND is_listed = 1 AND evse_id = 0 AND register_milliwh IS NOT NULL AND sampled_at"
)
_BETWEEN: Final = f"SELECT sampled_at, register_milliwh {_MAIN} BETWEEN ?2 AND ?3"
_OF_SESSION: Final = (
    "SELECT sampled_at, register_milliwh FROM reading"  # noqa: S608 - a constant clause
    f" {OF_SESSION} AND sampled_at BETWEEN ? AND ? AND register_milliwh > 0"
)
_SESSIONS: Final = (
    f"SELECT {sessions.COLUMNS} FROM session WHERE station_id = ?1"  # noqa: S608 - constant column names
    " AND started_at < ?3 AND (ended_at IS NULL OR ended_at > ?2)"
)


def of_main(
    conn: sqlite3.Connection, station_id: StationId, begin: datetime, end: datetime
) -> list[Register]:
    """What the main meter of a station told in a time."""
    rows = conn.execute(_BETWEEN, (station_id, to_text(begin), to_text(end)))
    return [(datetime.fromisoformat(at), register) for at, register in rows]


def of_session(
    conn: sqlite3.Connection, session: Session, begin: datetime, end: datetime
) -> list[Register]:
    """What a session told in a time: its samples, its start and its end."""
    span = (session.session_id, to_text(begin), to_text(end))
    found = [
        (datetime.fromisoformat(at), register)
        for at, register in conn.execute(_OF_SESSION, span)
    ]
    for at, register in (
        (session.started_at, session.register_start_milliwh),
        (session.ended_at, session.register_end_milliwh),
    ):
        if at is not None and register is not None:
            found.append((at, register))
    return found


def sessions_of(
    conn: sqlite3.Connection,
    stations: Iterable[StationId],
    begin: datetime,
    end: datetime,
) -> list[Session]:
    """Sessions of these stations that took place in a time, at least in part."""
    return [
        sessions.from_row(row)
        for station_id in stations
        for row in conn.execute(_SESSIONS, (station_id, to_text(begin), to_text(end)))
    ]
