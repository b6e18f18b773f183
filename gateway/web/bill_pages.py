"""Where operators find bills: those of a month, each on a page, and the export."""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from html import escape
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import Response

from gateway.domain.bill_sums import decimal_text, minor_text
from gateway.domain.bill_tables import Table
from gateway.domain.ids import SessionId
from gateway.domain.months import Month
from gateway.domain.tariff_terms import MILLIWH_PER_KWH
from gateway.errors import RequestError
from gateway.services.bill_export import amounts_minor
from gateway.services.bill_pdf import PaperSize
from gateway.services.bills import Ask
from gateway.store.bills import BillLine
from gateway.web.bill_page import (
    STATES,
    BillPage,
    answered,
    link,
    pairs_html,
    table_html,
)
from gateway.web.headers import BILLS_PATH, COCKPIT_PATH, CORRECTIONS_PATH
from gateway.web.login import COOKIE, LoggedIn
from gateway.web.ports import Access, BillDesk, LiveView

PER_PAGE: Final = 200
MAX_ID: Final = 100
LISTED: Final = 3
"""Decimals of kWh in lists; bill and export have all."""
EXPORT: Final = "/api/v1/exports/bills.csv"

_HOW: Final = (
    '<p class="soft">A bill belongs to the month in which it was settled, by the clock'
    " of the site. Held bills have no amount: nothing is owed.</p>"
)

SessionName = Annotated[str, Path(max_length=MAX_ID)]
Language = Annotated[Literal["en", "de", "fr", "nl"] | None, Query(alias="lang")]


class BillPages:
    """Bills for whoever is logged in to the cockpit."""

    def __init__(self, live: LiveView, access: Access, bills: BillDesk) -> None:
        self._live = live
        self._access = access
        self._bills = bills
        self._page = BillPage()

    async def bill(self, session_id: str, ask: Ask) -> Response:
        """One bill to read and print."""
        paper = await self._bills.paper(SessionId(session_id), ask)
        base = f"{BILLS_PATH}/{quote(session_id, safe='')}"
        month = Month.of(paper.dated_at, self._zone())
        receipt = f"/api/v1/sessions/{quote(session_id, safe='')}/receipt"
        return self._page.bill(
            paper,
            base=base,
            back=f"{BILLS_PATH}?month={month}",
            receipt=receipt if paper.verify else None,
            decide=f"{CORRECTIONS_PATH}/{quote(session_id, safe='')}",
        )

    async def pdf(self, session_id: str, ask: Ask, size: PaperSize) -> Response:
        """The same as a file."""
        return pdf_answer(await self._bills.pdf(SessionId(session_id), ask, size))

    async def month(self, request: Request, text: str, after: str) -> Response:
        """The bills of a month with links to each; sums and export for operators."""
        month = self._bills.this_month() if not text else _month(text)
        found = await self._bills.lines(month, _position(after), PER_PAGE + 1)
        shown, has_more = found[:PER_PAGE], len(found) > PER_PAGE
        secret = request.cookies.get(COOKIE, "")
        is_operator = await self._access.operator_of(secret) is not None
        sums = await self._bills.totals(month) if is_operator else None
        body = [
            f"<h1>Bills of {month}</h1>",
            _totals(sums),
            self._list(shown) if shown else "<p>There are none.</p>",
            _more(month, shown[-1]) if has_more else "",
            _HOW,
        ]
        return self._page.page(
            title=f"Bills of {month} · Wattproof",
            nav=self._nav(month, is_operator=is_operator),
            body="".join(body),
        )

    def trouble(self, words: str, status: int) -> Response:
        """A page that says why there is no bill."""
        return self._page.page(
            title="No bill · Wattproof",
            nav=f"<nav>{link(BILLS_PATH, 'To the bills')}</nav>",
            body=f"<h1>There is no such bill</h1><p>{escape(words)}</p>",
            status=status,
        )

    def _nav(self, month: Month, *, is_operator: bool) -> str:
        before, after = month.plus(-1), month.plus(1)
        items = [
            link(f"{COCKPIT_PATH}/", "Cockpit"),
            link(f"{BILLS_PATH}?month={before}", f"← {before}"),
        ]
        if month < self._bills.this_month():
            items.append(link(f"{BILLS_PATH}?month={after}", f"{after} →"))
        if is_operator:
            path = f"{EXPORT}?month={month}"
            items.append(link(path, f"Export {month} as CSV", css="button"))
            items.append(link(CORRECTIONS_PATH, "To decide on"))
        return f"<nav>{''.join(items)}</nav>"

    def _list(self, bills: Sequence[BillLine]) -> str:
        zone = self._zone()
        table = Table(
            title="In the order in which they were decided",
            heads=("Decided", "Charger", "State", "Energy", "Amount"),
            rows=tuple(_cells(one, zone) for one in bills),
            n_text=3,
        )
        return table_html(
            table, [f"{BILLS_PATH}/{quote(one.session_id, safe='')}" for one in bills]
        )

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(str(self._live.site()["timezone"]))


