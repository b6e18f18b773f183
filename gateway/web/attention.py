"""What needs a person, worst first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from types import MappingProxyType
from typing import Final

from gateway.web.command_lines import explanation, headline
from gateway.web.headers import CORRECTIONS_PATH
from gateway.web.plan_table import shortfall_wh
from gateway.web.ports import View
from gateway.web.render import FAULT, OFFLINE, StateMark, age, station_url

MOST_TROUBLES: Final = 5

KNOCK_S: Final = 3600.0
"""Site seconds for which a refused station is worth a line."""

_KNOCKING: Final = StateMark("waiting", "?", "knocking")
_UNDONE: Final = StateMark("waiting", "!", "not done")
_DECISIONS: Final = (
    (
        "bills",
        "1 bill waits for you",
        "bills wait for you",
        "Nothing is paid until then.",
    ),
    (
        "proposals",
        "1 settled bill is doubted",
        "settled bills are doubted",
        "Data that came later says something else.",
    ),
)
_AT_RISK: Final = StateMark("waiting", "!", "at risk")


def attention(
    stations: Sequence[View],
    cabinets: Sequence[View],
    plans: Mapping[str, View | None],
    now: datetime,
    knocking: Sequence[View] = (),
    *,
    alarms: Sequence[View] = (),
    commands: Sequence[View] = (),
    undecided: View = MappingProxyType({}),
) -> str:
    """What needs a person, worst first; one calm line if nothing does."""
    found = [
        *_cabinet_troubles(cabinets),
        *_alarms(alarms, now),
        *_station_troubles(stations, now),
        *_plan_troubles(plans),
        *(
            _trouble(_UNDONE, headline(one), explanation(one), one["station_id"])
            for one in commands
        ),
        *_undecided(undecided),
        *_knocks(knocking, now),
    ]
    if not found:
        return '<p class="calm"><i aria-hidden="true">✓</i> Nothing needs you.</p>'
    rest = len(found) - MOST_TROUBLES
    more = ""
    if rest > 0:
        more = (
            f'<details class="more"><summary>and {rest} more</summary>'
            f"<ul>{''.join(found[MOST_TROUBLES:])}</ul></details>"
        )
    one = "1 thing needs you" if len(found) == 1 else f"{len(found)} things need you"
    return (
        f'<div class="troubles"><h2>{one}</h2>'
        f"<ul>{''.join(found[:MOST_TROUBLES])}</ul>{more}</div>"
    )


def _cabinet_troubles(cabinets: Sequence[View]) -> list[str]:
    found = []
    for cabinet in cabinets:
        state, name = cabinet["state"], f"Cabinet {cabinet['cabinet_id']}"
        note = str(cabinet.get("note") or "")
        if state == "over_limit":
            fullest = f"{max(cabinet['load_a']):.1f} A on the fullest phase"
            found.append(_trouble(FAULT, f"{name} is over its limit", fullest))
        elif state == "shedding":
            found.append(_trouble(FAULT, f"{name} holds back", note))
        elif state == "feeder_lost":
            found.append(_trouble(_UNDONE, f"{name} has lost its feeder meter", note))
    return found


def _station_troubles(stations: Sequence[View], now: datetime) -> list[str]:
    offline, faulted = [], []
    for station in stations:
        name = str(station["station_id"])
        if not station["online"]:
            said, _ = age(station["last_seen_at"], now)
            n_open = sum(e.get("session_id") is not None for e in station["evses"])
            cars = f"{n_open} with a car plugged in, " if n_open else ""
            offline.append(
                _trouble(OFFLINE, f"{name} is offline", f"{cars}last seen {said}", name)
            )
            continue
        if station.get("restart_needed_at") is not None:
            faulted.append(
                _trouble(
                    _UNDONE,
                    f"{name} must be restarted",
                    "A setting that it took counts after its next restart only.",
                    name,
                )
            )
        rivals = (station.get("connection") or {}).get("contested_by")
        if rivals:
            faulted.append(
                _trouble(
                    FAULT,
                    f"{name} is fought over",
                    f"{' and '.join(rivals)} keep taking it from each other:"
                    " two senders know its password. Rotate it.",
                    name,
                )
            )
        faulted += [
            _trouble(FAULT, f"{name} / {evse['evse_id']} reports a fault", "", name)
            for evse in station["evses"]
            if evse.get("availability") == "faulted"
        ]
        faulted += [
            _trouble(
                FAULT,
                f"{name}: alarm of {alarm['component']}",
                f"{alarm['variable']} is {alarm['value']}",
                name,
            )
            for alarm in station.get("alarms", ())
        ]
    return faulted + offline


def _undecided(counts: View) -> list[str]:
    """Bills that wait for an operator, and late data that contradicts settled ones."""
    found = []
    for key, one, more, detail in _DECISIONS:
        count = counts.get(key, 0)
        if count:
            words = one if count == 1 else f"{count} {more}"
            found.append(_trouble(_UNDONE, words, detail, url=CORRECTIONS_PATH))
    return found


def _knocks(knocking: Sequence[View], now: datetime) -> list[str]:
    """Who was refused of late: a typo in a password, a new station, or a stranger."""
    found = []
    for knock in knocking:
        said, seconds = age(knock["last_seen_at"], now)
        if seconds <= KNOCK_S:
            found.append(
                _trouble(
                    _KNOCKING,
                    f"{knock['station_id']} is knocking",
                    f"{knock['reason']}; {knock['attempts']} attempts, the last {said}",
                )
            )
    return found


def _alarms(alarms: Sequence[View], now: datetime) -> list[str]:
    """Critical security events that stations reported."""
    found = []
    for alarm in alarms:
        said, _ = age(alarm["last_at"], now)
        times = "once" if alarm["count"] == 1 else f"{alarm['count']} times"
        found.append(
            _trouble(
                FAULT,
                f"{alarm['station_id']} reports {alarm['type']}",
                f"{times}, the last {said}",
                alarm["station_id"],
            )
        )
    return found


def _plan_troubles(plans: Mapping[str, View | None]) -> list[str]:
    found = []
    for plan in plans.values():
        for row in plan["rows"] if plan is not None else ():
            need, missing = row["need_wh"], shortfall_wh(row)
            if not row["at_risk"] or need is None:
                continue
            found.append(
                _trouble(
                    _AT_RISK,
                    f"{row['station_id']} / {row['evse_id']} will be short",
                    f"{(need - missing) / 1000:.1f} of {need / 1000:.1f} kWh. "
                    f"{row['why'] or ''}",
                    row["station_id"],
                )
            )
    return found


def _trouble(
    mark: StateMark,
    headline: str,
    detail: str,
    station_id: object = None,
    *,
    url: str | None = None,
) -> str:
    """One line; with a station it leads to the station's page."""
    name = f"<b>{escape(headline)}</b>"
    if station_id is not None:
        url = station_url(str(station_id))
    if url is not None:
        name = f'<a href="{url}">{name}</a>'
    return (
        f'<li class="{mark.css}"><i aria-hidden="true">{mark.shape}</i>'
        f'{name} <span class="soft">{escape(detail)}</span></li>'
    )
