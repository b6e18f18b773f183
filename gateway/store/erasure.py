"""What erases a person from the store: salts and records, tokens, and texts with them.

What stays is what books and meters need: bills with their amounts, registers, times;
and the audit trail, which nothing can change.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from msgspec.structs import replace

from gateway.domain.ids import IdToken, SessionId
from gateway.domain.session import SessionPhase
from gateway.store import readings, sessions, wallets

ERASED: Final = "erased"
FRAMES_AT_ONCE: Final = 5_000

_OF_PERSON: Final = (
    "session_request",
    "session_promise",
    "car_fact",
    "car_phase",
    "signed_reading",
    "signed_record",
)
"""Tables by session that say something of a driver or a car; rows are deleted."""
_TEXTS: Final[Sequence[tuple[str, str, tuple[str, ...]]]] = (
    ("command", "command_id", ("payload", "wire", "answer")),
    ("refused_frame", "frame_id", ("raw",)),
    ("notification", "notification_id", ("body",)),
    ("report_page", "body", ("body",)),
    ("data_transfer", "transfer_id", ("data", "answer")),
)
"""Tables, what finds a row, and columns in which a token may stand as a JSON string."""


class Open(Enum):
    """Why a session cannot be erased yet: it needs what would be erased."""

    RUNNING = "running"
    NOT_BILLED = "not billed"


def sessions_of(conn: sqlite3.Connection, token: IdToken) -> list[SessionId]:
    """The sessions of a token, of whatever kind it was told."""
    rows = conn.execute(
        "SELECT session_id FROM session WHERE token_key = ? ORDER BY session_id",
        (token.key,),
    )
    return [SessionId(row[0]) for row in rows]


def open_business(conn: sqlite3.Connection, session_id: SessionId) -> Open | None:
    """Why a session cannot be erased yet; ``None``: it can."""
    session = sessions.by_id(conn, session_id)
    if session is None or session.phase is not SessionPhase.ENDED:
        return Open.RUNNING
    row = conn.execute(
        "SELECT status FROM bill WHERE session_id = ?", (session_id,)
    ).fetchone()
    if row is None or row[0] == "held":
        return Open.NOT_BILLED
    return None


def is_listed(conn: sqlite3.Connection, token: IdToken) -> bool:
    """Whether a token may still charge: listed here or at a station, or reserved."""
    row = conn.execute(
        "SELECT EXISTS (SELECT 1 FROM id_token WHERE token_key = ?1)"
        " OR EXISTS (SELECT 1 FROM local_list_entry WHERE token_key = ?1)"
        " OR EXISTS (SELECT 1 FROM reservation WHERE lower(id_token) = ?1"
        " AND status = 'Reserved')",
        (token.key,),
    ).fetchone()
    return bool(row[0])


def leaves_of(conn: sqlite3.Connection, session_id: SessionId) -> list[int]:
    """All leaves that are about a session."""
    rows = conn.execute("SELECT leaf_index FROM leaf WHERE subject = ?", (session_id,))
    return sorted({row[0] for row in rows} | {*readings.leaves_of(conn, session_id)})


def erase_session(conn: sqlite3.Connection, session_id: SessionId) -> None:
    """Erase who a session was, and what its driver wanted.

    Args:
        conn: The writer's connection.
        session_id: One that `open_business` says nothing against.
    """
    conn.execute("PRAGMA secure_delete = ON")
    for table in _OF_PERSON:
        conn.execute(f"DELETE FROM {table} WHERE session_id = ?", (session_id,))  # noqa: S608 - constant names
    conn.execute(
        "UPDATE reservation SET id_token = ?, token_kind = NULL, group_id = NULL"
        " WHERE session_id = ?",
        (ERASED, session_id),
    )
    session = sessions.by_id(conn, session_id)
    assert session is not None, "it has no open business"
    bare = replace(session, id_token=None, token_kind=None)
    sessions.update(conn, session, bare)


def erase_reservations(conn: sqlite3.Connection, token: IdToken) -> int:
    """Take a token out of reservations that are over; returns how many.

    With it goes the address that its flexibility was credited to; what stands on the
    chain stays there.
    """
    wallets.delete(conn, token.key)
    cursor = conn.execute(
        "UPDATE reservation SET id_token = ?, token_kind = NULL, group_id = NULL"
        " WHERE lower(id_token) = ? AND status <> 'Reserved'",
        (ERASED, token.key),
    )
    return cursor.rowcount


def scrub_texts(conn: sqlite3.Connection, value: str) -> int:
    """Replace a token in everything kept of messages but the journal."""
    return sum(
        _scrub(conn, table, key, column, value)
        for table, key, columns in _TEXTS
        for column in columns
    )


def scrub_frames(conn: sqlite3.Connection, value: str, first: int, end: int) -> int:
    """Replace a token in the journal's frames of these offsets; returns how many."""
    where = f"offset >= {first} AND offset < {end}"
    return _scrub(conn, "frame", "offset", "raw", value, where)


def frames(conn: sqlite3.Connection) -> list[tuple[int, int]]:
    """The journal's offsets in pieces that are scrubbed in one transaction each."""
    first, last = conn.execute("SELECT min(offset), max(offset) FROM frame").fetchone()
    if first is None:
        return []
    starts = range(first, last + 1, FRAMES_AT_ONCE)
    return [(start, start + FRAMES_AT_ONCE) for start in starts]


def frames_of(conn: sqlite3.Connection, session_id: SessionId) -> list[tuple[int, int]]:
    """The pieces of the journal around a session, from before its token was shown."""
    row = conn.execute(
        "SELECT start_offset, coalesce(end_offset, start_offset) FROM session"
        " WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    if row is None or row[0] is None:
        return []
    first, end = max(0, row[0] - FRAMES_AT_ONCE), max(row) + 1
    starts = range(first, end, FRAMES_AT_ONCE)
    return [(start, min(start + FRAMES_AT_ONCE, end)) for start in starts]


def _scrub(  # noqa: PLR0917 - a statement's parts, in its order
    conn: sqlite3.Connection,
    table: str,
    key: str,
    column: str,
    value: str,
    where: str = "1",
) -> int:
    conn.execute("PRAGMA secure_delete = ON")
    wanted = re.compile("|".join(map(re.escape, _spellings(value))), re.IGNORECASE)
    rows = conn.execute(
        f"SELECT {key}, {column} FROM {table} WHERE {where} AND {column} IS NOT NULL"  # noqa: S608 - names and numbers of this module
    ).fetchall()
    found = 0
    for found_key, kept in rows:
        is_bytes = isinstance(kept, bytes)
        text = kept.decode(errors="surrogateescape") if is_bytes else str(kept)
        clean = wanted.sub(f'"{ERASED}"', text)
        if clean != text:
            stored = clean.encode(errors="surrogateescape") if is_bytes else clean
            conn.execute(
                f"UPDATE {table} SET {column} = ? WHERE {key} = ?",  # noqa: S608 - names of this module
                (stored, found_key),
            )
            found += 1
    return found


def _spellings(value: str) -> Iterator[str]:
    """A token as JSON writes it, plain or escaped."""
    yield json.dumps(value, ensure_ascii=False)
    escaped = json.dumps(value)
    yield escaped
    yield escaped.replace("/", "\\/")
