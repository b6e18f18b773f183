"""Sessions: what was charged, what is needed, what it costs, and the proof."""

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views, views_signed
from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.session import Session
from gateway.errors import RequestError
from gateway.services import flexibility, metering_view
from gateway.store import signed
from gateway.store.queries import SessionFilter

MAX_LIMIT = 1000

router = APIRouter(prefix="/sessions", tags=["sessions"], route_class=CheckedRoute)


class NeedBody(BaseModel):
    """What the driver of a session needs."""

    model_config = ConfigDict(extra="forbid")

    energy_wh: float | None = Field(default=None, gt=0, le=1_000_000)
    target_soc_percent: float | None = Field(default=None, gt=0, le=100)
    departure_at: Moment | None = None
    may_pause: bool | None = Field(
        default=None,
        description="False: plans do not pause it once it charges. Null: as it was",
    )


@router.get("")
async def sessions(
    *,
    context: Context,
    _caller: Viewer,
    station_id: str | None = None,
    id_token: str | None = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    before: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
) -> list[dict[str, Any]]:
    """Sessions, newest first; ``before`` (a ``started_at``) continues a list."""
    which = SessionFilter(
        station_id=station_id,
        id_token=id_token,
        is_open=is_open,
        started_before=before,
    )
    rows = await context.queries.sessions(which, limit=limit)
    return await _views(context, rows)


