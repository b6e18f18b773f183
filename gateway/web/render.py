"""Pieces of the cockpit as HTML: pure functions from views to text.

State is always colour *and* shape *and* word; every number carries its age. Whatever
comes from a station is escaped here, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final

View = Mapping[str, Any]

FRESH_S: Final = 300.0
"""Site seconds up to which a power value is shown as present."""

LOST_S: Final = 1800.0
"""Site seconds after which it is not shown at all."""


@dataclass(frozen=True, slots=True)
class StateMark:
    """How a state looks."""

    css: str
    shape: str
    word: str


_CHARGING = StateMark("charging", "●", "charging")
_WAITING = StateMark("waiting", "◐", "waiting")
_READY = StateMark("ready", "◇", "free")
_FAULT = StateMark("fault", "▲", "fault")
_OFFLINE = StateMark("offline", "✕", "offline")
_RESERVED = StateMark("ready", "▣", "reserved")
_CLOSED = StateMark("offline", "▬", "out of service")
_PAUSED_CAR = StateMark("waiting", "◐", "car paused")
_PAUSED_US = StateMark("waiting", "◐", "paused by us")

LEGEND: Final = (_CHARGING, _WAITING, _READY, _FAULT, _OFFLINE)


def mark_of(station: View, evse: View) -> StateMark:
    """The state of an EVSE, worst news first."""
    if not station["online"]:
        return _OFFLINE
    match evse.get("availability"):
        case "faulted":
            return _FAULT
        case "unavailable":
            return _CLOSED
        case "reserved":
            return _RESERVED
        case _:
            pass
    if evse.get("session_id") is None:
        occupied = evse.get("availability") == "occupied"
        return StateMark("waiting", "◐", "plugged in") if occupied else _READY
    match evse.get("charging_state"):
        case "suspended_ev":
            return _PAUSED_CAR
        case "suspended_evse":
            return _PAUSED_US
        case "charging":
            return _CHARGING
        case _:
            return _WAITING


def kw(power_w: float | None) -> str:
    """Watts as kilowatts with one decimal; a dash while unknown."""
    return "–" if power_w is None else f"{power_w / 1000:.1f}"


def age(moment: str | None, now: datetime) -> tuple[str, float]:
    """How long ago an ISO time was, in words and seconds."""
    if moment is None:
        return "never", float("inf")
    seconds = max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())
    if seconds < 90:  # noqa: PLR2004 - a minute and a half reads better in seconds
        return f"{seconds:.0f} s ago", seconds
    if seconds < 5400:  # noqa: PLR2004 - likewise an hour and a half
        return f"{seconds / 60:.0f} min ago", seconds
    return f"{seconds / 3600:.0f} h ago", seconds


def evse_tile(station: View, evse: View, now: datetime) -> str:
    """One EVSE: state, and one bar of power against limit against rating."""
    mark = mark_of(station, evse)
    rated_w = float(evse.get("rated_w") or 0)
    power_w = evse.get("power_w")
    limit_w = evse.get("limit_w")
    said, seconds = age(evse.get("measured_at") or station.get("last_seen_at"), now)
    if seconds > LOST_S and evse.get("session_id") is not None:
        power_w = None
    stale = " stale" if seconds > FRESH_S else ""
    name = str(station["station_id"])
    if len(station["evses"]) > 1:
        name += f" / {evse['evse_id']}"
    extra = ""
    if evse.get("session_id") is not None:
        extra = f"+{(evse.get('energy_milliwh') or 0) / 1_000_000:.2f} kWh"
        if evse.get("soc_percent") is not None:
            extra = f"{float(evse['soc_percent']):.0f} % · {extra}"
    promise = str(evse.get("promise") or "")
    return (
        f'<article class="tile {mark.css}{stale}" aria-label="{escape(name)}">'
        f'<header><b>{escape(name)}</b><span class="state">{mark.shape} '
        f"{escape(mark.word)}</span></header>"
        f"{power_bar(power_w, limit_w, rated_w)}"
        f'<p class="numbers"><b>{kw(power_w)}</b> kW '
        f'<span class="soft">limit {kw(limit_w)} · rated {kw(rated_w)}</span></p>'
        f'<p class="numbers">{escape(extra) or "&nbsp;"}'
        f'<span class="soft right">{escape(said)}</span></p>'
        f'<p class="soft promise">{escape(promise) or "&nbsp;"}</p></article>'
    )


def power_bar(power_w: float | None, limit_w: float | None, rated_w: float) -> str:
    """Power as a filled bar, the limit as a line, the rating as the bar's end."""
    full = max(rated_w, 1.0)
    drawn = min(100.0, 100.0 * (power_w or 0.0) / full)
    line = ""
    if limit_w is not None:
        at = min(100.0, 100.0 * limit_w / full)
        line = f'<i class="limit" style="left:{at:.1f}%"></i>'
    label = f"{kw(power_w)} of {kw(limit_w)} kW allowed, {kw(rated_w)} kW rated"
    return (
        f'<div class="bar" role="img" aria-label="{label}">'
        f'<i class="drawn" style="width:{drawn:.1f}%"></i>{line}</div>'
    )


