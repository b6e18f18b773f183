"""What operators want batteries to do: rows over a connection."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.store.times import optional_text, optional_time, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """A battery's power by an operator's word.

    Attributes:
        power_w: Charging positive, W.
        until: ``None``: for good.
    """

    battery_id: str
    power_w: int
    until: datetime | None


def put(conn: sqlite3.Connection, said: ByHand, now: datetime) -> None:
    """Keep what a battery shall do, instead of what it should."""
    conn.execute(
        "INSERT OR REPLACE INTO battery_by_hand (battery_id, power_w, until_at,"
        " set_at) VALUES (?, ?, ?, ?)",
        (said.battery_id, said.power_w, optional_text(said.until), to_text(now)),
    )


def forget(conn: sqlite3.Connection, battery_id: str) -> None:
    """A battery follows its rule again."""
    conn.execute("DELETE FROM battery_by_hand WHERE battery_id = ?", (battery_id,))


def load(conn: sqlite3.Connection, now: datetime) -> list[ByHand]:
    """What still holds; what is over is deleted."""
    conn.execute("DELETE FROM battery_by_hand WHERE until_at <= ?", (to_text(now),))
    rows = conn.execute("SELECT battery_id, power_w, until_at FROM battery_by_hand")
    return [
        ByHand(battery_id=name, power_w=power_w, until=optional_time(until))
        for name, power_w, until in rows
    ]
