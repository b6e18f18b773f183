"""Settled sessions as charge detail records."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from gateway.api.moments import Moment
from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import SessionId
from gateway.domain.ocpi_values import date_time

MAX_LIMIT: Final = 100
MAX_OFFSET: Final = 2**31

router = APIRouter(tags=["sessions"], route_class=CheckedRoute)


@router.get("/sessions/{session_id}/cdr")
async def session_cdr(
    session_id: str, context: Context, _caller: Viewer
) -> dict[str, Any]:
    """Its settled bill as an OCPI 2.2.1 CDR; 409 ``not_settled`` until there is one.

    409 ``no_cdr_settings`` names the settings that a record needs.
    """
    return await context.cdrs.record(SessionId(session_id))


@router.get("/sessions/{session_id}/cdrs")
async def session_cdrs(
    session_id: str, context: Context, _caller: Viewer
) -> list[dict[str, Any]]:
    """Its CDR, and two for each credit: one takes it back, one says what is left."""
    return await context.cdrs.records(SessionId(session_id))


@router.get("/cdrs")
async def all_cdrs(
    *,
    request: Request,
    response: Response,
    context: Context,
    _caller: Operator,
    date_from: Moment | None = None,
    date_to: Moment | None = None,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
) -> list[dict[str, object]]:
    """OCPI 2.2.1 CDRs by ``last_updated``, oldest first, in pages as OCPI has them.

    From ``date_from`` until before ``date_to``. ``Link`` (``rel="next"``) leads to the
    next page, ``X-Total-Count`` counts those of the window, ``X-Limit`` is the most
    that one page has.
    """
    page = await context.cdrs.page(date_from, date_to, offset=offset, limit=limit)
    response.headers["X-Total-Count"] = str(page.total)
    response.headers["X-Limit"] = str(MAX_LIMIT)
    after = offset + len(page.records)
    if page.records and after < page.total:
        window = {"date_from": date_from, "date_to": date_to}
        query = urlencode(
            {
                **{name: date_time(at) for name, at in window.items() if at},
                "offset": after,
                "limit": limit,
            }
        )
        here = f"{context.public_url()}{request.url.path}"
        response.headers["Link"] = f'<{here}?{query}>; rel="next"'
    return list(page.records)
