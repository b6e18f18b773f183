"""Rows of flexibility: prices of plans per session, stays, and days that are shared."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from gateway.domain.ids import SessionId
from gateway.domain.limits import LimitSchedule
from gateway.domain.session import Session
from gateway.store import sessions
from gateway.store.limits import schedule_of
from gateway.store.reading_trail import OF_SESSION
from gateway.store.times import from_text, to_text

MAX_DEPARTURES: Final = 200
"""Of a driver that his reliability is made of, the latest ones."""
USED_A: Final = 1.0
"""Current above which a phase is used, A."""
_PRICE: Final = (
    "INSERT INTO session_price (session_id, since, price_micro_per_kwh, plan_id)"
    " SELECT ?1, ?2, ?3, ?4 WHERE ?3 IS NOT (SELECT price_micro_per_kwh"
    "  FROM session_price WHERE session_id = ?1 ORDER BY since DESC LIMIT 1)"
    " ON CONFLICT DO UPDATE SET price_micro_per_kwh = ?3, plan_id = ?4"
)
_LIMITS: Final = (
    "SELECT start_at, steps, nominal_v, number_phases, answered_at FROM limit_command"
    " WHERE session_id = ? AND purpose = 'session' AND outcome = 'accepted'"
    " AND answered_at IS NOT NULL ORDER BY command_id"
)
_OPEN: Final = (
    f"SELECT {sessions.COLUMNS} FROM session JOIN bill USING (session_id)"  # noqa: S608 - constant columns
    " WHERE bill.status = 'settled' AND session.ended_at < ?1"
    " AND session.ended_at >= ?2 AND session.id_token IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM flexibility_session AS known"
    "  WHERE known.session_id = session.session_id)"
    " ORDER BY session.token_key, session.started_at"
)
_FOLLOWED: Final = (
    "SELECT EXISTS (SELECT 1 FROM session WHERE token_key ="
    " (SELECT token_key FROM session WHERE session_id = ?1)"
    " AND session_id <> ?1 AND started_at >= ?2 AND started_at <= ?3"
    " AND (phase = 'running' OR ended_at >= ?4))"
)
_DEPARTURES: Final = (
    "SELECT session.ended_at, session_request.departure_at"
    " FROM session JOIN session_request USING (session_id)"
    " WHERE token_key = (SELECT token_key FROM session WHERE session_id = ?1)"
    " AND phase = 'ended' AND NOT session_request.is_default"
    " AND session_request.departure_at IS NOT NULL"
    " AND session.started_at < (SELECT started_at FROM session WHERE session_id = ?1)"
    " ORDER BY session.started_at DESC LIMIT ?2"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBy:
    """A limit that a station accepted for a session.

    Attributes:
        since: From when on it counts: its answer came.
        nominal_v: From phase to neutral.
        number_phases: On which it counts, if the car uses all of them.
    """

    since: datetime
    schedule: LimitSchedule
    nominal_v: float
    number_phases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StayRow:
    """A stay of which the day was shared.

    Attributes:
        stay_id: Its last session.
        credited_milliwh: Its part of the pool.
    """

    stay_id: SessionId
    day: date
    shifted_milliwh: int
    value_micro: int
    reliability_permille: int
    credited_milliwh: int


def put_price(
    conn: sqlite3.Connection,
    session_id: SessionId,
    price_micro_per_kwh: int,
    *,
    plan_id: int,
    now: datetime,
) -> None:
    """Keep what a plan prices a session's kWh at, if it is another price."""
    conn.execute(_PRICE, (session_id, to_text(now), price_micro_per_kwh, plan_id))


def prices_of(
    conn: sqlite3.Connection, session_id: SessionId
) -> list[tuple[datetime, int]]:
    """Since when which price counted, ascending; millionths per kWh."""
    rows = conn.execute(
        "SELECT since, price_micro_per_kwh FROM session_price WHERE session_id = ?"
        " ORDER BY since",
        (session_id,),
    )
    return [(from_text(since), price) for since, price in rows]


def limits_of(conn: sqlite3.Connection, session_id: SessionId) -> list[HeldBy]:
    """The limits that its station accepted, in their order."""
    return [
        HeldBy(
            since=from_text(answered_at),
            schedule=schedule_of(start_at, steps),
            nominal_v=nominal_v,
            number_phases=number_phases,
        )
        for start_at, steps, nominal_v, number_phases, answered_at in conn.execute(
            _LIMITS, (session_id,)
        )
    ]


