"""Rows of known tokens; functions over a connection, to be run by the writer."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.ids import IdToken
from gateway.store.times import optional_text, optional_time, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A known token, as the rules need it.

    Attributes:
        max_sessions: How many transactions at once; ``None`` for the site's default.
    """

    status: str
    expires_at: datetime | None
    group_id: str | None
    max_sessions: int | None


def put(
    conn: sqlite3.Connection,
    *,
    value: str,
    status: str,
    now: datetime,
    kind: str = "",
    expires_at: datetime | None = None,
    group_id: str | None = None,
    max_sessions: int | None = None,
) -> None:
    """Make a token known, or change it.

    Args:
        conn: The writer's connection.
        value: As presented; compares without case.
        status: ``Accepted``, ``Blocked``, ``Expired`` or ``Invalid``.
        now: Site time.
        kind: 2.0.1 token type the entry is for; empty for any.
        expires_at: From then on it counts as expired; may lie in the past.
        group_id: Told to stations, which let members end each other's sessions.
        max_sessions: Transactions at once; ``None`` for the site's default.
    """
    conn.execute(
        "INSERT OR REPLACE INTO id_token VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            value.casefold(),
            kind,
            value,
            status,
            optional_text(expires_at),
            group_id,
            max_sessions,
            to_text(now),
        ),
    )


def delete(conn: sqlite3.Connection, value: str, kind: str | None = None) -> bool:
    """Forget a token, of one type or of all; returns whether it was known."""
    cursor = conn.execute(
        "DELETE FROM id_token WHERE token_key = ?1 AND (?2 IS NULL OR kind = ?2)",
        (value.casefold(), kind),
    )
    return cursor.rowcount > 0


def find(conn: sqlite3.Connection, token: IdToken) -> TokenRow | None:
    """The entry for a token: of its own type first, else the one for any type.

    A token whose type the station could not say (OCPP 1.6) matches any entry.
    """
    kind = token.kind or ""
    row = conn.execute(
        "SELECT status, expires_at, group_id, max_sessions FROM id_token"
        " WHERE token_key = ?1 AND (?2 = '' OR kind IN (?2, ''))"
        " ORDER BY kind = ?2 DESC, kind LIMIT 1",
        (token.key, kind),
    ).fetchone()
    if row is None:
        return None
    return TokenRow(
        status=row[0],
        expires_at=optional_time(row[1]),
        group_id=row[2],
        max_sessions=row[3],
    )


def open_sessions(
    conn: sqlite3.Connection, token: IdToken, *, besides: str | None
) -> int:
    """How many transactions a token has running, besides one of them."""
    row = conn.execute(
        "SELECT count(*) FROM session WHERE token_key = ? AND phase = 'running'"
        " AND session_id IS NOT ?",
        (token.key, besides),
    ).fetchone()
    return int(row[0])
