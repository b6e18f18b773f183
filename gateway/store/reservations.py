"""Rows of reservations; functions over a connection, to be run by the writer."""

import sqlite3
from datetime import datetime
from typing import Final

from gateway.domain.ids import IdToken, StationId
from gateway.store.times import to_text

STATUSES: Final = ("Reserved", "Cancelled", "Used", "Expired", "Rejected")


def put(
    conn: sqlite3.Connection,
    *,
    reservation_id: int,
    station_id: StationId,
    evse_id: int,
    token: IdToken,
    expires_at: datetime,
    status: str,
    now: datetime,
    group_id: str | None = None,
) -> None:
    """Store what a station answered to a reservation; a known id is replaced.

    A refusal replaces no open reservation: what the station did not change stays.

    Args:
        conn: The writer's connection.
        reservation_id: Unique per station.
        station_id: Where.
        evse_id: Which EVSE; 0 for any of the station.
        token: For whom.
        expires_at: When it lapses.
        status: ``Reserved`` or ``Rejected``.
        now: Site time.
        group_id: Members of this group may use it too.
    """
    if status == "Rejected" and _is_open(conn, station_id, reservation_id, now):
        return
    conn.execute(
        "INSERT OR REPLACE INTO reservation VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)",
        (
            reservation_id,
            station_id,
            evse_id,
            token.value,
            token.kind,
            group_id,
            to_text(expires_at),
            status,
            to_text(now),
            to_text(now),
        ),
    )


def set_status(
    conn: sqlite3.Connection,
    station_id: StationId,
    reservation_id: int,
    status: str,
    now: datetime,
) -> bool:
    """Change an open reservation; returns whether there was one."""
    cursor = conn.execute(
        "UPDATE reservation SET status = ?, changed_at = ?"
        " WHERE station_id = ? AND reservation_id = ? AND status = 'Reserved'",
        (status, to_text(now), station_id, reservation_id),
    )
    return cursor.rowcount == 1


def link_use(
    conn: sqlite3.Connection,
    station_id: StationId,
    reservation_id: int,
    *,
    since: datetime,
    now: datetime,
) -> bool:
    """Mark a reservation as used whose session came in before its own answer.

    Args:
        conn: The writer's connection.
        station_id: Where.
        reservation_id: Which.
        since: When the reservation was asked for; older sessions had another one.
        now: Site time.
    """
    row = conn.execute(
        "SELECT session_id FROM session WHERE station_id = ? AND reservation_id = ?"
        " AND received_at >= ? ORDER BY received_at LIMIT 1",
        (station_id, reservation_id, to_text(since)),
    ).fetchone()
    if row is None:
        return False
    cursor = conn.execute(
        "UPDATE reservation SET status = 'Used', session_id = ?, changed_at = ?"
        " WHERE station_id = ? AND reservation_id = ? AND status = 'Reserved'",
        (row[0], to_text(now), station_id, reservation_id),
    )
    return cursor.rowcount == 1


def expire(conn: sqlite3.Connection, now: datetime) -> int:
    """Mark what has lapsed; returns how many."""
    cursor = conn.execute(
        "UPDATE reservation SET status = 'Expired', changed_at = ?1"
        " WHERE status = 'Reserved' AND expires_at <= ?1",
        (to_text(now),),
    )
    return cursor.rowcount


def next_id(conn: sqlite3.Connection) -> int:
    """A reservation id that no station has had."""
    row = conn.execute(
        "SELECT coalesce(max(reservation_id), 0) + 1 FROM reservation"
    ).fetchone()
    return int(row[0])


def _is_open(
    conn: sqlite3.Connection, station_id: StationId, reservation_id: int, now: datetime
) -> bool:
    row = conn.execute(
        "SELECT 1 FROM reservation WHERE station_id = ? AND reservation_id = ?"
        " AND status = 'Reserved' AND expires_at > ?",
        (station_id, reservation_id, to_text(now)),
    ).fetchone()
    return row is not None
