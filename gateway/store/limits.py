"""Rows of limits, plans and trust; functions over the writer's connection.

Each is one step of a job: ``await writer.run(lambda conn: limits.insert(conn, ...))``.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    LimitUnit,
    Purpose,
    SetLimit,
)
from gateway.store.times import from_text, optional_text, optional_time, to_text

KEEP_COMMANDS = timedelta(days=90)
"""How long rows of limits that nobody holds any more, and plans, are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """A limit that was sent, or is about to be.

    Attributes:
        evse_ids: The EVSEs it concerns; ``command.evse_id`` 0 concerns several.
        outcome: ``sent``, ``accepted``, ``refused``, ``unknown`` or ``not_sent``.
    """

    command_id: int
    station_id: StationId
    evse_ids: tuple[int, ...]
    session_id: SessionId | None
    command: SetLimit
    plan_id: int | None
    sent_at: datetime
    answered_at: datetime | None = None
    seen_at: datetime | None = None
    outcome: str = "sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRow:
    """Whether a station obeys, and since when that is known."""

    station_id: StationId
    is_proven: bool
    firmware: str | None
    leftovers_known: bool
    doubt: str | None
    changed_at: datetime
    evidence: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """A limit the CPO set for a cabinet; ``limit_da`` per phase or ``limit_w``."""

    threshold_id: int
    cabinet_id: CabinetId
    limit_da: tuple[int, int, int] | None
    limit_w: int | None
    from_at: datetime | None
    until_at: datetime | None
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRow:
    """The newest measurement of other equipment."""

    load_id: str
    measured_at: datetime
    current_da: tuple[int, int, int] | None
    power_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseRow:
    """What a plan expects for a session.

    Attributes:
        is_default: It rests on a default, not on what the driver said.
        reason: Why energy is missing, in words; ``None`` when none is.
    """

    session_id: SessionId
    plan_id: int
    energy_wh: int
    shortfall_wh: int
    departure_at: datetime
    is_default: bool
    reason: str | None
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """A plan as it was made, its documents as canonical JSON."""

    plan_id: int
    cabinet_id: CabinetId
    made_at: datetime
    outcome: str
    engine: str
    problem: str
    result: str
    certificate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRow:
    """What a driver asked for; every part may be missing."""

    energy_wh: float | None
    target_soc_percent: float | None
    departure_at: datetime | None
    is_default: bool


# Limits at stations


def insert_command(
    conn: sqlite3.Connection,
    *,
    station_id: StationId,
    evse_ids: Sequence[int],
    session_id: SessionId | None,
    command: SetLimit,
    plan_id: int | None,
    sent_at: datetime,
) -> int:
    """Record a limit before it is sent; returns its id, which orders commands."""
    steps = [[step.offset_s, step.limit_da] for step in command.schedule.steps]
    cursor = conn.execute(
        "INSERT INTO limit_command (station_id, evse_id, evse_ids, purpose, session_id,"
        " transaction_id, profile_id, start_at, steps, unit, number_phases, nominal_v,"
        " plan_id, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            station_id,
            command.evse_id,
            json.dumps(list(evse_ids)),
            command.purpose.value,
            session_id,
            command.transaction_id,
            command.profile_id,
            to_text(command.schedule.start),
            json.dumps(steps),
            command.unit.value,
            command.number_phases,
            command.nominal_v,
            plan_id,
            to_text(sent_at),
        ),
    )
    command_id = cursor.lastrowid
    assert command_id is not None  # an INSERT always has one
    return command_id


def record_outcome(
    conn: sqlite3.Connection, command_id: int, *, outcome: str, answered_at: datetime
) -> None:
    """Record how a station answered; refused and never sent ones are not held."""
    conn.execute(
        "UPDATE limit_command SET outcome = ?, answered_at = ?,"
        " is_held = CASE WHEN ? IN ('refused', 'not_sent') THEN 0 ELSE is_held END"
        " WHERE command_id = ?",
        (outcome, to_text(answered_at), outcome, command_id),
    )


def record_seen(conn: sqlite3.Connection, command_id: int, seen_at: datetime) -> None:
    """Record that the meter showed no more than a limit."""
    conn.execute(
        "UPDATE limit_command SET seen_at = coalesce(seen_at, ?) WHERE command_id = ?",
        (to_text(seen_at), command_id),
    )


def forget_commands(conn: sqlite3.Connection, command_ids: Iterable[int]) -> None:
    """The station surely holds these no more."""
    conn.executemany(
        "UPDATE limit_command SET is_held = 0 WHERE command_id = ?",
        [(command_id,) for command_id in command_ids],
    )


