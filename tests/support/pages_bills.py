"""Bills behind the pages: real ones of made-up sessions with hostile names."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.bill_facts import BillFacts, Chain, Register, Signature
from gateway.domain.bill_paper import Letterhead, Paper, paper
from gateway.domain.ids import SessionId
from gateway.domain.months import Month
from gateway.domain.ocpi import parse_tariff
from gateway.domain.signed_session import SignedVerdict
from gateway.domain.tariff import Tariff
from gateway.errors import RequestError
from gateway.services.bill_export import Place, totals_json
from gateway.services.bill_pdf import PaperSize, bill_pdf
from gateway.services.bills import Ask
from gateway.store.bills import BillLine

EVIL: Final = '<script>document.title="owned"</script>'
BERLIN: Final = ZoneInfo("Europe/Berlin")
START: Final = datetime(2026, 1, 14, 17, 30, tzinfo=UTC)
SETTLED: Final = SessionId("s-settled")
HELD: Final = SessionId("s-held")
UNPRICED: Final = SessionId("s-unpriced")
PRICES: Final[list[dict[str, Any]]] = [
    {"type": "ENERGY", "price": "0.4321", "vat": 19},
    {"type": "TIME", "price": "1.20", "vat": 19},
    {"type": "FLAT", "price": "0.50", "vat": 7},
]
HEAD: Final = Letterhead(
    site="Dépôt Nörd · 車庫",
    timezone=BERLIN,
    issuer=("Stadtwerke Žilina <a.s.>", "Straße 1, 01001 Žilina", "IČ DPH SK123"),
)


def tariff_of(*components: Mapping[str, Any], **more: Any) -> Tariff:
    """A tariff of one element, ``restrictions`` or bounds as in OCPI."""
    element: dict[str, Any] = {"price_components": list(components)}
    document = {"id": "T", "elements": [element], **more}
    return parse_tariff(document, currency="EUR", timezone="Europe/Berlin")


def facts_of(
    tariff: Tariff | None = None,
    *,
    wh: int = 12_345,
    minutes: int = 83,
    settled: bool = True,
    **changes: Any,
) -> BillFacts:
    """A bill of a session with a sample in the middle."""
    terms = tariff or tariff_of(*PRICES)
    ends = START + timedelta(minutes=minutes)
    low, high = 104_321_118, 104_321_118 + wh * 1000
    bill = price(
        terms,
        [
            RegisterPoint(at=START, register_milliwh=low),
            RegisterPoint(at=ends, register_milliwh=high),
        ],
    )
    found = BillFacts(
        session_id=SETTLED if settled else HELD,
        station_id=EVIL,
        evse_id=1,
        connector_id=1,
        id_token="=CARD-4711",
        started_at=START,
        ended_at=ends,
        stop_reason="EVDisconnected",
        status="settled" if settled else "held",
        verdict="ok-unsigned" if settled else "suspicious",
        reasons=() if settled else ("register_drop", "clock_offset"),
        document=bill.to_json(),
        sha256="ab" * 32,
        tariff=terms,
        decided_at=ends + timedelta(seconds=5),
        decided_by="system",
        registers=(
            Register(
                at=START + timedelta(minutes=30),
                milliwh=low + wh * 500,
                context="Sample.Periodic",
                leaf_index=7,
            ),
        ),
        signature=Signature(verdict=SignedVerdict.UNSIGNED),
        meter_serial="1EMH00 1234",
        leaf_index=11 if settled else None,
        session_key="cd" * 32 if settled else None,
        chain=Chain(state="final", tx_hash="0x" + "ef" * 32, block=12)
        if settled
        else None,
    )
    return replace(found, **changes)


def line_of(facts: BillFacts) -> BillLine:
    """The same bill in a list."""
    document = None if facts.document is None else dict(facts.document)
    return BillLine(
        number=facts.session_id,
        session_id=facts.session_id,
        station_id=facts.station_id,
        evse_id=facts.evse_id,
        connector_id=facts.connector_id,
        id_token=facts.id_token,
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        status=facts.status,
        verdict=facts.verdict,
        reasons=facts.reasons,
        energy_milliwh=None if document is None else document["energy_milliwh"],
        document=document,
        sha256=facts.sha256,
        tariff_sha256=None if facts.tariff is None else facts.tariff.sha256,
        leaf_index=facts.leaf_index,
        decided_at=facts.decided_at,
        decided_by=facts.decided_by,
        meter_serial=facts.meter_serial,
    )


class FakeBills:
    """Implements `gateway.web.ports.BillDesk` over three bills.

    Attributes:
        link: Of the driver's page; leads to ``shown``.
    """

    def __init__(self, link: str) -> None:
        self.link = link
        self.shown = SETTLED
        self.bills = {
            SETTLED: facts_of(),
            HELD: facts_of(settled=False),
            UNPRICED: facts_of(
                settled=False, session_id=UNPRICED, document=None, reasons=("no_price",)
            ),
        }

    async def paper(self, session_id: SessionId, ask: Ask) -> Paper:
        found = self.bills.get(session_id)
        if found is None:
            raise RequestError(404, "no_bill", "the session has no bill yet")
        language = ask.language or "en"
        return paper(found, HEAD, language=language, is_for_driver=ask.is_for_driver)

    async def pdf(self, session_id: SessionId, ask: Ask, size: PaperSize) -> bytes:
        return bill_pdf(await self.paper(session_id, ask), size)

    def of_link(self, token: str) -> SessionId | None:
        return self.shown if token == self.link else None

    def this_month(self) -> Month:
        return Month.of(START, BERLIN)

    async def lines(
        self, month: Month, after: tuple[datetime, str] | None, limit: int
    ) -> list[BillLine]:
        if month != self.this_month() or after is not None:
            return []
        return [line_of(one) for one in self.bills.values()][:limit]

    async def totals(self, month: Month) -> dict[str, Any]:
        return totals_json([], [], month, Place(name="Depot", timezone=BERLIN))
