"""Commands as objects: asked for now, carried out when the station can, followed."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Caller, Context, Operator, Viewer, check_action
from gateway.domain.command import CommandState
from gateway.domain.ids import StationId
from gateway.domain.session import SessionPhase
from gateway.errors import RequestError
from gateway.services.command_intake import Wish
from gateway.services.command_log import CALL_PREFIX
from gateway.services.command_rules import (
    MAX_DEADLINE,
    MAX_TOKEN_CHARS,
    REMOTE_START,
    REMOTE_STOP,
)
from gateway.services.commands import CommandFilter, number_of, view
from gateway.services.dialects import version_of
from gateway.services.restarts import RESET, idle_reset

MAX_LIMIT: Final = 1000

UNCHECKED: Final = (
    "the station was never connected, so its OCPP version is not known: the command is"
    " checked when it comes, and fails as not_valid if its version has no such action"
)

router = APIRouter(tags=["commands"], route_class=CheckedRoute)

_TAKEN: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "Unknown station or session"},
    409: {"description": "The idempotency key was used for something else"},
    422: {"description": "Not valid, or a secret that must not wait"},
    429: {"description": "Too many commands wait for this station"},
}


Origin = Literal["operator", "system", "plan"]


class CommandBody(BaseModel):
    """What the station shall do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "Reset", "payload": {"type": "Soft"}},
                {
                    "action": "remote_start",
                    "payload": {"evse_id": 1, "id_token": "AA12"},
                    "deadline_s": 60,
                },
            ]
        },
    )

    action: str = Field(
        description="Wire action of the station's version; or `remote_start` "
        "(evse_id, id_token, token_type) or `remote_stop` (transaction_id), which are "
        "spelled for the version that is connected"
    )
    payload: dict[str, Any] = Field(default_factory=dict)
    timeout_s: float | None = Field(
        default=None,
        gt=0,
        le=MAX_TIMEOUT_S,
        description="Real seconds to wait for the answer, once sent",
    )
    deadline_s: float | None = Field(
        default=None,
        gt=0,
        le=MAX_DEADLINE.total_seconds(),
        description="How long it may wait for its station; default by action",
    )
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=128)
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )


class StartBody(BaseModel):
    """Who shall charge where."""

    model_config = ConfigDict(extra="forbid")

    evse_id: int | None = Field(
        default=None, ge=1, description="1.6: the connector. None: the station chooses"
    )
    id_token: str = Field(min_length=1, max_length=MAX_TOKEN_CHARS)
    token_type: str | None = Field(
        default=None, description="2.0.1 kind of token; default `Central`"
    )
    deadline_s: float | None = Field(
        default=None, gt=0, le=MAX_DEADLINE.total_seconds()
    )
    idempotency_key: str | None = Field(default=None, min_length=1, max_length=128)


class CommandView(BaseModel):
    """One command. Times are site times.

    ``state``: ``queued`` (waits for its station), ``sent``, ``accepted`` (its effect is
    waited for), ``effected`` (a fact shows it, or acceptance is all there is),
    ``no_effect`` (accepted, but nothing came of it in time), ``failed`` (``reason``:
    ``refused``, ``timeout``, ``disconnected``, ``gateway_restarted``, ``not_valid``,
    ``would_exceed_limit``, ``went_wrong``...), ``expired`` (never sent; ``deadline``,
    ``withdrawn`` or ``replaced``). ``late``: accepted after it was given up.
    """

    command_id: str
    kind: Literal["call", "limit"]
    station_id: str
    action: str
    payload: dict[str, Any] = Field(description="Without passwords")
    state: CommandState
    reason: str | None
    detail: str | None
    late: bool
    asked_by: str
    origin: Origin = Field(description="`system`: the gateway by itself")
    answer: dict[str, Any] | None = Field(description="Without passwords")
    created_at: str
    deadline_at: str | None = Field(
        description="Not sent from then on; sent at once: answered by then"
    )
    sent_at: str | None
    answered_at: str | None
    effect_by: str | None = Field(description="Until when its effect is waited for")
    ended_at: str | None


@router.post("/stations/{station_id}/commands", status_code=202, responses=_TAKEN)
async def post_command(
    station_id: str,
    body: Annotated[CommandBody, Body()],
    context: Context,
    caller: Operator,
) -> CommandView:
    """Have a command carried out; it is answered at once, with its id.

    A connected station gets it now; otherwise it waits until the station is back and
    accepted, or its deadline is over: 30 s for starting, stopping, resetting,
    triggering and unlocking, a day for charging profiles (the newest replaces those
    that wait), 7 days for configuration, lists, firmware and logs, else 5 min. It
    survives a restart of the gateway. The action is checked against the version that
    the station speaks or last spoke (422 names it); of a station that was never here it
    only has to be known to some version, and what does not fit fails as ``not_valid``
    when it comes. The schema is checked against the version that is connected, limits
    of cabinets when it is sent.
    """
    check_action(caller, body.action)
    entry = context.directory.require(station_id)
    if body.override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override a limit")
    return await _submit(
        context,
        caller,
        Wish(
            station_id=entry.station_id,
            action=body.action,
            payload=body.payload,
            asked_by=caller.token_id,
            timeout_s=body.timeout_s or context.call_timeout_s,
            deadline_s=body.deadline_s,
            idempotency_key=body.idempotency_key,
            is_override=body.override,
        ),
    )


