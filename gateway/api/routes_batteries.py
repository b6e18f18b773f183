"""Batteries that are told their power."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.services.batteries import BatteryState, Told

MAX_W = 100_000_000

router = APIRouter(tags=["site"], route_class=CheckedRoute)


class PowerBody(BaseModel):
    """What a battery shall do by an operator's word; null gives it back to the rule."""

    model_config = ConfigDict(extra="forbid")

    power_w: Annotated[int, Field(ge=-MAX_W, le=MAX_W)] | None
    until: Moment | None = None


@router.get("/batteries")
async def batteries(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Batteries that are told their power: what they hold, do and were told."""
    return [_view(name, one) for name, one in context.batteries.states.items()]


@router.put("/batteries/{battery_id}/power")
async def put_power(
    battery_id: str,
    body: Annotated[PowerBody, Body()],
    context: Context,
    caller: Operator,
) -> Mapping[str, Any]:
    """Charge (positive) or discharge a battery by hand, within limits and reserve.

    It is kept over a restart, until its time or until it is given back.
    """
    await context.batteries_by_hand.put(battery_id, body.power_w, body.until)
    await context.audit(
        caller,
        "battery.set",
        f"battery/{battery_id}",
        {"power_w": body.power_w, "until": views.time(body.until)},
    )
    return _view(battery_id, context.batteries.required(battery_id))


def _view(name: str, state: BatteryState) -> dict[str, Any]:
    wanted = state.wanted
    return {
        "battery_id": name,
        "energy_wh": state.energy_wh,
        "power_w": state.power_w,
        "measured_at": views.time(state.heard_at),
        "wanted_w": None if wanted is None else wanted.power_w,
        "why": None if wanted is None else wanted.why,
        "by_hand_w": state.by_hand_w,
        "by_hand_until": views.time(state.by_hand_until),
        "reserved_w": state.reserved_w,
        "is_lost": state.is_lost,
        "disobeys": state.disobeys,
        "commands": [_command(one) for one in reversed(state.history)],
    }


def _command(told: Told) -> dict[str, Any]:
    return {
        "at": views.time(told.at),
        "power_w": told.power_w,
        "why": told.why,
        "trouble": told.trouble,
    }
