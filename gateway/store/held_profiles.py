"""Rows of profiles that stations hold, and of limits from others (2.0.1, K)."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from gateway.domain.events import StationNotified
from gateway.store.reports import Whole
from gateway.store.times import to_text

PROFILES: Final = (
    "SELECT evse_id, source, body, reported_at FROM held_profile"
    " WHERE station_id = ? ORDER BY evse_id, stack_level, profile_id, source"
)
LIMITS: Final = (
    "SELECT evse_id, source, body, notified_at, cleared_at FROM external_limit"
    " WHERE station_id = ? ORDER BY evse_id, source"
)


def take_over(conn: sqlite3.Connection, whole: Whole) -> None:
    """Replace the profiles by a whole report, or add those of a filtered one."""
    if whole.is_whole:
        conn.execute(
            "DELETE FROM held_profile WHERE station_id = ?", (whole.station_id,)
        )
    for page in whole.bodies:
        for profile in page.get("chargingProfile") or ():
            conn.execute(
                "INSERT OR REPLACE INTO held_profile VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    whole.station_id,
                    page["evseId"],
                    page["chargingLimitSource"],
                    profile["id"],
                    profile["chargingProfilePurpose"],
                    profile["stackLevel"],
                    json.dumps(profile),
                    to_text(whole.at),
                ),
            )


def limit_told(conn: sqlite3.Connection, event: StationNotified) -> None:
    """NotifyChargingLimit: somebody else limits the station, or an EVSE (K12)."""
    body: Mapping[str, Any] = event.body
    conn.execute(
        "INSERT OR REPLACE INTO external_limit VALUES (?, ?, ?, ?, ?, NULL)",
        (
            event.station_id,
            body.get("evseId", 0),
            body["chargingLimit"]["chargingLimitSource"],
            json.dumps(body),
            to_text(event.received_at),
        ),
    )


def limit_cleared(conn: sqlite3.Connection, event: StationNotified) -> None:
    """ClearedChargingLimit: it does so no longer (K13); without an EVSE, nowhere."""
    body: Mapping[str, Any] = event.body
    conn.execute(
        "UPDATE external_limit SET cleared_at = ? WHERE station_id = ? AND source = ?"
        " AND evse_id = coalesce(?, evse_id) AND cleared_at IS NULL",
        (
            to_text(event.received_at),
            event.station_id,
            body["chargingLimitSource"],
            body.get("evseId"),
        ),
    )
