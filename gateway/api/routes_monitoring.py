"""Monitors of variables, and the events that stations tell (2.0.1, N)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.exchanges import exchange_of
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Context, Operator, Viewer
from gateway.services.asking import ask

MAX_ITEMS = 500

router = APIRouter(tags=["monitoring"], route_class=CheckedRoute)


class MonitorsBody(BaseModel):
    """Monitors to set."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "component": "EVSE",
                            "variable": "Power",
                            "type": "UpperThreshold",
                            "value": 11000,
                            "severity": 3,
                        }
                    ]
                }
            ]
        },
    )

    items: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_ITEMS)
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)


class MonitoringBody(BaseModel):
    """What the station monitors by itself, and from which severity on it tells."""

    model_config = ConfigDict(extra="forbid")

    base: Literal["All", "FactoryDefault", "HardWiredOnly"] | None = None
    level: int | None = Field(default=None, ge=0, le=9)
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)


@router.get("/stations/{station_id}/monitors")
async def monitors(
    station_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Monitors as set or last reported."""
    entry = context.directory.require(station_id)
    return await context.device.monitoring.stored(entry.station_id)


@router.post("/stations/{station_id}/monitors")
async def set_monitors(
    station_id: str,
    body: Annotated[MonitorsBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, list[dict[str, Any]]]:
    """Set monitors; items have ``component``, ``variable`` and the wire's members."""
    exchange = exchange_of(
        context,
        caller,
        station_id,
        timeout_s=body.timeout_s,
        needs="SetVariableMonitoring",
    )
    await context.audit(caller, "monitors.set", f"station/{exchange.station_id}", {})
    return {"items": await context.device.monitoring.set(exchange, body.items)}


@router.post("/stations/{station_id}/monitors/refresh")
async def refresh_monitors(
    station_id: str, context: Context, caller: Operator
) -> dict[str, Any]:
    """Have all monitors reported and wait for it."""
    exchange = exchange_of(context, caller, station_id, needs="GetMonitoringReport")
    return await context.device.monitoring.refresh(exchange)


@router.delete("/stations/{station_id}/monitors")
async def clear_monitors(
    station_id: str,
    context: Context,
    caller: Operator,
    monitor_id: Annotated[list[int], Query(alias="id", min_length=1)],
) -> dict[str, list[dict[str, Any]]]:
    """Clear monitors: ``?id=1&id=2``."""
    exchange = exchange_of(context, caller, station_id, needs="ClearVariableMonitoring")
    await context.audit(
        caller,
        "monitors.cleared",
        f"station/{exchange.station_id}",
        {"ids": monitor_id},
    )
    return {"items": await context.device.monitoring.clear(exchange, monitor_id)}


@router.put("/stations/{station_id}/monitoring")
async def set_monitoring(
    station_id: str,
    body: Annotated[MonitoringBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, dict[str, Any]]:
    """Set the monitoring base (N03) and level (N05); what is left out stays."""
    exchange = exchange_of(
        context, caller, station_id, timeout_s=body.timeout_s, needs="SetMonitoringBase"
    )
    found: dict[str, dict[str, Any]] = {}
    if body.base is not None:
        said = await ask(exchange, "SetMonitoringBase", {"monitoringBase": body.base})
        found["base"] = said.as_json()
    if body.level is not None:
        said = await ask(exchange, "SetMonitoringLevel", {"severity": body.level})
        found["level"] = said.as_json()
    return found


@router.get("/stations/{station_id}/events")
async def events(
    station_id: str,
    context: Context,
    _caller: Viewer,
    *,
    alarms: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[dict[str, Any]]:
    """What the station told, the newest first; ``alarms``: severity 0 to 3 only.

    An event whose monitor is not known counts as an alarm when it is an alert.
    """
    entry = context.directory.require(station_id)
    return await context.device.monitoring.events(
        entry.station_id, alarms_only=alarms, limit=limit
    )