def held_commands(
    conn: sqlite3.Connection, station_ids: Iterable[StationId]
) -> list[CommandRow]:
    """Everything that stations may hold, in the order it was sent."""
    found: list[CommandRow] = []
    for station_id in station_ids:
        rows = conn.execute(
            f"SELECT {_COMMAND} FROM limit_command"  # noqa: S608 - a constant
            " WHERE station_id = ? AND is_held = 1 ORDER BY command_id",
            (station_id,),
        )
        found.extend(_command_row(row) for row in rows)
    return found


def commands_of_session(
    conn: sqlite3.Connection, session_id: SessionId
) -> list[CommandRow]:
    """All limits that were ever sent for a session, oldest first."""
    rows = conn.execute(
        f"SELECT {_COMMAND} FROM limit_command"  # noqa: S608 - a constant
        " WHERE session_id = ? ORDER BY command_id",
        (session_id,),
    )
    return [_command_row(row) for row in rows]


def prune(conn: sqlite3.Connection, now: datetime) -> None:
    """Delete limits that nobody holds and plans, when they are old enough."""
    before = to_text(now - KEEP_COMMANDS)
    conn.execute(
        "DELETE FROM limit_command WHERE is_held = 0 AND sent_at < ?", (before,)
    )
    conn.execute("DELETE FROM plan WHERE made_at < ?", (before,))


# Plans and promises


def insert_plan(
    conn: sqlite3.Connection,
    *,
    cabinet_id: CabinetId,
    made_at: datetime,
    outcome: str,
    engine: str,
    problem: str,
    result: str,
    certificate: str | None,
) -> int:
    """Keep a plan with everything needed to check it; returns its id."""
    cursor = conn.execute(
        "INSERT INTO plan (cabinet_id, made_at, outcome, engine, problem, result,"
        " certificate) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            cabinet_id,
            to_text(made_at),
            outcome,
            engine,
            _deflate(problem),
            _deflate(result),
            None if certificate is None else _deflate(certificate),
        ),
    )
    plan_id = cursor.lastrowid
    assert plan_id is not None  # an INSERT always has one
    return plan_id


def plan(conn: sqlite3.Connection, plan_id: int) -> PlanRow | None:
    """One plan."""
    return _one_plan(conn, "plan_id = ?", plan_id)


def latest_plan(conn: sqlite3.Connection, cabinet_id: CabinetId) -> PlanRow | None:
    """The newest plan of a group, named by its root cabinet."""
    return _one_plan(conn, "cabinet_id = ? ORDER BY plan_id DESC LIMIT 1", cabinet_id)


def put_promise(conn: sqlite3.Connection, row: PromiseRow) -> None:
    """Replace what a session may expect."""
    conn.execute(
        "INSERT OR REPLACE INTO session_promise (session_id, plan_id, energy_wh,"
        " shortfall_wh, departure_at, is_default, reason, made_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.session_id,
            row.plan_id,
            row.energy_wh,
            row.shortfall_wh,
            to_text(row.departure_at),
            row.is_default,
            row.reason,
            to_text(row.made_at),
        ),
    )


