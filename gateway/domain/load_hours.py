"""What other equipment usually draws at an hour of the day, learned from its readings.

For planning only, and only beyond the next half hour: what may be drawn at most, and
what is reserved for it now, follow from its newest reading and its worst case.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.phases import PerPhase

WORKING_DAYS: Final = 5
HOURS: Final = 24

MEMORY_S: Final = 4 * 3600.0
"""A mean follows about the last four hours seen of its kind: four days."""

ENOUGH_S: Final = 1800
"""An hour that was seen for less than half an hour says nothing."""

LONGEST_S: Final = 900.0
"""A reading stands for at most a quarter of an hour before it."""

LASTS: Final = timedelta(minutes=30)
"""What is measured now is believed to last so long."""

FADED: Final = timedelta(hours=2)
"""From then on the usual draw counts alone."""


@dataclass(frozen=True, slots=True)
class HourMean:
    """The mean of one hour.

    Attributes:
        mean_da: Per supply phase, 0.1 A.
        seen_s: How long it was seen in all, s.
    """

    mean_da: tuple[float, float, float]
    seen_s: float


Hours = Mapping[int, HourMean]
"""By `hour_of`."""


def hour_of(local: datetime) -> int:
    """0 to 23 on working days, 24 to 47 on weekends."""
    return local.hour + (0 if local.weekday() < WORKING_DAYS else HOURS)


def learned(known: HourMean | None, drawn_da: PerPhase, since_s: float) -> HourMean:
    """Fold one reading in that stands for so long before it, s."""
    span_s = min(LONGEST_S, max(0.0, since_s))
    if known is None:
        first, second, third = drawn_da
        return HourMean((float(first), float(second), float(third)), span_s)
    memory_s = min(MEMORY_S, known.seen_s + span_s)
    share = 0.0 if memory_s <= 0 else min(1.0, span_s / memory_s)
    one, two, three = (
        mean + share * (drawn - mean)
        for mean, drawn in zip(known.mean_da, drawn_da, strict=True)
    )
    return HourMean((one, two, three), known.seen_s + span_s)


def expected(
    hours: Hours, drawn_da: PerPhase, *, ahead: timedelta, local: datetime
) -> PerPhase:
    """What is expected so far ahead: as now, then more and more as usual, rounded up.

    Args:
        hours: What is known of it.
        drawn_da: What it draws now.
        ahead: From now.
        local: Then, in local time.
    """
    usual = hours.get(hour_of(local))
    if usual is None or usual.seen_s < ENOUGH_S or ahead < LASTS:
        return drawn_da
    share = min(1.0, (ahead - LASTS) / (FADED - LASTS))
    one, two, three = (
        math.ceil(round(now + share * (mean - now), 6))
        for now, mean in zip(drawn_da, usual.mean_da, strict=True)
    )
    return (one, two, three)
