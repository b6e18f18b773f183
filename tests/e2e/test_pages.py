"""The pages in a real browser, served by a process of their own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.browser import Page, browser_page, require_browser
from tests.support.page_checks import SIDEWAYS
from tests.support.pages_site import ADMIN, DRIVER, LINK

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

ROOT = Path(__file__).parents[2]
IS_LIVE = (
    "Boolean(document.querySelector('#pulse.live') && document.querySelector('canvas'))"
)
TILE = "document.querySelector('[data-part=\"tile:CP-01/1\"]').textContent"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    require_browser()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pages_site"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    assert address
    with browser_page() as one:
        yield one


@pytest.fixture
def cockpit(page: Page, address: str) -> Page:
    page.problems.clear()
    page.requests.clear()
    page.set_size(1400, 1000)
    page.set_cookie(address, "wattproof_session", ADMIN)
    page.open(f"{address}/cockpit/")
    page.wait_for(IS_LIVE)
    return page


def test_a_stranger_is_led_to_the_login_and_the_link_lets_in(
    page: Page, address: str
) -> None:
    page.call("Network.clearBrowserCookies")
    page.open(f"{address}/cockpit")
    assert "Please log in" in page.evaluate("document.body.textContent")
    page.open(f"{address}/login?code={LINK}")
    page.wait_for(IS_LIVE)
    assert page.evaluate("location.pathname") == "/cockpit/"
    assert page.evaluate("document.cookie") == ""


def test_the_cockpit_moves_by_itself_and_asks_nobody_else(cockpit: Page) -> None:
    before = cockpit.evaluate(TILE)
    cockpit.wait_for(f"{TILE} !== {before!r}")
    assert cockpit.requests
    assert cockpit.foreign_requests() == []
    assert cockpit.problems == []


def test_what_a_station_calls_itself_is_text(cockpit: Page) -> None:
    cockpit.wait_for("document.title.includes('Depot Nord')")
    assert cockpit.evaluate("document.querySelectorAll('.tile script').length") == 0
    assert "<script>" in cockpit.evaluate("document.body.textContent")


@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_no_width_scrolls_sideways(cockpit: Page, width: int) -> None:
    cockpit.set_size(width, 900)
    assert cockpit.evaluate(SIDEWAYS) <= 0


def test_the_chart_has_its_figures_as_a_table(cockpit: Page) -> None:
    cockpit.evaluate("document.querySelector('details.twin').open = true")
    rows = cockpit.wait_for("document.querySelectorAll('.twin tbody tr').length")
    assert rows > 40


def test_a_chart_draws_history_plan_limit_and_price(cockpit: Page) -> None:
    lengths = cockpit.wait_for(
        "(() => { const id = document.querySelector('details.twin').dataset.chart;"
        "const chart = getElement(Number(id)).chart;"
        "const all = chart.getOption().series.map((s) => [s.id, s.data.length]);"
        "return all.every((s) => s[1]) && Object.fromEntries(all); })()"
    )
    assert lengths.keys() == {"load", "plan", "limit", "price"}


def test_the_page_stays_small(cockpit: Page) -> None:
    own = cockpit.evaluate("document.querySelectorAll('[id^=c]').length")
    assert own < 150


def test_the_drivers_page_is_kept_fresh_and_takes_a_need(
    page: Page, address: str
) -> None:
    page.problems.clear()
    page.requests.clear()
    page.set_size(390, 844)
    page.open(f"{address}/d/{DRIVER}")
    shown = "document.getElementById('updated').textContent"
    before = page.evaluate(shown)
    page.wait_for(f"{shown} !== {before!r}")
    assert page.evaluate(SIDEWAYS) <= 0
    page.evaluate(
        "document.querySelector('details').open = true;"
        "document.getElementById('need-energy').value = '30';"
        "document.querySelector('form').submit()"
    )
    page.wait_for("document.body?.textContent.includes('You will be ready in time')")
    page.wait_for(f"{shown} !== {before!r}")
    assert page.problems == []
    assert page.foreign_requests() == []


@pytest.mark.parametrize("size", [(1440, 900), (360, 740)], ids=["desktop", "phone"])
def test_a_driver_asks_what_would_come_of_a_need_before_saving_it(
    page: Page, address: str, size: tuple[int, int]
) -> None:
    page.set_size(*size)
    page.open(f"{address}/d/{DRIVER}")
    page.wait_for(
        "document.readyState === 'complete' && !document.querySelector('.note')"
    )
    page.evaluate("document.querySelector('details').open = true")
    page.evaluate(
        "document.getElementById('need-energy').value = '30';"
        "document.getElementById('need-leave').value = '07:30';"
        "document.querySelector('button.second').click()"
    )
    note = page.wait_for("document.querySelector('.note')?.textContent")
    assert note == "Beside the other cars 18.0 of 30.0 kWh fit by 07:30."
    kept = "document.getElementById('need-energy').value"
    assert page.evaluate(kept) == "30", "to be saved next"
    assert page.evaluate("document.querySelector('details').open") is True
    visible = (
        "(() => { const box = document.querySelector('.note').getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth"
        "; })()"
    )
    assert page.evaluate(visible), "the answer is on the screen"
    save = "document.querySelector('form button:not(.second)')"
    page.evaluate(f"{save}.click()")
    page.wait_for("document.querySelector('.note')?.textContent.startsWith('Saved')")


def test_the_drivers_page_says_all_without_scripts(page: Page, address: str) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(f"{address}/d/{DRIVER}")
        text = page.evaluate("document.body.textContent")
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "11.4 of 24.0 kWh" in text
    assert "When do you leave?" in text


@pytest.mark.parametrize(
    ("station_id", "status", "words"),
    [
        ("NOBODY", 404, "No station NOBODY is registered."),
        ("%3Cb%3E", 404, "No station &lt;b&gt; is registered."),
        ("BUSY", 503, "The store cannot be read now."),
        ("BROKEN", 500, "It is our fault"),
    ],
)
def test_a_page_that_cannot_be_shown_says_why_and_no_more(
    address: str, station_id: str, status: int, words: str
) -> None:
    answer = httpx.get(
        f"{address}/cockpit/stations/{station_id}",
        cookies={"wattproof_session": ADMIN},
    )
    assert answer.status_code == status
    assert words in answer.text
    assert "inner details" not in answer.text
    assert "disk" not in answer.text


def test_a_stranger_learns_of_no_station(address: str) -> None:
    for station_id in ("CP-01", "NOBODY", "BROKEN"):
        answer = httpx.get(f"{address}/cockpit/stations/{station_id}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_tile_leads_to_its_station_which_stays_fresh(cockpit: Page) -> None:
    cockpit.evaluate("document.querySelector('a[href$=\"stations/CP-01\"]').click()")
    cockpit.wait_for("location.pathname === '/cockpit/stations/CP-01'")
    cockpit.wait_for("Boolean(document.querySelector('#pulse.live'))")
    assert cockpit.evaluate("document.title") == "CP-01 · Depot Nord"
    power = "document.querySelector('.tile .power').textContent"
    before = cockpit.evaluate(power)
    cockpit.wait_for(f"{power} !== {before!r}")
    assert cockpit.evaluate("document.querySelectorAll('main script').length") == 0
    assert cockpit.problems == []


def test_what_is_focused_and_unfolded_stays_so_while_the_page_moves(
    cockpit: Page,
) -> None:
    link = "document.querySelector('a[href$=\"stations/CP-01\"]')"
    cockpit.evaluate(f"{link}.focus()")
    before = cockpit.evaluate(TILE)
    cockpit.wait_for(f"{TILE} !== {before!r}")
    assert cockpit.evaluate(f"document.activeElement === {link}")


def test_a_figure_explains_itself_to_the_keyboard(cockpit: Page) -> None:
    cockpit.call("Emulation.setFocusEmulationEnabled", enabled=True)
    cockpit.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab")
    assert cockpit.evaluate("document.activeElement.className") == "figure"
    shown = "document.querySelector('.figure .means').checkVisibility()"
    assert cockpit.evaluate(shown)
    assert cockpit.evaluate(SIDEWAYS) <= 0
