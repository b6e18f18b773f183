"""What became of the limits that plans sent, in the words of commands."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.domain.command import CommandState
from gateway.domain.ids import StationId
from gateway.store.times import from_text, optional_time

SELECT: Final = (
    "SELECT command_id, station_id, evse_id, purpose, session_id, start_at, steps,"
    " unit, plan_id, sent_at, answered_at, seen_at, outcome FROM limit_command"
)
_STATES: Final[dict[str, tuple[CommandState, str]]] = {
    "sent": (CommandState.SENT, ""),
    "accepted": (CommandState.ACCEPTED, ""),
    "refused": (CommandState.FAILED, "refused"),
    "unknown": (CommandState.FAILED, "unknown"),
    "not_sent": (CommandState.EXPIRED, "not_sent"),
}
IN_STATE: Final[dict[CommandState, str]] = {
    CommandState.SENT: "seen_at IS NULL AND outcome = 'sent'",
    CommandState.ACCEPTED: "seen_at IS NULL AND outcome = 'accepted'",
    CommandState.EFFECTED: "seen_at IS NOT NULL",
    CommandState.FAILED: "seen_at IS NULL AND outcome IN ('refused', 'unknown')",
    CommandState.EXPIRED: "seen_at IS NULL AND outcome = 'not_sent'",
}
"""Which rows are in which state; a plan's limit is never queued, and one that shows no
effect is the plan's to deal with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRecord:
    """A limit that a plan sent.

    Attributes:
        steps: Offset in s from ``start_at``, and limit in A per phase.
        seen_at: When the meter first showed no more than it.
    """

    command_id: int
    station_id: StationId
    evse_id: int
    purpose: str
    session_id: str | None
    start_at: datetime
    steps: tuple[tuple[int, float], ...]
    plan_id: int | None
    sent_at: datetime
    answered_at: datetime | None
    seen_at: datetime | None
    state: CommandState
    reason: str


def from_row(row: Sequence[Any]) -> LimitRecord:
    """A row of `SELECT`."""
    state, reason = _STATES[row[12]]
    if row[11] is not None:
        state, reason = CommandState.EFFECTED, ""
    return LimitRecord(
        command_id=int(row[0]),
        station_id=StationId(row[1]),
        evse_id=int(row[2]),
        purpose=row[3],
        session_id=row[4],
        start_at=from_text(row[5]),
        steps=tuple((int(at), limit_da / 10) for at, limit_da in json.loads(row[6])),
        plan_id=row[8],
        sent_at=from_text(row[9]),
        answered_at=optional_time(row[10]),
        seen_at=optional_time(row[11]),
        state=state,
        reason=reason,
    )