def add_bills(app: FastAPI, live: LiveView, access: Access, bills: BillDesk) -> None:
    """Add ``/bills``, ``/bills/{session_id}`` and its PDF."""
    pages = BillPages(live, access, bills)
    logged_in = [Depends(LoggedIn(access))]

    @app.get(BILLS_PATH, include_in_schema=False, dependencies=logged_in)
    async def month_of_bills(
        request: Request, month: str = "", after: str = ""
    ) -> Response:
        return await answered(
            partial(pages.month, request, month, after), pages.trouble
        )

    @app.get(
        f"{BILLS_PATH}/{{session_id}}.pdf",
        include_in_schema=False,
        dependencies=logged_in,
    )
    async def bill_pdf(
        request: Request,
        session_id: SessionName,
        language: Language = None,
        paper: PaperSize = PaperSize.A4,
    ) -> Response:
        ask = ask_of(request, language)
        return await answered(partial(pages.pdf, session_id, ask, paper), pages.trouble)

    @app.get(
        f"{BILLS_PATH}/{{session_id}}",
        include_in_schema=False,
        dependencies=logged_in,
    )
    async def bill(
        request: Request, session_id: SessionName, language: Language = None
    ) -> Response:
        return await answered(
            partial(pages.bill, session_id, ask_of(request, language)), pages.trouble
        )


def ask_of(
    request: Request, language: str | None, *, is_for_driver: bool = False
) -> Ask:
    """How a browser wants a bill."""
    return Ask(
        language=language,
        accepted=request.headers.get("accept-language"),
        is_for_driver=is_for_driver,
    )


def pdf_answer(drawn: bytes) -> Response:
    """A PDF to keep."""
    return Response(
        drawn,
        media_type="application/pdf",
        headers={"Content-Disposition": 'attachment; filename="bill.pdf"'},
    )


def _cells(bill: BillLine, zone: ZoneInfo) -> tuple[str, ...]:
    document = bill.document or {}
    amount = energy = "–"
    if document and bill.is_settled:
        _, gross = amounts_minor(document, bill.given)
        minor = minor_text(gross, int(document["minor_digits"]))
        amount = f"{minor} {document['currency']}"
    if bill.energy_milliwh is not None:
        kwh = Fraction(bill.energy_milliwh, MILLIWH_PER_KWH)
        energy = f"{decimal_text(kwh, LISTED, LISTED)} kWh"
    return (
        f"{bill.decided_at.astimezone(zone):%Y-%m-%d %H:%M %Z}",
        f"{bill.station_id} · {bill.evse_id}",
        f"credit {bill.number}" if bill.given else STATES[bill.status],
        energy,
        amount,
    )


def _totals(sums: dict[str, Any] | None) -> str:
    if sums is None:
        return ""
    pairs = [
        ("Final bills", str(sums["settled"])),
        ("Held", str(sums["held"])),
        ("Waived", str(sums["waived"])),
    ]
    for one in sums["totals"]:
        kwh = decimal_text(Fraction(one["energy_kwh"]), LISTED, LISTED)
        credits_ = f"{one['credits']} credit{'' if one['credits'] == 1 else 's'}"
        said = (
            f"{one['gross']} {one['currency']}, of which {one['vat']} VAT;"
            f" {kwh} kWh; {credits_}"
        )
        pairs.append(("In all", said))
    return pairs_html(pairs)


def _more(month: Month, last: BillLine) -> str:
    after = quote(f"{last.decided_at.isoformat()} {last.number}")
    path = f"{BILLS_PATH}?month={month}&after={after}"
    return f"<nav>{link(path, 'Later ones →')}</nav>"


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError as error:
        raise RequestError(422, "bad_month", f"month: {error}") from error


def _position(text: str) -> tuple[datetime, str] | None:
    """Where a list goes on."""
    if not text:
        return None
    moment, _, number = text.partition(" ")
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise RequestError(422, "bad_position", "after: is no position")
        return at.astimezone(UTC), number
    except (ValueError, OverflowError) as error:
        raise RequestError(422, "bad_position", "after: is no position") from error
