"""Rows of what is switched on for single stations, and of what they do not take."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.ids import StationId
from gateway.store.times import from_text, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A station does not take a feature.

    Attributes:
        firmware: What it ran then; with another one it is worth another try.
    """

    station_id: StationId
    feature: str
    firmware: str
    reason: str
    refused_at: datetime


def switches(conn: sqlite3.Connection) -> dict[tuple[StationId, str], bool]:
    """Every switch, by station and feature."""
    rows = conn.execute("SELECT station_id, feature, is_on FROM station_switch")
    return {(StationId(row[0]), row[1]): bool(row[2]) for row in rows}


def set_switch(
    conn: sqlite3.Connection,
    station_id: StationId,
    feature: str,
    is_on: bool | None,
    now: datetime,
) -> None:
    """Switch a feature for a station; ``None``: as the site says."""
    if is_on is None:
        conn.execute(
            "DELETE FROM station_switch WHERE station_id = ? AND feature = ?",
            (station_id, feature),
        )
        return
    conn.execute(
        "INSERT OR REPLACE INTO station_switch (station_id, feature, is_on, set_at)"
        " VALUES (?, ?, ?, ?)",
        (station_id, feature, int(is_on), to_text(now)),
    )


def refusals(conn: sqlite3.Connection) -> list[Refusal]:
    """Every refusal."""
    rows = conn.execute(
        "SELECT station_id, feature, firmware, reason, refused_at FROM station_refusal"
    )
    return [
        Refusal(
            station_id=StationId(row[0]),
            feature=row[1],
            firmware=row[2],
            reason=row[3],
            refused_at=from_text(row[4]),
        )
        for row in rows
    ]


def put_refusal(conn: sqlite3.Connection, refusal: Refusal) -> None:
    """Remember a refusal."""
    conn.execute(
        "INSERT OR REPLACE INTO station_refusal (station_id, feature, firmware, reason,"
        " refused_at) VALUES (?, ?, ?, ?, ?)",
        (
            refusal.station_id,
            refusal.feature,
            refusal.firmware,
            refusal.reason,
            to_text(refusal.refused_at),
        ),
    )


def forget_refusal(
    conn: sqlite3.Connection, station_id: StationId, feature: str
) -> None:
    """Let a station be asked again."""
    conn.execute(
        "DELETE FROM station_refusal WHERE station_id = ? AND feature = ?",
        (station_id, feature),
    )