def promise(conn: sqlite3.Connection, session_id: SessionId) -> PromiseRow | None:
    """What a session may expect, by the newest plan."""
    row = conn.execute(
        "SELECT plan_id, energy_wh, shortfall_wh, departure_at, is_default, reason,"
        " made_at FROM session_promise WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    if row is None:
        return None
    return PromiseRow(
        session_id=session_id,
        plan_id=row[0],
        energy_wh=row[1],
        shortfall_wh=row[2],
        departure_at=from_text(row[3]),
        is_default=bool(row[4]),
        reason=row[5],
        made_at=from_text(row[6]),
    )


def need(conn: sqlite3.Connection, session_id: SessionId) -> NeedRow | None:
    """What the driver of a session asked for."""
    row = conn.execute(
        "SELECT energy_wh, target_soc_percent, departure_at, is_default"
        " FROM session_request WHERE session_id = ?",
        (session_id,),
    ).fetchone()
    if row is None:
        return None
    return NeedRow(
        energy_wh=row[0],
        target_soc_percent=row[1],
        departure_at=optional_time(row[2]),
        is_default=bool(row[3]),
    )


# Trust


def put_trust(
    conn: sqlite3.Connection,
    *,
    station_id: StationId,
    is_proven: bool,
    firmware: str | None,
    leftovers_known: bool,
    doubt: str | None,
    changed_at: datetime,
    evidence: Mapping[str, object] | None = None,
) -> None:
    """Replace what is known about a station; ``None`` keeps the evidence."""
    conn.execute(
        "INSERT INTO station_trust (station_id, is_proven, firmware, leftovers_known,"
        " doubt, changed_at, evidence) VALUES (?, ?, ?, ?, ?, ?, coalesce(?, '{}'))"
        " ON CONFLICT (station_id) DO UPDATE SET is_proven = excluded.is_proven,"
        " firmware = excluded.firmware, leftovers_known = excluded.leftovers_known,"
        " doubt = excluded.doubt, changed_at = excluded.changed_at,"
        " evidence = CASE WHEN ? IS NULL THEN evidence ELSE excluded.evidence END",
        (
            station_id,
            is_proven,
            firmware,
            leftovers_known,
            doubt,
            to_text(changed_at),
            None if evidence is None else json.dumps(evidence),
            None if evidence is None else 1,
        ),
    )


def trusts(conn: sqlite3.Connection) -> dict[StationId, TrustRow]:
    """What is known about each station."""
    rows = conn.execute(
        "SELECT station_id, is_proven, firmware, leftovers_known, doubt, changed_at,"
        " evidence FROM station_trust"
    )
    return {
        row[0]: TrustRow(
            station_id=StationId(row[0]),
            is_proven=bool(row[1]),
            firmware=row[2],
            leftovers_known=bool(row[3]),
            doubt=row[4],
            changed_at=from_text(row[5]),
            evidence=json.loads(row[6]),
        )
        for row in rows
    }


# What operators set


def put_manual_limit(
    conn: sqlite3.Connection, ref: EvseRef, limit_da: int | None, set_at: datetime
) -> None:
    """Set the manual limit of an EVSE, or with ``None`` lift it."""
    if limit_da is None:
        conn.execute(
            "DELETE FROM evse_manual_limit WHERE station_id = ? AND evse_id = ?",
            (ref.station_id, ref.evse_id),
        )
        return
    conn.execute(
        "INSERT OR REPLACE INTO evse_manual_limit (station_id, evse_id, limit_da,"
        " set_at) VALUES (?, ?, ?, ?)",
        (ref.station_id, ref.evse_id, limit_da, to_text(set_at)),
    )


def manual_limits(conn: sqlite3.Connection) -> dict[EvseRef, int]:
    """Manual limits, 0.1 A per phase."""
    rows = conn.execute("SELECT station_id, evse_id, limit_da FROM evse_manual_limit")
    return {
        EvseRef(station_id=StationId(row[0]), evse_id=row[1]): row[2] for row in rows
    }


def insert_threshold(
    conn: sqlite3.Connection,
    *,
    cabinet_id: CabinetId,
    limit_da: tuple[int, int, int] | None,
    limit_w: int | None,
    from_at: datetime | None,
    until_at: datetime | None,
    set_at: datetime,
) -> int:
    """Set the CPO's threshold of a cabinet; the newest that applies counts."""
    cursor = conn.execute(
        "INSERT INTO cabinet_threshold (cabinet_id, limit_da, limit_w, from_at,"
        " until_at, set_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            cabinet_id,
            None if limit_da is None else json.dumps(limit_da),
            limit_w,
            optional_text(from_at),
            optional_text(until_at),
            to_text(set_at),
        ),
    )
    threshold_id = cursor.lastrowid
    assert threshold_id is not None  # an INSERT always has one
    return threshold_id


def delete_thresholds(conn: sqlite3.Connection, cabinet_id: CabinetId) -> None:
    """Back to the configured limit."""
    conn.execute("DELETE FROM cabinet_threshold WHERE cabinet_id = ?", (cabinet_id,))


def thresholds(conn: sqlite3.Connection, now: datetime) -> list[ThresholdRow]:
    """Thresholds that are not over."""
    rows = conn.execute(
        "SELECT threshold_id, cabinet_id, limit_da, limit_w, from_at, until_at, set_at"
        " FROM cabinet_threshold WHERE until_at IS NULL OR until_at > ?"
        " ORDER BY threshold_id",
        (to_text(now),),
    )
    return [
        ThresholdRow(
            threshold_id=row[0],
            cabinet_id=CabinetId(row[1]),
            limit_da=_triple(row[2]),
            limit_w=row[3],
            from_at=optional_time(row[4]),
            until_at=optional_time(row[5]),
            set_at=from_text(row[6]),
        )
        for row in rows
    ]


