"""What is stored of meters: their sessions, restarts, samples and operators' words.

Worked out when it is asked for: sessions may arrive in any order and change late, and
the readings of running sessions cost nothing here.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from gateway.domain.ids import SessionId, StationId
from gateway.domain.meter_timeline import Boot
from gateway.domain.neighbours import most_milliwh
from gateway.domain.register_unit import (
    Comparison,
    Point,
    against_maximum,
    compare,
)
from gateway.domain.session import Session, SessionPhase
from gateway.store import sessions
from gateway.store.reading_trail import OF_SESSION
from gateway.store.times import to_text

MAX_POINTS: Final = 500
"""Samples of a session that are compared; the first ones of a longer session."""
MAX_BOOTS: Final = 100
"""Restarts remembered per station."""

_LATEST: Final = (
    f"SELECT {sessions.COLUMNS} FROM session WHERE station_id = ?1"  # noqa: S608 - constant column names
    " ORDER BY started_at DESC LIMIT ?2"
)
_POINTS: Final = (
    "SELECT sampled_at, register_milliwh, power_w,"  # noqa: S608 - a constant clause
    " current_l1_a + current_l2_a + current_l3_a FROM reading"
    f" {OF_SESSION} ORDER BY sampled_at LIMIT ?"
)
_DECISION: Final = (
    "SELECT scope, decision, factor, decided_at, decided_by FROM register_unit_decision"
    " WHERE (scope = 'station' AND subject = ?1) OR (scope = 'model' AND subject ="
    " (SELECT lower(vendor) || '|' || lower(model) FROM station WHERE station_id = ?1))"
    " ORDER BY scope DESC LIMIT 1"
)

Rating: TypeAlias = Callable[[StationId, int], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitDecision:
    """What an operator said about the unit of registers.

    Attributes:
        scope: ``station`` or ``model``.
        decision: ``confirmed``: it is wrong; ``dismissed``: it is right.
        factor: What had been proposed, as text.
    """

    scope: str
    decision: str
    factor: str
    decided_at: str
    decided_by: str


def latest_sessions(
    conn: sqlite3.Connection, station_id: StationId, limit: int
) -> list[Session]:
    """A station's latest sessions, by their start."""
    rows = conn.execute(_LATEST, (station_id, limit)).fetchall()
    return [sessions.from_row(row) for row in reversed(rows)]


def boots(conn: sqlite3.Connection, station_id: StationId) -> list[Boot]:
    """When a station restarted, ascending."""
    rows = conn.execute(
        "SELECT booted_at, meter_serial FROM station_boot WHERE station_id = ?"
        " ORDER BY booted_at",
        (station_id,),
    )
    return [Boot(at=datetime.fromisoformat(at), meter_serial=it) for at, it in rows]


def signed_serials(
    conn: sqlite3.Connection, station_id: StationId
) -> dict[SessionId, str]:
    """The meters that signed a station's sessions, where they agree with themselves."""
    rows = conn.execute(
        "SELECT session_id, min(meter_serial) FROM signed_record JOIN session"
        " USING (session_id) WHERE station_id = ? AND signed_record.reason IS NULL"
        " AND meter_serial <> '' GROUP BY session_id"
        " HAVING count(DISTINCT meter_serial) = 1",
        (station_id,),
    )
    return {SessionId(session_id): serial for session_id, serial in rows}


def note_boot(
    conn: sqlite3.Connection, station_id: str, at: datetime, meter_serial: str | None
) -> None:
    """Remember a restart, and forget the oldest ones."""
    conn.execute(
        "INSERT OR IGNORE INTO station_boot (station_id, booted_at, meter_serial)"
        " VALUES (?, ?, ?)",
        (station_id, to_text(at), meter_serial),
    )
    conn.execute(
        "DELETE FROM station_boot WHERE station_id = ?1 AND booted_at < ("
        " SELECT booted_at FROM station_boot WHERE station_id = ?1"
        " ORDER BY booted_at DESC LIMIT 1 OFFSET ?2)",
        (station_id, MAX_BOOTS - 1),
    )


def comparison(
    conn: sqlite3.Connection, session: Session, rated_w: float | None
) -> Comparison | None:
    """An ended session by its register and by what else was measured.

    ``None`` where there is too little to compare, or where the register went back.
    """
    if session.phase is not SessionPhase.ENDED or "register_drop" in session.verdicts:
        return None
    rows = conn.execute(_POINTS, (session.session_id, MAX_POINTS)).fetchall()
    found = compare(
        [
            Point(
                at=datetime.fromisoformat(row[0]),
                register_milliwh=row[1],
                power_w=row[2],
                current_a=row[3],
            )
            for row in rows
        ]
    )
    if found is not None or session.started_at is None or session.ended_at is None:
        return found
    duration = session.ended_at - session.started_at
    return against_maximum(session.energy_milliwh, most_milliwh(duration, rated_w))


def model_subject(vendor: str, model: str) -> str:
    """How a model is called in decisions."""
    return f"{vendor.lower()}|{model.lower()}"


def decide(
    conn: sqlite3.Connection, scope: str, subject: str, decision: UnitDecision
) -> None:
    """Keep an operator's word; it replaces the one before."""
    conn.execute(
        "INSERT OR REPLACE INTO register_unit_decision VALUES (?, ?, ?, ?, ?, ?)",
        (
            scope,
            subject,
            decision.decision,
            decision.factor,
            decision.decided_at,
            decision.decided_by,
        ),
    )


def withdraw(conn: sqlite3.Connection, scope: str, subject: str) -> bool:
    """Forget an operator's word; whether there was one."""
    cursor = conn.execute(
        "DELETE FROM register_unit_decision WHERE scope = ? AND subject = ?",
        (scope, subject),
    )
    return cursor.rowcount == 1


def decision_for(
    conn: sqlite3.Connection, station_id: StationId
) -> UnitDecision | None:
    """What counts for a station: the word about itself before that about its model."""
    return _decision(conn.execute(_DECISION, (station_id,)).fetchone())


def decision_of(
    conn: sqlite3.Connection, scope: str, subject: str
) -> UnitDecision | None:
    """What was said about this station, or this model."""
    return _decision(
        conn.execute(
            "SELECT scope, decision, factor, decided_at, decided_by"
            " FROM register_unit_decision WHERE scope = ? AND subject = ?",
            (scope, subject),
        ).fetchone()
    )


def _decision(row: tuple[str, str, str, str, str] | None) -> UnitDecision | None:
    if row is None:
        return None
    scope, decision, factor, decided_at, decided_by = row
    return UnitDecision(
        scope=scope,
        decision=decision,
        factor=factor,
        decided_at=decided_at,
        decided_by=decided_by,
    )
