"""How much PV a plan may count on, for cost only: it never makes room under a limit.

What is measured now persists for a while. With a profile, what is measured tells how
clear the day is: the share of the profile that is there now fades to all of it over a
few hours. Other equipment uses it first; what is left is the surplus cars can have.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain.topology import Pv
from gateway.services.loads import LoadReading, fresh_end

PERSISTS: Final = timedelta(minutes=30)
"""So long measured PV is believed to last where there is no profile."""

FADES: Final = timedelta(hours=4)
"""After so long today's weather says nothing more: the profile counts."""

DARK_SHARE: Final = 0.02
"""Below this share of the peak a profile tells nothing about the weather."""

CLEAREST: Final = 2.0
"""A day is at most twice as bright as its profile."""


def forecast_w(
    pv: Pv,
    reading: LoadReading | None,
    *,
    now: datetime,
    zone: ZoneInfo,
    step_s: int,
    n_step: int,
) -> list[float]:
    """What one inverter gives in each step, W; never above its peak."""
    measured_w: float | None = None
    if fresh_end(pv.stale_after_s, reading, now) is not None and reading is not None:
        measured_w = min(float(pv.peak_w), max(0.0, reading.power_w or 0.0))
    step = timedelta(seconds=step_s)
    if not pv.profile_w:
        lasts = max(1, PERSISTS // step)
        return [
            measured_w if measured_w is not None and number < lasts else 0.0
            for number in range(n_step)
        ]
    share = _clearness(pv, measured_w, now, zone)
    found: list[float] = []
    for number in range(n_step):
        fade = min(1.0, number * step / FADES)
        now_w = _profile_w(pv, now + number * step, zone) * (share + (1 - share) * fade)
        if number == 0 and measured_w is not None:
            now_w = measured_w
        found.append(min(float(pv.peak_w), now_w))
    return found


def surplus_w(pv_w: Sequence[float], others_w: Sequence[float]) -> list[float]:
    """What other equipment leaves of it, step by step."""
    return [max(0.0, pv - other) for pv, other in zip(pv_w, others_w, strict=True)]


def _clearness(
    pv: Pv, measured_w: float | None, now: datetime, zone: ZoneInfo
) -> float:
    """The share of its profile that is there now; 1 where that cannot be said."""
    usual_w = _profile_w(pv, now, zone)
    if measured_w is None or usual_w < DARK_SHARE * pv.peak_w:
        return 1.0
    return min(CLEAREST, measured_w / usual_w)


def _profile_w(pv: Pv, at: datetime, zone: ZoneInfo) -> float:
    """The profile at an instant, straight from the middle of an hour to the next."""
    local = at.astimezone(zone)
    hours = local.hour + local.minute / 60 - 0.5
    begin = int(hours // 1)
    part = hours - begin
    one, two = pv.profile_w[begin % 24], pv.profile_w[(begin + 1) % 24]
    return one + (two - one) * part
