"""All commands for those who look: what was asked of stations, and plans' limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.domain.command import CommandState
from gateway.errors import RequestError
from gateway.services.command_log import CALL_PREFIX, LIMIT_PREFIX, call_id
from gateway.services.station_calls import SERVICE
from gateway.services.system_calls import SYSTEM
from gateway.store import commands as rows
from gateway.store import limit_history
from gateway.store.commands import CommandRow
from gateway.store.limit_history import LimitRecord
from gateway.store.queries import Queries
from gateway.store.times import optional_text, to_text

CALLS: Final = "call"
LIMITS: Final = "limit"
OPERATOR: Final = "operator"
PLAN: Final = "plan"
_BY_ITSELF: Final = f"asked_by IN ('{SERVICE}', '{SYSTEM}')"
_OF_ORIGIN: Final[Mapping[str | None, str]] = {
    OPERATOR: f"NOT {_BY_ITSELF}",
    PLAN: "0",
    SYSTEM: _BY_ITSELF,
}

T = TypeVar("T")
View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFilter:
    """Which commands; ``None`` means any."""

    station_id: str | None = None
    state: CommandState | None = None
    kind: str | None = None
    origin: str | None = None


class Commands:
    """Reads commands."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def find(self, which: CommandFilter, *, limit: int) -> list[View]:
        """Commands, newest first."""
        found: list[View] = []
        if which.kind in {None, CALLS}:
            found += await self._calls(which, limit)
        if which.kind in {None, LIMITS} and which.origin in {None, PLAN}:
            found += await self._limits(which, limit)
        found.sort(key=_age, reverse=True)
        return found[:limit]

    async def require(self, command_id: str) -> View:
        """One command.

        Raises:
            RequestError: 404.
        """
        number = number_of(command_id)
        if command_id.startswith(CALL_PREFIX):
            found = [
                view(rows.from_row(row))
                for row in await self._queries.rows(
                    f"{rows.SELECT} WHERE command_id = ?", (number,)
                )
            ]
        else:
            found = [
                limit_view(limit_history.from_row(row))
                for row in await self._queries.rows(
                    f"{limit_history.SELECT} WHERE command_id = ?", (number,)
                )
            ]
        if not found:
            raise unknown(command_id)
        return found[0]

    async def _calls(self, which: CommandFilter, limit: int) -> list[View]:
        state = None if which.state is None else which.state.value
        of_origin = _OF_ORIGIN.get(which.origin, "1")
        return await self._newest(
            rows.SELECT,
            f"(?2 IS NULL OR state = ?2) AND {of_origin}",
            (which.station_id, state, limit),
            lambda row: view(rows.from_row(row)),
        )

    async def _limits(self, which: CommandFilter, limit: int) -> list[View]:
        in_state = "1"
        if which.state is not None:
            in_state = limit_history.IN_STATE.get(which.state, "0")
        return await self._newest(
            limit_history.SELECT,
            f"?2 IS NULL AND {in_state}",
            (which.station_id, None, limit),
            lambda row: limit_view(limit_history.from_row(row)),
        )

    async def _newest(
        self,
        select: str,
        where: str,
        values: tuple[object, ...],
        read: Callable[[tuple[Any, ...]], T],
    ) -> list[T]:
        of_station = "1" if values[0] is None else "station_id = ?1"
        found = await self._queries.rows(
            f"{select} WHERE {of_station} AND {where}"
            " ORDER BY command_id DESC LIMIT ?3",
            values,
        )
        return [read(row) for row in found]


def number_of(command_id: str) -> int:
    """The row behind an id of the API.

    Raises:
        RequestError: 404 it is none.
    """
    prefix, digits = command_id[:1], command_id[1:]
    is_id = prefix in {CALL_PREFIX, LIMIT_PREFIX} and digits.isascii()
    if not (is_id and digits.isdigit() and len(digits) <= MAX_DIGITS):
        raise unknown(command_id)
    return int(digits)


MAX_DIGITS: Final = 18


def unknown(command_id: str) -> RequestError:
    """The 404."""
    return RequestError(404, "unknown_command", f"no command {command_id!r}")


def view(row: CommandRow) -> View:
    """One command as JSON."""
    progress = row.progress
    return {
        "command_id": call_id(row.command_id),
        "kind": CALLS,
        "station_id": row.station_id,
        "action": row.action,
        "payload": dict(row.payload),
        "state": progress.state.value,
        "reason": progress.reason or None,
        "detail": progress.detail or None,
        "late": progress.is_late,
        "asked_by": row.asked_by,
        "origin": SYSTEM if row.asked_by in {SERVICE, SYSTEM} else OPERATOR,
        "answer": row.answer,
        "created_at": to_text(row.created_at),
        "deadline_at": optional_text(progress.deadline_at),
        "sent_at": optional_text(progress.sent_at),
        "answered_at": optional_text(progress.answered_at),
        "effect_by": optional_text(progress.effect_by),
        "ended_at": optional_text(progress.ended_at),
    }


def limit_view(row: LimitRecord) -> View:
    """A plan's limit as a command."""
    is_final = row.state not in {CommandState.SENT, CommandState.ACCEPTED}
    return {
        "command_id": f"{LIMIT_PREFIX}{row.command_id}",
        "kind": LIMITS,
        "station_id": row.station_id,
        "action": "limit",
        "payload": {
            "evse_id": row.evse_id,
            "purpose": row.purpose,
            "session_id": row.session_id,
            "plan_id": row.plan_id,
            "start_at": to_text(row.start_at),
            "steps": [
                {"offset_s": offset_s, "limit_a": limit_a}
                for offset_s, limit_a in row.steps
            ],
        },
        "state": row.state.value,
        "reason": row.reason or None,
        "detail": None,
        "late": False,
        "asked_by": PLAN,
        "origin": PLAN,
        "answer": None,
        "created_at": to_text(row.sent_at),
        "deadline_at": None,
        "sent_at": to_text(row.sent_at),
        "answered_at": optional_text(row.answered_at),
        "effect_by": None,
        "ended_at": optional_text(row.seen_at or row.answered_at) if is_final else None,
    }


def _age(one: View) -> tuple[str, int]:
    return str(one["created_at"]), number_of(str(one["command_id"]))
