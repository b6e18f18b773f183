"""What stations do against the specification, counted as it happens.

Counted in the transaction that keeps the frame, and only for messages that have
deviations: whoever asks reads a handful of rows, however many frames there are.
"""

import sqlite3
from typing import Final

from gateway.store.entry import Entry
from gateway.store.times import to_text

OF_STATION: Final = (
    "SELECT kind, action, path, messages, first_seen_at, last_seen_at, last_detail,"
    " last_offset FROM station_deviation WHERE station_id = ?"
    " ORDER BY last_seen_at DESC, messages DESC, kind, action, path LIMIT ?"
)
OF_MODELS: Final = (
    "SELECT vendor, model, kind, action, path, sum(messages), count(*),"
    " min(first_seen_at), max(found.last_seen_at), max(last_detail)"
    " FROM station_deviation AS found JOIN station USING (station_id)"
    " WHERE (?1 IS NULL OR vendor = ?1 COLLATE NOCASE)"
    " AND (?2 IS NULL OR model = ?2 COLLATE NOCASE)"
    " GROUP BY vendor, model, kind, action, path"
    " ORDER BY count(*) DESC, sum(messages) DESC, vendor, model, kind, action, path"
    " LIMIT ?3"
)
"""Parameters: vendor, model (each ``None`` for any), most rows."""


def count(conn: sqlite3.Connection, entry: Entry, offset: int) -> None:
    """Count one message under every kind and place that it deviates in."""
    received = to_text(entry.received_at)
    places = {(one.kind, one.path): one.detail for one in entry.deviations}
    conn.executemany(
        "INSERT INTO station_deviation VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?6, ?7)"
        " ON CONFLICT DO UPDATE SET messages = messages + 1,"
        " last_seen_at = excluded.last_seen_at, last_detail = excluded.last_detail,"
        " last_offset = excluded.last_offset",
        [
            (entry.station_id, kind, entry.action, path, received, detail, offset)
            for (kind, path), detail in places.items()
        ],
    )
