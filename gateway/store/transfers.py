"""Rows of transfers; functions over a connection, to be run by the writer."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from gateway.domain.ids import StationId
from gateway.domain.transfer import TransferAsked, TransferKind, TransferState
from gateway.store.times import to_text

MAX_WORDS: Final = 100
"""Notices kept per transfer; a station that repeats itself adds no more."""


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One transfer.

    Attributes:
        word: The station's latest.
        words: All of them, with their times, as JSON.
    """

    transfer_id: int
    station_id: str
    kind: str
    request_id: int | None
    location: str
    state: str
    word: str
    words: str
    file_name: str | None
    asked_at: str
    changed_at: str

    SELECT: ClassVar[str] = (
        "SELECT transfer_id, station_id, kind, request_id, location, state, word,"
        " words, file_name, asked_at, changed_at FROM transfer"
    )


def insert(
    conn: sqlite3.Connection,
    station_id: StationId,
    asked: TransferAsked,
    *,
    word: str,
    state: TransferState,
    file_name: str | None,
    now: datetime,
) -> int:
    """Keep a transfer that a station was asked for; returns its id."""
    at = to_text(now)
    cursor = conn.execute(
        "INSERT INTO transfer (station_id, kind, request_id, location, state, word,"
        " words, file_name, asked_at, changed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            asked.kind.value,
            asked.request_id,
            asked.location,
            state.value,
            word,
            json.dumps([[at, word]]),
            file_name,
            at,
            at,
        ),
    )
    transfer_id = cursor.lastrowid
    assert transfer_id is not None, "an INSERT sets lastrowid"
    return transfer_id


def cancel_running(
    conn: sqlite3.Connection, station_id: StationId, kind: TransferKind, now: datetime
) -> None:
    """A newer one of its kind took the place of what was running."""
    conn.execute(
        "UPDATE transfer SET state = 'cancelled', changed_at = ?"
        " WHERE station_id = ? AND kind = ? AND state = 'running'",
        (to_text(now), station_id, kind.value),
    )


def told(
    conn: sqlite3.Connection,
    station_id: StationId,
    kind: TransferKind,
    *,
    request_id: int | None,
    word: str,
    state: TransferState,
    at: datetime,
) -> int | None:
    """Take a station's word about a transfer; its id, or ``None``: about none.

    By its request id where the station says one; else it means the latest of the kind.
    A transfer that is over stays as it is.
    """
    row = conn.execute(
        "SELECT transfer_id, words FROM transfer WHERE station_id = ?1 AND kind = ?2"
        " AND state = 'running' AND (?3 IS NULL OR request_id IS ?3)"
        " ORDER BY transfer_id DESC LIMIT 1",
        (station_id, kind.value, request_id),
    ).fetchone()
    if row is None:
        return None
    words = json.loads(row[1])
    if len(words) < MAX_WORDS:
        words.append([to_text(at), word])
    conn.execute(
        "UPDATE transfer SET word = ?, words = ?, state = ?, changed_at = ?"
        " WHERE transfer_id = ?",
        (word, json.dumps(words), state.value, to_text(at), row[0]),
    )
    return int(row[0])


def next_request_id(conn: sqlite3.Connection) -> int:
    """A request id that no transfer has had."""
    row = conn.execute(
        "SELECT coalesce(max(request_id), 0) + 1 FROM transfer WHERE request_id < ?",
        (2**30,),
    ).fetchone()
    return int(row[0])


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A one-time place for a station's file; ``file_path`` once it is there."""

    secret_sha256: str
    station_id: str
    expires_at: str
    file_path: str | None
    file_name: str | None
    n_bytes: int | None
    received_at: str | None

    SELECT: ClassVar[str] = (
        "SELECT secret_sha256, station_id, expires_at, file_path, file_name, n_bytes,"
        " received_at FROM upload"
    )


def open_upload(
    conn: sqlite3.Connection,
    secret_sha256: str,
    station_id: StationId,
    expires_at: datetime,
) -> None:
    """Make a place that one file can be put to."""
    conn.execute(
        "INSERT INTO upload (secret_sha256, station_id, expires_at) VALUES (?, ?, ?)",
        (secret_sha256, station_id, to_text(expires_at)),
    )


def take_upload(
    conn: sqlite3.Connection,
    secret_sha256: str,
    *,
    file_path: str,
    file_name: str,
    n_bytes: int,
    now: datetime,
) -> bool:
    """Note that the file is there; False if one was there before."""
    cursor = conn.execute(
        "UPDATE upload SET file_path = ?, file_name = ?, n_bytes = ?, received_at = ?"
        " WHERE secret_sha256 = ? AND file_path IS NULL",
        (file_path, file_name, n_bytes, to_text(now), secret_sha256),
    )
    return cursor.rowcount == 1
