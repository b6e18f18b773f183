"""What stations do against the specification: by station, by model, on their meters."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Viewer
from gateway.domain.neighbours import REGISTER_TOLERANCE_MILLIWH, Gap
from gateway.store import continuity, deviations

Limit = Annotated[int, Query(ge=1, le=1000)]
Name = Annotated[str | None, Query(max_length=255)]

router = APIRouter(tags=["deviations"], route_class=CheckedRoute)


@router.get("/stations/{station_id}/deviations")
async def of_station(
    station_id: str, context: Context, _caller: Viewer, limit: Limit = 100
) -> list[dict[str, Any]]:
    """Where a station departed from the specification but was understood.

    One entry per kind, action and place (``path``), latest first: how many
    ``messages``, since when, and the latest example (``detail``; ``offset`` names its
    frame in the journal).
    """
    entry = context.directory.require(station_id)
    rows = await context.queries.rows(deviations.OF_STATION, (entry.station_id, limit))
    members = (
        *("kind", "action", "path", "messages", "first_seen_at", "last_seen_at"),
        *("detail", "offset"),
    )
    return [dict(zip(members, row, strict=True)) for row in rows]


@router.get("/stations/{station_id}/deviations/frames")
async def frames_of_station(
    station_id: str, context: Context, _caller: Viewer, limit: Limit = 100
) -> list[dict[str, Any]]:
    """The deviations of the latest frames that have any, frame by frame."""
    entry = context.directory.require(station_id)
    found = await context.queries.deviations(entry.station_id, limit=limit)
    return [
        {**asdict(row), "received_at": views.time(row.received_at)} for row in found
    ]


@router.get("/deviations")
async def of_models(
    context: Context,
    _caller: Viewer,
    vendor: Name = None,
    model: Name = None,
    limit: Limit = 100,
) -> list[dict[str, Any]]:
    """Deviations of all stations of a vendor and model, the most common first.

    ``vendor`` and ``model`` are as the stations say at boot, without regard to case.
    """
    rows = await context.queries.rows(deviations.OF_MODELS, (vendor, model, limit))
    members = (
        *("vendor", "model", "kind", "action", "path", "messages", "stations"),
        *("first_seen_at", "last_seen_at", "detail"),
    )
    return [dict(zip(members, row, strict=True)) for row in rows]


@router.get("/stations/{station_id}/register-gaps")
async def register_gaps(
    station_id: str, context: Context, _caller: Viewer, limit: Limit = 100
) -> list[dict[str, Any]]:
    """Where the register of a session does not go on from the session before.

    ``gap_milliwh`` above zero was drawn between the two: by the station itself
    (``idle``: up to 50 W, and 10 Wh), or in no session that is known
    (``missing_energy``). Below zero the register began anew (``register_rebased``), ran
    over (``register_rollover``), or one of both sessions is wrong
    (``register_overlap``). ``limit`` is how many of the latest sessions are looked at.
    """
    entry = context.directory.require(station_id)
    rows = await context.queries.rows(
        continuity.GAPS, (entry.station_id, limit, REGISTER_TOLERANCE_MILLIWH)
    )
    found = [continuity.gap_of_row(row) for row in rows]
    return [one for one in found if one["kind"] != Gap.NONE.value]
