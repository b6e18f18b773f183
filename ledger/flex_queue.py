"""Flexibility that settlements wait for, and what credits take back of it.

What a session gave by waiting is known some hours after its day is over, when the pool
of the day is shared; a session whose driver has an address settles alone then, with it.
"""

from __future__ import annotations

import sqlite3
from typing import Final, TypeAlias

FLEX_DDL: Final = """
CREATE TABLE IF NOT EXISTS flex_wait (
    session_key BLOB PRIMARY KEY
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS credit_flex (
    credit_key BLOB PRIMARY KEY,
    session_key BLOB NOT NULL,
    flex_milliwh INTEGER NOT NULL CHECK (flex_milliwh > 0)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS credit_flex_by_session ON credit_flex (session_key);
"""

MILLIWH_PER_UNIT: Final = 1_000
"""The smallest unit of FLEX is 1 Wh."""

Conn: TypeAlias = sqlite3.Connection | sqlite3.Cursor


def await_flex(conn: Conn, session_key: bytes) -> None:
    """Let the settlement of a queued session wait for its flexibility."""
    conn.execute("INSERT OR IGNORE INTO flex_wait VALUES (?)", (session_key,))


def settle_flex(conn: Conn, session_key: bytes, flex_milliwh: int) -> bool:
    """Let a session that waits settle with what it gave; nothing makes it an invoice.

    Args:
        conn: The writer's connection.
        session_key: Of a session; one that does not wait stays as it is.
        flex_milliwh: Its flexibility; less than the smallest unit is nothing.

    Returns:
        Whether it waited.
    """
    waited = conn.execute(
        "DELETE FROM flex_wait WHERE session_key = ?", (session_key,)
    ).rowcount
    if not waited:
        return False
    if flex_milliwh < MILLIWH_PER_UNIT:
        conn.execute(
            "UPDATE settlement_queue SET flex_milliwh = 0, flex_to = NULL"
            " WHERE session_key = ?",
            (session_key,),
        )
    else:
        conn.execute(
            "UPDATE settlement_queue SET flex_milliwh = ? WHERE session_key = ?",
            (flex_milliwh, session_key),
        )
    return True


def flex_left(conn: Conn, session_key: bytes) -> int:
    """Return what a session's credits can still take back, mWh; 0 while it waits."""
    row = conn.execute(
        "SELECT flex_milliwh FROM settlement_queue"
        " WHERE session_key = ? AND flex_to IS NOT NULL",
        (session_key,),
    ).fetchone()
    if row is None:
        return 0
    (taken,) = conn.execute(
        "SELECT coalesce(sum(flex_milliwh), 0) FROM credit_flex WHERE session_key = ?",
        (session_key,),
    ).fetchone()
    return int(row[0]) - int(taken)


def flex_settled(conn: Conn, session_key: bytes) -> int:
    """Return what a session was settled with, mWh; 0 without an address."""
    row = conn.execute(
        "SELECT flex_milliwh FROM settlement_queue"
        " WHERE session_key = ? AND flex_to IS NOT NULL",
        (session_key,),
    ).fetchone()
    return 0 if row is None else int(row[0])


def queue_flex_credit(
    conn: Conn, *, credit_key: bytes, session_key: bytes, flex_milliwh: int
) -> None:
    """Let a queued credit take flexibility back as well."""
    conn.execute(
        "INSERT OR IGNORE INTO credit_flex VALUES (?, ?, ?)",
        (credit_key, session_key, flex_milliwh),
    )


def flex_of_credit(conn: Conn, credit_key: bytes) -> int:
    """Return what a credit takes back, mWh."""
    row = conn.execute(
        "SELECT flex_milliwh FROM credit_flex WHERE credit_key = ?", (credit_key,)
    ).fetchone()
    return 0 if row is None else int(row[0])
