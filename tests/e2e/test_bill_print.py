"""Bills as a browser prints them, and as it shows them without any script."""

import base64
import io
from collections.abc import Iterator

import httpx
import pypdf
import pytest

from gateway.domain.bill_paper import paper
from tests.e2e.test_page_fit import served
from tests.support.browser import Page, browser_page, require_browser
from tests.support.pages_bills import EVIL, HEAD, HELD, SETTLED, facts_of
from tests.support.pages_site import ADMIN, DRIVER

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

SIZES = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served("usual") as one:
        yield one


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    assert address
    require_browser()
    with browser_page() as one:
        yield one


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_printed_bill_has_every_sum_and_no_button(
    page: Page, address: str, size: tuple[float, float]
) -> None:
    page.open(f"{address}/d/{DRIVER}/bill?lang=de")
    width, height = size
    answer = page.call(
        "Page.printToPDF",
        paperWidth=width,
        paperHeight=height,
        preferCSSPageSize=False,
    )
    reader = pypdf.PdfReader(io.BytesIO(base64.b64decode(answer["data"])))
    assert len(reader.pages) <= 2
    text = " ".join(" ".join(one.extract_text() for one in reader.pages).split())
    told = paper(facts_of(), HEAD, language="de", is_for_driver=True)
    for table in told.tables:
        for cells in (*table.rows, *table.foot):
            for cell in cells:
                assert " ".join(cell.split()) in text, cell
    assert "Als PDF speichern" not in text
    assert "Français" not in text


def test_a_bill_needs_no_script_and_runs_none(page: Page, address: str) -> None:
    page.problems.clear()
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.set_cookie(address, "wattproof_session", ADMIN)
        page.open(f"{address}/bills/{SETTLED}?lang=en")
        text = page.evaluate("document.body.innerText")
        assert page.evaluate("document.title") == f"Bill {SETTLED}"
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert EVIL in text
    assert "8.86" in text
    assert page.problems == []


def test_the_cockpit_leads_to_the_bills_and_they_to_the_export(
    page: Page, address: str
) -> None:
    page.set_cookie(address, "wattproof_session", ADMIN)
    page.open(f"{address}/cockpit/")
    page.wait_for("Boolean(document.querySelector('a[href=\"/bills\"]'))")
    page.evaluate("document.querySelector('a[href=\"/bills\"]').click()")
    page.wait_for("location.pathname === '/bills'")
    button = page.evaluate("document.querySelector('nav a.button').href")
    assert button == f"{address}/api/v1/exports/bills.csv?month=2026-01"
    page.evaluate("document.querySelector('td a').click()")
    page.wait_for(f"location.pathname === '/bills/{SETTLED}'")


def test_bills_are_shown_to_whoever_may_see_them_and_nobody_else(address: str) -> None:
    with httpx.Client(base_url=address, follow_redirects=False) as browser:
        for path in ("/bills", f"/bills/{SETTLED}", f"/bills/{SETTLED}.pdf"):
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        for path in ("/d/nope/bill", "/d/nope/bill.pdf", f"/d/{'x' * 300}/bill"):
            answer = browser.get(path)
            assert answer.status_code == 404
            assert "This link leads nowhere" in answer.text
        mine = browser.get(f"/d/{DRIVER}/bill")
        browser.cookies.set("wattproof_session", ADMIN)
        whole = browser.get(f"/bills/{SETTLED}")
        assert "=CARD-4711" in whole.text
        assert "CARD-4711" not in mine.text
        for answer in (mine, whole, browser.get("/bills")):
            assert answer.headers["cache-control"] == "no-store"
            assert "script-src 'none'" in answer.headers["content-security-policy"]
            assert EVIL not in answer.text
        drawn = browser.get(f"/bills/{HELD}.pdf?lang=fr&paper=letter")
        assert drawn.headers["content-type"] == "application/pdf"
        assert drawn.content.startswith(b"%PDF-")
        for path, status in (("/bills/nope", 404), ("/bills?month=x", 422)):
            assert browser.get(path).status_code == status
