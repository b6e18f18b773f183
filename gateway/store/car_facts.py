"""What cars of running sessions showed of themselves: rows over a connection."""

import sqlite3

from gateway.domain.car_facts import CarFacts
from gateway.domain.ids import SessionId
from gateway.store.times import optional_text, optional_time


def put(conn: sqlite3.Connection, session_id: SessionId, facts: CarFacts) -> None:
    """Keep what is known of the car of a session, instead of what was."""
    conn.execute(
        "INSERT OR REPLACE INTO car_fact (session_id, n_phase, taken_da, taken_at,"
        " peak_da, lowest_da, min_da, is_idle_by_choice)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session_id,
            facts.n_phase,
            facts.taken_da,
            optional_text(facts.taken_at),
            facts.peak_da,
            facts.lowest_da,
            facts.min_da,
            int(facts.is_idle_by_choice),
        ),
    )


def forget(conn: sqlite3.Connection, session_id: SessionId) -> None:
    """The car left."""
    conn.execute("DELETE FROM car_fact WHERE session_id = ?", (session_id,))


def prune(conn: sqlite3.Connection) -> None:
    """Forget cars whose session ended while nobody looked."""
    conn.execute(
        "DELETE FROM car_fact WHERE session_id IN"
        " (SELECT session_id FROM session WHERE phase = 'ended')"
    )


def load(conn: sqlite3.Connection) -> dict[SessionId, CarFacts]:
    """All of them, by session."""
    rows = conn.execute(
        "SELECT session_id, n_phase, taken_da, taken_at, peak_da, lowest_da, min_da,"
        " is_idle_by_choice FROM car_fact"
    )
    return {
        SessionId(session_id): CarFacts(
            n_phase=n_phase,
            taken_da=taken_da,
            taken_at=optional_time(taken_at),
            peak_da=peak_da,
            lowest_da=lowest_da,
            min_da=min_da,
            is_idle_by_choice=bool(is_idle),
        )
        for (
            session_id,
            n_phase,
            taken_da,
            taken_at,
            peak_da,
            lowest_da,
            min_da,
            is_idle,
        ) in rows
    }
