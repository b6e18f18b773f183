"""The bills of a month as rows for bookkeeping.

A bill belongs to the month in which it was settled: what a past month's settled rows
say never changes. A credit is a row of its own in the month in which it was given, with
negative amounts. A held bill is listed in the month in which it was judged, without
amounts, as is a waived one: nothing is owed, and the sum of a column is what is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.domain import csv_cells
from gateway.domain.bill_sums import minor_text, percent_text
from gateway.domain.credit_net import CreditStep, left_after, net_minor_of
from gateway.domain.csv_cells import Cell
from gateway.domain.months import Month
from gateway.store.bills import BillLine, Span, Total

COLUMNS: Final = (
    "kind",
    "number",
    "corrects",
    "status",
    "decided_at",
    "decided_by",
    "site",
    "station_id",
    "evse_id",
    "connector_id",
    "id_token",
    "started_at",
    "ended_at",
    "register_start_kwh",
    "register_end_kwh",
    "energy_kwh",
    "currency",
    "net",
    "vat",
    "gross",
    "vat_rates_percent",
    "verdict",
    "reasons",
    "meter_serial",
    "tariff_id",
    "tariff_sha256",
    "bill_sha256",
    "settlement_leaf_index",
)
"""New ones are added at the end. ``kind`` is ``bill`` or ``credit``; a credit names in
``corrects`` the number of the bill that it corrects, and its amounts are negative."""
BILL: Final = "bill"
CREDIT: Final = "credit"
_MILLIWH: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose bills they are, and by which clock."""

    name: str
    timezone: ZoneInfo

    def time(self, moment: datetime | None) -> str | None:
        """An ISO time with the offset that holds there then."""
        if moment is None:
            return None
        return moment.astimezone(self.timezone).isoformat()

    def span(self, month: Month) -> Span:
        """A month there."""
        return Span(since=month.start(self.timezone), until=month.end(self.timezone))


def head() -> str:
    """The first line of the file."""
    return csv_cells.lines([COLUMNS])


def body(bills: Iterable[BillLine], place: Place) -> str:
    """Lines of some bills."""
    return csv_cells.lines([list(row(one, place).values()) for one in bills])


def file(bills: Iterable[BillLine], place: Place) -> Iterator[str]:
    """The whole file, in pieces."""
    yield head()
    for one in bills:
        yield body([one], place)


def row(bill: BillLine, place: Place) -> dict[str, Cell]:
    """The cells of a bill by column."""
    document = bill.document or {}
    cells: dict[str, Cell] = {
        "kind": CREDIT if bill.given else BILL,
        "number": bill.number,
        "corrects": bill.session_id if bill.given else None,
        "status": bill.status,
        "decided_at": place.time(bill.decided_at),
        "decided_by": bill.decided_by,
        "site": place.name,
        "station_id": bill.station_id,
        "evse_id": bill.evse_id,
        "connector_id": bill.connector_id,
        "id_token": bill.id_token,
        "started_at": place.time(bill.started_at),
        "ended_at": place.time(bill.ended_at),
        "register_start_kwh": _kwh(document.get("register_start_milliwh")),
        "register_end_kwh": _kwh(document.get("register_end_milliwh")),
        "verdict": bill.verdict,
        "reasons": " ".join(bill.reasons),
        "meter_serial": bill.meter_serial,
        "tariff_id": document.get("tariff_id"),
        "tariff_sha256": bill.tariff_sha256,
        "bill_sha256": bill.sha256,
        "settlement_leaf_index": bill.leaf_index,
        **(_owed(document, bill.given) if bill.is_settled else {}),
    }
    return {name: cells.get(name) for name in COLUMNS}


def totals_json(
    totals: Iterable[Total], credits_: Iterable[BillLine], month: Month, place: Place
) -> dict[str, Any]:
    """What a month's settled bills and credits come to, by currency; and what waits."""
    span = place.span(month)
    counts: Counter[str] = Counter()
    sums: dict[tuple[str, int], Counter[str]] = {}
    for one in totals:
        counts[one.status] += one.n_bill
        if one.status == "settled":
            sums.setdefault((one.currency, one.minor_digits), Counter()).update(
                bills=one.n_bill,
                energy=one.energy_milliwh,
                net=one.net_minor,
                gross=one.amount_minor,
            )
    for credit in credits_:
        document = credit.document or {}
        net, gross = amounts_minor(document, credit.given)
        key = (str(document["currency"]), int(document["minor_digits"]))
        sums.setdefault(key, Counter()).update(credits=1, net=net, gross=gross)
    return {
        "month": str(month),
        "timezone": place.timezone.key,
        "from": place.time(span.since),
        "until": place.time(span.until),
        **{status: counts[status] for status in ("settled", "held", "waived")},
        "totals": [_total(key, sums[key]) for key in sorted(sums)],
    }


def _total(key: tuple[str, int], sums: Counter[str]) -> dict[str, Any]:
    currency, digits = key
    return {
        "currency": currency,
        "bills": sums["bills"],
        "credits": sums["credits"],
        "energy_kwh": str(_kwh(sums["energy"])),
        "net": minor_text(sums["net"], digits),
        "vat": minor_text(sums["gross"] - sums["net"], digits),
        "gross": minor_text(sums["gross"], digits),
    }


def amounts_minor(
    document: Mapping[str, Any], given: Sequence[CreditStep]
) -> tuple[int, int]:
    """Net and gross of a bill, or below zero of its last credit, in minor units.

    A credit is the difference of what was left before it and after it, so that credits
    of a whole bill give back exactly its net: see `gateway.domain.credit_net`.
    """
    net, gross = net_minor_of(document), int(document["amount_minor"])
    if not given:
        return net, gross
    before, after = [net, *(one.net_minor for one in left_after(document, given))][-2:]
    return after - before, -given[-1].amount_minor


def _owed(document: Mapping[str, Any], given: Sequence[CreditStep]) -> dict[str, Cell]:
    digits = int(document["minor_digits"])
    net, gross = amounts_minor(document, given)
    return {
        "energy_kwh": None if given else _kwh(document["energy_milliwh"]),
        "currency": str(document["currency"]),
        "net": _major(net, digits),
        "vat": _major(gross - net, digits),
        "gross": _major(gross, digits),
        "vat_rates_percent": _rates(document),
    }


def _rates(document: Mapping[str, Any]) -> str:
    """The rates of its lines; ``included`` where a price tells nothing of its tax."""
    rates = [line["vat_ppm"] for line in document.get("lines", [{"vat_ppm": None}])]
    said = ["included" if one is None else percent_text(int(one)) for one in rates]
    return " ".join(dict.fromkeys(said))


def _kwh(milliwh: object) -> Decimal | None:
    return None if milliwh is None else Decimal(int(str(milliwh))).scaleb(-_MILLIWH)


def _major(minor: int, digits: int) -> Decimal:
    return Decimal(minor).scaleb(-digits)
