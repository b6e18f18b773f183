"""Leaves of kind ``dispatch``: what was sent, answered and measured of a limit.

The row of a limit is stored before it is sent, and says what was sent, when and for
which plan. Every leaf is made of it, so all leaves of one limit agree.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.limits import SetLimit
from gateway.services.dispatch_ports import Seal
from gateway.services.group_items import Answer
from gateway.store import limits as rows
from gateway.store.times import to_text

SEEN: Final = "seen"
"""The meter shows no more than the limit."""

DISOBEYED: Final = "disobeyed"
"""The meter shows clearly more than the station may draw by all it may hold."""


def record_answer(
    conn: sqlite3.Connection,
    command_id: int,
    *,
    outcome: str,
    now: datetime,
    seal: Seal | None,
) -> None:
    """Record how a station answered, as row and as leaf."""
    rows.record_outcome(conn, command_id, outcome=outcome, answered_at=now)
    row = rows.command(conn, command_id)
    if row is None or seal is None:
        return
    schedule = row.command.schedule
    seal(
        "dispatch",
        _subject(row),
        _body(row, outcome)
        | {
            "answered_at": to_text(now),
            "start_at": to_text(schedule.start),
            "steps": [[s.offset_s, s.limit_da] for s in schedule.steps],
        },
        conn,
    )


def record_measured(
    conn: sqlite3.Connection,
    command_id: int,
    *,
    verdict: str,
    is_change: bool,
    measured_da: Sequence[int],
    now: datetime,
    seal: Seal | None,
) -> None:
    """Record what was measured under a limit, as row and as leaf.

    Args:
        conn: Of the writer.
        command_id: The limit.
        verdict: `SEEN` or `DISOBEYED`.
        is_change: Another verdict on this limit came before. Otherwise one that
            confirms again what the row says already makes no second leaf.
        measured_da: Per phase at the terminals, 0.1 A.
        now: Site time.
        seal: Makes leaves; ``None`` without a ledger.
    """
    row = rows.command(conn, command_id)
    if row is None:
        return  # nobody held it any more, and it was pruned
    if verdict == SEEN:
        if row.seen_at is not None and not is_change:
            return
        rows.record_seen(conn, command_id, now)
    if seal is not None:
        measured = {"seen_at": to_text(now), "measured_da": list(measured_da)}
        seal("dispatch", _subject(row), _body(row, verdict) | measured, conn)


def close_unanswered(
    conn: sqlite3.Connection,
    station_ids: Iterable[StationId],
    *,
    now: datetime,
    seal: Seal | None,
) -> None:
    """Close what was under way when the gateway stopped: nobody waits for it now.

    The station may hold it or not, as with any limit that is not answered.
    """
    for station_id in station_ids:
        for command_id in rows.unanswered(conn, station_id):
            outcome = Answer.UNKNOWN.value
            record_answer(conn, command_id, outcome=outcome, now=now, seal=seal)


def limit_text(command: SetLimit) -> str:
    """A limit as canonical JSON: what ``limit_sha256`` in a leaf is made of."""
    relative = (
        {}
        if command.relative_to is None
        else {"relative_to": to_text(command.relative_to)}
    )
    return json.dumps(
        relative
        | {
            "evse_id": command.evse_id,
            "nominal_v": str(command.nominal_v),
            "number_phases": command.number_phases,
            "profile_id": command.profile_id,
            "purpose": command.purpose.value,
            "start": to_text(command.schedule.start),
            "steps": [[s.offset_s, s.limit_da] for s in command.schedule.steps],
            "transaction_id": command.transaction_id,
            "unit": command.unit.value,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def _subject(row: rows.CommandRow) -> str:
    return f"{row.station_id}/{row.command.evse_id}"


def _body(row: rows.CommandRow, outcome: str) -> dict[str, object]:
    text = limit_text(row.command)
    return {
        "station_id": row.station_id,
        "evse_id": row.command.evse_id,
        "session_id": row.session_id,
        "command_id": row.command_id,
        "sent_at": to_text(row.sent_at),
        "plan_id": None if row.plan_id is None else str(row.plan_id),
        "limit_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "outcome": outcome,
    }
