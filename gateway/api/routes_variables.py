"""Variables and passwords of stations."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.exchanges import exchange_of
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Context, Operator
from gateway.errors import RequestError

MAX_ITEMS = 500

router = APIRouter(tags=["calls"], route_class=CheckedRoute)


class ReadBody(BaseModel):
    """What to read. 1.6: keys (none: all). 2.0.1: component, variable, attribute."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"items": ["HeartbeatInterval"]},
                {"items": [{"component": "OCPPCommCtrlr", "variable": "RetryBackOff"}]},
            ]
        },
    )

    items: list[str | dict[str, Any]] = Field(max_length=MAX_ITEMS)
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)


class WriteBody(BaseModel):
    """What to write: items as for reading, each with its ``value`` as text."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"items": [{"key": "HeartbeatInterval", "value": "300"}]}]
        },
    )

    items: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_ITEMS)
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )


class ItemsAnswer(BaseModel):
    """The items in the order asked.

    Each has ``outcome`` (``result``, ``error``, ``timeout``, ``disconnected``), the
    station's own members, and for both versions ``status`` and, read, ``value``.
    """

    items: list[dict[str, Any]]


class RotationAnswer(BaseModel):
    """Whether the station took a new password; the password itself is never told."""

    outcome: Literal["result", "error", "timeout", "disconnected"]
    changed: bool


@router.post("/stations/{station_id}/variables/read")
async def read_variables(
    station_id: str,
    body: Annotated[ReadBody, Body()],
    context: Context,
    caller: Operator,
) -> ItemsAnswer:
    """Read variables or keys, split into as many messages as the station needs."""
    exchange = exchange_of(
        context, caller, station_id, timeout_s=body.timeout_s, override=False
    )
    if not body.items and exchange.adapter.version != "1.6":
        raise RequestError(422, "no_items", "items: at least one; or GetBaseReport")
    return ItemsAnswer(items=await context.device.variables.read(exchange, body.items))


@router.post("/stations/{station_id}/variables/write")
async def write_variables(
    station_id: str,
    body: Annotated[WriteBody, Body()],
    context: Context,
    caller: Operator,
) -> ItemsAnswer:
    """Write variables or keys, split into as many messages as the station needs."""
    if body.override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override a limit")
    exchange = exchange_of(
        context, caller, station_id, timeout_s=body.timeout_s, override=body.override
    )
    named = [
        {key: item[key] for key in ("key", "component", "variable") if key in item}
        for item in body.items
    ]
    await context.audit(
        caller, "variables.written", f"station/{exchange.station_id}", {"items": named}
    )
    return ItemsAnswer(items=await context.device.variables.write(exchange, body.items))


@router.post("/stations/{station_id}/password-rotation")
async def rotate_password(
    station_id: str, context: Context, caller: Operator
) -> RotationAnswer:
    """Set a new random password at the station; it counts from its next connection.

    If the answer is lost (``timeout``, ``disconnected``) the station may come back with
    either password; the one it presents next is kept.
    """
    exchange = exchange_of(context, caller, station_id, timeout_s=None, override=False)
    await context.audit(
        caller, "password.rotated", f"station/{exchange.station_id}", {}
    )
    answer = await context.device.variables.rotate_password(exchange)
    return RotationAnswer.model_validate(answer)
