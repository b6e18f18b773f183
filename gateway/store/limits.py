"""Rows of limits and of trust in stations; functions over the writer's connection.

Each is one step of a job: ``await writer.run(lambda conn: limits.insert(conn, ...))``.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.ids import SessionId, StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    LimitUnit,
    Purpose,
    SetLimit,
)
from gateway.store.times import from_text, optional_text, to_text

KEEP_COMMANDS = timedelta(days=90)
"""How long rows of limits that nobody holds any more, and plans, are kept."""

UNDER_WAY_AT_MOST = 100
"""More limits than are ever under way to one station at a time."""


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
        " plan_id, sent_at, relative_to)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            optional_text(command.relative_to),
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


def hold_command(conn: sqlite3.Connection, command_id: int) -> None:
    """The station may hold this after all."""
    conn.execute(
        "UPDATE limit_command SET is_held = 1 WHERE command_id = ?", (command_id,)
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


def command(conn: sqlite3.Connection, command_id: int) -> CommandRow | None:
    """One limit; ``None`` when it was pruned."""
    found = conn.execute(
        f"SELECT {_COMMAND} FROM limit_command"  # noqa: S608 - a constant
        " WHERE command_id = ?",
        (command_id,),
    ).fetchone()
    return None if found is None else _command_row(found)


def unanswered(conn: sqlite3.Connection, station_id: StationId) -> list[int]:
    """Limits of a station without an outcome, among its newest; in order of sending.

    Only few calls to a station are under way at a time, so the newest are enough.
    """
    found = conn.execute(
        "SELECT command_id FROM (SELECT command_id, outcome FROM limit_command"
        " WHERE station_id = ? ORDER BY command_id DESC LIMIT ?)"
        " WHERE outcome = 'sent' ORDER BY command_id",
        (station_id, UNDER_WAY_AT_MOST),
    )
    return [command_id for (command_id,) in found]


def prune(conn: sqlite3.Connection, now: datetime) -> None:
    """Delete limits that nobody holds and plans, when they are old enough."""
    before = to_text(now - KEEP_COMMANDS)
    conn.execute(
        "DELETE FROM limit_command WHERE is_held = 0 AND sent_at < ?", (before,)
    )
    conn.execute("DELETE FROM plan WHERE made_at < ?", (before,))


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


_COMMAND = (
    "command_id, station_id, evse_id, evse_ids, purpose, session_id, transaction_id,"
    " profile_id, start_at, steps, unit, number_phases, nominal_v, plan_id, sent_at,"
    " answered_at, seen_at, outcome, relative_to"
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
        relative_to,
    ) = row
    schedule = schedule_of(str(start_at), str(steps))
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
            relative_to=None if relative_to is None else from_text(str(relative_to)),
        ),
        plan_id=None if plan_id is None else _integer(plan_id),
        sent_at=from_text(str(sent_at)),
        answered_at=None if answered_at is None else from_text(str(answered_at)),
        seen_at=None if seen_at is None else from_text(str(seen_at)),
        outcome=str(outcome),
    )


def schedule_of(start_at: str, steps: str) -> LimitSchedule:
    """A schedule as its columns have it."""
    return LimitSchedule(
        start=from_text(start_at),
        steps=tuple(
            LimitStep(offset_s=offset_s, limit_da=limit_da)
            for offset_s, limit_da in json.loads(steps)
        ),
    )


def _integer(value: object) -> int:
    assert isinstance(value, int)  # the column is an INTEGER
    return value
