"""Pieces of the cockpit as HTML: pure functions from views to text.

State is always colour *and* shape *and* word; every number carries its age. Whatever
comes from a station is escaped here, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final
from urllib.parse import quote

from gateway.web.headers import COCKPIT_PATH
from gateway.web.ports import View

FRESH_S: Final = 300.0
"""Site seconds up to which a power value is shown as present."""

LOST_S: Final = 1800.0
"""Site seconds after which it is not shown at all."""

LIVE_S: Final = 90.0
"""Site seconds within which a value is simply live."""


@dataclass(frozen=True, slots=True)
class StateMark:
    """How a state looks."""

    css: str
    shape: str
    word: str


_CHARGING = StateMark("charging", "●", "charging")
_WAITING = StateMark("waiting", "◐", "waiting")
_READY = StateMark("ready", "◇", "free")
FAULT = StateMark("fault", "▲", "fault")
OFFLINE = StateMark("offline", "✕", "offline")
_RESERVED = StateMark("ready", "▣", "reserved")
_CLOSED = StateMark("offline", "▬", "out of service")
_PAUSED_CAR = StateMark("waiting", "◐", "car paused")
_PAUSED_US = StateMark("waiting", "◐", "paused by us")
_PLUGGED = StateMark("waiting", "◐", "plugged in")
_INTERRUPTED = StateMark("waiting", "◐", "interrupted")
_DONE = StateMark("ready", "◆", "finishing")

LEGEND: Final = (_CHARGING, _WAITING, _READY, FAULT, OFFLINE)


def mark_of(station: View, evse: View) -> StateMark:
    """The state of an EVSE, worst news first."""
    if not station["online"]:
        return OFFLINE
    match evse.get("availability"):
        case "faulted":
            return FAULT
        case "unavailable":
            return _CLOSED
        case "reserved":
            return _RESERVED
        case _:
            pass
    if evse.get("session_id") is None:
        return _PLUGGED if evse.get("availability") == "occupied" else _READY
    match evse.get("charging_state"):
        case "suspended_ev":
            return _PAUSED_CAR
        case "suspended_evse":
            return _PAUSED_US
        case "charging":
            return _CHARGING
        case "finishing":
            return _DONE
        case _:
            return _WAITING if evse.get("interrupted_at") is None else _INTERRUPTED


def mark_html(mark: StateMark) -> str:
    """Shape and word in the colour of the state."""
    return (
        f'<span class="state {mark.css}"><i aria-hidden="true">{mark.shape}</i> '
        f"{escape(mark.word)}</span>"
    )


def kw(power_w: float | None) -> str:
    """Watts as kilowatts with one decimal; a dash while unknown."""
    return "–" if power_w is None else f"{power_w / 1000:.1f}"


def age(moment: str | None, now: datetime) -> tuple[str, float]:
    """How long ago an ISO time was, in words and seconds.

    Within `LIVE_S` it is just "live": a counter that moves every second would only
    draw the eye.
    """
    if moment is None:
        return "never", float("inf")
    seconds = max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())
    if seconds < LIVE_S:
        return "just now", seconds
    if seconds < 5400:  # noqa: PLR2004 - an hour and a half reads better in minutes
        return f"{seconds / 60:.0f} min ago", seconds
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h ago", seconds
    return f"{seconds / 86400:.0f} days ago", seconds


def station_url(station_id: str) -> str:
    """Where a station's page is."""
    return f"{COCKPIT_PATH}/stations/{quote(station_id, safe='')}"


