"""Where a plan is held back, when, and what one more kilowatt-hour would be worth."""

from datetime import datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from gateway.web.ports import View

MOST_SAID: Final = 3
"""Stretches that are named; the API has all of them."""
MICRO: Final = 1_000_000


def line(plan: View | None, cabinet_id: str, zone: ZoneInfo, unit: str) -> str:
    """One sentence about the limits of a cabinet that bind; empty where none does.

    Args:
        plan: Of its group.
        cabinet_id: Whose limits.
        zone: The site's.
        unit: Of prices, such as ``EUR/kWh``.
    """
    if plan is None:
        return ""
    step = timedelta(seconds=float(plan["step_s"]))
    mine = [
        one for one in plan.get("congestion", ()) if one["cabinet_id"] == cabinet_id
    ]
    found = _stretches(mine, step)
    if not found:
        return ""
    said = ", ".join(
        f"{name} {begin.astimezone(zone):%H:%M} to {end.astimezone(zone):%H:%M}"
        for begin, end, name in found[:MOST_SAID]
    )
    more = len(found) - MOST_SAID
    rest = f" and {more} more times" if more > 0 else ""
    worth = max(int(one["micro_per_kwh"]) for one in mine) / MICRO
    return (
        f"Full: {escape(said)}{rest}. One more kWh then would be worth up to"
        f" {worth:.2f} {escape(unit)}."
    )


def _stretches(
    bindings: list[View], step: timedelta
) -> list[tuple[datetime, datetime, str]]:
    """Steps in a row on one phase, as (begin, end, phase), by begin."""
    found: list[tuple[datetime, datetime, str]] = []
    by_phase: dict[str, list[datetime]] = {}
    for one in bindings:
        name = str(one["phase"] or "in total")
        by_phase.setdefault(name, []).append(datetime.fromisoformat(str(one["begin"])))
    for name, begins in by_phase.items():
        ordered = sorted(begins)
        first = last = ordered[0]
        for begin in ordered[1:]:
            if begin > last + step:
                found.append((first, last + step, name))
                first = begin
            last = begin
        found.append((first, last + step, name))
    return sorted(found)
