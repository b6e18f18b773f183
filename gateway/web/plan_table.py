"""The plan in words: per car what it needs, gets and why."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from gateway.web.ports import View
from gateway.web.render import OFFLINE, age, mark_html, station_url

LEAVES: Final = "Leaves"
COLUMNS: Final = (
    "Socket",
    "Delivered",
    "Expected",
    LEAVES,
    "Limit now",
    "Why",
)
NUMERIC: Final = frozenset({"Expected", LEAVES, "Limit now"})


def table(
    plans: Mapping[str, View | None],
    now: datetime,
    zone: ZoneInfo,
    offline: Collection[str] = (),
) -> str:
    """All planned sessions, by cabinet and then by departure.

    Args:
        plans: By cabinet.
        now: Site time.
        zone: The site's; its name stands over the departures.
        offline: Stations that cannot be told anything now.
    """
    leaves = f"Leaves ({now.astimezone(zone):%Z})"
    rows = [
        _row(row, plan, cabinet_id, zone, is_offline=row["station_id"] in offline)
        for cabinet_id, plan in plans.items()
        if plan is not None
        for row in sorted(
            plan["rows"], key=lambda r: (str(r["departure_at"] or "~"), r["station_id"])
        )
    ]
    if not rows:
        return (
            '<p class="empty">No car is being planned for. A plan appears as soon as'
            " one is plugged in.</p>"
        )
    heads = "".join(
        f'<th scope="col"{" class=number" if name in NUMERIC else ""}>'
        f"{escape(leaves) if name == LEAVES else name}</th>"
        for name in COLUMNS
    )
    return (
        f'<table class="plan"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(
    row: View, plan: View, cabinet_id: str, zone: ZoneInfo, *, is_offline: bool
) -> str:
    need, got, likely = (
        row["need_wh"],
        row["delivered_wh"] or 0,
        expected_in_all_wh(row),
    )
    done = ""
    if need:
        percent = max(0, min(100, round(100 * got / need)))
        done = f'<i class="done"><i style="width:{percent}%"></i></i>'
    risk = '<span class="fault">▲ at risk</span> ' if row["at_risk"] else ""
    surely = row.get("guaranteed_wh")
    sure = "" if surely is None else f' <span class="soft">{_kwh(surely)} sure</span>'
    assumed = ' <span class="soft">assumed</span>' if row.get("is_default_need") else ""
    station_id = str(row["station_id"])
    name = f'<a href="{station_url(station_id)}"><b>{escape(station_id)}</b></a>'
    where = f"/ {escape(str(row['evse_id']))} · {escape(cabinet_id)}"
    of = "kWh" if need is None else f"of {_kwh(need)} kWh"
    lost = f" {mark_html(OFFLINE)}" if is_offline else ""
    more = f"{sure}{assumed}"
    cells = (
        (f'{name} <span class="soft">{where}</span>{lost}', "name"),
        (
            f'{done}<span>{_kwh(got)} <span class="soft">{of}</span>{more}</span>',
            "got",
        ),
        (f"{risk}{_kwh(likely)} kWh", "number"),
        (_clock(row["departure_at"], zone), "number"),
        (_amps(row["limit_a"]), "number"),
        (escape(_why(row, plan, zone)), "why"),
    )
    return (
        "<tr>"
        + "".join(
            f'<td class="{css}" data-label="{name}">{html}</td>'
            for name, (html, css) in zip(COLUMNS, cells, strict=True)
        )
        + "</tr>"
    )


def expected_in_all_wh(row: View) -> float | None:
    """What a session will have got when its car leaves."""
    to_come = row["expected_wh"]
    return None if to_come is None else float((row["delivered_wh"] or 0) + to_come)


def shortfall_wh(row: View) -> float:
    """What will be missing then; 0 while need or expectation are unknown."""
    need, likely = row["need_wh"], expected_in_all_wh(row)
    return 0.0 if need is None or likely is None else max(0.0, need - likely)


def _why(row: View, plan: View, zone: ZoneInfo) -> str:
    """The reason of the plan, or what the plan does where it needs none."""
    if row["why"]:
        return str(row["why"])
    if row["limit_a"]:
        return "As planned."
    start = datetime.fromisoformat(str(plan["start"]))
    for step, limit_a in enumerate(row.get("limits_a") or ()):
        if limit_a > 0:
            moment = start + timedelta(seconds=step * float(plan["step_s"]))
            local = moment.astimezone(zone)
            return f"Waits for its turn: planned to start at {local:%H:%M}."
    return "Nothing more is planned."


def summary(plan: View | None, now: datetime) -> str:
    """One line under a chart: how the plan came about."""
    if plan is None:
        return "No plan yet: every car has its reserved current."
    said, _ = age(str(plan["made_at"]), now)
    words = {
        "optimal": "best plan found",
        "relaxed": "tight: not every need can be met",
        "fallback": "solver late: equal shares",
    }
    outcome = str(plan["outcome"])
    told = words.get(outcome.lower(), outcome)
    if plan.get("why"):
        told += f" ({plan['why']})"
    number = len(plan["rows"])
    cars = "1 car" if number == 1 else f"{number} cars"
    return f"Plan {escape(str(plan['plan_id']))} · {escape(told)} · {cars} · {said}"


def _kwh(energy_wh: float | None) -> str:
    return "–" if energy_wh is None else f"{energy_wh / 1000:.1f}"


def _amps(current_a: float | None) -> str:
    return "–" if current_a is None else f"{current_a:.1f} A"


def _clock(moment: str | None, zone: ZoneInfo) -> str:
    if moment is None:
        return "–"
    return f"{datetime.fromisoformat(moment).astimezone(zone):%H:%M}"
