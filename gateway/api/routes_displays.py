"""Messages on stations' displays (2.0.1, O) and the profiles that stations hold."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.exchanges import exchange_of
from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.routes_calls import MAX_TIMEOUT_S
from gateway.api.security import Context, Operator, Viewer

router = APIRouter(tags=["displays"], route_class=CheckedRoute)


class MessageBody(BaseModel):
    """A message; ``message_id`` of a known one replaces it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"content": "Closed at 22:00", "priority": "InFront"}]
        },
    )

    message_id: int | None = Field(default=None, ge=0, le=2**31 - 1)
    content: str = Field(min_length=1, max_length=512)
    format: Literal["ASCII", "HTML", "URI", "UTF8"] = "UTF8"
    language: str | None = Field(default=None, max_length=8)
    priority: Literal["AlwaysFront", "InFront", "NormalCycle"] = "NormalCycle"
    state: Literal["Charging", "Faulted", "Idle", "Unavailable"] | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    transaction_id: str | None = Field(default=None, max_length=36)
    display: dict[str, Any] | None = None
    timeout_s: float | None = Field(default=None, gt=0, le=MAX_TIMEOUT_S)

    def wire(self) -> dict[str, Any]:
        """As ``MessageInfoType``; members that are not set are left out."""
        text: dict[str, Any] = {"format": self.format, "content": self.content}
        if self.language is not None:
            text["language"] = self.language
        members = {
            "id": self.message_id,
            "priority": self.priority,
            "state": self.state,
            "startDateTime": _time(self.starts_at),
            "endDateTime": _time(self.ends_at),
            "transactionId": self.transaction_id,
            "message": text,
            "display": self.display,
        }
        return {name: value for name, value in members.items() if value is not None}


@router.get("/stations/{station_id}/display-messages")
async def messages(
    station_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Messages as set or last reported; those of ended transactions are gone."""
    entry = context.directory.require(station_id)
    return await context.device.displays.stored(entry.station_id)


@router.post("/stations/{station_id}/display-messages")
async def show(
    station_id: str,
    body: Annotated[MessageBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Show a message, always or during a transaction."""
    exchange = exchange_of(
        context, caller, station_id, timeout_s=body.timeout_s, needs="SetDisplayMessage"
    )
    await context.audit(caller, "display.set", f"station/{exchange.station_id}", {})
    return await context.device.displays.show(exchange, body.wire())


@router.post("/stations/{station_id}/display-messages/refresh")
async def refresh(
    station_id: str, context: Context, caller: Operator
) -> dict[str, Any]:
    """Have all messages reported and wait for it."""
    exchange = exchange_of(context, caller, station_id, needs="GetDisplayMessages")
    return await context.device.displays.refresh(exchange)


@router.delete("/stations/{station_id}/display-messages/{message_id}")
async def clear(
    station_id: str, message_id: int, context: Context, caller: Operator
) -> dict[str, Any]:
    """Clear a message."""
    exchange = exchange_of(context, caller, station_id, needs="ClearDisplayMessage")
    await context.audit(
        caller,
        "display.cleared",
        f"station/{exchange.station_id}",
        {"message_id": message_id},
    )
    return await context.device.displays.clear(exchange, message_id)


@router.get("/stations/{station_id}/charging-profiles")
async def charging_profiles(
    station_id: str, context: Context, caller: Operator, *, stored: bool = False
) -> dict[str, Any]:
    """Profiles that the station holds: it is asked, unless ``stored``.

    2.0.1 reports profiles, and told us of limits from others; 1.6 tells the composite
    schedule of each connector.
    """
    entry = context.directory.require(station_id)
    if stored:
        return await context.device.profiles.stored(entry.station_id)
    exchange = exchange_of(context, caller, station_id)
    station = context.directory.site.station(entry.station_id)
    evse_ids = [one.ref.evse_id for one in station.evses] if station is not None else []
    return await context.device.profiles.ask(exchange, [0, *evse_ids])


def _time(moment: datetime | None) -> str | None:
    return views.time(moment)
