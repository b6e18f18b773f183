"""Rows of commands; functions over a connection, to be run by the writer."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.domain.command import Change, CommandState, Progress, apply
from gateway.domain.effects import Expectation, from_json, to_json
from gateway.domain.ids import StationId
from gateway.store.times import from_text, optional_text, optional_time, to_text

KEEP: Final = timedelta(days=90)
KEEP_PER_STATION: Final = 1_000
"""Ended commands kept per station, whatever their age."""
PRUNE_EVERY: Final = 64
"""Commands between two rounds of pruning."""
PRUNED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """One command.

    Attributes:
        payload: As it is or will be sent, without secrets.
        wire: What to send, while it waits; see `gateway.services.command_queue`.
        asked_digest: Of what was asked with the idempotency key.
        timeout_s: Real seconds to wait for the answer.
        is_queueable: It may wait (again) for its station.
        answer: ``payload`` of a result, or ``code`` and ``description`` of an error,
            without secrets.
        expects: What shows its effect; ``None`` until it was sent.
    """

    command_id: int
    station_id: StationId
    action: str
    payload: Mapping[str, Any]
    wire: Mapping[str, Any] | None
    asked_by: str
    idempotency_key: str | None
    asked_digest: str | None
    timeout_s: float
    is_override: bool
    is_queueable: bool
    progress: Progress
    created_at: datetime
    answer: Mapping[str, Any] | None
    expects: Expectation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCommand:
    """A command about to be stored; members as of `CommandRow`."""

    station_id: StationId
    action: str
    payload: Mapping[str, Any]
    asked_by: str
    timeout_s: float
    wire: Mapping[str, Any] | None = None
    idempotency_key: str | None = None
    asked_digest: str | None = None
    is_override: bool = False
    expects: Expectation | None = None


_COLUMNS: Final = (
    "command_id, station_id, action, payload, wire, asked_by, idempotency_key,"
    " asked_digest, timeout_s, is_override, is_queueable, state, reason, detail,"
    " is_late, created_at, deadline_at, sent_at, answered_at, effect_by, ended_at,"
    " answer, expects"
)
SELECT: Final = f"SELECT {_COLUMNS} FROM command"  # noqa: S608 - a constant
OPEN: Final = (
    f"{SELECT} WHERE state IN ('queued', 'sent') OR effect_by IS NOT NULL"
    " OR ended_at IS NULL ORDER BY command_id"
)


def insert(
    conn: sqlite3.Connection, new: NewCommand, progress: Progress, now: datetime
) -> CommandRow:
    """Store a new command, queued or on its way; its id orders commands."""
    cursor = conn.execute(
        "INSERT INTO command (station_id, action, payload, wire, asked_by,"
        " idempotency_key, asked_digest, timeout_s, is_override, is_queueable, state,"
        " created_at, deadline_at, sent_at, effect_by, expects)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.station_id,
            new.action,
            json.dumps(new.payload),
            None if new.wire is None else json.dumps(new.wire),
            new.asked_by,
            new.idempotency_key,
            new.asked_digest,
            new.timeout_s,
            new.is_override,
            new.wire is not None,
            progress.state.value,
            to_text(now),
            optional_text(progress.deadline_at),
            optional_text(progress.sent_at),
            optional_text(progress.effect_by),
            None if new.expects is None else json.dumps(to_json(new.expects)),
        ),
    )
    command_id = cursor.lastrowid
    assert command_id is not None  # an INSERT always has one
    if command_id % PRUNE_EVERY == 0:
        prune(conn, new.station_id, now)
    found = get(conn, command_id)
    assert found is not None, "it was written just now"
    return found


def get(conn: sqlite3.Connection, command_id: int) -> CommandRow | None:
    """One command."""
    row = conn.execute(f"{SELECT} WHERE command_id = ?", (command_id,)).fetchone()
    return None if row is None else from_row(row)


def by_key(
    conn: sqlite3.Connection, station_id: StationId, idempotency_key: str
) -> CommandRow | None:
    """The command that was asked with a key."""
    row = conn.execute(
        f"{SELECT} WHERE station_id = ? AND idempotency_key = ?",
        (station_id, idempotency_key),
    ).fetchone()
    return None if row is None else from_row(row)


def queued(conn: sqlite3.Connection, station_id: StationId) -> list[CommandRow]:
    """What waits for a station, oldest first."""
    rows = conn.execute(
        f"{SELECT} WHERE station_id = ? AND state = 'queued' ORDER BY command_id",
        (station_id,),
    )
    return [from_row(row) for row in rows]


def still_open(conn: sqlite3.Connection) -> list[CommandRow]:
    """Every command that waits: for its station, its answer or its effect."""
    return [from_row(row) for row in conn.execute(OPEN)]


def move(
    conn: sqlite3.Connection,
    command_id: int,
    change: Change,
    *,
    answer: Mapping[str, Any] | None = None,
) -> CommandRow | None:
    """Take a command one step further.

    Returns:
        The command after the step; ``None`` if the step did not fit its state.
    """
    known = get(conn, command_id)
    if known is None:
        return None
    progress = apply(known.progress, change)
    if progress == known.progress:
        return None
    is_waiting = progress.state in {CommandState.QUEUED, CommandState.SENT}
    conn.execute(
        "UPDATE command SET state = ?, reason = ?, detail = ?, is_late = ?,"
        " deadline_at = ?, sent_at = ?, answered_at = ?, effect_by = ?, ended_at = ?,"
        " answer = coalesce(?, answer), wire = CASE WHEN ? THEN wire END"
        " WHERE command_id = ?",
        (
            progress.state.value,
            progress.reason,
            progress.detail,
            progress.is_late,
            optional_text(progress.deadline_at),
            optional_text(progress.sent_at),
            optional_text(progress.answered_at),
            optional_text(progress.effect_by),
            optional_text(progress.ended_at),
            None if answer is None else json.dumps(answer),
            is_waiting,
            command_id,
        ),
    )
    return get(conn, command_id)


def encoded(
    conn: sqlite3.Connection,
    command_id: int,
    *,
    action: str,
    payload: Mapping[str, Any],
    expects: Expectation,
) -> None:
    """Note how a waiting command was spelled for the version that is connected."""
    conn.execute(
        "UPDATE command SET action = ?, payload = ?, expects = ? WHERE command_id = ?",
        (action, json.dumps(payload), json.dumps(to_json(expects)), command_id),
    )


def prune(conn: sqlite3.Connection, station_id: StationId, now: datetime) -> None:
    """Delete what is old, and what is too much of one station; never what waits."""
    conn.execute(
        "DELETE FROM command WHERE station_id = ?1 AND command_id <= ("
        " SELECT command_id FROM command WHERE station_id = ?1"
        " ORDER BY command_id DESC LIMIT 1 OFFSET ?2)"
        " AND state NOT IN ('queued', 'sent') AND effect_by IS NULL",
        (station_id, KEEP_PER_STATION),
    )
    conn.execute(
        "DELETE FROM command WHERE command_id IN ("
        " SELECT command_id FROM command ORDER BY command_id LIMIT ?)"
        " AND created_at < ? AND state NOT IN ('queued', 'sent')"
        " AND effect_by IS NULL",
        (PRUNED_AT_ONCE, to_text(now - KEEP)),
    )


def from_row(row: Sequence[Any]) -> CommandRow:
    """A row of `SELECT`."""
    return CommandRow(
        command_id=int(row[0]),
        station_id=StationId(row[1]),
        action=row[2],
        payload=json.loads(row[3]),
        wire=None if row[4] is None else json.loads(row[4]),
        asked_by=row[5],
        idempotency_key=row[6],
        asked_digest=row[7],
        timeout_s=float(row[8]),
        is_override=bool(row[9]),
        is_queueable=bool(row[10]),
        progress=Progress(
            state=CommandState(row[11]),
            reason=row[12],
            detail=row[13],
            is_late=bool(row[14]),
            deadline_at=optional_time(row[16]),
            sent_at=optional_time(row[17]),
            answered_at=optional_time(row[18]),
            effect_by=optional_time(row[19]),
            ended_at=optional_time(row[20]),
        ),
        created_at=from_text(row[15]),
        answer=None if row[21] is None else json.loads(row[21]),
        expects=None if row[22] is None else from_json(json.loads(row[22])),
    )
