"""Rows of what stations' local authorization lists hold, as far as we know."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.local_list import Held, Listed, ListState, Update
from gateway.store.times import from_text, to_text

ROW: Final = (
    "SELECT version, last_version, state, detail, left_out, changed_at FROM local_list"
    " WHERE station_id = ?"
)
ENTRIES: Final = (
    "SELECT token_key, kind, document FROM local_list_entry WHERE station_id = ?"
    " ORDER BY token_key, kind"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A station's list.

    Attributes:
        version: What the station holds; ``None`` while unknown.
        last_version: The highest ever used with it.
        left_out: Tokens for which it has no room.
    """

    version: int | None
    last_version: int
    state: ListState
    detail: str
    left_out: int
    changed_at: datetime


def of_row(row: tuple[int | None, int, str, str, int, str]) -> ListRow:
    """Read a row of `ROW`."""
    return ListRow(
        version=row[0],
        last_version=row[1],
        state=ListState(row[2]),
        detail=row[3],
        left_out=row[4],
        changed_at=from_text(row[5]),
    )


def find(conn: sqlite3.Connection, station_id: StationId) -> ListRow | None:
    """A station's list; ``None`` if nothing was ever done about it."""
    row = conn.execute(ROW, (station_id,)).fetchone()
    return None if row is None else of_row(row)


def held(conn: sqlite3.Connection, station_id: StationId) -> Held | None:
    """What the station holds; ``None`` while unknown."""
    row = find(conn, station_id)
    if row is None or row.version is None:
        return None
    entries = conn.execute(ENTRIES, (station_id,))
    return Held(
        version=row.version, entries={(key, kind): text for key, kind, text in entries}
    )


def put(
    conn: sqlite3.Connection,
    station_id: StationId,
    *,
    state: ListState,
    now: datetime,
    detail: str = "",
    left_out: int = 0,
    last_version: int = 0,
) -> None:
    """Say how far the list is; what it holds stays."""
    conn.execute(
        "INSERT INTO local_list (station_id, last_version, state, detail, left_out,"
        " changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (station_id) DO UPDATE SET state = ?3, detail = ?4,"
        " left_out = ?5, changed_at = ?6, last_version = max(last_version, ?2)",
        (station_id, last_version, state.value, detail, left_out, to_text(now)),
    )


def apply(conn: sqlite3.Connection, station_id: StationId, update: Update) -> None:
    """Take over an update that the station accepted; the row must be there.

    Changes to a list that is not known leave it unknown.
    """
    known = conn.execute(
        "SELECT version FROM local_list WHERE station_id = ?", (station_id,)
    ).fetchone()
    if update.is_full:
        _clear(conn, station_id)
    elif known is None or known[0] is None:
        conn.execute(
            "UPDATE local_list SET last_version = max(last_version, ?)"
            " WHERE station_id = ?",
            (update.version, station_id),
        )
        return
    _drop(conn, station_id, update.drop)
    conn.executemany(
        "INSERT OR REPLACE INTO local_list_entry (station_id, token_key, kind,"
        " document) VALUES (?, ?, ?, ?)",
        [(station_id, *entry.key, entry.document) for entry in update.put],
    )
    conn.execute(
        "UPDATE local_list SET version = ?1, last_version = max(last_version, ?1)"
        " WHERE station_id = ?2",
        (update.version, station_id),
    )


def forget(conn: sqlite3.Connection, station_id: StationId) -> None:
    """What the station holds is not known any more."""
    _clear(conn, station_id)
    conn.execute(
        "UPDATE local_list SET version = NULL WHERE station_id = ?", (station_id,)
    )


def _clear(conn: sqlite3.Connection, station_id: StationId) -> None:
    conn.execute("DELETE FROM local_list_entry WHERE station_id = ?", (station_id,))


def _drop(
    conn: sqlite3.Connection, station_id: StationId, entries: Iterable[Listed]
) -> None:
    conn.executemany(
        "DELETE FROM local_list_entry WHERE station_id = ? AND token_key = ?"
        " AND kind = ?",
        [(station_id, *entry.key) for entry in entries],
    )
