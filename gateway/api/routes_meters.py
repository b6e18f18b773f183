"""What stations' registers count, in which unit they seem to be, and who says so."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import CabinetId
from gateway.errors import RequestError
from gateway.services import meter_watch
from gateway.services.residual import of_cabinet
from gateway.store import meters
from gateway.store.meters import UnitDecision
from gateway.store.times import to_text

Limit = Annotated[int, Query(ge=1, le=500)]
Name = Annotated[str | None, Query(max_length=255)]
Word = Annotated[str, Field(min_length=1, max_length=255)]
Decision = Literal["confirmed", "dismissed"]

router = APIRouter(tags=["meters"], route_class=CheckedRoute)


class StationUnit(BaseModel):
    """A word about the registers of a station."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision = Field(
        description="confirmed: the unit is wrong; dismissed: it is right"
    )


class ModelUnit(StationUnit):
    """A word about the registers of all stations of a model."""

    vendor: Word
    model: Word


@router.get("/stations/{station_id}/meters")
async def of_station(
    station_id: str, context: Context, _caller: Viewer, limit: Limit = 100
) -> dict[str, Any]:
    """What the registers of a station's EVSEs count, by its latest sessions.

    Per EVSE ``semantics`` (``lifetime``, ``per_transaction``, ``resets_at_boot``,
    ``resets``, ``unknown``), ``oddities`` with the number of sessions that showed each,
    the ``segments`` in which the register only grew, each with what its sessions, an
    idle station and nobody known (``missing_milliwh``) drew, and ``unit``: what
    comparing with power, current or the EVSE's maximum shows. ``factor`` is a
    suggestion; no register is ever multiplied. ``decision`` is an operator's word, of
    the station or its model.
    """
    entry = context.directory.require(station_id)
    work = partial(
        meter_watch.of_station,
        station_id=entry.station_id,
        limit=limit,
        rating=context.rating,
    )
    return await asyncio.to_thread(context.queries.read_now, work)


@router.get("/meters")
async def of_models(
    context: Context, _caller: Viewer, vendor: Name = None, model: Name = None
) -> list[dict[str, Any]]:
    """Models with how many meters count what, and what their unit seems to be.

    Of each model the 50 stations seen last are looked at.
    """
    work = partial(
        meter_watch.of_models, vendor=vendor, model=model, rating=context.rating
    )
    return await asyncio.to_thread(context.queries.read_now, work)


@router.get("/cabinets/{cabinet_id}/residual")
async def residual(
    cabinet_id: str,
    context: Context,
    _caller: Viewer,
    hours: Annotated[int, Query(ge=1, le=744)] = 24,
) -> dict[str, Any]:
    """A cabinet's main meter against the sessions below it, over the last hours.

    ``sessions_milliwh`` is the least that they drew between two registers of the main
    meter. ``fit`` is ``exceeded`` where that is more than it counted (and 8 % and
    500 Wh), else ``fits``, or ``unknown``. What is left (``residual_milliwh``) is
    losses, the stations themselves and other loads, and never says anything.
    """
    site, now = context.directory.site, context.clock.now()
    if site.cabinet(CabinetId(cabinet_id)) is None:
        raise RequestError(404, "unknown_cabinet", f"no cabinet {cabinet_id!r}")
    work = partial(
        of_cabinet,
        site=site,
        cabinet_id=CabinetId(cabinet_id),
        begin=now - timedelta(hours=hours),
        end=now,
    )
    found = await asyncio.to_thread(context.queries.read_now, work)
    if found is None:
        raise RequestError(
            404,
            "no_main_meter",
            "no station's main_meter is the feeder_meter of this cabinet, or PV or a"
            " battery below it could deliver as well",
        )
    span = found.span
    main_milliwh = None if span is None else span.milliwh
    return {
        "cabinet_id": cabinet_id,
        "station_id": found.station_id,
        "from": None if span is None else to_text(span.from_at),
        "to": None if span is None else to_text(span.to_at),
        "main_milliwh": main_milliwh,
        "sessions_milliwh": found.sessions_milliwh,
        "sessions": found.n_session,
        "residual_milliwh": None
        if main_milliwh is None
        else main_milliwh - found.sessions_milliwh,
        "fit": found.fit.value,
    }


@router.put("/stations/{station_id}/meters/unit")
async def decide_for_station(
    station_id: str,
    body: Annotated[StationUnit, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Confirm that a station's registers are in a wrong unit, or that they are right.

    From then on the bills of a station that was confirmed wrong are held
    (``register_unit``); of one that was confirmed right, no comparison holds a bill.
    """
    entry = context.directory.require(station_id)
    work = partial(
        meter_watch.proposed, station_id=entry.station_id, rating=context.rating
    )
    factor = await asyncio.to_thread(context.queries.read_now, work)
    about = _station(entry.station_id)
    await _decide(context, caller, about, body, factor)
    return await of_station(station_id, context, caller)


@router.delete("/stations/{station_id}/meters/unit", status_code=204)
async def withdraw_for_station(
    station_id: str, context: Context, caller: Operator
) -> None:
    """Withdraw the word about a station's registers."""
    entry = context.directory.require(station_id)
    about = _station(entry.station_id)
    await _withdraw(context, caller, about)


@router.put("/meters/unit")
async def decide_for_model(
    body: Annotated[ModelUnit, Body()], context: Context, caller: Operator
) -> list[dict[str, Any]]:
    """Confirm that a model's registers are in a wrong unit, or that they are right.

    A word about a station itself counts before the one about its model.
    """
    found = await of_models(context, caller, body.vendor, body.model)
    if not found:
        raise RequestError(404, "unknown_model", "no station of this vendor and model")
    factor = str(found[0]["unit"]["factor"] or "")
    about = _model(body.vendor, body.model)
    await _decide(context, caller, about, body, factor)
    return await of_models(context, caller, body.vendor, body.model)


@router.delete("/meters/unit", status_code=204)
async def withdraw_for_model(
    context: Context,
    caller: Operator,
    vendor: Annotated[str, Query(min_length=1, max_length=255)],
    model: Annotated[str, Query(min_length=1, max_length=255)],
) -> None:
    """Withdraw the word about a model's registers."""
    await _withdraw(context, caller, _model(vendor, model))


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What a word is about: its key in the store, its name in the audit trail."""

    scope: str
    key: str
    name: str


def _station(station_id: str) -> _About:
    return _About(scope="station", key=station_id, name=f"station/{station_id}")


def _model(vendor: str, model: str) -> _About:
    key = meters.model_subject(vendor, model)
    return _About(scope="model", key=key, name=f"model/{vendor}/{model}")


async def _decide(
    context: Context, caller: Operator, about: _About, body: StationUnit, factor: str
) -> None:
    said = UnitDecision(
        scope=about.scope,
        decision=body.decision,
        factor=factor,
        decided_at=to_text(context.clock.now()),
        decided_by=caller.token_id,
    )
    await context.writer.run(
        lambda conn: meters.decide(conn, about.scope, about.key, said)
    )
    detail = {"decision": body.decision, "factor": factor}
    await context.audit(caller, "register_unit.decided", about.name, detail)


async def _withdraw(context: Context, caller: Operator, about: _About) -> None:
    was_said = await context.writer.run(
        lambda conn: meters.withdraw(conn, about.scope, about.key)
    )
    if not was_said:
        raise RequestError(404, "no_decision", "nothing was said about these registers")
    await context.audit(caller, "register_unit.withdrawn", about.name, {})
