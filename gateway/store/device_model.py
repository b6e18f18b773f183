"""Rows of a station's device model (2.0.1) and of its configuration keys (1.6)."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from gateway.store import told_keys
from gateway.store.reports import Whole
from gateway.store.times import to_text
from gateway.store.told_keys import ToldKey

ALL_KEYS: Final = "GetConfiguration"
"""The base of a 1.6 station's configuration."""

ModelState: TypeAlias = Literal["asked", "complete", "unsupported"]

_encode: Final = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """Where a stored model stems from.

    Attributes:
        state: ``unsupported``: the station, with this firmware, gives none.
        attempts: How often it was asked without a complete answer; when complete, how
            often in a row it restarted right after being read.
        probed_at: When it was last read, wholly or in part.
        firmware: The one that the station booted with when it was read.
    """

    base: str
    request_id: int | None
    state: ModelState
    attempts: int
    firmware: str | None
    serial: str | None
    read_at: str
    probed_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A configuration key as last read."""

    key: str
    value: str | None
    is_readonly: bool
    read_at: str


MODEL_ROW: Final = (
    "SELECT base, request_id, state, attempts, firmware, serial, read_at, probed_at"
    " FROM device_model WHERE station_id = ?"
)
KEY_ROWS: Final = (
    "SELECT key, value, is_readonly, read_at FROM configuration_key"
    " WHERE station_id = ? ORDER BY folded"
)


def model_row(row: tuple[Any, ...]) -> ModelRow:
    """A row of `MODEL_ROW`."""
    return ModelRow(
        base=row[0],
        request_id=row[1],
        state=row[2],
        attempts=row[3],
        firmware=row[4],
        serial=row[5],
        read_at=row[6],
        probed_at=row[7],
    )


def key_row(row: tuple[Any, ...]) -> KeyRow:
    """A row of `KEY_ROWS`."""
    return KeyRow(key=row[0], value=row[1], is_readonly=bool(row[2]), read_at=row[3])


def take_over(conn: sqlite3.Connection, whole: Whole) -> None:
    """Replace the model by a base report, or merge another report into it."""
    if whole.is_whole:
        conn.execute(
            "DELETE FROM device_variable WHERE station_id = ?", (whole.station_id,)
        )
        note_model(
            conn,
            whole.station_id,
            base=whole.base or "",
            request_id=whole.request_id,
            state="complete",
            now=whole.at,
        )
    reported_at = to_text(whole.at)
    entries = list(whole.listed("reportData"))
    for entry in entries:
        _put_entry(conn, whole.station_id, entry, reported_at)
    told = (_key_among(entry) for entry in entries)
    told_keys.note(conn, whole.station_id, told, whole.at)


def note_model(
    conn: sqlite3.Connection,
    station_id: str,
    *,
    base: str,
    request_id: int | None,
    state: ModelState,
    now: datetime,
) -> None:
    """Note with which firmware the model was asked for, read, or refused.

    Asking again while nothing complete has come is counted.
    """
    conn.execute(
        "INSERT INTO device_model SELECT ?1, ?2, ?3, ?4, ?5 = 'asked', firmware,"
        " serial, ?6, ?6 FROM (SELECT max(firmware) AS firmware, max(serial) AS serial"
        " FROM station WHERE station_id = ?1) WHERE true"
        " ON CONFLICT (station_id) DO UPDATE SET base = excluded.base,"
        " request_id = excluded.request_id, state = excluded.state,"
        " attempts = CASE WHEN (firmware, serial) IS (excluded.firmware,"
        " excluded.serial) AND ?5 <> 'complete' THEN attempts ELSE 0 END"
        " + excluded.attempts, firmware = excluded.firmware,"
        " serial = excluded.serial, read_at = excluded.read_at,"
        " probed_at = excluded.probed_at",
        (station_id, base, request_id, state, state, to_text(now)),
    )


def note_probe(conn: sqlite3.Connection, station_id: str, now: datetime) -> None:
    """Note that a station is about to be read."""
    conn.execute(
        "UPDATE device_model SET probed_at = ? WHERE station_id = ?",
        (to_text(now), station_id),
    )


def note_restart(
    conn: sqlite3.Connection, station_id: str, *, after_probe: bool, most: int
) -> bool:
    """Note a boot of a station with a complete model.

    Returns:
        Whether it may still be read: not if it restarted ``most`` times in a row
        right after being read.
    """
    row = conn.execute(
        "UPDATE device_model SET attempts = CASE WHEN ?1 THEN attempts + 1 ELSE 0 END,"
        " state = CASE WHEN ?1 AND attempts + 1 >= ?2 THEN 'unsupported' ELSE state END"
        " WHERE station_id = ?3 RETURNING state",
        (int(after_probe), most, station_id),
    ).fetchone()
    return row is not None and row[0] != "unsupported"


def set_values(
    conn: sqlite3.Connection,
    station_id: str,
    results: Iterable[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Bring known attributes up to date with the values that GetVariables told."""
    results = list(results)
    told = (_key_read(result) for result in results)
    told_keys.note(conn, station_id, told, now)
    conn.executemany(
        "UPDATE device_variable SET value = ?, reported_at = ? WHERE station_id = ?"
        " AND component = ? AND variable = ? AND attribute = ?",
        [
            (
                _text(result.get("attributeValue")),
                to_text(now),
                station_id,
                name_of(result.get("component")),
                name_of(result.get("variable")),
                str(result.get("attributeType") or "Actual"),
            )
            for result in results
            if result.get("attributeStatus") == "Accepted"
        ],
    )


