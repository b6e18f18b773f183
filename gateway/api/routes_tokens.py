"""Id tokens and reservations."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.api import views
from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import STATION_ID
from gateway.domain.week_times import WeekTime, week_time
from gateway.errors import CallFailed, RequestError
from gateway.ocpp.adapter import CallOutcome
from gateway.services.token_book import (
    MAX_EVSES,
    MAX_STATIONS,
    MAX_TIMES,
    MAX_TOKEN_CHARS,
)
from gateway.store.tokens import KnownToken, TokenRow

ReservationId = Annotated[int, Path(ge=-(2**31), lt=2**31)]
StationName = Annotated[str, Field(pattern=f"^{STATION_ID.pattern}$")]
Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
Language = Annotated[str, Field(pattern="^[A-Za-z0-9-]{2,8}$")]
TokenType = Literal[
    "Central",
    "eMAID",
    "ISO14443",
    "ISO15693",
    "KeyCode",
    "Local",
    "MacAddress",
]
Kind = Annotated[
    TokenType | None, Query(alias="type", description="2.0.1 token type; null: any")
]

router = APIRouter(tags=["id tokens and reservations"], route_class=CheckedRoute)


class TimeBody(BaseModel):
    """A stretch of some days of the week, in the site's time."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    days: list[Day] = Field(default=[], max_length=7, description="Empty: all")
    begins: str = Field(alias="from", description="HH:MM")
    until: str = Field(description="HH:MM; not after `from`: of the day after")


class TokenBody(BaseModel):
    """What is known about an id token; members left out go back to their default."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["Accepted", "Blocked", "Expired", "Invalid", "NoCredit"] = (
        "Accepted"
    )
    expires_at: Moment | None = None
    group: str | None = Field(default=None, min_length=1, max_length=MAX_TOKEN_CHARS)
    type: TokenType | None = Field(default=None, description="Null: any type")
    max_sessions: int | None = Field(
        default=None, ge=1, le=1000, description="At once; null: the site's setting"
    )
    stations: list[StationName] | None = Field(
        default=None, max_length=MAX_STATIONS, description="The only ones; null: all"
    )
    evse_ids: list[Annotated[int, Field(ge=1, le=1000)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_EVSES,
        description="The only EVSEs of its stations; null: all",
    )
    allowed_times: list[TimeBody] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_TIMES,
        description="When it may charge, site time; null: always",
    )
    evse_types: list[Literal["AC", "DC"]] | None = Field(
        default=None, min_length=1, max_length=2, description="Null: both"
    )
    language: Language | None = Field(default=None, description="RFC 5646, as en-GB")
    language_2: Language | None = Field(default=None, description="Second choice")
    personal_message: str | None = Field(
        default=None,
        min_length=1,
        max_length=512,
        description="Shown by 2.0.1 stations; null: the price, where it is shown",
    )
    contract_id: str | None = Field(
        default=None,
        pattern=r"^[ -~]{1,36}$",
        description="Of the contract behind it, as DE-ABC-C12345678-X; for CDRs",
    )
    may_pause: bool = Field(
        default=True,
        description="False: plans do not pause its sessions once they charge",
    )


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
async def id_token(
    token: str, context: Context, _caller: Viewer, kind: Kind = None
) -> dict[str, Any]:
    """One token, of a type or of any; an unknown one answers ``Invalid``.

    ``unknown_stations``: those of its ``stations`` that are not registered (yet), or
    not spelled so.
    """
    row = await context.queries.id_token(token, kind or "")
    view = views.unknown_token(token) if row is None else views.id_token(row)
    known = {entry.station_id for entry in context.directory.all()}
    strangers = [one for one in view["stations"] or () if one not in known]
    return view | {"unknown_stations": strangers}


@router.put("/id-tokens/{token:path}")
async def put_id_token(
    token: str, body: Annotated[TokenBody, Body()], context: Context, caller: Operator
) -> dict[str, Any]:
    """Make a token known, or change it; one entry per type, and one for any.

    Its ``stations`` may be registered later: those that are not known are taken, and
    named in ``unknown_stations`` of the answer.
    """
    row = TokenRow(
        status=body.status,
        expires_at=body.expires_at,
        group_id=body.group,
        max_sessions=body.max_sessions,
        stations=None if body.stations is None else frozenset(body.stations),
        evse_ids=None if body.evse_ids is None else tuple(body.evse_ids),
        language=body.language,
        language_2=body.language_2,
        personal_message=body.personal_message,
        allowed_times=_times(body.allowed_times),
        evse_types=None if body.evse_types is None else tuple(body.evse_types),
        contract_id=body.contract_id,
        may_pause=body.may_pause,
    )
    kind = body.type or ""
    await context.drivers.tokens.put(KnownToken(value=token, kind=kind, row=row))
    await context.audit(caller, "id_token.put", "id-token", {"status": body.status})
    return await id_token(token, context, caller, body.type)


@router.delete("/id-tokens/{token:path}", status_code=204)
async def delete_id_token(
    token: str, context: Context, caller: Operator, kind: Kind = None
) -> None:
    """Forget a token, of a type or of all: it answers ``Invalid`` from now on."""
    if not await context.drivers.tokens.delete(token, kind):
        raise RequestError(404, "unknown_token", "no such id token")
    await context.audit(caller, "id_token.deleted", "id-token", {})


def _times(asked: list[TimeBody] | None) -> tuple[WeekTime, ...] | None:
    """Stretches of the week.

    Raises:
        RequestError: 422 one of them means nothing.
    """
    if asked is None:
        return None
    try:
        return tuple(week_time(one.days, one.begins, one.until) for one in asked)
    except ValueError as error:
        raise RequestError(422, "bad_time", f"allowed_times: {error}") from error


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
