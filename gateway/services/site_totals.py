"""The site's totals: what the cars draw, what the supply carries, what the sun gives.

Only live figures are added up. A station that is offline, or a meter that has been
silent for a while, may draw anything: its last figure is history and counts nowhere,
and how many were left out is said beside the sum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

View = Mapping[str, Any]

FRESH_FOR: Final = timedelta(minutes=5)
"""Site time for which a car's sample is live, as in the load of a cabinet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargingTotals:
    """All EVSEs together.

    Attributes:
        power_w: Of the running sessions with a live sample.
        allowed_w: What those same sessions may draw by the limits set; ``None`` if one
            of them has no limit.
        n_session: Running sessions, live or not.
        n_left_out: Running sessions whose power is not known now.
    """

    power_w: float
    allowed_w: float | None
    n_session: int
    n_left_out: int


def charging(stations: Iterable[View], now: datetime) -> ChargingTotals:
    """Add up the EVSEs of station views; see `gateway.services.overview`."""
    power_w, n_session, n_left_out = 0.0, 0, 0
    limits_w: list[float | None] = []
    for station in stations:
        for evse in station["evses"]:
            if evse["session_id"] is None:
                continue
            n_session += 1
            if not is_live(station, evse, now):
                n_left_out += 1
                continue
            power_w += evse["power_w"]
            limits_w.append(evse["limit_w"])
    known_w = [limit_w for limit_w in limits_w if limit_w is not None]
    return ChargingTotals(
        power_w=round(power_w, 1),
        allowed_w=round(sum(known_w), 1) if len(known_w) == len(limits_w) else None,
        n_session=n_session,
        n_left_out=n_left_out,
    )


def is_live(station: View, evse: View, now: datetime) -> bool:
    """Whether a session's power is that of now: connected, and measured of late."""
    if not station["online"] or evse["power_w"] is None or evse["measured_at"] is None:
        return False
    return now - datetime.fromisoformat(evse["measured_at"]) <= FRESH_FOR


def supply_w(cabinets: Iterable[View]) -> float | None:
    """Load of all root cabinets, everything behind them included; ``None``: none."""
    loads_w = [float(one["load_w"]) for one in cabinets if one["parent"] is None]
    return sum(loads_w) if loads_w else None


def supply_limit_w(cabinets: Iterable[View], phase_v: float) -> float | None:
    """What the root cabinets may carry together; ``None`` if one has no limit.

    Args:
        cabinets: Cabinet views.
        phase_v: V per A and phase: power is this times the sum over the phases.
    """
    limits_w = [_limit_w(one, phase_v) for one in cabinets if one["parent"] is None]
    known_w = [limit_w for limit_w in limits_w if limit_w is not None]
    if not known_w or len(known_w) < len(limits_w):
        return None
    return round(sum(known_w), 1)


def _limit_w(cabinet: View, phase_v: float) -> float | None:
    each_w = []
    if cabinet["limit_a"]:
        each_w.append(sum(cabinet["limit_a"]) * phase_v)
    if cabinet["limit_w"] is not None:
        each_w.append(float(cabinet["limit_w"]))
    return min(each_w, default=None)


def produced_w(
    readings: Sequence[tuple[View | None, timedelta]], now: datetime
) -> float | None:
    """What is produced now by the live readings; ``None`` if there is none.

    Args:
        readings: The latest reading of each inverter, and how long one is live.
        now: Site time.
    """
    live_w = [
        reading["power_w"]
        for reading, fresh_for in readings
        if reading is not None
        and reading["power_w"] is not None
        and now - datetime.fromisoformat(reading["at"]) <= fresh_for
    ]
    return sum(live_w) if live_w else None
