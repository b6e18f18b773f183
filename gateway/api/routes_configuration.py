"""Configuration of 1.6 stations: as last read, compared, applied."""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.exchanges import exchange_of, require_action
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Context, Operator, Viewer
from gateway.errors import RequestError
from gateway.services.variable_words import without_secret
from gateway.store.device_model import ALL_KEYS, MODEL_ROW, model_row

MAX_KEYS = 500
Values = Annotated[
    dict[str, Annotated[str, Field(max_length=500)]],
    Field(min_length=1, max_length=MAX_KEYS),
]

router = APIRouter(tags=["configuration"], route_class=CheckedRoute)


class WantedBody(BaseModel):
    """Wanted values by key."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"wanted": {"HeartbeatInterval": "300"}}]},
    )

    wanted: Values


class ApplyBody(WantedBody):
    """Wanted values by key, and how to write them."""

    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)
    override: bool = Field(
        default=False, description="Admin: send it though a cabinet could be exceeded"
    )


@router.get("/stations/{station_id}/configuration")
async def configuration(
    station_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """Keys as last read; ``read_at`` is that of the last reading of all keys."""
    entry = context.directory.require(station_id)
    keys = await context.device.configuration.stored(entry.station_id)
    rows = await context.queries.rows(MODEL_ROW, (entry.station_id,))
    source = model_row(rows[0]) if rows else None
    is_whole = source is not None and (source.base, source.state) == (
        ALL_KEYS,
        "complete",
    )
    if not keys and not is_whole:
        require_action(context, entry.station_id, "GetConfiguration")
        raise RequestError(404, "not_read", "its configuration was not read yet")
    return {
        "station_id": entry.station_id,
        "read_at": views.text_time(source.read_at) if source and is_whole else None,
        "firmware": source.firmware if source and is_whole else None,
        "keys": [
            {
                **without_secret({"key": row.key, "value": row.value}),
                "readonly": row.is_readonly,
                "read_at": views.text_time(row.read_at),
            }
            for row in keys
        ],
    }


@router.post("/stations/{station_id}/configuration/diff")
async def diff(
    station_id: str,
    body: Annotated[WantedBody, Body()],
    context: Context,
    _caller: Operator,
) -> dict[str, list[dict[str, Any]]]:
    """Compare wanted values with those that were last read; nothing is sent."""
    entry = context.directory.require(station_id)
    require_action(context, entry.station_id, "GetConfiguration")
    return await context.device.configuration.diff(entry.station_id, body.wanted)


@router.post("/stations/{station_id}/configuration/apply")
async def apply(
    station_id: str,
    body: Annotated[ApplyBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, list[dict[str, Any]]]:
    """Read, write what differs, and read it back.

    ``result`` of each key: ``unchanged``, ``verified``, ``not_verified`` (accepted, but
    read back otherwise or not at all), ``reboot_required`` (nothing is restarted),
    ``refused`` with the station's ``status``, or ``error``, ``timeout``,
    ``disconnected``.
    """
    if body.override and not caller.is_admin:
        raise RequestError(403, "admin_only", "only an admin may override a limit")
    exchange = exchange_of(
        context,
        caller,
        station_id,
        timeout_s=body.timeout_s,
        override=body.override,
        needs="ChangeConfiguration",
    )
    await context.audit(
        caller,
        "configuration.applied",
        f"station/{exchange.station_id}",
        {"keys": list(body.wanted)},
    )
    wanted = [{"key": key, "value": value} for key, value in body.wanted.items()]
    return {"items": await context.device.configuration.apply(exchange, wanted)}
