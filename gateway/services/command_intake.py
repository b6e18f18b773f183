"""A command as it is asked for: checked, and stored with what it replaces."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain.command import Dropped, Progress
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.effects import redacted, replace_key
from gateway.services import command_rules as rules
from gateway.services.dialects import check_request
from gateway.store import commands as rows
from gateway.store.commands import CommandRow, NewCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A command as it is asked for.

    Attributes:
        action: Wire action, or one of `command_rules.NEUTRAL`.
        timeout_s: Real seconds to wait for the answer, once sent.
        deadline_s: Site seconds it may wait; ``None``: as usual for the action.
    """

    station_id: StationId
    action: str
    payload: Mapping[str, Any]
    asked_by: str
    timeout_s: float
    deadline_s: float | None = None
    idempotency_key: str | None = None
    is_override: bool = False


def take(
    conn: sqlite3.Connection, wish: Wish, progress: Progress, now: datetime
) -> list[CommandRow]:
    """Store a wish; what it replaces comes first, the command itself last.

    Raises:
        RequestError: 409 or 429.
    """
    asked_digest = rules.digest(wish.action, wish.payload)
    if wish.idempotency_key is not None:
        known = rows.by_key(conn, wish.station_id, wish.idempotency_key)
        if known is not None:
            if known.asked_digest != asked_digest:
                raise RequestError(
                    409,
                    "idempotency_conflict",
                    "the idempotency key was used for another command",
                )
            return [known]
    waiting = rows.queued(conn, wish.station_id)
    key = replace_key(wish.action, wish.payload)
    replaced = [
        row
        for row in waiting
        if key is not None and row.wire is not None and _key_of(row.wire) == key
    ]
    if len(waiting) - len(replaced) >= rules.MAX_WAITING:
        raise RequestError(
            429,
            "queue_full",
            f"{rules.MAX_WAITING} commands wait for {wish.station_id} already",
        )
    taken = [
        rows.move(conn, row.command_id, Dropped(at=now, reason="replaced"))
        for row in replaced
    ]
    new = NewCommand(
        station_id=wish.station_id,
        action=wish.action,
        payload=redacted(wish.payload),
        wire={"action": wish.action, "payload": wish.payload},
        asked_by=wish.asked_by,
        timeout_s=wish.timeout_s,
        idempotency_key=wish.idempotency_key,
        asked_digest=asked_digest,
        is_override=wish.is_override,
    )
    return [
        *(row for row in taken if row is not None),
        rows.insert(conn, new, progress, now),
    ]


def _key_of(wire: Mapping[str, Any]) -> tuple[object, ...] | None:
    return replace_key(wire["action"], wire["payload"])


def checked(
    station_id: StationId,
    action: str,
    payload: Mapping[str, Any],
    adapter: Adapter,
    command_id: int,
) -> Command:
    """A command in the words of the station's version, valid by its schema.

    Raises:
        RequestError: 422 with the version's error code.
    """
    try:
        command = rules.spelled(action, payload, adapter, command_id)
    except ValueError as error:
        raise RequestError(422, "not_sendable", str(error)) from error
    check_request(station_id, adapter, command.action, command.payload)
    return command
