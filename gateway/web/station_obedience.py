"""Obedience tests on a station's page: what is planned, and what they found."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from gateway.web.ports import View
from gateway.web.render import StateMark, mark_html
from gateway.web.station_tables import table
from gateway.web.times import moment

_PROVEN: Final = StateMark("ok", "✓", "obeys")
_NOT_PROVEN: Final = StateMark("waiting", "◐", "not proven")
_FAILED: Final = StateMark("fault", "▲", "failed")
_NOT_RUN: Final = StateMark("waiting", "?", "not run")
_CAUSES: Final = {
    "asked": "asked for",
    "schedule": "planned",
    "firmware": "other firmware",
}
_STEPS: Final = {
    "default": "its safe default rules",
    "step": "it follows a step",
    "drop": "after a dropped connection",
    "restart": "after a restart",
    "long_outage": "after a long outage",
}
_SIGNS: Final = {True: "✓", False: '<span class="fault">▲</span>', None: "–"}


def obedience(station: View, now: datetime, zone: ZoneInfo) -> str:
    """The planned test and the latest ones."""

    def row(one: View) -> Sequence[str]:
        cause = str(one["cause"])
        firmware = escape(str(one["firmware"] or "firmware unknown"))
        return (
            escape(moment(one["started_at"], now, zone)),
            f'{escape(_CAUSES.get(cause, cause))} <span class="soft">{firmware}</span>',
            mark_html(_mark(one)),
            _steps(one),
        )

    found = table(
        ("Started", "Why", "Result", "Steps"),
        station["tests"],
        row,
        "Never tested here. <code>POST /api/v1/stations/ID/commissioning</code> tests"
        " it now, <code>PUT …/commissioning-plan</code> by night.",
    )
    return f"{_planned(station['test_plan'], now, zone)}{found}"


def _mark(one: View) -> StateMark:
    if one["is_proven"] is None:
        return _NOT_RUN
    if one["is_proven"]:
        return _PROVEN
    has_failed = any(step["passed"] is False for step in one["steps"])
    return _FAILED if has_failed else _NOT_PROVEN


def _steps(one: View) -> str:
    if one["trouble"]:
        return escape(str(one["trouble"]))
    return "<br>".join(
        f"{_SIGNS[step['passed']]} {escape(_STEPS.get(step['step'], step['step']))}"
        f' <span class="soft">{escape(str(step["detail"]))}</span>'
        for step in one["steps"]
    )


def _planned(plan: View | None, now: datetime, zone: ZoneInfo) -> str:
    if plan is None:
        return ""
    due = datetime.fromisoformat(str(plan["due_at"]))
    said = ["Next test"]
    if due > now:
        said.append(f"from {escape(moment(str(plan['due_at']), now, zone))} on")
    if plan["window"] is not None:
        first, end = plan["window"]
        said.append(f"between {_clock(first)} and {_clock(end)}")
    said.append("once nobody charges here")
    if plan["every_days"] is not None:
        said.append(f"then every {plan['every_days']} days")
    extra = [
        *(["a restart"] if plan["restart"] else []),
        *([f"{plan['outage_s']:g} s without network"] if plan["outage_s"] else []),
    ]
    with_more = f"; with {' and '.join(extra)}" if extra else ""
    return f'<p class="soft note">{", ".join(said)}{with_more}.</p>'


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
