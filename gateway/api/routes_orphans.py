"""What stations said of transactions that nobody knows."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Viewer

Limit = Annotated[int, Query(ge=1, le=1000)]

router = APIRouter(tags=["sessions"], route_class=CheckedRoute)


@router.get("/orphans")
async def orphans(
    context: Context,
    _caller: Viewer,
    station_id: Annotated[str | None, Query(max_length=255)] = None,
    limit: Limit = 100,
) -> list[dict[str, Any]]:
    """Ends and meter values that fit no session, latest first.

    The station was answered as if they did, so that it stops repeating them. ``kind``
    is ``ended`` or ``updated``; ``reason`` is ``unknown_transaction``, or
    ``ambiguous_place`` where several sessions could be meant; ``frame_offset`` names
    the frame in the journal. They bill nobody.
    """
    if station_id is not None:
        station_id = context.directory.require(station_id).station_id
    return [
        {
            **asdict(row),
            "occurred_at": views.time(row.occurred_at),
            "received_at": views.time(row.received_at),
        }
        for row in await context.queries.orphans(station_id, limit=limit)
    ]
