"""The bill behind a driver's link: the link is the right to see it, and no other."""

from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from gateway.domain.ids import SessionId
from gateway.errors import RequestError, StoreError
from gateway.services.bill_pdf import PaperSize
from gateway.services.bills import Ask
from gateway.web.bill_page import BillPage
from gateway.web.bill_pages import ask_of, pdf_answer
from gateway.web.driver import MAX_TOKEN, gone
from gateway.web.plain import Markup, PlainPage
from gateway.web.ports import BillDesk, LiveView
from gateway.web.verify_page import verify_response

Language = Annotated[Literal["en", "de", "fr", "nl"] | None, Query(alias="lang")]


class DriverBill:
    """The pages behind ``/d/{token}/bill``."""

    def __init__(self, live: LiveView, bills: BillDesk) -> None:
        self._live = live
        self._bills = bills
        self._page = BillPage()
        self._plain = PlainPage("plain.html")

    async def page(self, token: str, ask: Ask) -> Response:
        """The bill to read and print, or that there is none."""
        session_id = self._session(token)
        if session_id is None:
            return gone(self._plain)
        paper = await self._bills.paper(session_id, ask)
        path = f"/d/{quote(token, safe='')}"
        return self._page.bill(
            paper,
            base=f"{path}/bill",
            back=path,
            receipt=f"{path}/receipt" if paper.verify else None,
            verify=f"{path}/verify",
        )

    async def pdf(self, token: str, ask: Ask, size: PaperSize) -> Response:
        """The same as a file."""
        session_id = self._session(token)
        if session_id is None:
            return gone(self._plain)
        return pdf_answer(await self._bills.pdf(session_id, ask, size))

    async def verify(self, token: str) -> Response:
        """The receipt in a page that checks it, to be kept as one file."""
        if self._session(token) is None:
            return gone(self._plain)
        return verify_response(await self._live.receipt(token))

    def trouble(self, words: str, status: int) -> Response:
        """A page that says why there is no bill."""
        return self._plain.response(
            {
                "title": "No bill yet",
                "headline": "There is no bill yet",
                "body": Markup(f"<p>{escape(words)}</p>"),
                "head": "",
            },
            status=status,
        )

    def _session(self, token: str) -> SessionId | None:
        """The session of a link for as long as its page is shown."""
        if len(token) > MAX_TOKEN or self._live.driver(token) is None:
            return None
        return self._bills.of_link(token)


def add_driver_bill(app: FastAPI, live: LiveView, bills: BillDesk) -> None:
    """Add ``/d/{token}/bill``, its PDF, and ``/d/{token}/verify``."""
    pages = DriverBill(live, bills)

    async def answered(make: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await make()
        except RequestError:
            words = "It is made some minutes after charging ended."
            return pages.trouble(words, 404)
        except StoreError:
            return pages.trouble("It cannot be shown now. Try again in a minute.", 503)

    @app.get("/d/{token}/bill", include_in_schema=False)
    async def bill(request: Request, token: str, language: Language = None) -> Response:
        ask = ask_of(request, language, is_for_driver=True)
        return await answered(partial(pages.page, token, ask))

    @app.get("/d/{token}/bill.pdf", include_in_schema=False)
    async def bill_pdf(
        request: Request,
        token: str,
        language: Language = None,
        paper: PaperSize = PaperSize.A4,
    ) -> Response:
        ask = ask_of(request, language, is_for_driver=True)
        return await answered(partial(pages.pdf, token, ask, paper))

    @app.get("/d/{token}/verify", include_in_schema=False)
    async def verify(token: str) -> Response:
        return await answered(partial(pages.verify, token))
