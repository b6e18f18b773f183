"""What people ask of sessions: needs and ends; to be run by the writer."""

import sqlite3
from datetime import datetime

from gateway.domain import session as folding
from gateway.domain.ids import SessionId
from gateway.domain.session import Session
from gateway.store import sessions
from gateway.store.entry import Rating
from gateway.store.folds import judged
from gateway.store.records import SessionRequest, read
from gateway.store.times import optional_text, to_text


def put(
    conn: sqlite3.Connection,
    session_id: SessionId,
    *,
    energy_wh: float | None,
    target_soc_percent: float | None,
    departure_at: datetime | None,
    is_default: bool,
    source: str,
    now: datetime,
) -> bool:
    """Store the need of a session; a default never replaces what a person said.

    Returns:
        Whether it was stored.
    """
    cursor = conn.execute(
        "INSERT INTO session_request (session_id, energy_wh, target_soc_percent,"
        " departure_at, is_default, source, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (session_id) DO UPDATE SET energy_wh = excluded.energy_wh,"
        " target_soc_percent = excluded.target_soc_percent,"
        " departure_at = excluded.departure_at, is_default = excluded.is_default,"
        " source = excluded.source, updated_at = excluded.updated_at"
        " WHERE session_request.is_default OR NOT excluded.is_default",
        (
            session_id,
            energy_wh,
            target_soc_percent,
            optional_text(departure_at),
            int(is_default),
            source,
            to_text(now),
        ),
    )
    return cursor.rowcount == 1


def put_pausing(
    conn: sqlite3.Connection,
    session_id: SessionId,
    *,
    may_pause: bool,
    source: str,
    now: datetime,
) -> None:
    """Store whether a session may be paused; the rest of its request stays as it is."""
    conn.execute(
        "INSERT INTO session_request (session_id, is_default, source, updated_at,"
        " may_pause) VALUES (?, 1, ?, ?, ?) ON CONFLICT (session_id) DO UPDATE"
        " SET may_pause = excluded.may_pause, updated_at = excluded.updated_at",
        (session_id, source, to_text(now), int(may_pause)),
    )


def find(conn: sqlite3.Connection, session_id: SessionId) -> SessionRequest | None:
    """The need of a session as it was said; ``None`` if nobody said any."""
    row = conn.execute(
        f"{SessionRequest.SELECT} WHERE session_id = ?", (session_id,)
    ).fetchone()
    return None if row is None else read(SessionRequest, row)


def end_by_operator(
    conn: sqlite3.Connection,
    session_id: SessionId,
    now: datetime,
    rating: Rating | None = None,
) -> Session | None:
    """Close a session that its station will never end; it is not billed by itself.

    Returns:
        The session as it is now; ``None`` if there is none.
    """
    before = sessions.by_id(conn, session_id)
    if before is None:
        return None
    after = judged(folding.close_by_operator(before, now), rating)
    sessions.update(conn, before, after)
    return after
