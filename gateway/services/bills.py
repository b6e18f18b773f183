"""Bills as documents: as JSON, on paper, and by the month."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.domain.bill_facts import BillFacts
from gateway.domain.bill_json import bill_json
from gateway.domain.bill_labels_more import preferred
from gateway.domain.bill_paper import Letterhead, Paper, paper
from gateway.domain.ids import SessionId
from gateway.domain.months import Month
from gateway.domain.topology import Site
from gateway.errors import RequestError
from gateway.services import bill_export
from gateway.services.bill_export import Place
from gateway.services.bill_pdf import PaperSize, bill_pdf
from gateway.services.needs import Needs
from gateway.services.receipts import Receipts
from gateway.store import bills
from gateway.store.bills import BillLine
from gateway.store.queries import Queries

T = TypeVar("T")
MAX_DRAWN: Final = 64
"""PDFs that are kept at hand, about 22 KB each: who asks again costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How a bill is wanted.

    Attributes:
        language: RFC 5646; ``None``: by what is accepted.
        accepted: The header ``Accept-Language``.
        is_for_driver: Without the card and who released it.
    """

    language: str | None = None
    accepted: str | None = None
    is_for_driver: bool = False


class Bills:
    """Reads bills and writes them down for people.

    Args:
        queries: Reads.
        receipts: Knows how far a settlement is.
        needs: Knows drivers' links.
        site: The site as it is now.
        clock: Site clock.
        language: Of bills where a reader asks for none that there are words in.
        issuer: Lines with the operator's name and address.
    """

    def __init__(
        self,
        *,
        queries: Queries,
        receipts: Receipts,
        needs: Needs,
        site: Callable[[], Site],
        clock: Clock,
        language: str,
        issuer: tuple[str, ...] = (),
    ) -> None:
        self._queries = queries
        self._receipts = receipts
        self._needs = needs
        self._site = site
        self._clock = clock
        self._language = language
        self._issuer = issuer
        self._press = asyncio.Semaphore(1)
        self._drawn: dict[tuple[str, PaperSize], bytes] = {}

    async def json(self, session_id: SessionId) -> dict[str, Any]:
        """All of a bill.

        Raises:
            RequestError: 404 no bill yet.
            StoreError: It cannot be read now.
        """
        state = await self._receipts.bill(session_id)
        return {**bill_json(await self._facts(session_id)), **state}

    async def paper(self, session_id: SessionId, ask: Ask) -> Paper:
        """A bill to read.

        Raises:
            RequestError: 404 no bill yet.
            StoreError: It cannot be read now.
        """
        return paper(
            await self._facts(session_id),
            self._letterhead(),
            language=ask.language or preferred(ask.accepted, self._language),
            is_for_driver=ask.is_for_driver,
        )

    async def pdf(self, session_id: SessionId, ask: Ask, size: PaperSize) -> bytes:
        """A bill as PDF; one is made at a time, beside the loop.

        Raises:
            RequestError: 404 no bill yet.
            StoreError: It cannot be read now.
        """
        found = replace(await self.paper(session_id, ask), now=())
        key = (repr(found), size)
        async with self._press:
            drawn = self._drawn.pop(key, None)
            if drawn is None:
                drawn = await asyncio.to_thread(bill_pdf, found, size)
            self._drawn[key] = drawn
            if len(self._drawn) > MAX_DRAWN:
                del self._drawn[next(iter(self._drawn))]
            return drawn

    def of_link(self, token: str) -> SessionId | None:
        """The session of a driver's link; ``None``: it leads nowhere."""
        return self._needs.session_of_link(token)

    def this_month(self) -> Month:
        """The month that it is at the site."""
        return Month.of(self._clock.now(), self._place().timezone)

    async def lines(
        self, month: Month, after: tuple[datetime, str] | None, limit: int
    ) -> list[BillLine]:
        """Bills of a month in the order in which they were decided.

        Raises:
            StoreError: They cannot be read now.
        """
        span = self._place().span(month)
        return await self._read(partial(_page, span, after, limit))

    async def totals(self, month: Month) -> dict[str, Any]:
        """What the settled bills and the credits of a month come to.

        Raises:
            StoreError: They cannot be read now.
        """
        place = self._place()
        span = place.span(month)
        found, credits_ = await self._read(
            lambda conn: (bills.totals(conn, span), bills.credits_in_span(conn, span))
        )
        return bill_export.totals_json(found, credits_, month, place)

    async def csv(self, month: Month) -> AsyncIterator[str]:
        """The bills of a month as CSV, a page of rows at a time.

        Raises:
            StoreError: They cannot be read now.
        """
        place = self._place()
        yield bill_export.head()
        after: tuple[datetime, str] | None = None
        while True:
            text, after = await self._read(partial(_piece, place, month, after))
            if after is None:
                return
            yield text

    async def _facts(self, session_id: SessionId) -> BillFacts:
        found = await self._read(lambda conn: bills.facts(conn, session_id))
        if found is None:
            raise RequestError(404, "no_bill", "the session has no bill yet")
        return found

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._queries.read_now, work)

    def _place(self) -> Place:
        site = self._site()
        return Place(name=site.name, timezone=ZoneInfo(site.timezone))

    def _letterhead(self) -> Letterhead:
        place = self._place()
        return Letterhead(site=place.name, timezone=place.timezone, issuer=self._issuer)


def _piece(
    place: Place,
    month: Month,
    after: tuple[datetime, str] | None,
    conn: sqlite3.Connection,
) -> tuple[str, tuple[datetime, str] | None]:
    """Rows of the export, and where they end; ``None``: there are no more."""
    page = bills.in_span(conn, place.span(month), after)
    if not page:
        return "", None
    return bill_export.body(page, place), (page[-1].decided_at, page[-1].number)


def _page(
    span: bills.Span,
    after: tuple[datetime, str] | None,
    limit: int,
    conn: sqlite3.Connection,
) -> list[BillLine]:
    return bills.in_span(conn, span, after, limit)
