"""Needs that are assumed for groups of id tokens, and past visits: rows."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.ids import IdToken
from gateway.domain.usual_need import Default, Visit
from gateway.store import tokens
from gateway.store.times import from_text, to_text

MOST_VISITS: Final = 5_000
"""Newest past sessions that are looked at."""

LONGEST_STAY_S: Final = 604_800
"""A session of more than a week is one that nobody ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNeed:
    """A group of id tokens and what its drivers are assumed to need."""

    group_id: str
    default: Default
    updated_at: datetime


def put(
    conn: sqlite3.Connection, *, group_id: str, default: Default, now: datetime
) -> None:
    """Assume a need for a group, instead of the one that it had."""
    conn.execute(
        "INSERT OR REPLACE INTO group_need (group_key, group_id, energy_wh, stay_s,"
        " updated_at, may_pause) VALUES (?, ?, ?, ?, ?, ?)",
        (
            group_id.casefold(),
            group_id,
            default.energy_wh,
            default.stay_s,
            to_text(now),
            int(default.may_pause),
        ),
    )


def delete(conn: sqlite3.Connection, group_id: str) -> bool:
    """Assume nothing for a group; False if nothing was assumed."""
    done = conn.execute(
        "DELETE FROM group_need WHERE group_key = ?", (group_id.casefold(),)
    )
    return done.rowcount > 0


def all_groups(conn: sqlite3.Connection) -> list[GroupNeed]:
    """All groups with a need of their own, by name."""
    rows = conn.execute(
        "SELECT group_id, energy_wh, stay_s, may_pause, updated_at FROM group_need"
        " ORDER BY group_key"
    )
    return [
        GroupNeed(
            group_id=group_id,
            default=Default(
                energy_wh=energy_wh, stay_s=stay_s, may_pause=bool(may_pause)
            ),
            updated_at=from_text(updated_at),
        )
        for group_id, energy_wh, stay_s, may_pause, updated_at in rows
    ]


def of_token(conn: sqlite3.Connection, token: IdToken | None) -> Default:
    """What is assumed for a token and its group; empty without one.

    Either of both can say that sessions are not paused.
    """
    row = None if token is None else tokens.find(conn, token)
    if row is None or row.group_id is None:
        return Default(may_pause=row is None or row.may_pause)
    found = conn.execute(
        "SELECT energy_wh, stay_s, may_pause FROM group_need WHERE group_key = ?",
        (row.group_id.casefold(),),
    ).fetchone()
    if found is None:
        return Default(may_pause=row.may_pause)
    energy_wh, stay_s, may_pause = found
    return Default(
        energy_wh=energy_wh,
        stay_s=stay_s,
        may_pause=row.may_pause and bool(may_pause),
    )


def errors_s(conn: sqlite3.Connection, *, since: datetime) -> list[int]:
    """How much later than its driver had said each session ended, s."""
    rows = conn.execute(
        "SELECT session.ended_at, session_request.departure_at"
        " FROM session JOIN session_request USING (session_id)"
        " WHERE session.started_at >= ? AND session.phase = 'ended'"
        " AND session.ended_by = 'station' AND NOT session_request.is_default"
        " AND session_request.departure_at IS NOT NULL"
        " ORDER BY session.started_at DESC LIMIT ?",
        (to_text(since), MOST_VISITS),
    )
    found = (
        round((from_text(ended) - from_text(said)).total_seconds())
        for ended, said in rows
    )
    return [error_s for error_s in found if abs(error_s) <= LONGEST_STAY_S]


def visits(conn: sqlite3.Connection, *, since: datetime, zone: ZoneInfo) -> list[Visit]:
    """Sessions since a time that their stations ended, with local starts."""
    rows = conn.execute(
        "SELECT started_at, ended_at, register_end_milliwh - register_start_milliwh"
        " FROM session WHERE started_at >= ? AND phase = 'ended'"
        " AND ended_by = 'station' AND has_start AND ended_at > started_at"
        " AND register_end_milliwh > register_start_milliwh"
        " ORDER BY started_at DESC LIMIT ?",
        (to_text(since), MOST_VISITS),
    )
    found: list[Visit] = []
    for started, ended, milliwh in rows:
        begin = from_text(started)
        stay_s = round((from_text(ended) - begin).total_seconds())
        if stay_s <= LONGEST_STAY_S:
            local = begin.astimezone(zone)
            found.append(Visit(local, milliwh // 1000, stay_s))
    return found
