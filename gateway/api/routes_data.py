"""What stations sent by DataTransfer."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Viewer
from gateway.store.data_transfers import MAX_KEPT

router = APIRouter(tags=["calls"], route_class=CheckedRoute)


@router.get("/stations/{station_id}/data-transfers")
async def data_transfers(
    station_id: str,
    context: Context,
    _caller: Viewer,
    vendor_id: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_KEPT)] = 100,
) -> list[dict[str, Any]]:
    """Vendors' messages and their answers, newest first; the last 200 are kept."""
    entry = context.directory.require(station_id)
    found = await context.drivers.data_transfers.newest(
        entry.station_id, vendor_id, limit
    )
    return [
        {
            "received_at": views.time(row.received_at),
            "vendor_id": row.vendor_id,
            "message_id": row.message_id,
            "data": row.data,
            "status": row.status,
            "answer": row.answer,
        }
        for row in found
    ]
