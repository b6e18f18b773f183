"""Obedience tests of stations, those that ran and those to come: rows."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.obedience_plan import ObediencePlan
from gateway.store.times import from_text, to_text

_PLAN: Final = (
    "SELECT station_id, due_at, from_min, until_min, every_days, restart, outage_s"
    " FROM commissioning_plan"
)


class Cause(StrEnum):
    """Why a test ran."""

    ASKED = "asked"
    SCHEDULE = "schedule"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRecord:
    """A test that ran, or could not.

    Attributes:
        firmware: What the station ran.
        is_proven: What it said; ``None``: it could not be run.
        trouble: Why not.
        steps: Each with ``step``, ``passed`` (``None``: not tested) and ``detail``.
    """

    __test__ = False

    station_id: StationId
    started_at: datetime
    ended_at: datetime
    cause: Cause
    firmware: str | None
    is_proven: bool | None
    trouble: str | None = None
    steps: Sequence[Mapping[str, object]] = ()


def add(conn: sqlite3.Connection, record: TestRecord) -> None:
    """Keep what a test found."""
    conn.execute(
        "INSERT INTO commissioning_test (station_id, started_at, ended_at, cause,"
        " firmware, is_proven, trouble, steps) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.station_id,
            to_text(record.started_at),
            to_text(record.ended_at),
            record.cause.value,
            record.firmware,
            None if record.is_proven is None else int(record.is_proven),
            record.trouble,
            json.dumps(list(record.steps)),
        ),
    )


def history(
    conn: sqlite3.Connection, station_id: StationId, *, limit: int
) -> list[TestRecord]:
    """The tests of a station, latest first."""
    rows = conn.execute(
        "SELECT started_at, ended_at, cause, firmware, is_proven, trouble, steps"
        " FROM commissioning_test WHERE station_id = ?"
        " ORDER BY started_at DESC, test_id DESC LIMIT ?",
        (station_id, limit),
    )
    return [
        TestRecord(
            station_id=station_id,
            started_at=from_text(started_at),
            ended_at=from_text(ended_at),
            cause=Cause(cause),
            firmware=firmware,
            is_proven=None if is_proven is None else bool(is_proven),
            trouble=trouble,
            steps=json.loads(steps),
        )
        for started_at, ended_at, cause, firmware, is_proven, trouble, steps in rows
    ]


def put_plan(conn: sqlite3.Connection, plan: ObediencePlan, now: datetime) -> None:
    """Plan a test, instead of the one that was planned."""
    first, end = plan.window or (None, None)
    conn.execute(
        "INSERT OR REPLACE INTO commissioning_plan (station_id, due_at, from_min,"
        " until_min, every_days, restart, outage_s, set_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            plan.station_id,
            to_text(plan.due_at),
            first,
            end,
            plan.every_days,
            int(plan.restart),
            plan.outage_s,
            to_text(now),
        ),
    )


def drop_plan(conn: sqlite3.Connection, station_id: StationId) -> bool:
    """Plan none; False if none was planned."""
    done = conn.execute(
        "DELETE FROM commissioning_plan WHERE station_id = ?", (station_id,)
    )
    return done.rowcount > 0


def plan_of(conn: sqlite3.Connection, station_id: StationId) -> ObediencePlan | None:
    """What is planned for a station."""
    row = conn.execute(f"{_PLAN} WHERE station_id = ?", (station_id,)).fetchone()
    return None if row is None else _plan(*row)


def due(conn: sqlite3.Connection, now: datetime) -> list[ObediencePlan]:
    """What is planned for now or before, whatever the hour; longest due first."""
    rows = conn.execute(f"{_PLAN} WHERE due_at <= ? ORDER BY due_at", (to_text(now),))
    return [_plan(*row) for row in rows]


def _plan(  # noqa: PLR0917 - the columns of its table
    station_id: str,
    due_at: str,
    from_min: int | None,
    until_min: int | None,
    every_days: int | None,
    restart: int,
    outage_s: float,
) -> ObediencePlan:
    has_window = from_min is not None and until_min is not None
    return ObediencePlan(
        station_id=StationId(station_id),
        due_at=from_text(due_at),
        window=(from_min, until_min) if has_window else None,  # type: ignore[arg-type]  # neither is None
        every_days=every_days,
        restart=bool(restart),
        outage_s=outage_s,
    )
