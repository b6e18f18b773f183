"""Rows of variable monitors and of the events they caused (2.0.1, N)."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from gateway.domain.events import StationNotified
from gateway.store.device_model import name_of
from gateway.store.reports import Whole
from gateway.store.times import to_text

ALARM_SEVERITY: Final = 3
"""Danger, hardware failure, system failure, critical (2.0.1, SetMonitoringData)."""

MONITORS: Final = (
    "SELECT monitor_id, component, variable, kind, value, severity, is_transaction,"
    " detail, updated_at FROM monitor WHERE station_id = ? ORDER BY monitor_id"
)
EVENTS: Final = (
    "SELECT number, event_id, occurred_at, received_at, trigger_word, kind, component,"
    " variable, actual_value, monitor_id, severity, is_alarm, is_cleared, cleared_at,"
    " detail FROM station_event WHERE station_id = ? AND (? = 0 OR is_alarm = 1)"
    " ORDER BY number DESC LIMIT ?"
)
OPEN_ALARMS: Final = (
    "SELECT station_id, component, variable, actual_value, severity, occurred_at"
    " FROM station_event WHERE is_alarm = 1 AND is_cleared = 0 AND cleared_at IS NULL"
    " AND received_at >= ? ORDER BY severity, number DESC LIMIT 100"
)
ALARMS_AT: Final = (
    "SELECT component, variable, actual_value, severity FROM station_event"
    " WHERE station_id = ? AND frame_offset = ? AND is_alarm = 1 AND is_cleared = 0"
)


def take_over(conn: sqlite3.Connection, whole: Whole) -> None:
    """Replace the monitors by a whole report, or add those of a filtered one."""
    if whole.is_whole:
        conn.execute("DELETE FROM monitor WHERE station_id = ?", (whole.station_id,))
    for entry in whole.listed("monitor"):
        for one in entry.get("variableMonitoring") or ():
            put_monitor(
                conn,
                whole.station_id,
                {
                    "component": entry["component"],
                    "variable": entry["variable"],
                    **one,
                },
                whole.at,
            )


def put_monitor(
    conn: sqlite3.Connection, station_id: str, one: Mapping[str, Any], now: datetime
) -> None:
    """Keep a monitor: component, variable, id, type, value, severity, transaction."""
    conn.execute(
        "INSERT OR REPLACE INTO monitor VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            one["id"],
            name_of(one["component"]),
            name_of(one["variable"]),
            one["type"],
            str(one["value"]),
            one["severity"],
            int(one.get("transaction") is True),
            json.dumps({"component": one["component"], "variable": one["variable"]}),
            to_text(now),
        ),
    )


def drop_monitors(
    conn: sqlite3.Connection, station_id: str, ids: Iterable[int]
) -> None:
    """Forget monitors that the station does not have any more."""
    conn.executemany(
        "DELETE FROM monitor WHERE station_id = ? AND monitor_id = ?",
        [(station_id, one) for one in ids],
    )


def events_told(conn: sqlite3.Connection, event: StationNotified, offset: int) -> None:
    """Keep the entries of a NotifyEvent, each once; a cleared one ends its alarm."""
    body: Mapping[str, Any] = event.body
    for entry in body.get("eventData") or ():
        monitor_id = entry.get("variableMonitoringId")
        place = (
            event.station_id,
            name_of(entry["component"]),
            name_of(entry["variable"]),
        )
        severity = _severity(conn, event.station_id, monitor_id)
        is_cleared = entry.get("cleared") is True
        is_alarm = (
            entry["trigger"] == "Alerting"
            if severity is None
            else severity <= ALARM_SEVERITY
        )
        conn.execute(
            "INSERT OR IGNORE INTO station_event (station_id, event_id, occurred_at,"
            " received_at, trigger_word, kind, component, variable, actual_value,"
            " monitor_id, severity, is_alarm, is_cleared, detail, frame_offset)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.station_id,
                entry["eventId"],
                entry["timestamp"],
                to_text(event.received_at),
                entry["trigger"],
                entry["eventNotificationType"],
                place[1],
                place[2],
                entry["actualValue"],
                monitor_id,
                severity,
                int(is_alarm),
                int(is_cleared),
                json.dumps(entry),
                offset,
            ),
        )
        if is_cleared:
            conn.execute(
                "UPDATE station_event SET cleared_at = ? WHERE station_id = ?"
                " AND component = ? AND variable = ? AND monitor_id IS ?"
                " AND is_alarm = 1 AND cleared_at IS NULL",
                (to_text(event.received_at), *place, monitor_id),
            )


def _severity(
    conn: sqlite3.Connection, station_id: str, monitor_id: int | None
) -> int | None:
    row = conn.execute(
        "SELECT severity FROM monitor WHERE station_id = ? AND monitor_id = ?",
        (station_id, monitor_id),
    ).fetchone()
    return None if row is None else int(row[0])
