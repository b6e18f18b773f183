"""Past sessions by place, for what is expected of the hours to come: rows."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.ids import EvseRef, StationId
from gateway.store.times import from_text, to_text

MOST_VISITS: Final = 20_000
"""Newest past sessions that are looked at."""


@dataclass(frozen=True, slots=True)
class PastVisit:
    """A session that its station ended.

    Attributes:
        ref: Where, without the connector.
        started_at: In local time of the site.
        stay_s: How long it lasted, s.
        energy_wh: What was charged.
    """

    ref: EvseRef
    started_at: datetime
    stay_s: float
    energy_wh: int


def past_visits(
    conn: sqlite3.Connection, *, since: datetime, zone: ZoneInfo
) -> list[PastVisit]:
    """Sessions since a time that their stations ended and that took energy."""
    rows = conn.execute(
        "SELECT station_id, evse_id, started_at, ended_at,"
        " register_end_milliwh - register_start_milliwh"
        " FROM session WHERE started_at >= ? AND phase = 'ended'"
        " AND ended_by = 'station' AND has_start AND ended_at > started_at"
        " AND register_end_milliwh > register_start_milliwh"
        " ORDER BY started_at DESC LIMIT ?",
        (to_text(since), MOST_VISITS),
    )
    found: list[PastVisit] = []
    for station_id, evse_id, started, ended, milliwh in rows:
        begin = from_text(started)
        found.append(
            PastVisit(
                EvseRef(station_id=StationId(station_id), evse_id=evse_id),
                begin.astimezone(zone),
                (from_text(ended) - begin).total_seconds(),
                milliwh // 1000,
            )
        )
    return found
