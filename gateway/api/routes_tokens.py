"""Id tokens and reservations."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.errors import CallFailed, RequestError
from gateway.ocpp.adapter import CallOutcome
from gateway.store import tokens as token_rows

MAX_TOKEN_CHARS = 36

ReservationId = Annotated[int, Path(ge=-(2**31), lt=2**31)]

router = APIRouter(tags=["id tokens and reservations"], route_class=CheckedRoute)


class TokenBody(BaseModel):
    """What is known about an id token."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["Accepted", "Blocked", "Expired", "Invalid"] = "Accepted"
    expires_at: AwareDatetime | None = None
    group: str | None = Field(default=None, max_length=MAX_TOKEN_CHARS)
    type: str | None = Field(default=None, max_length=20)


@router.get("/id-tokens")
async def id_tokens(
    context: Context,
    _caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[dict[str, Any]]:
    """Known tokens, by value."""
    rows = await context.queries.id_tokens(limit=limit)
    return [views.id_token(row) for row in rows]


@router.get("/id-tokens/{token:path}")
async def id_token(token: str, context: Context, _caller: Viewer) -> dict[str, Any]:
    """One token; an unknown one answers ``Invalid``."""
    row = await context.queries.id_token(token)
    if row is None:
        return {
            "token": token,
            "type": None,
            "status": "Invalid",
            "expires_at": None,
            "group": None,
            "updated_at": None,
        }
    return views.id_token(row)


@router.put("/id-tokens/{token:path}")
async def put_id_token(
    token: str, body: Annotated[TokenBody, Body()], context: Context, caller: Operator
) -> dict[str, Any]:
    """Make a token known, or change it."""
    if not 1 <= len(token) <= MAX_TOKEN_CHARS:
        raise RequestError(422, "bad_token", f"1 to {MAX_TOKEN_CHARS} characters")
    now = context.clock.now()
    await context.writer.run(
        lambda conn: token_rows.put(
            conn,
            value=token,
            kind=body.type or "",
            status=body.status,
            expires_at=body.expires_at,
            group_id=body.group,
            now=now,
        )
    )
    await context.audit(caller, "id_token.put", "id-token", {"status": body.status})
    return await id_token(token, context, caller)


@router.delete("/id-tokens/{token:path}", status_code=204)
async def delete_id_token(token: str, context: Context, caller: Operator) -> None:
    """Forget a token: it answers ``Invalid`` from now on."""
    found = await context.writer.run(lambda conn: token_rows.delete(conn, token))
    if not found:
        raise RequestError(404, "unknown_token", "no such id token")
    await context.audit(caller, "id_token.deleted", "id-token", {})


@router.get("/reservations")
async def reservations(
    context: Context, _caller: Viewer, station_id: str | None = None
) -> list[dict[str, Any]]:
    """Reservations, newest first; ``station_id`` null: of all stations."""
    rows = await context.queries.reservations(station_id)
    now = context.clock.now()
    return [views.reservation(row, now) for row in rows]


@router.get("/reservations/{reservation_id}")
async def reservation(
    reservation_id: ReservationId,
    context: Context,
    _caller: Viewer,
    station_id: str | None = None,
) -> dict[str, Any]:
    """One reservation; ``station_id`` chooses where several stations know the id."""
    row = await context.queries.reservation(reservation_id, station_id)
    if row is None:
        raise RequestError(
            404, "unknown_reservation", f"no reservation {reservation_id}"
        )
    return views.reservation(row, context.clock.now())


@router.delete("/reservations/{reservation_id}")
async def cancel_reservation(
    reservation_id: ReservationId,
    context: Context,
    caller: Operator,
    station_id: str | None = None,
) -> dict[str, Any]:
    """Cancel a reservation at its station (CancelReservation); answers what it is now.

    409 ``not_reserved`` if it is not open, ``not_connected``, or ``not_cancelled``: the
    station refused, or did not answer.
    """
    view = await reservation(reservation_id, context, caller, station_id)
    if view["status"] != "Reserved":
        raise RequestError(
            409, "not_reserved", f"the reservation is {view['status']} already"
        )
    entry = context.directory.require(str(view["station_id"]))
    adapter = context.links.adapter(entry.station_id)
    if adapter is None:
        raise RequestError(409, "not_connected", f"{entry.station_id} is not connected")
    command = adapter.encode_cancel_reservation(reservation_id)
    try:
        answer = await context.call(entry.station_id, command, context.call_timeout_s)
    except CallFailed as error:
        raise RequestError(409, "not_cancelled", str(error)) from error
    if adapter.outcome(command.action, answer) is not CallOutcome.ACCEPTED:
        raise RequestError(
            409, "not_cancelled", f"the station answered {answer.get('status')}"
        )
    await context.audit(
        caller,
        "reservation.cancelled",
        f"reservation/{reservation_id}",
        {"station_id": entry.station_id},
    )
    return await reservation(reservation_id, context, caller, entry.station_id)
