"""Which tariff the tokens of a group charge by: rows over a connection."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.ids import IdToken
from gateway.store import tokens
from gateway.store.times import to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTariff:
    """A group of id tokens and its tariff."""

    group_id: str
    tariff_id: str
    updated_at: datetime


def put(
    conn: sqlite3.Connection, *, group_id: str, tariff_id: str, now: datetime
) -> None:
    """Give a group a tariff, instead of the one that it had."""
    conn.execute(
        "INSERT OR REPLACE INTO group_tariff VALUES (?, ?, ?, ?)",
        (group_id.casefold(), group_id, tariff_id, to_text(now)),
    )


def delete(conn: sqlite3.Connection, group_id: str) -> bool:
    """Let a group charge by the tariffs of stations; False if it did already."""
    done = conn.execute(
        "DELETE FROM group_tariff WHERE group_key = ?", (group_id.casefold(),)
    )
    return done.rowcount > 0


def all_groups(conn: sqlite3.Connection) -> list[GroupTariff]:
    """All groups with a tariff, by name."""
    rows = conn.execute(
        "SELECT group_id, tariff_id, updated_at FROM group_tariff ORDER BY group_key"
    )
    return [
        GroupTariff(
            group_id=group_id,
            tariff_id=tariff_id,
            updated_at=datetime.fromisoformat(updated_at),
        )
        for group_id, tariff_id, updated_at in rows
    ]


def of_token(conn: sqlite3.Connection, token: IdToken | None) -> str | None:
    """The tariff of a token's group; ``None``: the station's counts."""
    if token is None:
        return None
    row = tokens.find(conn, token)
    if row is None or row.group_id is None:
        return None
    found = conn.execute(
        "SELECT tariff_id FROM group_tariff WHERE group_key = ?",
        (row.group_id.casefold(),),
    ).fetchone()
    return None if found is None else str(found[0])
