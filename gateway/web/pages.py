"""All pages, mounted into the application that also serves the API."""

from typing import Final

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from nicegui import ui

from gateway.clock import Clock
from gateway.web.bill_pages import add_bills
from gateway.web.board import Board
from gateway.web.cockpit import add_cockpit
from gateway.web.correction_page import add_corrections
from gateway.web.driver import add_driver
from gateway.web.driver_bill import add_driver_bill
from gateway.web.headers import COCKPIT_PATH, PageHeaders
from gateway.web.login import add_login
from gateway.web.meter_key_page import add_meter_keys
from gateway.web.missing import add_missing
from gateway.web.ports import Access, BillDesk, CorrectionDesk, LiveView, MeterKeys
from gateway.web.station_page import add_station_page
from gateway.web.verify_page import add_verify

RECONNECT_S: Final = 10.0
"""Real seconds for which a page that lost its connection keeps its place."""
MAX_RESENT: Final = 60
"""Messages kept per viewer for a short loss; after a longer one the page reloads."""

ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="7" fill="#0b62a8"/>'
    '<path d="M18 4 7 18h7l-1 10 12-15h-8z" fill="#fff"/></svg>'
)


def mount(
    app: FastAPI,
    live: LiveView,
    access: Access,
    keys: MeterKeys,
    bills: BillDesk,
    *,
    corrections: CorrectionDesk,
    clock: Clock,
) -> None:
    """Add all pages: of the cockpit, of bills, and of drivers.

    Call it once per process and before the server starts: the framework behind the
    cockpit keeps its pages in a global, and starts and stops with the application.
    It keeps nothing of its own on disk or in cookies.

    Args:
        app: Serves the API as well.
        live: The present.
        access: Who may look.
        keys: Pins keys of meters.
        bills: Bills as documents.
        corrections: Decisions on bills, and credits.
        clock: Site time.
    """
    add_login(app, access)
    add_driver(app, live, clock)
    add_driver_bill(app, live, bills)
    add_meter_keys(app, live, access, keys)
    add_bills(app, live, access, bills)
    add_corrections(app, live, access, corrections)
    add_verify(app)

    @app.get("/", include_in_schema=False)
    @app.get(COCKPIT_PATH, include_in_schema=False)
    async def start() -> RedirectResponse:
        return RedirectResponse(f"{COCKPIT_PATH}/", 303)

    add_cockpit(Board(live, clock), access)
    add_station_page(live, access, clock)
    add_missing()
    ui.run_with(
        app,
        mount_path=COCKPIT_PATH,
        title="Wattproof",
        favicon=ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=RECONNECT_S,
        message_history_length=MAX_RESENT,
        show_welcome_message=False,
    )
    app.add_middleware(PageHeaders)
