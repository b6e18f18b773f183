"""What operators set for cabinets and EVSEs, and the newest readings of other loads."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.store.times import from_text, optional_text, optional_time, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """A limit the CPO set for a cabinet; ``limit_da`` per phase or ``limit_w``."""

    threshold_id: int
    cabinet_id: CabinetId
    limit_da: tuple[int, int, int] | None
    limit_w: int | None
    from_at: datetime | None
    until_at: datetime | None
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRow:
    """The newest measurement of other equipment."""

    load_id: str
    measured_at: datetime
    current_da: tuple[int, int, int] | None
    power_w: float | None


def put_manual_limit(
    conn: sqlite3.Connection, ref: EvseRef, limit_da: int | None, set_at: datetime
) -> None:
    """Set the manual limit of an EVSE, or with ``None`` lift it."""
    if limit_da is None:
        conn.execute(
            "DELETE FROM evse_manual_limit WHERE station_id = ? AND evse_id = ?",
            (ref.station_id, ref.evse_id),
        )
        return
    conn.execute(
        "INSERT OR REPLACE INTO evse_manual_limit (station_id, evse_id, limit_da,"
        " set_at) VALUES (?, ?, ?, ?)",
        (ref.station_id, ref.evse_id, limit_da, to_text(set_at)),
    )


def manual_limits(conn: sqlite3.Connection) -> dict[EvseRef, int]:
    """Manual limits, 0.1 A per phase."""
    rows = conn.execute("SELECT station_id, evse_id, limit_da FROM evse_manual_limit")
    return {
        EvseRef(station_id=StationId(row[0]), evse_id=row[1]): row[2] for row in rows
    }


def insert_threshold(
    conn: sqlite3.Connection,
    *,
    cabinet_id: CabinetId,
    limit_da: tuple[int, int, int] | None,
    limit_w: int | None,
    from_at: datetime | None,
    until_at: datetime | None,
    set_at: datetime,
) -> int:
    """Set the CPO's threshold of a cabinet; the newest that applies counts."""
    cursor = conn.execute(
        "INSERT INTO cabinet_threshold (cabinet_id, limit_da, limit_w, from_at,"
        " until_at, set_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            cabinet_id,
            None if limit_da is None else json.dumps(limit_da),
            limit_w,
            optional_text(from_at),
            optional_text(until_at),
            to_text(set_at),
        ),
    )
    threshold_id = cursor.lastrowid
    assert threshold_id is not None  # an INSERT always has one
    return threshold_id


def delete_thresholds(conn: sqlite3.Connection, cabinet_id: CabinetId) -> None:
    """Back to the configured limit."""
    conn.execute("DELETE FROM cabinet_threshold WHERE cabinet_id = ?", (cabinet_id,))


def thresholds(conn: sqlite3.Connection, now: datetime) -> list[ThresholdRow]:
    """Thresholds that are not over."""
    rows = conn.execute(
        "SELECT threshold_id, cabinet_id, limit_da, limit_w, from_at, until_at, set_at"
        " FROM cabinet_threshold WHERE until_at IS NULL OR until_at > ?"
        " ORDER BY threshold_id",
        (to_text(now),),
    )
    return [
        ThresholdRow(
            threshold_id=row[0],
            cabinet_id=CabinetId(row[1]),
            limit_da=_triple(row[2]),
            limit_w=row[3],
            from_at=optional_time(row[4]),
            until_at=optional_time(row[5]),
            set_at=from_text(row[6]),
        )
        for row in rows
    ]


def put_mode(
    conn: sqlite3.Connection, cabinet_id: CabinetId, mode: str, set_at: datetime
) -> None:
    """Set whether plans of a cabinet are carried out."""
    conn.execute(
        "INSERT OR REPLACE INTO cabinet_mode (cabinet_id, mode, set_at)"
        " VALUES (?, ?, ?)",
        (cabinet_id, mode, to_text(set_at)),
    )


def modes(conn: sqlite3.Connection) -> dict[CabinetId, str]:
    """Modes that were set; cabinets without one have the configured mode."""
    return {
        CabinetId(row[0]): row[1]
        for row in conn.execute("SELECT cabinet_id, mode FROM cabinet_mode")
    }


def put_reading(conn: sqlite3.Connection, row: ReadingRow) -> bool:
    """Keep a measurement unless a newer one is known; whether it was kept."""
    cursor = conn.execute(
        "INSERT INTO load_reading (load_id, measured_at, current_da, power_w)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (load_id) DO UPDATE SET"
        " measured_at = excluded.measured_at, current_da = excluded.current_da,"
        " power_w = excluded.power_w WHERE excluded.measured_at > measured_at",
        (
            row.load_id,
            to_text(row.measured_at),
            None if row.current_da is None else json.dumps(row.current_da),
            row.power_w,
        ),
    )
    return cursor.rowcount > 0


def readings(conn: sqlite3.Connection) -> dict[str, ReadingRow]:
    """The newest measurement of each load, feeder, PV inverter and battery."""
    rows = conn.execute(
        "SELECT load_id, measured_at, current_da, power_w FROM load_reading"
    )
    return {
        row[0]: ReadingRow(
            load_id=row[0],
            measured_at=from_text(row[1]),
            current_da=_triple(row[2]),
            power_w=row[3],
        )
        for row in rows
    }


def _triple(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    one, two, three = json.loads(text)
    return (one, two, three)
