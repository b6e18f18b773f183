"""What stations can be told about what they may draw."""

from typing import Any

from fastapi import APIRouter

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.errors import RequestError
from gateway.services.capability_view import capability_view, models_view

router = APIRouter(tags=["stations"], route_class=CheckedRoute)


@router.get("/capabilities")
async def capabilities(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """By vendor, model and firmware: its stations, and how many refuse or take what."""
    return models_view(context.dispatch, context.directory.all())


@router.get("/stations/{station_id}/capability")
async def capability(
    station_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """What a station can be told, and where each piece of that comes from.

    ``way`` is how sessions are limited: ``session``, ``evse_default``,
    ``station_default``, ``station_max``, or null: in none. ``sources``: ``model``,
    ``settings``, ``answers`` or ``sessions``. ``at_zero`` is what 0 A does:
    ``pauses``, ``refused``, ``ends``, ``unknown``. 404 ``no_cabinet`` for a station
    behind none.
    """
    entry = context.directory.require(station_id)
    found = capability_view(context.dispatch, entry.station_id)
    if found is None:
        raise RequestError(404, "no_cabinet", f"{station_id} belongs to no cabinet")
    return found


@router.delete("/stations/{station_id}/capability", status_code=204)
async def forget_capability(
    station_id: str, context: Context, caller: Operator
) -> None:
    """Forget what a station's answers and sessions taught: it is tried anew."""
    entry = context.directory.require(station_id)
    await context.dispatch.forget_capability(entry.station_id)
    await context.audit(
        caller, "station.capability_forgotten", f"station/{entry.station_id}", {}
    )
