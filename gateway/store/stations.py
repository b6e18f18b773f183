"""Rows of the station registry, of strangers who knocked, and of who may come in.

Functions over a connection, to be run by the writer (changes) or on a reading
connection (``load``).
"""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain.ids import StationId
from gateway.store.times import optional_time, to_text

MAX_KNOCKING = 1000
"""Strangers remembered; a flood of made-up ids must not fill the disk."""

AS_STORED = "as_stored"
OTHER_FORM = "other_form"

_COLUMNS = (
    "station_id, source, definition, password_hash, security_profile, registration,"
    " managed, vendor, model, serial, firmware, booted_at, accepted_at, last_seen_at,"
    " ocpp_version, items_per_message, configured_hash, pending_hash,"
    " previous_hash, password_form, restart_needed_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRow:
    """A registered station.

    Attributes:
        source: ``config``, ``api`` or ``adopted``.
        definition: Its ``[[station]]`` table as JSON, for sources other than config.
        security_profile: The lowest accepted.
        registration: What the next BootNotification is answered with.
        accepted_at: When a boot was first accepted; ``None``: never, or the last one
            was not.
        items_per_message: Variables that it takes in one message; ``None``: not said.
        configured_hash: Of the password that the configuration last brought.
        pending_hash: Of a password sent to it without an answer; it may present it.
        previous_hash: Of the password it used last, until it has used the new one.
        password_form: `AS_STORED` or `OTHER_FORM` (hexadecimal for raw bytes or the
            other way round), as it last presented it; ``None``: always as stored.
        restart_needed_at: When it said that it has to restart before a setting counts.
    """

    station_id: StationId
    source: str
    definition: Mapping[str, Any]
    password_hash: str | None
    security_profile: int
    registration: str
    managed: bool
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    booted_at: datetime | None = None
    accepted_at: datetime | None = None
    last_seen_at: datetime | None = None
    ocpp_version: str | None = None
    items_per_message: int | None = None
    configured_hash: str | None = None
    pending_hash: str | None = None
    previous_hash: str | None = None
    password_form: str | None = None
    restart_needed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSettings:
    """Members of a change besides wiring; ``None`` keeps what is stored."""

    password_hash: str | None = None
    registration: str | None = None
    security_profile: int | None = None
    items_per_message: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnockRow:
    """A stranger that was refused."""

    station_id: str
    first_seen_at: str
    last_seen_at: str
    attempts: int
    remote: str
    reason: str


def load(conn: sqlite3.Connection) -> tuple[StationRow, ...]:
    """Every registered station, by id."""
    query = f"SELECT {_COLUMNS} FROM station ORDER BY station_id"  # noqa: S608 - constant
    return tuple(_row(row) for row in conn.execute(query))


def upsert(
    conn: sqlite3.Connection,
    station_id: StationId,
    *,
    source: str,
    definition: Mapping[str, Any],
    cabinet_id: str | None,
    managed: bool,
) -> None:
    """Register a station or change its wiring; the rest of its row is kept."""
    conn.execute(
        "INSERT INTO station (station_id, source, definition, cabinet_id, managed)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (station_id) DO UPDATE SET"
        " source = excluded.source, definition = excluded.definition,"
        " cabinet_id = excluded.cabinet_id, managed = excluded.managed",
        (station_id, source, json.dumps(definition), cabinet_id, int(managed)),
    )


def change(
    conn: sqlite3.Connection, station_id: StationId, settings: StationSettings
) -> None:
    """Change settings; a new password ends all others."""
    conn.execute(
        "UPDATE station SET password_hash = coalesce(?1, password_hash),"
        " pending_hash = CASE WHEN ?1 IS NULL THEN pending_hash END,"
        " previous_hash = CASE WHEN ?1 IS NULL THEN previous_hash END,"
        " registration = coalesce(?2, registration),"
        " security_profile = coalesce(?3, security_profile),"
        " items_per_message = coalesce(?4, items_per_message) WHERE station_id = ?5",
        (
            settings.password_hash,
            settings.registration,
            settings.security_profile,
            settings.items_per_message,
            station_id,
        ),
    )


def set_password_hash(
    conn: sqlite3.Connection, station_id: StationId, password_hash: str
) -> None:
    """Replace a station's credential."""
    change(conn, station_id, StationSettings(password_hash=password_hash))


def set_previous_hash(
    conn: sqlite3.Connection, station_id: StationId, previous_hash: str | None
) -> None:
    """The credential that still opens the door; ``None``: the new one was used."""
    conn.execute(
        "UPDATE station SET previous_hash = ? WHERE station_id = ?",
        (previous_hash, station_id),
    )


def set_restart_needed(
    conn: sqlite3.Connection, station_id: StationId, at: datetime
) -> None:
    """Since when a station has to restart; its next boot clears it."""
    conn.execute(
        "UPDATE station SET restart_needed_at = ? WHERE station_id = ?",
        (to_text(at), station_id),
    )


def set_password_form(
    conn: sqlite3.Connection, station_id: StationId, form: str
) -> None:
    """In which form a station presents its password."""
    conn.execute(
        "UPDATE station SET password_form = ? WHERE station_id = ?", (form, station_id)
    )


def take_configured(
    conn: sqlite3.Connection, station_id: StationId, password_hash: str
) -> None:
    """Replace a station's credential by what the configuration says now."""
    set_password_hash(conn, station_id, password_hash)
    conn.execute(
        "UPDATE station SET configured_hash = password_hash WHERE station_id = ?",
        (station_id,),
    )


def set_pending_hash(
    conn: sqlite3.Connection, station_id: StationId, pending_hash: str | None
) -> None:
    """A credential the station may have taken; ``None``: it surely has not."""
    conn.execute(
        "UPDATE station SET pending_hash = ? WHERE station_id = ?",
        (pending_hash, station_id),
    )


def set_registration(
    conn: sqlite3.Connection, station_id: StationId, registration: str
) -> None:
    """What the station's next BootNotification is answered with."""
    conn.execute(
        "UPDATE station SET registration = ? WHERE station_id = ?",
        (registration, station_id),
    )


def delete_unconfigured(
    conn: sqlite3.Connection, configured: Collection[StationId]
) -> tuple[StationId, ...]:
    """Forget stations that left the configuration; their sessions stay."""
    known = conn.execute("SELECT station_id FROM station WHERE source = 'config'")
    gone = tuple(StationId(row[0]) for row in known if row[0] not in configured)
    for station_id in gone:
        delete(conn, station_id)
    return gone


def delete(conn: sqlite3.Connection, station_id: StationId) -> bool:
    """Forget a station; its sessions and frames stay. Whether it was there."""
    cursor = conn.execute("DELETE FROM station WHERE station_id = ?", (station_id,))
    return cursor.rowcount > 0


def set_last_seen(
    conn: sqlite3.Connection, seen: Mapping[StationId, tuple[datetime, str]]
) -> None:
    """Note when stations were last heard, and in which OCPP version."""
    conn.executemany(
        "UPDATE station SET last_seen_at = ?, ocpp_version = ? WHERE station_id = ?",
        [
            (to_text(at), version, station_id)
            for station_id, (at, version) in seen.items()
        ],
    )


def set_version(conn: sqlite3.Connection, station_id: StationId, version: str) -> None:
    """Note the OCPP version that a station agreed to."""
    conn.execute(
        "UPDATE station SET ocpp_version = ? WHERE station_id = ?",
        (version, station_id),
    )


def add_knock(
    conn: sqlite3.Connection, station_id: str, remote: str, reason: str, at: datetime
) -> None:
    """Count a refused attempt; the oldest strangers make room."""
    conn.execute(
        "INSERT INTO knocking VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (station_id)"
        " DO UPDATE SET last_seen_at = excluded.last_seen_at,"
        " attempts = attempts + 1, remote = excluded.remote, reason = excluded.reason",
        (station_id, to_text(at), to_text(at), remote, reason),
    )
    conn.execute(
        "DELETE FROM knocking WHERE station_id IN (SELECT station_id FROM knocking"
        " ORDER BY last_seen_at DESC LIMIT -1 OFFSET ?)",
        (MAX_KNOCKING,),
    )


def forget_knock(
    conn: sqlite3.Connection, station_id: str, *, in_any_case: bool = False
) -> None:
    """A stranger is one no longer.

    Args:
        conn: The writer's.
        station_id: As it was asked for.
        in_any_case: Also attempts with an id that differs in case only.
    """
    conn.execute(
        "DELETE FROM knocking WHERE station_id = ?1"
        " OR (?2 AND station_id = ?1 COLLATE NOCASE)",
        (station_id, in_any_case),
    )


def knocks(conn: sqlite3.Connection) -> tuple[KnockRow, ...]:
    """Strangers, the latest first."""
    rows = conn.execute(
        "SELECT station_id, first_seen_at, last_seen_at, attempts, remote, reason"
        " FROM knocking ORDER BY last_seen_at DESC"
    )
    return tuple(
        KnockRow(
            station_id=row[0],
            first_seen_at=row[1],
            last_seen_at=row[2],
            attempts=row[3],
            remote=row[4],
            reason=row[5],
        )
        for row in rows
    )


def _row(row: tuple[Any, ...]) -> StationRow:
    return StationRow(
        station_id=StationId(row[0]),
        source=row[1],
        definition=json.loads(row[2]),
        password_hash=row[3],
        security_profile=row[4],
        registration=row[5],
        managed=bool(row[6]),
        vendor=row[7],
        model=row[8],
        serial=row[9],
        firmware=row[10],
        booted_at=optional_time(row[11]),
        accepted_at=optional_time(row[12]),
        last_seen_at=optional_time(row[13]),
        ocpp_version=row[14],
        items_per_message=row[15],
        configured_hash=row[16],
        pending_hash=row[17],
        previous_hash=row[18],
        password_form=row[19],
        restart_needed_at=optional_time(row[20]),
    )
