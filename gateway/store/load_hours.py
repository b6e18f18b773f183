"""What other equipment usually draws: rows over a connection."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from gateway.domain.load_hours import HourMean
from gateway.store.times import to_text


def put(
    conn: sqlite3.Connection,
    learned: Mapping[tuple[str, int], HourMean],
    now: datetime,
) -> None:
    """Keep means, by load and hour, instead of those known."""
    conn.executemany(
        "INSERT OR REPLACE INTO load_hour VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (load_id, hour, *mean.mean_da, mean.seen_s, to_text(now))
            for (load_id, hour), mean in learned.items()
        ],
    )


def read(conn: sqlite3.Connection) -> dict[str, dict[int, HourMean]]:
    """All of them, by load and hour."""
    found: dict[str, dict[int, HourMean]] = defaultdict(dict)
    rows = conn.execute(
        "SELECT load_id, hour, l1_da, l2_da, l3_da, seen_s FROM load_hour"
    )
    for load_id, hour, one, two, three, seen_s in rows:
        found[load_id][hour] = HourMean((one, two, three), seen_s)
    return dict(found)
