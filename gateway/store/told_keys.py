"""Rows of the keys that stations tell among their settings.

They are picked out of whatever answers or reports, in the same transaction: a setting
that was kept is never missed here, and one that is told again unchanged is no news.
"""

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.store.times import to_text

MAX_SOURCES: Final = 100
"""Settings of one station that are taken for keys: it must not fill the disk."""
MAX_VALUE_CHARS: Final = 2_001
"""One more than any key has: a longer one is kept as such, and refused."""
MAX_EVSE_ID: Final = 1_000
METERING: Final = "fiscalmetering"
"""The component of a billing meter (2.0.1 part 2, appendix 3, 3.2.32)."""
SERIALS: Final = ("SerialNumber/Meter", "SerialNumber")

_MAX_DIGITS: Final = 9
_KEY: Final = re.compile(
    r"(?:fiscal[ _.-]?)?meter[ _.-]?public[ _.-]?keys?[ _.-]?[\[(<]?([0-9]{0,5})[\])>]?"
)
"""``MeterPublicKey`` and ``MeterPublicKey[n]`` of the OCA's paper on signed meter
values (1.6, 3.3.1), with the spellings of vendors; the number is the connector's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldKey:
    """A setting that holds the public key of a meter.

    Attributes:
        source: The setting's name, of 2.0.1 with its component.
        component: Of 2.0.1, as `gateway.store.device_model.name_of` writes it.
        evse_id: Whose meter it is of; where the name does not say, of the only one.
        value: As the station told it.
    """

    source: str
    component: str | None
    evse_id: int
    value: str


def key_of_setting(key: str, value: object) -> ToldKey | None:
    """A configuration key of 1.6, if it holds the key of a meter."""
    found = _KEY.fullmatch(key.strip().casefold())
    if found is None or not _is_value(value):
        return None
    evse_id = int(found[1] or 1)
    if not 1 <= evse_id <= MAX_EVSE_ID:
        return None  # connector 0 is the whole station, which no session is at
    return ToldKey(source=key, component=None, evse_id=evse_id, value=str(value))


def key_of_variable(
    component: Mapping[str, Any], variable: Mapping[str, Any], value: object, name: str
) -> ToldKey | None:
    """A variable of 2.0.1, if it holds the key of a meter.

    Args:
        component: As a message names it.
        variable: Likewise; ``PublicKey`` of FiscalMetering, or named as in 1.6.
        value: Of its attribute ``Actual``.
        name: Component and variable, as they are kept.
    """
    word = str(variable.get("name") or "").strip().casefold()
    is_metering = str(component.get("name") or "").strip().casefold() == METERING
    found = _KEY.fullmatch(word)
    is_key = found is not None or (is_metering and word == "publickey")
    if not is_key or not _is_value(value):
        return None
    evse = component.get("evse")
    places = (
        evse.get("id") if isinstance(evse, Mapping) else None,
        component.get("instance"),
        variable.get("instance"),
        None if found is None else found[1],
    )
    numbers = [str(one) for one in places if str(one).isdecimal()]
    evse_id = int(numbers[0][:_MAX_DIGITS]) if numbers else 1
    if not 1 <= evse_id <= MAX_EVSE_ID:
        return None
    kept, _, _ = name.rpartition(".")
    return ToldKey(source=name, component=kept, evse_id=evse_id, value=str(value))


def note(
    conn: sqlite3.Connection,
    station_id: str,
    told: Iterable[ToldKey | None],
    now: datetime,
) -> None:
    """Keep keys that a station told; what is not as before waits to be looked at."""
    for one in told:
        if one is None:
            continue
        conn.execute(
            "INSERT INTO meter_key_told (station_id, source, component, evse_id, value,"
            " told_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*)"
            " FROM meter_key_told WHERE station_id = ?1 AND source <> ?2) < ?7"
            " ON CONFLICT (station_id, source) DO UPDATE SET value = excluded.value,"
            " curve = NULL, point = NULL, told_at = excluded.told_at, is_examined = 0"
            " WHERE value <> excluded.value",
            (
                station_id,
                one.source,
                one.component,
                one.evse_id,
                one.value.strip()[:MAX_VALUE_CHARS],
                to_text(now),
                MAX_SOURCES,
            ),
        )


def waiting(conn: sqlite3.Connection, most: int) -> list[tuple[str, ToldKey]]:
    """Stations and keys that nobody has looked at, the oldest first."""
    rows = conn.execute(
        "SELECT station_id, source, component, evse_id, value FROM meter_key_told"
        " WHERE is_examined = 0 ORDER BY told_at LIMIT ?",
        (most,),
    )
    return [
        (
            row[0],
            ToldKey(source=row[1], component=row[2], evse_id=row[3], value=row[4]),
        )
        for row in rows
    ]


def examined(
    conn: sqlite3.Connection,
    station_id: str,
    source: str,
    key: tuple[str, str] | None,
) -> None:
    """Note curve and point of a key that was looked at; ``None``: it is none."""
    curve, point = key or (None, None)
    conn.execute(
        "UPDATE meter_key_told SET is_examined = 1, curve = ?, point = ?"
        " WHERE station_id = ? AND source = ?",
        (curve, point, station_id, source),
    )


def serial_of(conn: sqlite3.Connection, station_id: str, one: ToldKey) -> str | None:
    """The serial number of the meter beside a key, where 2.0.1 has told it."""
    row = conn.execute(
        "SELECT value FROM device_variable WHERE station_id = ? AND component = ?"
        " AND variable IN (?, ?) AND attribute = 'Actual' AND value <> ''"
        " ORDER BY variable DESC",
        (station_id, one.component, *SERIALS),
    ).fetchone()
    return None if row is None else str(row[0])


def sources_of(
    conn: sqlite3.Connection, station_id: str
) -> dict[tuple[int, str, str], list[str]]:
    """The settings that hold each key, by EVSE, curve and point."""
    found: dict[tuple[int, str, str], list[str]] = {}
    for evse_id, curve, point, source in conn.execute(
        "SELECT evse_id, curve, point, source FROM meter_key_told"
        " WHERE station_id = ? AND point IS NOT NULL ORDER BY source",
        (station_id,),
    ):
        found.setdefault((evse_id, curve, point), []).append(source)
    return found


def _is_value(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
