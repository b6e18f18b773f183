"""Rows of messages that stations show on their displays (2.0.1, O)."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway.store.reports import Whole
from gateway.store.times import to_text

FRONT: Final = "AlwaysFront"

MESSAGES: Final = (
    "SELECT body, updated_at FROM display_message AS m WHERE station_id = ?1"
    " AND NOT EXISTS (SELECT 1 FROM session AS s WHERE s.station_id = m.station_id"
    " AND s.transaction_id = m.transaction_id AND s.phase = 'ended')"
    " ORDER BY message_id"
)
"""Messages of a transaction go with its end (2.0.1, O02.FR.02)."""


def take_over(conn: sqlite3.Connection, whole: Whole) -> None:
    """Replace what is shown by a whole report, or add that of a filtered one."""
    if whole.is_whole:
        conn.execute(
            "DELETE FROM display_message WHERE station_id = ?", (whole.station_id,)
        )
    for message in whole.listed("messageInfo"):
        _put(conn, whole.station_id, message, whole.at)


def put_message(
    conn: sqlite3.Connection,
    station_id: str,
    message: Mapping[str, Any],
    now: datetime,
) -> None:
    """A message was accepted: it replaces that of its id (O06), and one in front.

    Of two messages that are always in front only the newer stays (O01.FR.16).
    """
    if message["priority"] == FRONT:
        conn.execute(
            "DELETE FROM display_message WHERE station_id = ? AND priority = ?",
            (station_id, FRONT),
        )
    _put(conn, station_id, message, now)


def drop_message(conn: sqlite3.Connection, station_id: str, message_id: int) -> None:
    """A message is gone."""
    conn.execute(
        "DELETE FROM display_message WHERE station_id = ? AND message_id = ?",
        (station_id, message_id),
    )


def _put(
    conn: sqlite3.Connection,
    station_id: str,
    message: Mapping[str, Any],
    now: datetime,
) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO display_message VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            message["id"],
            message["priority"],
            message.get("transactionId"),
            message.get("endDateTime"),
            json.dumps(message),
            to_text(now),
        ),
    )
