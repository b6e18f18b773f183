"""How far a station's clock is off, from the times it puts on what it says now.

A message takes time to arrive, and may have waited in a queue: its own time is never
later than its arrival by more than the clock is fast. So the highest difference of the
last hours is the best estimate, and one prompt message corrects a day of late ones.
"""

import sqlite3
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.events import EvseStatusChanged, SessionEnded, SessionStarted
from gateway.store.times import to_text

WINDOW: Final = timedelta(hours=6)
"""How long a difference counts at least; at most twice as long."""
MILLISECOND: Final = timedelta(milliseconds=1)
OFFSET_MS: Final = (
    "SELECT max(window_highest_ms, coalesce(earlier_highest_ms, window_highest_ms))"
    " FROM station_clock WHERE station_id = ?"
)


def note(
    conn: sqlite3.Connection, event: EvseStatusChanged | SessionStarted | SessionEnded
) -> None:
    """Take the difference of a fact's two times into account.

    Times that we had to stamp say nothing. Starts and ends that are behind may come
    from a queue (1.6 does not say so), so they count only where they are ahead.
    """
    ahead = event.occurred_at - event.received_at
    is_prompt = isinstance(event, EvseStatusChanged)
    if not ahead or (not is_prompt and ahead < timedelta()):
        return
    station_id = (
        event.station_id if isinstance(event, SessionEnded) else event.evse.station_id
    )
    observe(conn, station_id, round(ahead / MILLISECOND), event.received_at)


def observe(
    conn: sqlite3.Connection, station_id: str, offset_ms: int, at: datetime
) -> None:
    """Keep a difference if it is the highest of its window, or opens a new one."""
    now = to_text(at)
    conn.execute(
        "INSERT INTO station_clock VALUES (?1, ?2, ?3, NULL, ?2)"
        " ON CONFLICT DO UPDATE SET seen_at = ?2,"
        " earlier_highest_ms = CASE WHEN window_began_at > ?4 THEN earlier_highest_ms"
        "  WHEN window_began_at > ?5 THEN window_highest_ms END,"
        " window_highest_ms = CASE WHEN window_began_at > ?4"
        "  THEN max(window_highest_ms, ?3) ELSE ?3 END,"
        " window_began_at = CASE WHEN window_began_at > ?4 THEN window_began_at"
        "  ELSE ?2 END"
        " WHERE window_began_at <= ?4 OR window_highest_ms < ?3",
        (station_id, now, offset_ms, to_text(at - WINDOW), to_text(at - 2 * WINDOW)),
    )


def forget(conn: sqlite3.Connection, station_id: str) -> None:
    """A station restarted: it may have set its clock."""
    conn.execute("DELETE FROM station_clock WHERE station_id = ?", (station_id,))


def offset_of(conn: sqlite3.Connection, station_id: str) -> timedelta | None:
    """How far a station is ahead of us (negative: behind); ``None`` if unknown."""
    row = conn.execute(OFFSET_MS, (station_id,)).fetchone()
    return None if row is None else timedelta(milliseconds=row[0])
