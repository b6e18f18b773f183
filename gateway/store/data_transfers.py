"""Rows of what stations sent by DataTransfer, and what they were answered."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import StationId
from gateway.store.times import from_text, to_text

MAX_KEPT: Final = 200
"""Messages kept of one station, the newest: a chatty one must not fill the disk."""
NEWEST: Final = (
    "SELECT received_at, vendor_id, message_id, data, status, answer FROM data_transfer"
    " WHERE station_id = ?1 AND (?2 IS NULL OR vendor_id = ?2 COLLATE NOCASE)"
    " ORDER BY transfer_id DESC LIMIT ?3"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One message; ``data`` and ``answer`` are any JSON."""

    received_at: datetime
    vendor_id: str
    message_id: str | None
    data: object
    status: str
    answer: object


def insert(conn: sqlite3.Connection, station_id: StationId, row: Transfer) -> None:
    """Keep a message, and forget the oldest beyond `MAX_KEPT`."""
    conn.execute(
        "INSERT INTO data_transfer (station_id, received_at, vendor_id, message_id,"
        " data, status, answer) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            to_text(row.received_at),
            row.vendor_id,
            row.message_id,
            _text(row.data),
            row.status,
            _text(row.answer),
        ),
    )
    conn.execute(
        "DELETE FROM data_transfer WHERE station_id = ?1 AND transfer_id <= ("
        " SELECT transfer_id FROM data_transfer WHERE station_id = ?1"
        " ORDER BY transfer_id DESC LIMIT 1 OFFSET ?2)",
        (station_id, MAX_KEPT),
    )


def of_row(row: tuple[Any, ...]) -> Transfer:
    """Read a row of `NEWEST`."""
    return Transfer(
        received_at=from_text(row[0]),
        vendor_id=row[1],
        message_id=row[2],
        data=None if row[3] is None else json.loads(row[3]),
        status=row[4],
        answer=None if row[5] is None else json.loads(row[5]),
    )


def _text(value: object) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
