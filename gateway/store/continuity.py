"""From one session to the next on a meter: what a register says about the gap.

The register at a session's start cannot be below the one at the end before it. What is
in between was drawn in no session that we know of. Worked out when it is asked for:
sessions may arrive in any order, and a late one fills the gap that it left.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from gateway.domain.neighbours import Before, gap
from gateway.domain.session import Session
from gateway.domain.verdict import UNKNOWN
from gateway.store.times import optional_time, to_text

GAPS: Final = (
    "WITH latest AS (SELECT * FROM session WHERE station_id = ?1 AND has_start = 1"
    "  ORDER BY started_at DESC LIMIT ?2),"
    " pairs AS (SELECT session_id, evse_id, started_at, register_start_milliwh,"
    "  lag(session_id) OVER meter AS before_id, lag(ended_at) OVER meter AS ended_at,"
    "  lag(register_start_milliwh) OVER meter AS before_start_milliwh,"
    "  lag(register_end_milliwh) OVER meter AS before_milliwh FROM latest"
    "  WINDOW meter AS (PARTITION BY evse_id ORDER BY started_at, session_id))"
    " SELECT evse_id, before_id, session_id, ended_at, started_at, before_milliwh,"
    " register_start_milliwh, before_start_milliwh FROM pairs"
    " WHERE abs(register_start_milliwh - before_milliwh) > ?3"
    " ORDER BY started_at DESC"
)
"""Parameters: station, how many of its latest sessions, tolerance in mWh."""


def gap_of_row(row: Sequence[Any]) -> dict[str, Any]:
    """A row of `GAPS`, with what kind of gap it is."""
    *values, before_start = row
    members = (
        *("evse_id", "previous_session_id", "session_id", "previous_ended_at"),
        *("started_at", "register_before_milliwh", "register_start_milliwh"),
    )
    found = dict(zip(members, values, strict=True))
    last = Before(
        start_milliwh=before_start,
        end_milliwh=found["register_before_milliwh"],
        ended_at=optional_time(found["previous_ended_at"]),
    )
    start = found["register_start_milliwh"]
    kind, advance = gap(last, start, optional_time(found["started_at"]))
    return {**found, "kind": kind.value, "gap_milliwh": advance}


def before(conn: sqlite3.Connection, session: Session) -> Before:
    """The session before this one on its EVSE, as far as there is one."""
    at = session.started_at if session.has_start else session.ended_at
    if at is None or session.evse_id <= 0:
        return UNKNOWN
    row = conn.execute(
        "SELECT register_start_milliwh, register_end_milliwh, ended_at FROM session"
        " WHERE station_id = ?1 AND evse_id = ?2 AND started_at <= ?3"
        " AND session_id <> ?4 AND phase = 'ended' AND ended_at <= ?3"
        " ORDER BY started_at DESC LIMIT 1",
        (session.station_id, session.evse_id, to_text(at), session.session_id),
    ).fetchone()
    if row is None:
        return UNKNOWN
    start, end, ended_at = row
    return Before(
        start_milliwh=start, end_milliwh=end, ended_at=optional_time(ended_at)
    )
