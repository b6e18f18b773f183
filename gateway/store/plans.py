"""Plans as they were made, and what they promise to sessions."""

import sqlite3
import zlib
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.ids import CabinetId, SessionId
from gateway.store.times import from_text, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseRow:
    """What a plan expects for a session.

    Attributes:
        energy_wh: Still to come from then on, Wh.
        delivered_wh: Delivered when the plan was asked for, Wh.
        guaranteed_wh: From the start of the session on, whatever others do, Wh.
        energy_from: Whose word the energy is (`domain.usual_need.NeedSource`).
        departure_from: Whose word the departure is.
        is_default: It rests on a default, not on what the driver said.
        reason: Why energy is missing, in words; ``None`` when none is.
    """

    session_id: SessionId
    plan_id: int
    energy_wh: int
    shortfall_wh: int
    departure_at: datetime
    is_default: bool
    reason: str | None
    made_at: datetime
    delivered_wh: int = 0
    guaranteed_wh: int | None = None
    is_at_risk: bool = False
    energy_from: str = "site"
    departure_from: str = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan as it was made, its documents as canonical JSON."""

    plan_id: int
    cabinet_id: CabinetId
    made_at: datetime
    outcome: str
    engine: str
    problem: str
    result: str
    certificate: str | None


def insert_plan(
    conn: sqlite3.Connection,
    *,
    cabinet_id: CabinetId,
    made_at: datetime,
    outcome: str,
    engine: str,
    problem: str,
    result: str,
    certificate: str | None,
) -> int:
    """Keep a plan with everything needed to check it; returns its id."""
    cursor = conn.execute(
        "INSERT INTO plan (cabinet_id, made_at, outcome, engine, problem, result,"
        " certificate) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            cabinet_id,
            to_text(made_at),
            outcome,
            engine,
            _deflate(problem),
            _deflate(result),
            None if certificate is None else _deflate(certificate),
        ),
    )
    plan_id = cursor.lastrowid
    assert plan_id is not None  # an INSERT always has one
    return plan_id


def plan(conn: sqlite3.Connection, plan_id: int) -> PlanRow | None:
    """One plan."""
    return _one_plan(conn, "plan_id = ?", plan_id)


def put_promise(conn: sqlite3.Connection, row: PromiseRow) -> None:
    """Replace what a session may expect."""
    conn.execute(
        "INSERT OR REPLACE INTO session_promise (session_id, plan_id, energy_wh,"
        " shortfall_wh, departure_at, is_default, reason, made_at, delivered_wh,"
        " guaranteed_wh, is_at_risk, energy_from, departure_from)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.session_id,
            row.plan_id,
            row.energy_wh,
            row.shortfall_wh,
            to_text(row.departure_at),
            row.is_default,
            row.reason,
            to_text(row.made_at),
            row.delivered_wh,
            row.guaranteed_wh,
            int(row.is_at_risk),
            row.energy_from,
            row.departure_from,
        ),
    )


def promise(conn: sqlite3.Connection, session_id: SessionId) -> PromiseRow | None:
    """What a session may expect, by the newest plan."""
    row = conn.execute(
        "SELECT plan_id, energy_wh, shortfall_wh, departure_at, is_default, reason,"
        " made_at, delivered_wh, guaranteed_wh, is_at_risk, energy_from,"
        " departure_from FROM session_promise WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    if row is None:
        return None
    return PromiseRow(
        session_id=session_id,
        plan_id=row[0],
        energy_wh=row[1],
        shortfall_wh=row[2],
        departure_at=from_text(row[3]),
        is_default=bool(row[4]),
        reason=row[5],
        made_at=from_text(row[6]),
        delivered_wh=row[7],
        guaranteed_wh=row[8],
        is_at_risk=bool(row[9]),
        energy_from=row[10],
        departure_from=row[11],
    )


_PLAN = (
    "SELECT plan_id, cabinet_id, made_at, outcome, engine, problem, result,"
    " certificate FROM plan"
)


def _one_plan(conn: sqlite3.Connection, where: str, value: object) -> PlanRow | None:
    row = conn.execute(f"{_PLAN} WHERE {where}", (value,)).fetchone()
    if row is None:
        return None
    return PlanRow(
        plan_id=row[0],
        cabinet_id=CabinetId(row[1]),
        made_at=from_text(row[2]),
        outcome=row[3],
        engine=row[4],
        problem=_inflate(row[5]),
        result=_inflate(row[6]),
        certificate=None if row[7] is None else _inflate(row[7]),
    )


def _deflate(text: str) -> bytes:
    return zlib.compress(text.encode(), level=6)


def _inflate(stored: bytes) -> str:
    return zlib.decompress(stored).decode()
