"""Rows of transfers; functions over a connection, to be run by the writer."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
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
        words: All of them in the order of their times, with these, as JSON.
        file_id: Of the file that came here by it, and its size.
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
    file_id: str | None
    n_bytes: int | None

    SELECT: ClassVar[str] = (
        "SELECT t.transfer_id, t.station_id, t.kind, t.request_id, t.location, t.state,"
        " t.word, t.words, t.file_name, t.asked_at, t.changed_at, u.file_path,"
        " u.n_bytes FROM transfer AS t LEFT JOIN upload AS u"
        " ON u.transfer_id = t.transfer_id"
    )


def insert(
    conn: sqlite3.Connection,
    station_id: StationId,
    asked: TransferAsked,
    *,
    word: str,
    state: TransferState,
    file_name: str | None,
    asked_at: datetime,
    now: datetime,
    upload_sha256: str | None = None,
) -> int:
    """Keep a transfer that a station was asked for; returns its id.

    Args:
        conn: In a transaction.
        station_id: The station.
        asked: What it was asked for.
        word: Its answer.
        state: What that means.
        file_name: As it calls the file.
        asked_at: When the call was sent.
        now: When it was answered.
        upload_sha256: Digest of the secret of our place for the file, if it is one.
    """
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
            to_text(asked_at),
            at,
        ),
    )
    transfer_id = cursor.lastrowid
    assert transfer_id is not None, "an INSERT sets lastrowid"
    if upload_sha256 is not None:
        conn.execute(
            "UPDATE upload SET transfer_id = ?"
            " WHERE secret_sha256 = ? AND station_id = ? AND transfer_id IS NULL",
            (transfer_id, upload_sha256, station_id),
        )
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

    It may be older than the answer, which comes behind it then. By its request id where
    the station says one; else it means the latest of the kind. The same word of the
    same time is taken once.
    A transfer that is over stays as it is.
    """
    row = conn.execute(
        "SELECT transfer_id, words, changed_at FROM transfer"
        " WHERE station_id = ?1 AND kind = ?2"
        " AND state = 'running' AND (?3 IS NULL OR request_id IS ?3)"
        " ORDER BY transfer_id DESC LIMIT 1",
        (station_id, kind.value, request_id),
    ).fetchone()
    if row is None:
        return None
    words = json.loads(row[1])
    said = [to_text(at), word]
    if len(words) < MAX_WORDS and said not in words:
        words.append(said)
        words.sort(key=itemgetter(0))
    conn.execute(
        "UPDATE transfer SET word = ?, words = ?, state = ?, changed_at = ?"
        " WHERE transfer_id = ?",
        (word, json.dumps(words), state.value, max(to_text(at), row[2]), row[0]),
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
    transfer_id: int | None

    SELECT: ClassVar[str] = (
        "SELECT secret_sha256, station_id, expires_at, file_path, file_name, n_bytes,"
        " received_at, transfer_id FROM upload"
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
