"""Prices and costs that stations show."""

from typing import Annotated, Any

from fastapi import APIRouter, Body

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.routes_lists import SwitchBody
from gateway.api.security import Context, Operator, Viewer
from gateway.services.features import Feature

router = APIRouter(tags=["tariffs"], route_class=CheckedRoute)


@router.get("/stations/{station_id}/pricing")
async def pricing(station_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """Whether a station is told prices and costs, and what it does not take."""
    entry = context.directory.require(station_id)
    features, name = context.drivers.features, entry.station_id
    refused = {}
    for part in (Feature.DEFAULT_PRICE, Feature.COST_MESSAGES):
        refusal = features.refusal(name, part)
        if refusal is not None:
            refused[part.value] = {
                "reason": refusal.reason,
                "refused_at": views.time(refusal.refused_at),
            }
    return {
        "station_id": name,
        "enabled": features.is_on(name, Feature.PRICING),
        "switch": features.switch_of(name, Feature.PRICING),
        "text": await context.drivers.pricing.text_of(name),
        "refused": refused,
    }


@router.put("/stations/{station_id}/pricing")
async def switch_pricing(
    station_id: str,
    body: Annotated[SwitchBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Tell a station prices and costs, or not; what it refused is tried again."""
    entry = context.directory.require(station_id)
    await context.drivers.features.switch(
        entry.station_id, Feature.PRICING, body.enabled
    )
    for part in (Feature.DEFAULT_PRICE, Feature.COST_MESSAGES):
        await context.drivers.features.forgive(entry.station_id, part)
    context.drivers.pricing.booted(entry.station_id)
    await context.audit(
        caller,
        "pricing.switched",
        f"station/{entry.station_id}",
        {"enabled": body.enabled},
    )
    return await pricing(station_id, context, caller)