@router.post("/stations/{station_id}/remote-start", status_code=202, responses=_TAKEN)
async def remote_start(
    station_id: str,
    body: Annotated[StartBody, Body()],
    context: Context,
    caller: Operator,
) -> CommandView:
    """Start charging; ``effected`` when the session begins."""
    entry = context.directory.require(station_id)
    payload = {"evse_id": body.evse_id, "id_token": body.id_token}
    if body.token_type is not None:
        payload["token_type"] = body.token_type
    return await _submit(
        context,
        caller,
        Wish(
            station_id=entry.station_id,
            action=REMOTE_START,
            payload=payload,
            asked_by=caller.token_id,
            timeout_s=context.call_timeout_s,
            deadline_s=body.deadline_s,
            idempotency_key=body.idempotency_key,
        ),
    )


@router.post("/stations/{station_id}/restart", status_code=202, responses=_TAKEN)
async def restart(station_id: str, context: Context, caller: Operator) -> CommandView:
    """Restart a station at which nobody charges; ``effected`` when it boots.

    409 ``not_idle``: a session runs there. Stations that have to restart before a
    setting counts say so by ``restart_needed_at``; none is restarted unasked.
    """
    entry = context.directory.require(station_id)
    version = version_of(context.links, context.directory, entry.station_id)
    return await _submit(
        context,
        caller,
        Wish(
            station_id=entry.station_id,
            action=RESET,
            payload=await idle_reset(context.queries, entry.station_id, version),
            asked_by=caller.token_id,
            timeout_s=context.call_timeout_s,
        ),
    )


@router.post("/sessions/{session_id}/stop", status_code=202, responses=_TAKEN)
async def stop_session(
    session_id: str, context: Context, caller: Operator
) -> CommandView:
    """Have the station end a session; ``effected`` when it has ended. 409: it has."""
    session = await context.queries.session(session_id)
    if session is None:
        raise RequestError(404, "unknown_session", f"no session {session_id!r}")
    if session.phase is SessionPhase.ENDED or session.transaction_id is None:
        raise RequestError(409, "session_over", f"{session_id} has ended")
    return await _submit(
        context,
        caller,
        Wish(
            station_id=StationId(session.station_id),
            action=REMOTE_STOP,
            payload={"transaction_id": session.transaction_id},
            asked_by=caller.token_id,
            timeout_s=context.call_timeout_s,
        ),
    )


@router.get("/commands")
async def commands(
    context: Context,
    _caller: Viewer,
    *,
    station_id: str | None = None,
    state: CommandState | None = None,
    kind: Literal["call", "limit"] | None = None,
    origin: Origin | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
) -> list[CommandView]:
    """Commands, newest first; ``kind`` ``limit`` are those of plans.

    Kept for 90 days; of operators and services, the newest 1000 per station. A plan's
    limit is ``effected`` once the meter showed no more than it.
    """
    which = CommandFilter(station_id=station_id, state=state, kind=kind, origin=origin)
    found = await context.commands.find(which, limit=limit)
    return [CommandView.model_validate(one) for one in found]


@router.get("/commands/{command_id}")
async def command(command_id: str, context: Context, _caller: Viewer) -> CommandView:
    """One command."""
    return CommandView.model_validate(await context.commands.require(command_id))


@router.delete(
    "/commands/{command_id}",
    responses={409: {"description": "It does not wait (any more)"}},
)
async def withdraw(command_id: str, context: Context, caller: Operator) -> CommandView:
    """Take back a command that waits for its station."""
    await context.commands.require(command_id)
    if not command_id.startswith(CALL_PREFIX):
        raise RequestError(409, "not_queued", "a plan's limit is not withdrawn here")
    row = await context.queue.withdraw(number_of(command_id))
    await context.audit(
        caller,
        "command.withdrawn",
        f"station/{row.station_id}",
        {"command_id": command_id, "action": row.action},
    )
    return CommandView.model_validate(view(row))


async def _submit(context: Context, caller: Caller, wish: Wish) -> CommandView:
    row = await context.queue.submit(wish)
    shown = view(row)
    if version_of(context.links, context.directory, wish.station_id) is None:
        shown["detail"] = UNCHECKED
    await context.audit(
        caller,
        "command.asked",
        f"station/{wish.station_id}",
        {"command_id": shown["command_id"], "action": wish.action},
    )
    return CommandView.model_validate(shown)