@router.get("/{session_id}")
async def session(session_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One session, with what its signed meter records prove.

    ``signed`` has a ``verdict``: ``ok``, ``unsigned``, ``unverified`` (there are
    records, but they do not suffice) or ``failed``; ``reasons``; and the ``records``,
    each with the ``reason`` that speaks against it, or ``null``.
    """
    row = await _require(context, session_id)
    found = await context.queries.rows(signed.FINDING, (row.session_id,))
    records = await context.queries.rows(signed.RECORDS, (row.session_id,))
    return {
        **await _view(context, row),
        "signed": views_signed.session(
            signed.finding_of_row(found[0]) if found else None,
            [signed.record_of_row(one) for one in records],
        ),
    }


@router.get("/{session_id}/readings")
async def readings(
    session_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Its samples, in the order of the station's time."""
    row = await _require(context, session_id)
    return [views.reading(r) for r in await context.queries.readings(row.session_id)]


@router.get("/{session_id}/metering")
async def metering(
    session_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """How its energy was found: every source, the verdict of now, and why.

    ``judgement`` is ``null`` while it runs. ``basis`` names the source that counts:
    ``signed``, ``transaction``, ``samples``, ``intervals``, ``power`` (an estimate,
    never billed) or ``none``.
    """
    row = await _require(context, session_id)
    work = partial(metering_view.of_session, session=row, rating=context.rating)
    return await asyncio.to_thread(context.queries.read_now, work)


@router.get("/{session_id}/flexibility")
async def session_flexibility(
    session_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """What it gave by waiting, interval by interval; 409 ``running`` until it is over.

    ``shifted_milliwh`` waited for our limits and was delivered all the same;
    ``uncontrolled_milliwh`` is what the car would have taken. ``stay`` says what was
    credited once its day is shared.
    """
    row = await _require(context, session_id)
    if row.ended_at is None:
        raise RequestError(409, "running", "it is known when the session is over")
    work = partial(flexibility.of_session, session=row)
    return await asyncio.to_thread(context.queries.read_now, work)


@router.get("/{session_id}/bill")
async def bill(session_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """Its bill, complete enough to check by hand; 404 ``no_bill`` until it is made."""
    row = await _require(context, session_id)
    return await context.bills.json(row.session_id)


@router.post("/{session_id}/bill/release")
async def release_bill(
    session_id: str, context: Context, caller: Operator
) -> dict[str, Any]:
    """Settle a held bill on the operator's word; 409 if it is settled already.

    The proposal in the bill is what gets settled; the trail keeps who said so.
    """
    row = await _require(context, session_id)
    await context.settlement.release(row.session_id, caller.token_id)
    return await context.bills.json(row.session_id)


@router.get("/{session_id}/receipt")
async def receipt(session_id: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """Everything needed to check its bill offline: ``wattproof verify FILE``."""
    row = await _require(context, session_id)
    return await context.receipts.receipt(row.session_id)


@router.get("/{session_id}/signed-data.xml", response_class=Response)
async def signed_data(session_id: str, context: Context, _caller: Viewer) -> Response:
    """What its meter signed, as the transparency software of S.A.F.E. opens it."""
    row = await _require(context, session_id)
    return Response(
        await context.receipts.signed_xml(row.session_id), media_type="application/xml"
    )


@router.get("/{session_id}/driver-link")
async def driver_link(
    session_id: str, context: Context, _caller: Operator
) -> dict[str, str]:
    """Path of the driver's page of this session."""
    row = await _require(context, session_id)
    return {"path": f"/d/{context.needs.driver_token(row.session_id)}"}


@router.put("/{session_id}/request")
async def put_request(
    session_id: str,
    body: Annotated[NeedBody, Body()],
    context: Context,
    caller: Operator,
) -> dict[str, Any]:
    """Say what the driver needs; the plan follows within seconds.

    ``energy_wh`` counts from the start of the session; ``target_soc_percent`` needs a
    car that tells its state of charge. A member left out is not needed any more, but
    ``may_pause`` alone changes nothing else.
    ``feasibility`` says at once what comes of it, by the newest plan.
    """
    row = await _require(context, session_id)
    found = context.overview.feasibility(
        row, energy_wh=body.energy_wh, departure_at=body.departure_at
    )
    await context.needs.set_need(
        row,
        energy_wh=body.energy_wh,
        target_soc_percent=body.target_soc_percent,
        departure_at=body.departure_at,
        source=f"api/{caller.token_id}",
        may_pause=body.may_pause,
    )
    if body.may_pause is not None:
        said = {"may_pause": body.may_pause}
        await context.audit(caller, "session.pausing", f"session/{session_id}", said)
    return {**await _view(context, row), "feasibility": views.feasibility(found)}


@router.get("/{session_id}/feasibility")
async def get_feasibility(
    session_id: str,
    context: Context,
    _caller: Viewer,
    energy_wh: Annotated[float | None, Query(gt=0, le=1_000_000)] = None,
    departure_at: Moment | None = None,
) -> dict[str, Any]:
    """What a request would come to, before anybody makes it; by the newest plan.

    ``verdict``: ``fits`` beside the other cars as planned, ``tight``: only if a new
    plan makes room, ``beyond``: not in that time even alone. ``sure_wh`` and
    ``most_wh`` say how much, from the start of the session on. What is left out counts
    as it is known. 404 ``no_plan`` until the session is planned.
    """
    row = await _require(context, session_id)
    found = context.overview.feasibility(
        row, energy_wh=energy_wh, departure_at=departure_at
    )
    told = views.feasibility(found)
    if told is None:
        raise RequestError(404, "no_plan", "nothing is planned for this session yet")
    return told


@router.post("/{session_id}/end")
async def end_session(
    session_id: str, context: Context, caller: Operator
) -> dict[str, Any]:
    """Close a session that its station will never end.

    It is never billed by itself: its bill waits for ``POST .../bill/release``.
    """
    row = await _require(context, session_id)
    await context.needs.end_by_operator(row)
    await context.audit(caller, "session.ended", f"session/{row.session_id}", {})
    return await _view(context, await _require(context, session_id))


async def _require(context: Context, session_id: str) -> Session:
    row = await context.queries.session(session_id)
    if row is None:
        raise RequestError(404, "unknown_session", f"no session {session_id!r}")
    return row


async def _view(context: Context, row: Session) -> dict[str, Any]:
    return (await _views(context, [row]))[0]


async def _views(context: Context, rows: list[Session]) -> list[dict[str, Any]]:
    """Sessions with what was asked and promised for them; two queries for all."""
    ids = [row.session_id for row in rows]
    asked = await context.needs.requests(ids)
    promised = await context.needs.promises(ids)
    return [
        views.session(
            row,
            request=asked.get(row.session_id),
            promise=promised.get(row.session_id),
        )
        for row in rows
    ]
