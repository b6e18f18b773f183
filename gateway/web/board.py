"""All that the cockpit shows at one moment, rendered once for every viewer.

A part is a piece of HTML under a key; a page sends its browser only the parts that
differ from those it sent before, so rendering does not grow with the viewers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.clock import Clock
from gateway.web import congestion, plan_table, render
from gateway.web.attention import attention
from gateway.web.chart import chart_json
from gateway.web.header import header
from gateway.web.ports import LiveView, View

FRESH_S: Final = 0.8
"""Real seconds for which one rendering serves all viewers."""
CHART_S: Final = 3.0
"""Likewise for the series of the charts, which are larger and slower to change."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The parts of one moment.

    Attributes:
        parts: HTML by key.
        tiles: HTML of the EVSE tiles by key, in the order of the wall.
        charts: Series as JSON by cabinet.
        title: For the browser's tab.
        age_s: Real seconds since the figures were true.
        price_unit: Of the prices in the charts.
    """

    parts: Mapping[str, str]
    tiles: Mapping[str, str]
    charts: Mapping[str, str]
    title: str
    age_s: float
    price_unit: str


class Board:
    """Renders at most once in `FRESH_S`, and only while somebody looks."""

    def __init__(self, live: LiveView, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._rendered_at_s = 0.0
        self._charts: dict[str, str] = {}
        self._charts_at_s = float("-inf")

    def is_ready(self) -> bool:
        """Whether there is anything to show yet; asking makes it come."""
        return self._live.site()["now"] is not None

    def current(self) -> Snapshot:
        """What to show now."""
        now_s = asyncio.get_running_loop().time()
        if self._snapshot is None or now_s - self._rendered_at_s >= FRESH_S:
            self._snapshot = self._render(now_s)
            self._rendered_at_s = now_s
        return self._snapshot

    def _render(self, now_s: float) -> Snapshot:
        site = self._live.site()
        stations = self._live.stations()
        cabinets = self._live.cabinets()
        zone = ZoneInfo(str(site["timezone"]))
        present = self._clock.now()
        now = present
        if site["now"] is not None:
            now = datetime.fromisoformat(str(site["now"]))
        plans = {
            str(cabinet["cabinet_id"]): self._live.plan(str(cabinet["cabinet_id"]))
            for cabinet in cabinets
        }
        is_due = now_s - self._charts_at_s >= CHART_S
        if is_due or self._charts.keys() != plans.keys():
            unit = str(site.get("plan_price_unit") or "per kWh")
            self._charts = self._draw(plans, now, zone, unit)
            self._charts_at_s = now_s
        parts = {
            "top": header(site, now, zone),
            "attention": attention(
                stations,
                cabinets,
                plans,
                now,
                site.get("knocking", ()),
                alarms=site.get("alarms", ()),
                commands=site.get("commands", ()),
                undecided=site.get("undecided", {}),
            ),
            "plan": plan_table.table(plans, now, zone, _offline(stations)),
            "ledger": render.ledger_strip(site["ledger"], now),
        }
        for cabinet in cabinets:
            key = str(cabinet["cabinet_id"])
            parts[f"cabinet:{key}"] = render.cabinet_panel(cabinet)
            unit = str(site.get("plan_price_unit") or "per kWh")
            full = congestion.line(plans[key], key, zone, unit)
            parts[f"planned:{key}"] = (
                f"{plan_table.summary(plans[key], now)}{'<br>' if full else ''}{full}"
            )
        return Snapshot(
            parts=parts,
            tiles=render.evse_tiles(stations, now),
            charts=self._charts,
            title=f"{render.kw(site['power_w'])} kW · {site['name']}",
            age_s=(present - now).total_seconds() / self._clock.speed,
            price_unit=str(site.get("plan_price_unit") or "per kWh"),
        )

    def _draw(
        self,
        plans: Mapping[str, View | None],
        now: datetime,
        zone: ZoneInfo,
        price_unit: str,
    ) -> dict[str, str]:
        return {
            key: chart_json(
                self._live.history(key), plan, now, zone, price_unit=price_unit
            )
            for key, plan in plans.items()
        }


def _offline(stations: Sequence[View]) -> frozenset[str]:
    return frozenset(str(s["station_id"]) for s in stations if not s["online"])
