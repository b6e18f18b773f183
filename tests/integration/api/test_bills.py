"""Bills as documents over HTTP: JSON, PDF, the month as CSV, and who gets them."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pypdf
import pytest
import pytest_asyncio

from gateway.domain import csv_cells
from gateway.domain.months import Month
from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")

FULL: dict[str, Any] = {
    "id": "full",
    "currency": "EUR",
    "elements": [
        {
            "price_components": [
                {"type": "ENERGY", "price": "0.4321", "vat": 19},
                {"type": "FLAT", "price": "0.50", "vat": 7},
            ]
        }
    ],
}
SITE = "=Dépôt „Nörd“, 車庫"
ISSUER = ["Stadtwerke Žilina a.s.", "IČ DPH SK123"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    place = {"name": SITE, "timezone": "Europe/Berlin", "grid": "TN", "nominal_v": 230}
    async with api_site(
        tmp_path_factory.mktemp("site"),
        tariff=[FULL],
        billing={"currency": "EUR", "default_tariff": "full", "issuer": ISSUER},
        site=place,
    ) as running:
        await running.call("PUT", "/id-tokens/=CARD", {})
        yield running


def at(site: ApiSite, seconds: float) -> str:
    moment = site.gateway.clock.now() + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def charged(site: ApiSite, station: RawStation, *, wh: int) -> str:
    """A session of the station, over and judged; its id."""
    began = await station.ask(
        "StartTransaction",
        {
            "connectorId": 1,
            "idTag": "=CARD",
            "meterStart": 1000,
            "timestamp": at(site, -3600),
        },
    )
    await station.ask(
        "StopTransaction",
        {
            "transactionId": began["transactionId"],
            "meterStop": 1000 + wh,
            "timestamp": at(site, 0),
        },
    )
    path = f"/sessions?station_id={station.station_id}&limit=1"
    (row,) = await site.call("GET", path)
    session_id = str(row["session_id"])

    async def is_judged() -> bool:
        answer = await site.send("GET", f"/sessions/{session_id}/bill")
        return answer.is_success

    await site.until(is_judged)
    return session_id


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bills(site: ApiSite) -> tuple[str, str]:
    """A settled bill and a held one."""
    found = []
    for station_id, wh in (("B1", 12_345), ("B2", -500)):
        await site.register(station_id)
        async with site.station(station_id) as station:
            await station.boot()
            found.append(await charged(site, station, wh=wh))
    return found[0], found[1]


def month_of(bill: dict[str, Any], zone: str) -> str:
    """The month by the site's clock."""
    return str(Month.of(datetime.fromisoformat(bill["decided_at"]), ZoneInfo(zone)))


