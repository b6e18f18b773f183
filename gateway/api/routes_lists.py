"""Local authorization lists of stations."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.services.features import Feature

router = APIRouter(tags=["local authorization lists"], route_class=CheckedRoute)


class SwitchBody(BaseModel):
    """Whether a feature is on at a station."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = Field(description="Null: as the configuration says")


@router.get("/stations/{station_id}/local-list")
async def local_list(
    station_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """What a station's list holds, as far as its answers tell.

    ``state``: ``unknown`` (never asked), ``pending`` (in doubt, or changes wait),
    ``synced``, ``failed`` (refused; tried again hourly), ``unsupported`` (not tried
    again until its firmware changes or a sync is asked for).
    """
    entry = context.directory.require(station_id)
    shown = await context.drivers.local_lists.view(entry.station_id)
    return {key: _json(value) for key, value in shown.items()}


@router.put("/stations/{station_id}/local-list")
async def switch_local_list(
    station_id: str,
    body: Annotated[SwitchBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Keep a station's list in step with the tokens, or leave it alone."""
    entry = context.directory.require(station_id)
    await context.drivers.features.switch(
        entry.station_id, Feature.LOCAL_LIST, body.enabled
    )
    context.drivers.local_lists.switched(entry.station_id)
    await context.audit(
        caller,
        "local_list.switched",
        f"station/{entry.station_id}",
        {"enabled": body.enabled},
    )
    return await local_list(station_id, context, caller)


@router.post(
    "/stations/{station_id}/local-list/sync",
    responses={409: {"description": "Not connected, or it did not answer"}},
)
async def sync_local_list(
    station_id: str, context: Context, caller: Operator
) -> dict[str, Any]:
    """Bring a station's list in step now, whatever is switched and was refused."""
    entry = context.directory.require(station_id)
    await context.audit(caller, "local_list.sync", f"station/{entry.station_id}", {})
    await context.drivers.local_lists.sync(entry.station_id)
    return await local_list(station_id, context, caller)


def _json(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, datetime):
        return views.time(value)
    if isinstance(value, list):
        return [{key: _json(part) for key, part in item.items()} for item in value]
    return value