def put_mode(
    conn: sqlite3.Connection, cabinet_id: CabinetId, mode: str, set_at: datetime
) -> None:
    """Set whether plans of a cabinet are carried out."""
    conn.execute(
        "INSERT OR REPLACE INTO cabinet_mode (cabinet_id, mode, set_at)"
        " VALUES (?, ?, ?)",
        (cabinet_id, mode, to_text(set_at)),
    )


def modes(conn: sqlite3.Connection) -> dict[CabinetId, str]:
    """Modes that were set; cabinets without one have the configured mode."""
    return {
        CabinetId(row[0]): row[1]
        for row in conn.execute("SELECT cabinet_id, mode FROM cabinet_mode")
    }


# Other equipment


def put_reading(conn: sqlite3.Connection, row: ReadingRow) -> bool:
    """Keep a measurement unless a newer one is known; whether it was kept."""
    cursor = conn.execute(
        "INSERT INTO load_reading (load_id, measured_at, current_da, power_w)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (load_id) DO UPDATE SET"
        " measured_at = excluded.measured_at, current_da = excluded.current_da,"
        " power_w = excluded.power_w WHERE excluded.measured_at > measured_at",
        (
            row.load_id,
            to_text(row.measured_at),
            None if row.current_da is None else json.dumps(row.current_da),
            row.power_w,
        ),
    )
    return cursor.rowcount > 0


def readings(conn: sqlite3.Connection) -> dict[str, ReadingRow]:
    """The newest measurement of each load, feeder, PV inverter and battery."""
    rows = conn.execute(
        "SELECT load_id, measured_at, current_da, power_w FROM load_reading"
    )
    return {
        row[0]: ReadingRow(
            load_id=row[0],
            measured_at=from_text(row[1]),
            current_da=_triple(row[2]),
            power_w=row[3],
        )
        for row in rows
    }


_PLAN = (
    "SELECT plan_id, cabinet_id, made_at, outcome, engine, problem, result,"
    " certificate FROM plan"
)
_COMMAND = (
    "command_id, station_id, evse_id, evse_ids, purpose, session_id, transaction_id,"
    " profile_id, start_at, steps, unit, number_phases, nominal_v, plan_id, sent_at,"
    " answered_at, seen_at, outcome"
)


def _command_row(row: Sequence[object]) -> CommandRow:
    (
        command_id,
        station_id,
        evse_id,
        evse_ids,
        purpose,
        session_id,
        transaction_id,
        profile_id,
        start_at,
        steps,
        unit,
        number_phases,
        nominal_v,
        plan_id,
        sent_at,
        answered_at,
        seen_at,
        outcome,
    ) = row
    schedule = LimitSchedule(
        start=from_text(str(start_at)),
        steps=tuple(
            LimitStep(offset_s=offset_s, limit_da=limit_da)
            for offset_s, limit_da in json.loads(str(steps))
        ),
    )
    return CommandRow(
        command_id=_integer(command_id),
        station_id=StationId(str(station_id)),
        evse_ids=tuple(json.loads(str(evse_ids))),
        session_id=None if session_id is None else SessionId(str(session_id)),
        command=SetLimit(
            evse_id=_integer(evse_id),
            purpose=Purpose(str(purpose)),
            schedule=schedule,
            transaction_id=None if transaction_id is None else str(transaction_id),
            profile_id=_integer(profile_id),
            unit=LimitUnit(str(unit)),
            number_phases=_integer(number_phases),
            nominal_v=float(str(nominal_v)),
        ),
        plan_id=None if plan_id is None else _integer(plan_id),
        sent_at=from_text(str(sent_at)),
        answered_at=None if answered_at is None else from_text(str(answered_at)),
        seen_at=None if seen_at is None else from_text(str(seen_at)),
        outcome=str(outcome),
    )


def _one_plan(conn: sqlite3.Connection, where: str, value: object) -> PlanRow | None:
    row = conn.execute(f"{_PLAN} WHERE {where}", (value,)).fetchone()
    if row is None:
        return None
    return PlanRow(
        plan_id=row[0],
        cabinet_id=CabinetId(row[1]),
        made_at=from_text(row[2]),
        outcome=row[3],
        engine=row[4],
        problem=_inflate(row[5]),
        result=_inflate(row[6]),
        certificate=None if row[7] is None else _inflate(row[7]),
    )


def _integer(value: object) -> int:
    assert isinstance(value, int)  # the column is an INTEGER
    return value


def _triple(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    one, two, three = json.loads(text)
    return (one, two, three)


def _deflate(text: str) -> bytes:
    return zlib.compress(text.encode(), level=6)


def _inflate(stored: bytes) -> str:
    return zlib.decompress(stored).decode()
