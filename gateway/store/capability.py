"""Rows of what stations can be told; functions over the writer's connection."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.capability import AtZero, Feature, Learnt
from gateway.domain.ids import StationId
from gateway.store.times import to_text

_LEARNT: Final = (
    "SELECT firmware, refused, accepted, at_zero FROM station_capability"
    " WHERE station_id = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldBy:
    """Names under which stations tell what they take.

    Attributes:
        keys: Of settings of 1.6.
        components: Of the device model of 2.0.1.
        variables: Of these components; no two of the same name.
    """

    keys: Sequence[str]
    components: Sequence[str]
    variables: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityRow:
    """Everything the store has about what a station can be told.

    Attributes:
        firmware: What the station runs now.
        settings: Values that it told, by name without case.
        learnt: As stored; with another firmware it is void.
    """

    station_id: StationId
    vendor: str = ""
    model: str = ""
    firmware: str | None = None
    settings: Mapping[str, str]
    learnt: Learnt


def load(
    conn: sqlite3.Connection, station_ids: Iterable[StationId], told_by: ToldBy
) -> dict[StationId, CapabilityRow]:
    """What is known of each of some stations."""
    return {station_id: _load(conn, station_id, told_by) for station_id in station_ids}


def put(
    conn: sqlite3.Connection, station_id: StationId, learnt: Learnt, now: datetime
) -> None:
    """Replace what was learned of a station."""
    conn.execute(
        "INSERT OR REPLACE INTO station_capability VALUES (?, ?, ?, ?, ?, ?)",
        (
            station_id,
            learnt.firmware,
            json.dumps(sorted(learnt.refused)),
            json.dumps(sorted(learnt.accepted)),
            learnt.at_zero.value,
            to_text(now),
        ),
    )


def forget(conn: sqlite3.Connection, station_id: StationId) -> bool:
    """Forget what was learned of a station; whether there was anything."""
    done = conn.execute(
        "DELETE FROM station_capability WHERE station_id = ?", (station_id,)
    )
    return done.rowcount > 0


def _load(
    conn: sqlite3.Connection, station_id: StationId, told_by: ToldBy
) -> CapabilityRow:
    vendor, model, firmware = conn.execute(
        "SELECT max(vendor), max(model), max(firmware) FROM station"
        " WHERE station_id = ?",
        (station_id,),
    ).fetchone()
    settings = {
        str(name).casefold(): str(value)
        for name, value in (
            *conn.execute(
                "SELECT folded, value FROM configuration_key WHERE station_id = ?"
                " AND value IS NOT NULL AND folded IN"
                " (SELECT lower(value) FROM json_each(?))",
                (station_id, json.dumps(list(told_by.keys))),
            ),
            *conn.execute(
                "SELECT variable, value FROM device_variable WHERE station_id = ?"
                " AND component IN (SELECT value FROM json_each(?))"
                " AND attribute = 'Actual' AND value IS NOT NULL"
                " AND variable IN (SELECT value FROM json_each(?))",
                (
                    station_id,
                    json.dumps(list(told_by.components)),
                    json.dumps(list(told_by.variables)),
                ),
            ),
        )
    }
    stored = conn.execute(_LEARNT, (station_id,)).fetchone()
    return CapabilityRow(
        station_id=station_id,
        vendor=vendor or "",
        model=model or "",
        firmware=firmware,
        settings=settings,
        learnt=Learnt() if stored is None else _learnt(stored),
    )


def _learnt(row: Sequence[object]) -> Learnt:
    firmware, refused, accepted, at_zero = row
    return Learnt(
        firmware=None if firmware is None else str(firmware),
        refused=_features(refused),
        accepted=_features(accepted),
        at_zero=AtZero(str(at_zero)),
    )


def _features(text: object) -> frozenset[Feature]:
    return frozenset(Feature(name) for name in json.loads(str(text)))