def not_shared(
    conn: sqlite3.Connection, since: datetime, before: datetime
) -> list[Session]:
    """Settled sessions that ended in a time and are in no stay yet, by driver."""
    rows = conn.execute(_OPEN, (to_text(before), to_text(since)))
    return [sessions.from_row(row) for row in rows]


def is_followed(
    conn: sqlite3.Connection, session: Session, within: timedelta, until: datetime
) -> bool:
    """Whether its driver soon began a session that was not over by then."""
    assert session.ended_at is not None, "it is settled"
    begin, end = to_text(session.ended_at), to_text(session.ended_at + within)
    row = conn.execute(_FOLLOWED, (session.session_id, begin, end, to_text(until)))
    return bool(row.fetchone()[0])


def departures(
    conn: sqlite3.Connection, session_id: SessionId
) -> list[tuple[datetime, datetime]]:
    """Real and declared departures of a driver before a session, ascending."""
    rows = conn.execute(_DEPARTURES, (session_id, MAX_DEPARTURES)).fetchall()
    return [(from_text(real), from_text(said)) for real, said in reversed(rows)]


def n_phases_used(conn: sqlite3.Connection, session_id: SessionId) -> int | None:
    """On how many phases its car ever drew current; ``None`` if that was not told."""
    rows = conn.execute(
        "SELECT max(current_l1_a), max(current_l2_a), max(current_l3_a)"  # noqa: S608 - a constant clause
        f" FROM reading {OF_SESSION}",
        (session_id,),
    ).fetchone()
    n_used = sum(1 for most in rows if most is not None and most > USED_A)
    return n_used or None


def last_day(conn: sqlite3.Connection) -> date | None:
    """The latest day that was shared."""
    (day,) = conn.execute("SELECT max(day) FROM flexibility_day").fetchone()
    return None if day is None else date.fromisoformat(day)


def close_day(
    conn: sqlite3.Connection,
    day: date,
    *,
    pool_milliwh: int,
    stays: Iterable[tuple[StayRow, Sequence[SessionId]]],
    now: datetime,
) -> None:
    """Keep how a day was shared; once."""
    conn.execute(
        "INSERT INTO flexibility_day (day, pool_milliwh, closed_at) VALUES (?, ?, ?)",
        (day.isoformat(), pool_milliwh, to_text(now)),
    )
    for row, session_ids in stays:
        conn.execute(
            "INSERT INTO flexibility_stay VALUES (?, ?, ?, ?, ?, ?)",
            (
                row.stay_id,
                row.day.isoformat(),
                row.shifted_milliwh,
                row.value_micro,
                row.reliability_permille,
                row.credited_milliwh,
            ),
        )
        conn.executemany(
            "INSERT INTO flexibility_session (session_id, stay_id) VALUES (?, ?)",
            [(session_id, row.stay_id) for session_id in session_ids],
        )


def stay_of(conn: sqlite3.Connection, session_id: SessionId) -> StayRow | None:
    """The shared stay that a session belongs to."""
    row = conn.execute(
        "SELECT stay_id, day, shifted_milliwh, value_micro, reliability_permille,"
        " credited_milliwh FROM flexibility_stay JOIN flexibility_session"
        " USING (stay_id) WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    return None if row is None else _stay(row)


def stays_of(conn: sqlite3.Connection, day: date) -> list[StayRow]:
    """The stays of a day that was shared."""
    rows = conn.execute(
        "SELECT stay_id, day, shifted_milliwh, value_micro, reliability_permille,"
        " credited_milliwh FROM flexibility_stay WHERE day = ? ORDER BY stay_id",
        (day.isoformat(),),
    )
    return [_stay(row) for row in rows]


def pool_of(conn: sqlite3.Connection, day: date) -> int | None:
    """The pool that a day was shared with, mWh; ``None``: it was not shared."""
    row = conn.execute(
        "SELECT pool_milliwh FROM flexibility_day WHERE day = ?", (day.isoformat(),)
    ).fetchone()
    return None if row is None else int(row[0])


def _stay(row: tuple[str, str, int, int, int, int]) -> StayRow:
    return StayRow(
        stay_id=SessionId(row[0]),
        day=date.fromisoformat(row[1]),
        shifted_milliwh=row[2],
        value_micro=row[3],
        reliability_permille=row[4],
        credited_milliwh=row[5],
    )