def evse_tile(
    station: View, evse: View, now: datetime, *, is_linked: bool = True
) -> str:
    """One EVSE: state, and one bar of power against limit against rating.

    Args:
        station: Its station.
        evse: One of its EVSEs.
        now: Site time.
        is_linked: Whether the tile leads to the station's page.
    """
    mark = mark_of(station, evse)
    rated_w = float(evse.get("rated_w") or 0)
    rating = f"rated {kw(rated_w)}" if rated_w else "not registered"
    power_w = evse.get("power_w")
    limit_w = evse.get("limit_w")
    is_open = evse.get("session_id") is not None
    if mark is OFFLINE and not is_open:
        power_w = None
    said, seconds = age(evse.get("measured_at") or station.get("last_seen_at"), now)
    if seconds > LOST_S and is_open:
        power_w = None
    is_offline = mark is OFFLINE
    stale = " stale" if is_offline or (seconds > FRESH_S and is_open) else ""
    was = '<span class="soft">was</span> ' if is_offline and power_w else ""
    name = str(station["station_id"])
    if len(station["evses"]) > 1:
        name += f" / {evse['evse_id']}"
    extra = _session_words(evse) if is_open else escape(_device_words(station))
    promise = str(evse.get("promise") or "")
    none = ' class="none"' if power_w is None else ""
    aged = f'<span class="age">{escape(said)}</span>' if stale else ""
    heading = f"<b>{escape(name)}</b>"
    if is_linked:
        url = station_url(str(station["station_id"]))
        heading = f'<a href="{url}">{heading}</a>'
    return (
        f'<article class="tile {mark.css}{stale}" aria-label="{escape(name)}">'
        f"<header>{heading}{mark_html(mark)}</header>"
        f'<p class="power">{was}<b{none}>{kw(power_w)}</b> kW'
        f'<span class="soft">limit {kw(limit_w)}<i class="sep"></i>'
        f"{rating}</span></p>"
        f"{power_bar(None if is_offline else power_w, limit_w, rated_w)}"
        f'<p class="foot"><span>{extra}</span>{aged}</p>'
        f'<p class="promise">{escape(promise)}</p></article>'
    )


def _session_words(evse: View) -> str:
    got = f"+{(evse.get('energy_milliwh') or 0) / 1_000_000:.1f} kWh"
    if evse.get("soc_percent") is None:
        return got
    return f"{got} · {float(evse['soc_percent']):.0f} %"


def _device_words(station: View) -> str:
    parts = (station.get("vendor"), station.get("model"))
    return " ".join(str(part) for part in parts if part)


def power_bar(power_w: float | None, limit_w: float | None, rated_w: float) -> str:
    """Power as a filled bar, the limit as a line, the rating as the bar's end."""
    full = max(rated_w, 1.0)
    drawn = min(100.0, 100.0 * (power_w or 0.0) / full)
    line = ""
    if limit_w is not None:
        at = min(100.0, 100.0 * limit_w / full)
        line = (
            f'<i class="room" style="left:{at:.1f}%"></i>'
            f'<i class="limit" style="left:{at:.1f}%"></i>'
        )
    label = f"{kw(power_w)} of {kw(limit_w)} kW allowed, {kw(rated_w)} kW rated"
    return (
        f'<div class="bar" role="img" aria-label="{label}">'
        f'<i class="drawn" style="width:{drawn:.1f}%"></i>{line}</div>'
    )


_NO_EVSE: Final = {"evse_id": "–", "promise": "not in any cabinet yet"}
"""Stands for the sockets of a station that nobody has described yet."""


def evse_tiles(stations: Sequence[View], now: datetime) -> dict[str, str]:
    """All tiles by key, in the order of names: they never move under the cursor."""
    return {
        f"tile:{station['station_id']}/{evse['evse_id']}": evse_tile(station, evse, now)
        for station in sorted(stations, key=lambda s: str(s["station_id"]))
        for evse in station["evses"] or [_NO_EVSE]
    }


def evse_wall(tiles: Mapping[str, str]) -> str:
    """The tiles, each in a place that can be refilled by its key."""
    if not tiles:
        return (
            '<p class="empty">No station is registered yet. Add a <code>[[station]]'
            "</code> to the configuration or send <code>PUT /api/v1/stations/ID</code>,"
            " then enter this system's OCPP URL in the charger. One that connects"
            " before it is registered is shown above as knocking.</p>"
        )
    places = "".join(part(key, html, tag="div") for key, html in tiles.items())
    return f'<div class="wall">{places}</div>'


def part(key: str, html: str, *, tag: str = "div", css: str = "") -> str:
    """A place for a part; the page's script refills it by its key."""
    style = f' class="{css}"' if css else ""
    return f'<{tag} data-part="{escape(key)}"{style}>{html}</{tag}>'


