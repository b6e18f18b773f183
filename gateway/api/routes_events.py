"""Server-sent events: what has just become true, as it happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from gateway.api import views
from gateway.api.context import ApiContext
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Viewer, caller_of
from gateway.bus import (
    AlarmRaised,
    CabinetWatched,
    CommandChanged,
    FactCommitted,
    HeadAnchored,
    Lagged,
    LimitChanged,
    LinkChanged,
    LoadMeasured,
    Notice,
    PlanMade,
    RequestChanged,
    SecurityEventReported,
    SessionSettled,
    SettingChanged,
    Subscription,
)
from gateway.errors import RequestError

KEEP_ALIVE_S: Final = 15.0
MAX_BEHIND: Final = 1000

router = APIRouter(tags=["events"], route_class=CheckedRoute)


@router.get("/events", response_class=StreamingResponse)
async def events(
    request: Request, context: Context, _caller: Viewer
) -> StreamingResponse:
    """What becomes true, as it happens, as server-sent events.

    Events: ``station``, ``session``, ``limit``, ``plan``, ``anchor``, ``command``,
    ``settlement``, ``request``, ``load``, ``setting``, ``alarm``, ``security``. A
    reader that falls behind gets ``lagged`` and should read the resources again. A
    comment goes out every 15 s without events. The stream ends when the token does.
    """
    secret = str(request.state.secret)
    loop_time = asyncio.get_running_loop().time

    async def stream() -> AsyncIterator[bytes]:
        checked_s = loop_time()
        with context.bus.subscribe("api.events", limit=MAX_BEHIND) as subscription:
            yield b": connected\n\n"
            while True:
                yield await _next(subscription)
                if loop_time() - checked_s >= KEEP_ALIVE_S:
                    checked_s = loop_time()
                    if not await _is_valid(context, secret):
                        return

    return StreamingResponse(
        stream(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _is_valid(context: ApiContext, secret: str) -> bool:
    try:
        await caller_of(context, secret)
    except RequestError:
        return False
    return True


async def _next(subscription: Subscription) -> bytes:
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            notices = await subscription.batch()
    except TimeoutError:
        return b": still here\n\n"
    lines = []
    for notice in notices:
        name, body = described(notice)
        lines.append(b"event: " + name.encode() + b"\ndata: ")
        lines.append(msgspec.json.encode(body) + b"\n\n")
    return b"".join(lines)


def described(  # noqa: C901, PLR0912 - one arm per kind of notice
    notice: Notice | Lagged,
) -> tuple[str, dict[str, Any]]:
    """Name and JSON body of a notice."""
    match notice:
        case LinkChanged():
            return "station", {
                "station_id": notice.station_id,
                "online": notice.is_online,
                "ocpp_version": notice.ocpp_version,
                "at": views.time(notice.at),
            }
        case FactCommitted():
            return _fact(notice)
        case LimitChanged():
            return "limit", {
                "station_id": notice.evse.station_id,
                "evse_id": notice.evse.evse_id,
                "limit_a": notice.limit_da / 10,
                "status": notice.status,
                "at": views.time(notice.at),
            }
        case CommandChanged():
            return "command", {
                "command_id": notice.command_id,
                "station_id": notice.station_id,
                "action": notice.action,
                "state": notice.state,
                "reason": notice.reason,
                "late": notice.is_late,
                "at": views.time(notice.at),
            }
        case PlanMade():
            return "plan", {
                "cabinet_id": notice.cabinet_id,
                "plan_id": notice.plan_id,
                "outcome": notice.outcome,
                "at": views.time(notice.at),
            }
        case CabinetWatched():
            return "feeder", {
                "cabinet_id": notice.cabinet_id,
                "kind": notice.kind,
                "text": notice.text,
                "at": views.time(notice.at),
            }
        case HeadAnchored():
            return "anchor", {
                "size": notice.size,
                "root": notice.root,
                "tx_hash": notice.tx_hash,
                "at": views.time(notice.at),
            }
        case SessionSettled():
            return "settlement", {
                "session_id": notice.session_id,
                "status": notice.status,
                "at": views.time(notice.at),
            }
        case RequestChanged():
            return "request", {
                "session_id": notice.session_id,
                "at": views.time(notice.at),
            }
        case SecurityEventReported():
            return "security", {
                "station_id": notice.station_id,
                "type": notice.kind,
                "critical": notice.is_critical,
                "at": views.time(notice.at),
            }
        case LoadMeasured():
            return "load", {
                "load_id": notice.load_id,
                "current_a": notice.current_a,
                "power_w": notice.power_w,
                "at": views.time(notice.at),
            }
        case SettingChanged():
            return "setting", {"subject": notice.subject, "at": views.time(notice.at)}
        case AlarmRaised():
            return "alarm", {
                "station_id": notice.station_id,
                "component": notice.component,
                "variable": notice.variable,
                "value": notice.value,
                "severity": notice.severity,
                "at": views.time(notice.at),
            }
        case Lagged():
            return "lagged", {"dropped": notice.dropped}


def _fact(notice: FactCommitted) -> tuple[str, dict[str, Any]]:
    kind = type(notice.event).__name__
    if notice.session is not None:
        return "session", {
            "kind": kind,
            "offset": notice.offset,
            "is_new": notice.is_new,
            "is_backlog": notice.is_backlog,
            **views.session(notice.session, request=None, promise=None),
        }
    event = notice.event
    station_id = getattr(event, "station_id", None)
    if station_id is None:
        station_id = event.evse.station_id if event.evse is not None else None  # type: ignore[union-attr]  # every event has one of the two
    return "station", {
        "kind": kind,
        "offset": notice.offset,
        "station_id": station_id,
        "at": views.time(event.received_at),
    }