def put_keys(
    conn: sqlite3.Connection,
    station_id: str,
    answer: Mapping[str, Any],
    now: datetime,
    *,
    is_whole: bool,
) -> None:
    """Keep what GetConfiguration answered; asked for all keys, it replaces them."""
    if is_whole:
        conn.execute(
            "DELETE FROM configuration_key WHERE station_id = ?", (station_id,)
        )
        note_model(
            conn,
            station_id,
            base=ALL_KEYS,
            request_id=None,
            state="complete",
            now=now,
        )
    conn.executemany(
        "INSERT OR REPLACE INTO configuration_key VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                station_id,
                entry["key"].casefold(),
                entry["key"],
                _text(entry.get("value")),
                int(entry.get("readonly") is True),
                to_text(now),
            )
            for entry in _keys_of(answer)
        ],
    )
    told = (
        told_keys.key_of_setting(entry["key"], entry.get("value"))
        for entry in _keys_of(answer)
    )
    told_keys.note(conn, station_id, told, now)


def name_of(value: object) -> str:
    """``name`` or ``name/instance``, with EVSE (and connector) of a component before.

    ``evse1/Connector``, ``evse1.2/Connector`` for the second connector.
    """
    if not isinstance(value, Mapping):
        return ""
    name = str(value.get("name") or "")
    evse = value.get("evse")
    if isinstance(evse, Mapping) and "id" in evse:
        connector = evse.get("connectorId")
        place = f"evse{evse['id']}" + ("" if connector is None else f".{connector}")
        name = f"{place}/{name}"
    return f"{name}/{value['instance']}" if value.get("instance") else name


def _put_entry(
    conn: sqlite3.Connection,
    station_id: str,
    entry: Mapping[str, Any],
    reported_at: str,
) -> None:
    detail = _encode(entry).decode()
    attributes = entry.get("variableAttribute")
    for attribute in attributes if isinstance(attributes, list) else [{}]:
        said = attribute if isinstance(attribute, dict) else {}
        conn.execute(
            "INSERT OR REPLACE INTO device_variable VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                station_id,
                name_of(entry.get("component")),
                name_of(entry.get("variable")),
                str(said.get("type") or "Actual"),
                _text(said.get("value")),
                _text(said.get("mutability")),
                detail,
                reported_at,
            ),
        )


def _key_among(entry: Mapping[str, Any]) -> ToldKey | None:
    """The key of a meter in an entry of a report."""
    attributes = entry.get("variableAttribute")
    for attribute in attributes if isinstance(attributes, list) else ():
        is_dict = isinstance(attribute, dict)
        if is_dict and (attribute.get("type") or "Actual") == "Actual":
            return _key_named(entry, attribute.get("value"))
    return None


def _key_read(result: Mapping[str, Any]) -> ToldKey | None:
    """The key of a meter in a result of GetVariables."""
    is_actual = (result.get("attributeType") or "Actual") == "Actual"
    if not is_actual or result.get("attributeStatus") != "Accepted":
        return None
    return _key_named(result, result.get("attributeValue"))


def _key_named(entry: Mapping[str, Any], value: object) -> ToldKey | None:
    component, variable = entry.get("component"), entry.get("variable")
    if not isinstance(component, Mapping) or not isinstance(variable, Mapping):
        return None
    name = f"{name_of(component)}.{name_of(variable)}"
    return told_keys.key_of_variable(component, variable, value, name)


def _keys_of(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The keys of an answer; stations may list what is none."""
    listed = answer.get("configurationKey")
    return [
        entry
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("key"), str)
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
