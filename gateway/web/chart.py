"""What a cabinet's chart draws: load so far, the plan, the limit over both, the price.

Points are ``[time, value]``; the time is the site's wall clock told as if it were UTC,
in ms, because the chart library knows only UTC and the viewer's own zone.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from gateway.web.ports import View

Point: TypeAlias = tuple[int, float]

MAX_HISTORY_POINTS: Final = 240
AHEAD: Final = timedelta(hours=12)
"""How far of the plan is drawn: beyond it is rarely more than a guess."""
MICRO: Final = 1_000_000


def wall_ms(moment: datetime, zone: ZoneInfo) -> int:
    """The site's wall clock at a moment, as ms of a UTC that shows the same digits."""
    return round(moment.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000)


def chart_json(
    history: Sequence[tuple[str, float, float]],
    plan: View | None,
    now: datetime,
    zone: ZoneInfo,
    *,
    price_unit: str = "per kWh",
) -> str:
    """The series of one cabinet as JSON.

    Args:
        history: Time, load and limit in A; a limit of 0 is none.
        plan: See `gateway.web.ports.LiveView.plan`.
        now: Site time.
        zone: The site's time zone.
        price_unit: Of the plan's prices, such as ``EUR/kWh``.

    Returns:
        An object with ``now``, ``load``, ``limit``, ``plan``, ``price``, ``unit`` (of
        the price) and ``zone`` (in a word, now).
    """
    past = [
        (wall_ms(datetime.fromisoformat(at), zone), load_a, limit_a)
        for at, load_a, limit_a in history
    ]
    load = thinned([(at, load_a) for at, load_a, _ in past])
    limit: list[Point] = [(at, limit_a) for at, _, limit_a in past]
    planned: list[Point] = []
    price: list[Point] = []
    if plan is not None:
        for at, moment in enumerate(_steps(plan, now + AHEAD)):
            x = wall_ms(moment, zone)
            planned.append((x, round(float(plan["expected_a"][at]), 1)))
            limit.append((x, float(plan["limit_a"][at])))
            price.append((x, round(plan["price_micro_per_kwh"][at] / MICRO, 4)))
    drawn = {
        "now": wall_ms(now, zone) // 60_000 * 60_000,
        "load": load,
        "limit": corners(sorted(point for point in limit if point[1] > 0)),
        "plan": planned,
        "price": price,
        "unit": price_unit,
        "zone": f"{now.astimezone(zone):%Z}",
    }
    return json.dumps(drawn, separators=(",", ":"))


def _steps(plan: View, until: datetime) -> list[datetime]:
    start = datetime.fromisoformat(str(plan["start"]))
    step = timedelta(seconds=float(plan["step_s"]))
    moments = [start + step * at for at in range(len(plan["expected_a"]))]
    return [moment for moment in moments if moment <= until]


def thinned(points: Sequence[Point], most: int = MAX_HISTORY_POINTS) -> list[Point]:
    """At most ``most`` points; of each bundle the highest stays, so no peak is lost."""
    bundle = -(-len(points) // most)
    if bundle <= 1:
        return [(at, round(value, 1)) for at, value in points]
    kept = []
    for first in range(0, len(points), bundle):
        at, value = max(points[first : first + bundle], key=lambda point: point[1])
        kept.append((at, round(value, 1)))
    return kept


def corners(points: Sequence[Point]) -> list[Point]:
    """A step line without the points in the middle of its treads."""
    last = len(points) - 1
    return [
        point
        for index, point in enumerate(points)
        if index in {0, last} or point[1] != points[index - 1][1]
    ]