async def rows_of(site: ApiSite, month: str) -> list[dict[str, str]]:
    answer = await site.send("GET", f"/exports/bills.csv?month={month}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    text = answer.content.decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


async def test_a_bill_can_be_checked_by_hand(
    site: ApiSite, bills: tuple[str, str]
) -> None:
    bill = await site.call("GET", f"/sessions/{bills[0]}/bill", role="viewer")
    assert (bill["state"], bill["is_final"], bill["kind"]) == ("settled", True, "bill")
    energy, fee = bill["charges"]
    assert Decimal(energy["net"]) == Decimal("0.4321") * Decimal("12.345").quantize(
        Decimal("0.000001")
    ) - Decimal("0.0000005")
    assert (fee["net"], fee["vat_percent"], fee["vat"]) == ("0.50", "7", "0.035")
    parts = [energy, fee, bill["totals"]["bound"], bill["totals"]["rounding"]]
    assert sum(Decimal(one["gross"]) for one in parts) == Decimal(
        bill["totals"]["gross"]
    )
    assert bill["totals"]["gross"] == "6.88"
    assert bill["amount_minor"] == 688
    assert bill["registers"][0]["register_milliwh"] == 1_000_000
    assert bill["meter"]["signature"]["state"] == "unsigned"
    assert bill["tariff"]["tariff_id"] == "full"
    receipt = await site.client.get(
        bill["links"]["receipt"],
        headers={"Authorization": f"Bearer {site.secrets['viewer']}"},
    )
    assert receipt.is_success


async def test_a_held_bill_says_that_nothing_is_owed_and_why(
    site: ApiSite, bills: tuple[str, str]
) -> None:
    bill = await site.call("GET", f"/sessions/{bills[1]}/bill")
    assert (bill["state"], bill["is_final"]) == ("held", False)
    assert bill["links"]["receipt"] is None
    assert "end_below_start" in [one["reason"] for one in bill["reasons_text"]]


async def test_the_pdf_is_the_same_each_time_and_says_what_the_bill_says(
    site: ApiSite, bills: tuple[str, str]
) -> None:
    path = f"/sessions/{bills[0]}/bill.pdf?lang=de"
    one, two = [await site.send("GET", path, role="viewer") for _ in range(2)]
    assert one.headers["content-type"] == "application/pdf"
    assert one.content == two.content
    text = pypdf.PdfReader(io.BytesIO(one.content)).pages[0].extract_text()
    assert "Zu zahlen: 6,88 EUR" in text
    assert "Stadtwerke Žilina a.s." in text
    assert "„Nörd“" in text
    letter = await site.send("GET", f"{path}&paper=letter")
    page = pypdf.PdfReader(io.BytesIO(letter.content)).pages[0]
    assert [round(float(one)) for one in page.mediabox[2:]] == [612, 792]


async def test_a_browser_gets_the_language_that_it_prefers(
    site: ApiSite, bills: tuple[str, str]
) -> None:
    answer = await site.client.get(
        f"/api/v1/sessions/{bills[1]}/bill.pdf",
        headers={
            "Authorization": f"Bearer {site.secrets['operator']}",
            "Accept-Language": "nl-BE, en;q=0.5",
        },
    )
    text = pypdf.PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
    assert "Niet definitief" in text


async def test_the_month_as_csv_adds_up_to_its_bills(
    site: ApiSite, bills: tuple[str, str]
) -> None:
    whole = {one: await site.call("GET", f"/sessions/{one}/bill") for one in bills}
    month = month_of(whole[bills[0]], "Europe/Berlin")
    rows = await rows_of(site, month)
    assert [row["number"] for row in rows] == list(bills)
    settled, held = rows
    assert csv_cells.plain(settled["site"]) == SITE
    assert settled["site"].startswith("'=")
    assert csv_cells.plain(settled["id_token"]) == "=CARD"
    assert (settled["kind"], settled["corrects"]) == ("bill", "")
    assert (settled["net"], settled["vat"], settled["gross"]) == (
        "5.83",
        "1.05",
        "6.88",
    )
    assert settled["energy_kwh"] == "12.345000"
    assert settled["vat_rates_percent"] == "19 7"
    assert settled["started_at"][-6:] in {"+01:00", "+02:00"}
    assert (held["status"], held["gross"], held["net"]) == ("held", "", "")
    totals = await site.call("GET", f"/exports/bills?month={month}")
    assert (totals["settled"], totals["held"]) == (1, 1)
    (sums,) = totals["totals"]
    for name in ("net", "vat", "gross"):
        cells = [Decimal(row[name] or 0) for row in rows]
        assert sum(cells) == Decimal(sums[name])


async def test_a_month_without_bills_has_only_a_head(site: ApiSite) -> None:
    assert await rows_of(site, "2001-02") == []


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "0001-01", "2026-03-01"])
async def test_what_is_no_month_is_refused(site: ApiSite, month: str) -> None:
    for path in ("/exports/bills.csv", "/exports/bills"):
        answer = await site.call("GET", f"{path}?month={month}", status=422)
        assert answer["error"] == "bad_month"


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/exports/bills.csv?month=2026-03", "viewer", 403),
        ("/exports/bills.csv?month=2026-03", "auditor", 403),
        ("/exports/bills?month=2026-03", "viewer", 403),
        ("/exports/bills.csv?month=2026-03", None, 401),
        ("/sessions/nope/bill.pdf", None, 401),
        ("/sessions/nope/bill.pdf", "viewer", 404),
    ],
)
async def test_bills_are_for_those_who_may_see_them(
    site: ApiSite, path: str, role: str | None, status: int
) -> None:
    await site.call("GET", path, role=role, status=status)


async def test_what_operators_decide_stands_on_paper_and_in_the_books(
    tmp_path: Path,
) -> None:
    async with api_site(
        tmp_path, billing={"currency": "EUR", "default_tariff": "day"}
    ) as site:
        await site.call("PUT", "/id-tokens/=CARD", {})
        found = []
        for station_id, wh in (("C1", 10_000), ("C2", -500)):
            await site.register(station_id)
            async with site.station(station_id) as station:
                await station.boot()
                found.append(await charged(site, station, wh=wh))
        paid, lost = found
        body = {
            "amount_minor": 120,
            "reason": "=cable {broken}",
            "idempotency_key": "1",
        }
        await site.call("POST", f"/sessions/{paid}/credits", body)
        waived = await site.call(
            "POST", f"/sessions/{lost}/bill/waive", {"reason": "meter {exchanged}"}
        )
        assert (waived["is_final"], waived["state"]) == (True, "waived")
        texts = []
        for session_id in found:
            drawn = await site.send("GET", f"/sessions/{session_id}/bill.pdf?lang=en")
            (page, *_) = pypdf.PdfReader(io.BytesIO(drawn.content)).pages
            texts.append(page.extract_text())
        assert "Left to pay: 3.00 EUR" in texts[0]
        assert "=cable {broken}" in texts[0]
        assert "Waived: there is nothing to pay" in texts[1]
        assert "meter {exchanged}" in texts[1]
        month = month_of(waived, "UTC")
        rows = await rows_of(site, month)
        assert sorted(row["kind"] for row in rows) == ["bill", "bill", "credit"]
        (credit,) = [row for row in rows if row["kind"] == "credit"]
        assert (credit["corrects"], credit["gross"]) == (paid, "-1.20")
        assert credit["reasons"] == "'=cable {broken}"
        (sums,) = (await site.call("GET", f"/exports/bills?month={month}"))["totals"]
        assert (sums["bills"], sums["credits"], sums["gross"]) == (1, 1, "3.00")