_CABINET_MARKS: Final = {
    "control": StateMark("ok", "✓", "in control"),
    "advise": StateMark("ready", "◇", "advice only"),
    "commissioning": StateMark("waiting", "◐", "being commissioned"),
    "over_limit": StateMark("fault", "▲", "over limit"),
    "shedding": StateMark("waiting", "▼", "holding back"),
    "feeder_lost": StateMark("waiting", "?", "feeder meter lost"),
}


def cabinet_panel(cabinet: View) -> str:
    """One cabinet in numbers: three phase bars with limit and worst case."""
    rows = []
    for index, phase in enumerate(("L1", "L2", "L3")):
        load_a = cabinet["load_a"][index]
        worst_a = cabinet["worst_case_a"][index]
        limit_a = cabinet["limit_a"][index] if cabinet["limit_a"] else None
        rows.append(_phase_row(phase, load_a, worst_a, limit_a))
    state = str(cabinet["state"])
    mark = _CABINET_MARKS.get(state, StateMark("ready", "◇", state))
    under = ""
    if cabinet["parent"]:
        under = f'<span class="soft">fed by {escape(str(cabinet["parent"]))}</span>'
    worst_a = max(cabinet["worst_case_a"])
    room = ""
    if cabinet.get("headroom_a"):
        room = f" · {min(cabinet['headroom_a']):.1f} A headroom then"
    source = ""
    if cabinet.get("load_source") == "bound":
        source = " · partly unmeasured: the upper bound is shown"
    note = ""
    if cabinet.get("note"):
        note = f'<p class="note">{escape(str(cabinet["note"]))}</p>'
    return (
        f"<header><h3>Cabinet {escape(str(cabinet['cabinet_id']))}</h3>{under}"
        f"{mark_html(mark)}</header>{''.join(rows)}"
        f'<p class="soft note">Worst case, if every link died now: '
        f"{worst_a:.1f} A{room}{source}</p>{note}"
    )


def _phase_row(phase: str, load_a: float, worst_a: float, limit_a: float | None) -> str:
    full = max(limit_a or 0.0, worst_a, load_a, 1.0)
    of = (
        f" <small>/ {limit_a:.0f} A</small>"
        if limit_a is not None
        else "<small> A</small>"
    )
    said = f"{phase} {load_a:.1f} A" + (f" of {limit_a:.0f} A" if limit_a else "")
    over = " over" if limit_a is not None and load_a > limit_a else ""
    line = ""
    if limit_a is not None:
        line = f'<i class="limit" style="left:{100 * limit_a / full:.1f}%"></i>'
    return (
        f'<div class="phase"><span>{phase}</span>'
        f'<div class="bar{over}" role="img" aria-label="{said}">'
        f'<i class="worst" style="width:{100 * worst_a / full:.1f}%"></i>'
        f'<i class="drawn" style="width:{100 * load_a / full:.1f}%"></i>'
        f"{line}</div><span>{load_a:.1f}{of}</span></div>"
    )


def ledger_strip(ledger: View, now: datetime) -> str:
    """How far the public record follows."""
    backend = str(ledger["backend"])
    leaves = f"{ledger['leaves']:,}".replace(",", "\u202f")
    backlog = ledger["backlog"]
    if backend == "none":
        return (
            f"<b>{leaves}</b> records sealed · not anchored: no ledger backend is set"
        )
    said, _ = age(ledger["last_anchor_at"], now)
    tail = (
        "everything is public" if not backlog else f"{backlog} waiting to be anchored"
    )
    return (
        f'<span class="ok"><i aria-hidden="true">✓</i> anchored {said}</span>'
        f"<span><b>{leaves}</b> records</span>"
        f"<span>{escape(tail)}</span>"
        f'<span class="soft">{escape(backend)} chain</span>'
    )


def legend() -> str:
    """What shapes and colours mean."""
    parts = "".join(mark_html(mark) for mark in LEGEND)
    return f'<p class="legend">{parts}<span><i class="tick"></i> limit</span></p>'
