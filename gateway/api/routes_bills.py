"""Bills on paper, and the bills of a month for bookkeeping."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from gateway.api.requests import CheckedRoute
from gateway.api.security import Context, Operator, Viewer
from gateway.domain.ids import SessionId
from gateway.domain.months import Month
from gateway.errors import RequestError
from gateway.services.bill_pdf import PaperSize
from gateway.services.bills import Ask

PDF: Final = "application/pdf"
CSV: Final = "text/csv; charset=utf-8; header=present"
NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

router = APIRouter(tags=["bills"], route_class=CheckedRoute)

Language = Annotated[Literal["en", "de", "fr", "nl"] | None, Query(alias="lang")]
MonthText = Annotated[str, Query(alias="month", examples=["2026-03"], max_length=20)]


@router.get(
    "/sessions/{session_id}/bill.pdf",
    response_class=Response,
    responses={200: {"content": {PDF: {}}}},
)
async def bill_pdf(
    *,
    session_id: str,
    request: Request,
    context: Context,
    _caller: Viewer,
    language: Language = None,
    paper: PaperSize = PaperSize.A4,
) -> Response:
    """Its bill as PDF, the same bytes for the same bill; 404 until it is made.

    Without ``lang`` it is in the language that ``Accept-Language`` prefers, else in
    ``billing.language``.
    """
    accepted = request.headers.get("accept-language")
    ask = Ask(language=language, accepted=accepted)
    drawn = await context.bills.pdf(SessionId(session_id), ask, paper)
    return Response(drawn, media_type=PDF, headers=_named(f"bill-{session_id}.pdf"))


@router.get("/exports/bills")
async def month_totals(
    context: Context, _caller: Operator, month: MonthText
) -> dict[str, Any]:
    """What the settled bills and the credits of a month come to, by currency.

    A bill belongs to the month in which it was settled, by the site's time zone.
    """
    return await context.bills.totals(_month(month))


@router.get(
    "/exports/bills.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}}},
)
async def month_csv(
    context: Context, _caller: Operator, month: MonthText
) -> StreamingResponse:
    """The bills and credits of a month as CSV (RFC 4180), a row each, oldest first.

    Credits are below zero, and held and waived bills have no amounts: the sum of a
    column is what is owed.
    """
    found = _month(month)
    lines = context.bills.csv(found)
    first = [await anext(lines), await anext(lines, "")]  # a broken store is told now
    return StreamingResponse(
        _joined(first, lines), media_type=CSV, headers=_named(f"bills-{found}.csv")
    )


async def _joined(first: list[str], lines: AsyncIterator[str]) -> AsyncIterator[str]:
    for text in first:
        yield text
    async for text in lines:
        yield text


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError as error:
        raise RequestError(422, "bad_month", f"month: {error}") from error


def _named(name: str) -> dict[str, str]:
    return {**NO_STORE, "Content-Disposition": f'attachment; filename="{name}"'}
