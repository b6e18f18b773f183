"""Rows of the roots by which stations last trusted our server certificate."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.domain.ids import StationId
from gateway.store.times import to_text

ROWS: Final = (
    "SELECT station_id, roots, validated_at FROM station_root"
    " ORDER BY roots, station_id"
)


def put(
    conn: sqlite3.Connection,
    station_id: StationId,
    roots: Sequence[str],
    at: datetime,
) -> None:
    """Note by which roots a station may have trusted us."""
    conn.execute(
        "INSERT INTO station_root VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
        " roots = excluded.roots, validated_at = excluded.validated_at",
        (station_id, json.dumps(list(roots)), to_text(at)),
    )
