"""The parts of a station's page as HTML: pure functions from its view to text.

Whatever comes from a station is escaped here, once.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.connection import OLD_TLS
from gateway.web import station_tables as tables
from gateway.web import station_words as words
from gateway.web.headers import COCKPIT_PATH
from gateway.web.ports import View
from gateway.web.render import OFFLINE, StateMark, evse_tile, mark_html
from gateway.web.station_limits import PER_KWH, limit_lines
from gateway.web.station_obedience import obedience
from gateway.web.station_tables import until
from gateway.web.times import ago, moment

_CONNECTED: Final = StateMark("ok", "✓", "connected")
_CONTESTED: Final = StateMark("fault", "▲", "fought over")


def parts(
    station: View, now: datetime, zone: ZoneInfo, price_unit: str = PER_KWH
) -> dict[str, str]:
    """All parts by key, of a view as `gateway.web.ports.LiveView.station` gives it."""
    return {
        "top": _top(station, now, zone),
        "trouble": _trouble(station),
        "evses": _evses(station, now),
        "why": limit_lines(station, price_unit),
        "facts": _facts(station, now, zone),
        "security": _security(station, now, zone),
        "certificates": tables.certificates(station, now, zone),
        "meter_keys": tables.meter_keys(station, now, zone),
        "commands": tables.commands(station, now, zone),
        "limits": tables.limits(station, now, zone),
        "reservations": tables.reservations(station, now, zone),
        "deviations": tables.deviations(station, now, zone),
        "refused": tables.refused(station, now, zone),
        "tests": obedience(station, now, zone),
        "orphans": tables.orphans(station, now, zone),
    }


def _top(station: View, now: datetime, zone: ZoneInfo) -> str:
    mark = _CONNECTED if station["online"] else OFFLINE
    if _rivals(station):
        mark = _CONTESTED
    heard = ago(station["last_seen_at"], now, zone)
    return (
        f'<div class="name"><a class="back" href="{COCKPIT_PATH}/">← Cockpit</a>'
        f"<h1>{escape(str(station['station_id']))}</h1>{mark_html(mark)}</div>"
        f'<p class="heard">Last heard {heard}</p>'
    )


def _rivals(station: View) -> Sequence[str]:
    return list((station.get("connection") or {}).get("contested_by") or ())


def _trouble(station: View) -> str:
    found = []
    if rivals := _rivals(station):
        found.append(
            f"<b>{escape(' and '.join(rivals))}</b> keep taking this station's place"
            " from each other: two senders know its password. Find out which one is"
            " the station, then rotate the password."
        )
    if station["registration"] != "Accepted":
        found.append(f"Registration {escape(_registration(station))}.")
    if not station["online"]:
        found.append(
            "It is offline: the figures below are the last known. Its cars go on within"
            " the limits it holds. Check its network, address and password; a refused"
            " attempt shows in the cockpit as knocking."
        )
    if numbers := station["unbelieved_evses"]:
        listed = ", ".join(str(number) for number in numbers)
        found.append(
            f"It spoke of EVSE {escape(listed)}, far beyond its others: not believed."
            " If there is one, register it."
        )
    found += [
        f"Alarm of {escape(str(alarm['component']))}: {escape(str(alarm['variable']))}"
        f" is {escape(str(alarm['value']))}."
        for alarm in station.get("alarms", ())
    ]
    if not found:
        return ""
    lines = "".join(
        f'<li class="fault"><i aria-hidden="true">▲</i><p>{line}</p></li>'
        for line in found
    )
    return f'<div class="troubles"><ul class="plain">{lines}</ul></div>'


def _evses(station: View, now: datetime) -> str:
    if not station["evses"]:
        return (
            '<p class="empty">No EVSE is registered, and it has not spoken of one.'
            " State its cabinet and EVSEs with <code>PUT /api/v1/stations/ID</code> or"
            " in the configuration: until then it is in no plan.</p>"
        )
    tiles = "".join(
        f"<div>{evse_tile(station, evse, now, is_linked=False)}</div>"
        for evse in station["evses"]
    )
    return f'<div class="wall">{tiles}</div>'


def _facts(station: View, now: datetime, zone: ZoneInfo) -> str:
    connection = station.get("connection") or {}
    definition = station.get("definition") or {}
    clock, is_off = words.clock_words(
        station["clock_offset_s"], definition.get("clock_skew_s")
    )
    fed_by = " ← ".join(str(one) for one in station["path"])
    maker = " ".join(str(station[key]) for key in ("vendor", "model") if station[key])
    return _list(
        (
            ("Connected", _since(connection, now, zone)),
            ("Told what it may draw", escape(words.capability_words(station))),
            ("OCPP", escape(str(station["ocpp_version"] or "not known yet"))),
            ("Make", escape(maker or "not known yet")),
            ("Serial number", escape(str(station["serial"] or "–"))),
            ("Firmware", escape(str(station["firmware"] or "–"))),
            ("Cabinets", escape(fed_by or "in none: never limited")),
            ("Load management", "managed" if station["managed"] else "not managed"),
            ("Registration", escape(_registration(station))),
            ("Clock", _flagged(clock, is_bad=is_off)),
            ("Local list", _local_list(station["local_list"], now, zone)),
        )
    )


def _since(connection: View, now: datetime, zone: ZoneInfo) -> str:
    if not connection:
        return "no"
    since = escape(moment(str(connection["opened_at"]), now, zone))
    return f"since {since} from {escape(str(connection['remote']))}"


def _registration(station: View) -> str:
    word = str(station["registration"])
    return words.REGISTRATIONS.get(word, word)


def _flagged(text: str, *, is_bad: bool) -> str:
    said = escape(text)
    return f'<span class="fault">▲ {said}</span>' if is_bad else said


def _local_list(held: View | None, now: datetime, zone: ZoneInfo) -> str:
    if held is None:
        return "none was ever sent"
    version = "unknown" if held["version"] is None else str(held["version"])
    state = str(held["state"])
    said = escape(words.LIST_STATES.get(state, state))
    detail = f": {escape(str(held['detail']))}" if held["detail"] else ""
    left = f"; no room for {held['left_out']} tokens" if held["left_out"] else ""
    when = escape(moment(held["changed_at"], now, zone))
    text = f'version {version}, {said}{detail}{left} <span class="soft">{when}</span>'
    is_bad = state == "failed" or held["left_out"]
    return f'<span class="fault">▲</span> {text}' if is_bad else text


def _security(station: View, now: datetime, zone: ZoneInfo) -> str:
    connection = station.get("connection") or {}
    least = int(station["security_profile"])
    rows = [("Least profile", escape(words.PROFILES.get(least, str(least))))]
    if connection:
        used = int(connection["profile"])
        rows.append(("Profile in use", escape(words.PROFILES.get(used, str(used)))))
        tls = " · ".join(
            str(connection[key]) for key in ("tls_version", "cipher") if connection[key]
        )
        is_old = connection["tls_version"] in OLD_TLS
        sign = '<span class="fault">▲</span> too old: ' if is_old else ""
        rows.append(("TLS", f"{sign}{escape(tls or 'none')}"))
    if client := connection.get("client_certificate"):
        who = " · ".join(
            str(client[key]) for key in ("subject", "organization") if client[key]
        )
        valid = until(str(client["not_after"]), now, zone)
        rows.append(("Connected with", f"{escape(who)}, {valid}"))
    return _list(rows)


def _list(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values; values are HTML."""
    return (
        '<dl class="facts">'
        + "".join(f"<div><dt>{name}</dt><dd>{html}</dd></div>" for name, html in rows)
        + "</dl>"
    )
