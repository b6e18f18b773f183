"""Any CALL to a station, in the wire's own words."""

from collections.abc import Awaitable, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, check_action
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    RequestError,
)
from gateway.ocpp.adapter import Command
from gateway.services.command_log import call_id
from gateway.services.dialects import check_request
from gateway.store.commands import CommandRow

MAX_TIMEOUT_S: Final = 600.0
COMMAND_HEADER: Final = "X-Command-Id"

router = APIRouter(tags=["calls"], route_class=CheckedRoute)


class CallBody(BaseModel):
    """A CALL of the central system."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(description="Wire action, e.g. RemoteStartTransaction")
    payload: dict[str, Any] = Field(
        default_factory=dict, description="In wire spelling; sent in this order"
    )
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )


class CallAnswer(BaseModel):
    """What became of a CALL.

    ``payload`` with ``result``; ``code``, ``description`` and ``details`` with
    ``error`` (code ``CallFailed``: the answer was not an object, or too many calls wait
    in line); nothing else with ``timeout`` and ``disconnected``.
    """

    outcome: Literal["result", "error", "timeout", "disconnected"]
    payload: dict[str, Any] | None = None
    code: str | None = None
    description: str | None = None
    details: dict[str, Any] | None = None


@router.post(
    "/stations/{station_id}/calls",
    response_model_exclude_unset=True,
    responses={
        404: {"description": "Unknown station"},
        409: {"description": "Not connected, or a cabinet's limit could be exceeded"},
        422: {"description": "Not valid by the schema of the station's version"},
    },
)
async def call_station(
    station_id: str,
    body: Annotated[CallBody, Body()],
    context: Context,
    caller: Operator,
    response: Response,
) -> CallAnswer:
    """Send any CALL of the station's OCPP version and wait for its answer.

    The header ``X-Command-Id`` names the command under ``/commands``, where its effect
    and a late answer are told.
    """
    check_action(caller, body.action)
    entry = context.directory.require(station_id)
    adapter = context.links.adapter(entry.station_id)
    if adapter is None:
        raise RequestError(409, "not_connected", f"{entry.station_id} is not connected")
    context.device.reach.check(entry.station_id)
    payload = body.payload
    check_request(entry.station_id, adapter, body.action, payload)
    if body.override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override a limit")
    await context.operator_guard(
        entry.station_id, body.action, payload, override=body.override
    )
    await context.audit(
        caller, "call.sent", f"station/{entry.station_id}", {"action": body.action}
    )
    timeout_s = body.timeout_s or context.call_timeout_s

    def told(row: CommandRow) -> None:
        response.headers[COMMAND_HEADER] = call_id(row.command_id)

    return await _outcome(
        context.call(
            entry.station_id,
            Command(action=body.action, payload=payload),
            timeout_s,
            asked_by=caller.token_id,
            on_command=told,
        )
    )


async def _outcome(call: Awaitable[Mapping[str, object]]) -> CallAnswer:
    try:
        answer = await call
    except CallRefused as error:
        return CallAnswer(
            outcome="error",
            code=error.code,
            description=error.description,
            details=error.details,
        )
    except CallTimedOut:
        return CallAnswer(outcome="timeout")
    except NotConnected:
        return CallAnswer(outcome="disconnected")
    except CallFailed as error:
        return CallAnswer(
            outcome="error", code="CallFailed", description=str(error), details={}
        )
    return CallAnswer(outcome="result", payload=dict(answer))
