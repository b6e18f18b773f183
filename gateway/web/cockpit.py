"""The operator's page: one timer per viewer, and only what changed goes out."""

import asyncio
import json
from collections.abc import Mapping
from html import escape
from typing import Final

from fastapi import Depends, Request
from nicegui import ui

from gateway.web.board import Board, Snapshot
from gateway.web.headers import BILLS_PATH
from gateway.web.login import COOKIE, LoggedIn
from gateway.web.plain import read_template
from gateway.web.ports import Access
from gateway.web.render import evse_wall, legend, part

REFRESH_S: Final = 1.0
RECHECK_S: Final = 30.0
"""How soon a token that was revoked closes the page that it opened."""
FIRST_LOOK_S: Final = 0.1
FIRST_LOOKS: Final = 20
"""A page waits this often for the first figures of an idle system."""
MAX_CHARTS: Final = 24
"""Cabinets with a chart; further ones show their bars."""

_CHART_KEY: Final = (
    '<p class="key"><span><i class="load"></i>load</span>'
    '<span><i class="planned"></i>planned</span>'
    '<span><i class="limit"></i>limit</span>'
    '<span><i class="price"></i>what the site pays, {unit}</span></p>'
)


_NO_CABINET: Final = (
    '<h2>No cabinet yet</h2><p class="empty">Nothing is limited: state each'
    " distribution cabinet and its limit as a <code>[[cabinet]]</code> of the"
    " configuration, check it with <code>wattproof site check</code>, and restart.</p>"
)


class Viewer:
    """One open page: what its browser has, and how it gets the rest."""

    def __init__(self, board: Board, access: Access, secret: str) -> None:
        self._board = board
        self._access = access
        self._secret = secret
        self._parts: dict[str, str] = {}
        self._charts: dict[str, str] = {}
        self._cabinets: frozenset[str] = frozenset()
        self._chart_ids: dict[str, int] = {}
        self._checked_at_s = asyncio.get_running_loop().time()

    def build(self) -> None:
        """Lay the page out, filled with the present."""
        snapshot = self._board.current()
        self._parts = {**snapshot.parts, **snapshot.tiles}
        self._cabinets = frozenset(snapshot.charts)
        ui.html(_top(snapshot.parts), sanitize=False, tag="header").classes("top")
        with ui.element("main").classes("page"):
            ui.html(
                part("attention", snapshot.parts["attention"]),
                sanitize=False,
                tag="section",
            ).props('aria-live="polite" aria-label="What needs you"').classes(
                "attention"
            )
            with ui.element("section").classes("panels").props('aria-label="Cabinets"'):
                for key in snapshot.charts:
                    self._panel(key, snapshot)
                if not snapshot.charts:
                    ui.html(_NO_CABINET, sanitize=False, tag="article").classes("panel")
            ui.html(_rest(snapshot), sanitize=False).classes("rest")
        ui.timer(REFRESH_S, self.refresh)

    def _panel(self, key: str, snapshot: Snapshot) -> None:
        with ui.element("article").classes("panel"):
            ui.html(
                part(f"cabinet:{key}", snapshot.parts[f"cabinet:{key}"]), sanitize=False
            )
            if len(self._chart_ids) < MAX_CHARTS:
                unit = escape(snapshot.price_unit)
                ui.html(_CHART_KEY.format(unit=unit), sanitize=False)
                chart = ui.echart({}).classes("chart")
                chart.props('role="img"').props["aria-label"] = (
                    f"Load and plan of cabinet {key}; as a table below"
                )
                self._chart_ids[key] = chart.id
                ui.html(
                    part(
                        f"planned:{key}",
                        snapshot.parts[f"planned:{key}"],
                        css="soft note",
                    )
                    + f'<details class="twin" data-chart="{chart.id}">'
                    "<summary>The chart as a table</summary>"
                    '<div class="scroll"></div></details>',
                    sanitize=False,
                )

    async def refresh(self) -> None:
        """Send what changed since the last time."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._checked_at_s >= RECHECK_S:
            self._checked_at_s = now_s
            if await self._access.role_of(self._secret) is None:
                ui.navigate.to("/login")
                return
        snapshot = self._board.current()
        if self._cabinets != snapshot.charts.keys():
            ui.run_javascript("location.reload()")
            return
        message: dict[str, object] = {
            "title": snapshot.title,
            "age_s": round(snapshot.age_s),
        }
        if parts := self._changed_parts(snapshot):
            message["parts"] = parts
        charts = {
            str(self._chart_ids[key]): json.loads(drawn)
            for key, drawn in snapshot.charts.items()
            if key in self._chart_ids and drawn != self._charts.get(key)
        }
        if charts:
            message["charts"] = charts
        self._charts = dict(snapshot.charts)
        ui.run_javascript(f"cockpit.take({json.dumps(message, ensure_ascii=False)})")

    def _changed_parts(self, snapshot: Snapshot) -> dict[str, str]:
        present = {**snapshot.parts, **snapshot.tiles}
        changed = {
            key: html for key, html in present.items() if html != self._parts.get(key)
        }
        if present.keys() != self._parts.keys():
            changed = {
                key: html for key, html in changed.items() if key in snapshot.parts
            }
            changed["wall"] = evse_wall(snapshot.tiles)
        self._parts = present
        return changed


def _top(parts: Mapping[str, str]) -> str:
    return (
        f"{part('top', parts['top'], css='inner')}"
        '<p class="pulse" id="pulse" role="status"><i aria-hidden="true"></i>'
        "<span>connecting</span></p>"
    )


def _rest(snapshot: Snapshot) -> str:
    """The sections below the cabinets, as one piece of HTML."""
    return (
        '<section aria-labelledby="h-wall"><div class="heading">'
        f'<h2 id="h-wall">Chargers</h2>{legend()}</div>'
        f"{part('wall', evse_wall(snapshot.tiles))}</section>"
        '<section aria-labelledby="h-plan"><h2 id="h-plan">Cars and their plan</h2>'
        f"{part('plan', snapshot.parts['plan'], css='panel scroll')}</section>"
        '<nav class="ledger" aria-label="More">'
        f'<a href="{BILLS_PATH}">Bills and monthly export</a></nav>'
        f'<footer aria-label="Ledger">'
        f"{part('ledger', snapshot.parts['ledger'], css='ledger')}</footer>"
    )


def add_cockpit(board: Board, access: Access) -> None:
    """Register the page with the framework; it is mounted under ``/cockpit``."""
    style = read_template("cockpit.css")
    script = read_template("cockpit.js")

    @ui.page(
        "/",
        title="Wattproof",
        dark=None,
        language="en-US",
        dependencies=[Depends(LoggedIn(access))],
    )
    async def cockpit(request: Request) -> None:
        for _ in range(FIRST_LOOKS):
            if board.is_ready():
                break
            await asyncio.sleep(FIRST_LOOK_S)
        ui.add_head_html(f"<style>{style}</style>")
        ui.add_body_html(f"<script>{script}</script>")
        Viewer(board, access, request.cookies[COOKIE]).build()
