"""What speaks against counting cars on fewer phases: rows over a connection."""

import sqlite3
from typing import TypeAlias

from gateway.domain.ids import SessionId

Against: TypeAlias = tuple[frozenset[int], bool]
"""Terminals on which current ever flowed, and whether it came as a surprise."""


def put(conn: sqlite3.Connection, session_id: SessionId, against: Against) -> None:
    """Keep what is known of a session, instead of what was."""
    used, is_barred = against
    conn.execute(
        "INSERT OR REPLACE INTO car_phase VALUES (?, ?, ?)",
        (session_id, sum(1 << terminal for terminal in used), int(is_barred)),
    )


def forget(conn: sqlite3.Connection, session_id: SessionId) -> None:
    """The car left."""
    conn.execute("DELETE FROM car_phase WHERE session_id = ?", (session_id,))


def prune(conn: sqlite3.Connection) -> None:
    """Forget cars whose session ended while nobody looked."""
    conn.execute(
        "DELETE FROM car_phase WHERE session_id IN"
        " (SELECT session_id FROM session WHERE phase = 'ended')"
    )


def load(conn: sqlite3.Connection) -> dict[SessionId, Against]:
    """All of them, by session."""
    rows = conn.execute("SELECT session_id, used, is_barred FROM car_phase")
    return {
        SessionId(session_id): (
            frozenset(terminal for terminal in range(3) if used >> terminal & 1),
            bool(is_barred),
        )
        for session_id, used, is_barred in rows
    }
