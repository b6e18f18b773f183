"""Rows of network profiles set at stations, and of upgrades of their security."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from gateway.store.times import to_text

PROFILES: Final = (
    "SELECT slot, url, security_profile, body, status, set_at FROM network_profile"
    " WHERE station_id = ? ORDER BY slot"
)
UPGRADE: Final = (
    "SELECT target, slot, url, state, problem, started_at, updated_at"
    " FROM security_upgrade WHERE station_id = ?"
)
SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "apn": ("apnPassword", "simPin"),
    "vpn": ("password", "key"),
}
"""Members that are never kept."""


def put_profile(
    conn: sqlite3.Connection,
    station_id: str,
    payload: Mapping[str, Any],
    status: str,
    now: datetime,
) -> None:
    """Keep what became of a SetNetworkProfile; a refused one replaces none."""
    data: dict[str, Any] = dict(payload["connectionData"])
    for part, names in SECRETS.items():
        if isinstance(data.get(part), dict):
            data[part] = {
                name: value for name, value in data[part].items() if name not in names
            }
    conn.execute(
        "INSERT INTO network_profile VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET url = excluded.url, body = excluded.body,"
        " security_profile = excluded.security_profile, status = excluded.status,"
        " set_at = excluded.set_at"
        " WHERE excluded.status = 'Accepted' OR network_profile.status <> 'Accepted'",
        (
            station_id,
            payload["configurationSlot"],
            data["ocppCsmsUrl"],
            data["securityProfile"],
            json.dumps(data),
            status,
            to_text(now),
        ),
    )


def start_upgrade(
    conn: sqlite3.Connection,
    station_id: str,
    *,
    target: int,
    slot: int | None,
    url: str | None,
    now: datetime,
) -> None:
    """An upgrade begins; an earlier one of the station is forgotten."""
    conn.execute(
        "INSERT OR REPLACE INTO security_upgrade"
        " VALUES (?, ?, ?, ?, 'started', NULL, ?, ?)",
        (station_id, target, slot, url, to_text(now), to_text(now)),
    )


def note_upgrade(
    conn: sqlite3.Connection,
    station_id: str,
    state: str,
    now: datetime,
    problem: str | None = None,
) -> bool:
    """An upgrade has come further, or failed; one that is over stays so.

    Returns:
        Whether it was not over yet.
    """
    cursor = conn.execute(
        "UPDATE security_upgrade SET state = ?, problem = ?, updated_at = ?"
        " WHERE station_id = ? AND state NOT IN ('done', 'failed')",
        (state, problem, to_text(now), station_id),
    )
    return cursor.rowcount > 0
