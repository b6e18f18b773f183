"""Stations: who is registered, who is online, who knocks."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import STATION_ID, StationId
from gateway.errors import RequestError
from gateway.store import money

Limit = Annotated[int, Query(ge=1, le=1000)]

Outage = Annotated[int, Query(ge=0, le=3600)]

router = APIRouter(tags=["stations"], route_class=CheckedRoute)


@router.get("/stations")
async def stations(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Every registered station with its EVSEs, by id."""
    return await context.overview.stations()


@router.get("/stations/{station_id}")
async def station(station_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One station: what it is, what it does, how it is wired (``definition``)."""
    entry = context.directory.require(station_id)
    return await context.overview.station(entry.station_id)


@router.put("/stations/{station_id}")
async def put_station(
    station_id: str,
    body: Annotated[dict[str, Any], Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Register or change a station; members left out keep their value.

    The body is the ``[[station]]`` table as JSON: ``cabinet_id``, ``evses`` (a list
    that replaces the known one: ``evse_id``, ``current_type``, ``phases``, ``max_a``,
    ``min_a``, ``max_w``, ``min_w``, ``floor_a``, ``public``), ``unit``, ``tariff_id``,
    ``managed``, ``latitude_deg``, ``longitude_deg``, ``clock_skew_s``,
    ``default_energy_wh``, ``default_stay_s``, ``assume_version`` (spoken when the
    station offers none), ``pin_version`` (the only one it may speak), ``main_meter``
    (the load or feeder meter that its connector 0 measures), ``owner`` and
    ``service_status`` (for the registry on the chain), ``strict``
    (nothing is tolerated), ``compression`` (these but ``main_meter`` from the next
    connection on); and ``password`` (8 to 64 bytes; from the next connection on),
    ``security_profile``, ``registration`` (from the next BootNotification on),
    ``items_per_message``. Wiring that the API set counts from then on, also for a
    station of the configuration: its ``source`` becomes ``api``. 404
    ``unknown_tariff`` where ``tariff_id`` names none: its bills would all wait.
    """
    if STATION_ID.fullmatch(station_id) is None:
        raise RequestError(
            422, "bad_station_id", "1 to 48 letters, digits and . _ : @ = + -"
        )
    tariff_id = body.get("tariff_id")
    if isinstance(tariff_id, str):
        await _require_tariff(context, tariff_id)
    entry = await context.directory.put(
        StationId(station_id), body, is_admin=caller.is_admin
    )
    said = {key: value for key, value in body.items() if key != "password"}
    await context.audit(caller, "station.put", f"station/{entry.station_id}", said)
    return await context.overview.station(entry.station_id)


@router.delete("/stations/{station_id}", status_code=204)
async def delete_station(station_id: str, context: Context, caller: Operator) -> None:
    """Forget a station; its sessions, frames and bills stay.

    409 ``from_config`` while config.toml names it.
    """
    entry = context.directory.require(station_id)
    await context.directory.delete(entry.station_id)
    context.links.disconnect(entry.station_id, "the station was removed")
    await context.audit(caller, "station.deleted", f"station/{entry.station_id}", {})


@router.post("/stations/{station_id}/commissioning")
async def commission(
    station_id: str,
    context: Context,
    caller: Operator,
    restart: bool = False,
    outage_s: Outage = 0,
) -> dict[str, Any]:
    """Run the obedience test and store its result.

    With ``restart`` an idle station is restarted, too; with ``outage_s`` its network is
    taken away for so many seconds: its connections are refused, and what it draws
    when it is back is measured.
    """
    entry = context.directory.require(station_id)
    asked = {"restart": restart, "outage_s": outage_s}
    await context.audit(caller, "station.tested", f"station/{entry.station_id}", asked)
    return await context.obedience.asked(
        entry.station_id, restart=restart, outage_s=outage_s
    )


@router.get("/stations/{station_id}/refused-frames")
async def refused_frames(
    station_id: str, context: Context, _caller: Viewer, limit: Limit = 100
) -> list[dict[str, Any]]:
    """Frames that were answered with a CALLERROR, latest first."""
    entry = context.directory.require(station_id)
    found = await context.queries.refused_frames(entry.station_id, limit=limit)
    return [
        {
            "frame_id": row.frame_id,
            "received_at": views.time(row.received_at),
            "message_id": row.message_id,
            "action": row.action,
            "error_kind": row.error_kind,
            "description": row.description,
            "raw": row.raw.decode(errors="replace"),
        }
        for row in found
    ]


@router.get("/knocking")
async def knocking(context: Context, _caller: Viewer) -> list[dict[str, Any]]:
    """Unknown stations, and known ones with a wrong password, that were refused."""
    return [
        {
            **asdict(row),
            "first_seen_at": views.time(row.first_seen_at),
            "last_seen_at": views.time(row.last_seen_at),
        }
        for row in await context.queries.knocking()
    ]


async def _require_tariff(context: Context, tariff_id: str) -> None:
    found = await asyncio.to_thread(
        context.queries.read_now, lambda conn: money.find_tariff(conn, tariff_id)
    )
    if found is None:
        raise RequestError(404, "unknown_tariff", f"no tariff {tariff_id!r}")