def evse_wall(stations: Sequence[View], now: datetime) -> str:
    """All tiles, in the order of names: they never move under the cursor."""
    tiles = [
        evse_tile(station, evse, now)
        for station in sorted(stations, key=lambda s: str(s["station_id"]))
        for evse in station["evses"]
    ]
    if not tiles:
        return (
            '<p class="soft">No stations yet. Point one at this system\'s OCPP URL.</p>'
        )
    return f'<div class="wall">{"".join(tiles)}</div>'


def cabinet_panel(cabinet: View) -> str:
    """One cabinet in numbers: three phase bars with limit and worst case."""
    rows = []
    for index, phase in enumerate(("L1", "L2", "L3")):
        load_a = cabinet["load_a"][index]
        worst_a = cabinet["worst_case_a"][index]
        limit_a = cabinet["limit_a"][index] if cabinet["limit_a"] else None
        rows.append(_phase_row(phase, load_a, worst_a, limit_a))
    state = str(cabinet["state"])
    shape = {"over_limit": "▲", "commissioning": "◐", "advise": "◇"}.get(state, "✓")
    under = f" · fed by {escape(str(cabinet['parent']))}" if cabinet["parent"] else ""
    return (
        f"<header><b>Cabinet {escape(str(cabinet['cabinet_id']))}</b>"
        f'<span class="soft">{under}</span>'
        f'<span class="state right">{shape} {escape(state.replace("_", " "))}</span>'
        f"</header>{''.join(rows)}"
        f'<p class="soft">If every link died now: '
        f"{max(cabinet['worst_case_a']):.1f} A on the fullest phase.</p>"
    )


def _phase_row(phase: str, load_a: float, worst_a: float, limit_a: float | None) -> str:
    full = max(limit_a or 0.0, worst_a, load_a, 1.0)
    said = f"{load_a:.1f} A" + (f" of {limit_a:.0f} A" if limit_a is not None else "")
    over = " over" if limit_a is not None and load_a > limit_a else ""
    return (
        f'<div class="phase"><span>{phase}</span>'
        f'<div class="bar{over}" role="img" aria-label="{phase} {said}">'
        f'<i class="worst" style="width:{100 * worst_a / full:.1f}%"></i>'
        f'<i class="drawn" style="width:{100 * load_a / full:.1f}%"></i>'
        f'<i class="limit" style="left:{100 * (limit_a or full) / full:.1f}%"></i>'
        f"</div><span>{said}</span></div>"
    )


def legend() -> str:
    """What shapes and colours mean."""
    parts = [
        f'<span class="{mark.css}">{mark.shape} {mark.word}</span>' for mark in LEGEND
    ]
    return f'<p class="legend">{" ".join(parts)} <span>│ limit</span></p>'
