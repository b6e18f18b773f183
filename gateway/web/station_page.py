"""One station for those who look after it: read only, kept fresh like the cockpit."""

import asyncio
import json
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import Depends, HTTPException, Path, Request
from nicegui import ui

from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.web.login import COOKIE, LoggedIn
from gateway.web.plain import read_template
from gateway.web.ports import Access, LiveView, View
from gateway.web.render import part
from gateway.web.station_limits import PER_KWH
from gateway.web.station_parts import parts

REFRESH_S: Final = 1.5
RECHECK_S: Final = 30.0
"""How soon a token that was revoked closes the page that it opened."""
MAX_ID: Final = 48

_SECTIONS: Final = (
    ("evses", "EVSEs", ""),
    ("why", "Why these limits", "panel"),
    ("facts", "What it is", "panel"),
    ("security", "Security", "panel"),
    ("certificates", "Certificates", "panel"),
    ("meter_keys", "Meter keys", "panel"),
    ("commands", "Commands", "panel"),
    ("limits", "Limits sent by plans", "panel"),
    ("tests", "Obedience tests", "panel"),
    ("reservations", "Reservations", "panel"),
    ("deviations", "Deviations from OCPP", "panel"),
    ("refused", "Messages refused", "panel"),
    ("orphans", "Transactions nobody knows", "panel"),
)


class StationViewer:
    """One open page: what its browser has, and how it gets the rest."""

    def __init__(
        self,
        live: LiveView,
        access: Access,
        clock: Clock,
        *,
        secret: str,
        station: View,
    ) -> None:
        self._live = live
        self._access = access
        self._clock = clock
        self._secret = secret
        self._station = station
        self._parts: dict[str, str] = {}
        self._checked_at_s = asyncio.get_running_loop().time()

    def build(self) -> None:
        """Lay the page out, filled with the present."""
        self._parts = self._render()
        ui.html(_top(self._parts["top"]), sanitize=False, tag="header").classes("top")
        with ui.element("main").classes("page"):
            ui.html(
                part("trouble", self._parts["trouble"]), sanitize=False, tag="section"
            ).props('aria-live="polite" aria-label="What needs you"')
            ui.html(_sections(self._parts), sanitize=False).classes("rest station")
        ui.timer(REFRESH_S, self.refresh)

    async def refresh(self) -> None:
        """Send what changed since the last time."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._checked_at_s >= RECHECK_S:
            self._checked_at_s = now_s
            if await self._access.role_of(self._secret) is None:
                ui.navigate.to("/login")
                return
        try:
            station = await self._live.station(str(self._station["station_id"]))
        except StoreError:  # the page says by itself how old it has become
            return
        if station is None:
            ui.run_javascript("location.reload()")
            return
        self._station = station
        present = self._render()
        changed = {
            key: html for key, html in present.items() if html != self._parts[key]
        }
        self._parts = present
        behind = self._clock.now() - datetime.fromisoformat(str(station["now"]))
        message = {
            "title": self.title,
            "age_s": round(behind.total_seconds() / self._clock.speed),
            "parts": changed,
        }
        ui.run_javascript(f"cockpit.take({json.dumps(message, ensure_ascii=False)})")

    @property
    def title(self) -> str:
        """For the browser's tab: state first."""
        lost = "" if self._station["online"] else "offline · "
        return f"{lost}{self._station['station_id']} · {self._live.site()['name']}"

    def _render(self) -> dict[str, str]:
        now = datetime.fromisoformat(str(self._station["now"]))
        site = self._live.site()
        zone, unit = ZoneInfo(str(site["timezone"])), site.get("plan_price_unit")
        return parts(self._station, now, zone, str(unit or PER_KWH))


def _top(html: str) -> str:
    return (
        f"{part('top', html, css='inner')}"
        '<p class="pulse" id="pulse" role="status"><i aria-hidden="true"></i>'
        "<span>connecting</span></p>"
    )


def _sections(found: dict[str, str]) -> str:
    return "".join(
        f'<section aria-labelledby="h-{key}"><h2 id="h-{key}">{heading}</h2>'
        f"{part(key, found[key], css=css)}</section>"
        for key, heading, css in _SECTIONS
    )


def add_station_page(live: LiveView, access: Access, clock: Clock) -> None:
    """Register ``/stations/{station_id}`` with the framework, below ``/cockpit``."""
    style = read_template("cockpit.css")
    script = read_template("cockpit.js")

    async def known(station_id: Annotated[str, Path(max_length=MAX_ID)]) -> View:
        try:
            station = await live.station(station_id)
        except StoreError as error:
            raise HTTPException(503, "The store cannot be read now.") from error
        if station is None:
            raise HTTPException(404, f"No station {station_id} is registered.")
        return station

    @ui.page(
        "/stations/{station_id}",
        title="Station · Wattproof",
        dark=None,
        language="en-US",
        dependencies=[Depends(LoggedIn(access))],
    )
    async def page(request: Request, station: Annotated[View, Depends(known)]) -> None:
        ui.add_head_html(f"<style>{style}</style>")
        ui.add_body_html(f"<script>{script}</script>")
        viewer = StationViewer(
            live, access, clock, secret=request.cookies[COOKIE], station=station
        )
        ui.page_title(viewer.title)
        viewer.build()
