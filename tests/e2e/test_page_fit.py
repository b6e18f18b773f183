"""Every page on every screen: nothing cut, nothing too small, nothing hard to read."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.browser import Page, browser_page, require_browser
from tests.support.page_checks import (
    CUT_TEXTS,
    LOW_CONTRAST,
    SIDEWAYS,
    SMALL_TARGETS,
    UNREACHABLE,
)
from tests.support.pages_bills import HELD, SETTLED, UNPRICED
from tests.support.pages_extremes import LONG
from tests.support.pages_site import ADMIN, DRIVER

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

ROOT = Path(__file__).parents[2]
SCREENS = [(1440, 900), (390, 844), (360, 740)]
PHONE = 640
PAGES = {
    "cockpit": "/cockpit/",
    "station": "/cockpit/stations/{station}",
    "no such cockpit page": "/cockpit/nope",
    "login": "/login",
    "used link": "/login?code=used",
    "driver": f"/d/{DRIVER}",
    "no such driver": "/d/nope",
    "bills": "/bills",
    "bill": f"/bills/{SETTLED}",
    "held bill": f"/bills/{HELD}?lang=de",
    "bill without a price": f"/bills/{UNPRICED}?lang=fr",
    "no such bill": "/bills/nope",
    "corrections": "/corrections",
    "held bill to decide": f"/corrections/{HELD}",
    "settled bill to credit": f"/corrections/{SETTLED}",
    "nothing to correct": "/corrections/nope",
    "driver's bill": f"/d/{DRIVER}/bill?lang=nl",
    "verifier": "/verify?lang=fr",
}
IS_DRAWN = (
    "document.readyState === 'complete' && !document.querySelector('#pulse:not(.live)')"
)


@contextmanager
def served(kind: str) -> Iterator[str]:
    """A site of a kind in a process of its own; its address."""
    require_browser()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pages_extremes", kind],
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


STATIONS = {"usual": "CP-07", "crowded": f"{LONG}000", "empty": "NEW"}
"""The station whose page is looked at, by kind of site."""


@pytest.fixture(scope="module", params=STATIONS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def address(kind: str) -> Iterator[str]:
    with served(kind) as one:
        yield one


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    require_browser()
    with browser_page() as one:
        yield one


def cookie_for(path: str) -> str:
    """What opens a page of the cockpit; others are for strangers."""
    return ADMIN if path.startswith(("/cockpit", "/bills", "/corrections")) else ""


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: f"{screen[0]}px")
def test_a_page_fits_its_screen(
    page: Page, address: str, kind: str, screen: tuple[int, int], path: str
) -> None:
    path = path.format(station=STATIONS[kind])
    width, height = screen
    page.set_size(width, height)
    page.set_cookie(address, "wattproof_session", cookie_for(path))
    page.open(f"{address}{path}")
    page.wait_for(IS_DRAWN)
    unfold = "document.querySelectorAll('details').forEach((e) => { e.open = true; })"
    page.evaluate(unfold)
    assert page.evaluate(SIDEWAYS) <= 0
    assert page.evaluate(CUT_TEXTS) == []
    assert page.evaluate(UNREACHABLE) == []
    if width <= PHONE:
        assert page.evaluate(SMALL_TARGETS) == []
    for is_dark in (False, True):
        page.set_dark(is_dark=is_dark)
        assert page.evaluate(LOW_CONTRAST) == []
    page.set_dark(is_dark=False)


def test_every_page_has_a_title_of_its_own(page: Page, address: str, kind: str) -> None:
    titles = {}
    for name, pattern in PAGES.items():
        path = pattern.format(station=STATIONS[kind])
        page.set_cookie(address, "wattproof_session", cookie_for(path))
        page.open(f"{address}{path}")
        page.wait_for(IS_DRAWN)
        titles[name] = page.evaluate("document.title")
    assert "" not in titles.values()
    assert titles["login"] == titles["used link"]
    assert len(set(titles.values())) == len(PAGES) - 1, titles


def test_an_address_of_the_cockpit_that_leads_nowhere_leads_back(
    page: Page, address: str
) -> None:
    page.set_cookie(address, "wattproof_session", ADMIN)
    page.open(f"{address}/cockpit/nope")
    assert "There is nothing here" in page.evaluate("document.body.textContent")
    page.evaluate("document.querySelector('a').click()")
    page.wait_for("location.pathname === '/cockpit/'")
