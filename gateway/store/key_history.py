"""Rows of the keys that were pinned to meters, each with its time.

All functions run inside the transaction of the caller. Rows are never deleted: a key
that is exchanged takes nothing from the sessions before.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import StationId
from gateway.store.signed import PinnedKey
from gateway.store.times import from_text, to_text

_COLUMNS: Final = (
    "SELECT pin_id, evse_id, curve, point, meter_serial, pinned_at, pinned_by, until,"
    " leaf_index FROM meter_key_history WHERE station_id = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPin:
    """One pinning.

    Attributes:
        until: When it was exchanged or withdrawn; ``None``: it is trusted now.
        leaf_index: In the log; ``None``: not sealed yet.
    """

    pin_id: int
    evse_id: int
    key: PinnedKey
    until: datetime | None
    leaf_index: int | None


def begin(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    key: PinnedKey,
    leaf_index: int,
) -> None:
    """Note a new pin; the one before ends with it."""
    end(conn, station_id, evse_id, at=key.pinned_at, by=key.pinned_by)
    conn.execute(
        "INSERT INTO meter_key_history (station_id, evse_id, curve, point,"
        " meter_serial, pinned_at, pinned_by, leaf_index)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            evse_id,
            key.curve,
            key.point,
            key.meter_serial,
            to_text(key.pinned_at),
            key.pinned_by,
            leaf_index,
        ),
    )


def end(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    *,
    at: datetime,
    by: str,
) -> None:
    """Note that the pin of an EVSE ends, if there is one."""
    conn.execute(
        "UPDATE meter_key_history SET until = ?, ended_by = ?"
        " WHERE station_id = ? AND evse_id = ? AND until IS NULL",
        (to_text(at), by, station_id, evse_id),
    )


def used(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    key: tuple[str, str],
    *,
    serial: str | None,
    at: datetime,
) -> KeyPin | None:
    """The pin by which records were checked.

    Args:
        conn: Of the caller.
        station_id: Of the meter.
        evse_id: Likewise.
        key: Curve and point.
        serial: Of the meter that the records name: a pin to it, or to none, counts
            before one to another, as a key may be pinned more than once.
        at: When they were checked; a clock that was set back since finds the latest.
    """
    row = conn.execute(
        f"{_COLUMNS} AND evse_id = ? AND curve = ? AND point = ?"
        " ORDER BY coalesce(meter_serial = ?, TRUE) DESC, pinned_at <= ? DESC,"
        " pin_id DESC LIMIT 1",
        (station_id, evse_id, *key, serial, to_text(at)),
    ).fetchone()
    return None if row is None else _pin(row)


def exchanged_since(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    at: datetime,
    most: int,
) -> list[PinnedKey]:
    """Keys that were trusted at a moment and gave way to another since, latest first.

    One that was withdrawn is none of them: who withdraws it trusts it no longer.
    """
    rows = conn.execute(
        f"{_COLUMNS} AND evse_id = ?2 AND pinned_at <= ?3 AND until > ?3"  # noqa: S608 - a constant clause
        " AND EXISTS (SELECT 1 FROM meter_key_history AS later"
        " WHERE later.station_id = ?1 AND later.evse_id = ?2"
        " AND later.pinned_at = meter_key_history.until"
        " AND later.pin_id > meter_key_history.pin_id)"
        " ORDER BY pin_id DESC LIMIT ?4",
        (station_id, evse_id, to_text(at), most),
    )
    return [_pin(row).key for row in rows]


def sealed(conn: sqlite3.Connection, pin_id: int, leaf_index: int) -> None:
    """Note the leaf of a pin that had none."""
    conn.execute(
        "UPDATE meter_key_history SET leaf_index = ? WHERE pin_id = ?",
        (leaf_index, pin_id),
    )


def of_station(conn: sqlite3.Connection, station_id: StationId) -> list[KeyPin]:
    """All pins of a station's meters, by EVSE, the latest first."""
    rows = conn.execute(f"{_COLUMNS} ORDER BY evse_id, pin_id DESC", (station_id,))
    return [_pin(row) for row in rows]


def _pin(row: tuple[Any, ...]) -> KeyPin:
    return KeyPin(
        pin_id=row[0],
        evse_id=row[1],
        key=PinnedKey(
            curve=row[2],
            point=row[3],
            meter_serial=row[4],
            pinned_at=from_text(row[5]),
            pinned_by=row[6],
        ),
        until=None if row[7] is None else from_text(row[7]),
        leaf_index=row[8],
    )
