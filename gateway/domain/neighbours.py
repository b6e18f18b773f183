"""What lies between two sessions of one meter, and between two readings of it.

A register goes on where the session before ended, but for what an idle station draws
itself. What does not go on has a name; what is between is never billed to anybody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

REGISTER_TOLERANCE_MILLIWH: Final = 10_000
"""10 Wh: what a register may advance beyond the rated power (resolution, latency)."""
RATING_TOLERANCE: Final = 1.05
LARGEST_STATION_W: Final = 1_000_000.0
"""No EVSE draws more; bounds a session whose rating is unknown."""
IDLE_W: Final = 50
"""What a station without a car may draw itself through its meter, W."""
MAX_LEFT_SHARE: Final = 100
"""Of a counter that ran over, at most one part in so many was left before."""
_SPANS: Final = tuple(
    sorted(
        {10**digits for digits in range(7, 16)}
        | {2**31, 2**32}
        | {2**bits * unit for bits in (24, 31, 32) for unit in (100, 1_000, 10_000)}
    )
)
"""Where counters run over, mWh: at powers of ten, and at 24, 31 and 32 bits of 1 mWh,
0.1 Wh, 1 Wh and 10 Wh."""


class Gap(StrEnum):
    """How a register goes on from one session to the next."""

    NONE = "none"
    """It goes on, within 10 Wh."""
    IDLE = "idle"
    """It advanced by no more than an idle station draws in the time."""
    MISSING = "missing_energy"
    """It advanced by more: somebody charged, and no session tells of it."""
    OVERLAP = "register_overlap"
    """It starts between start and end of the session before: one of both is wrong."""
    ROLLOVER = "register_rollover"
    """It went back as a counter does that ran over its last digit."""
    REBASED = "register_rebased"
    """It began anew: another meter, or one that counts sessions or restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The session before, on the same EVSE; ``None``: not known.

    Attributes:
        start_milliwh: Its start register, as told.
        end_milliwh: Its end register, as told.
    """

    start_milliwh: int | None = None
    end_milliwh: int | None = None
    ended_at: datetime | None = None

    @property
    def trusted_end_milliwh(self) -> int | None:
        """Its end register, unless that is below its start: a placeholder, a reset."""
        start, end = self.start_milliwh, self.end_milliwh
        if end is None or (start is not None and end < start):
            return None
        return end


def most_milliwh(duration: timedelta, rated_w: float | None) -> float:
    """The most that an EVSE may have delivered in a time; rating ``None``: unknown."""
    watts = LARGEST_STATION_W if rated_w is None else rated_w * RATING_TOLERANCE
    seconds = max(0.0, duration.total_seconds())
    return watts * seconds / 3.6 + REGISTER_TOLERANCE_MILLIWH


def idle_milliwh(duration: timedelta) -> int:
    """The most that a station without a car draws through its meter in a time."""
    seconds = max(0.0, duration.total_seconds())
    return round(IDLE_W * seconds / 3.6) + REGISTER_TOLERANCE_MILLIWH


def gap(
    before: Before, start_milliwh: int, started_at: datetime | None
) -> tuple[Gap, int]:
    """How a session's start goes on from the one before, and by how many mWh.

    The number is negative where the register went back, and 0 where the end before is
    not known.
    """
    end = before.trusted_end_milliwh
    if end is None:
        return Gap.NONE, 0
    advance = start_milliwh - end
    if abs(advance) <= REGISTER_TOLERANCE_MILLIWH:
        return Gap.NONE, advance
    apart = timedelta()
    if before.ended_at is not None and started_at is not None:
        apart = started_at - before.ended_at
    if advance > 0:
        is_idle = advance <= idle_milliwh(apart)
        return (Gap.IDLE if is_idle else Gap.MISSING), advance
    if -advance < _resolution(start_milliwh):
        return Gap.NONE, advance
    first = before.start_milliwh
    if first is not None and first + REGISTER_TOLERANCE_MILLIWH < start_milliwh:
        return Gap.OVERLAP, advance
    if rolls_over(end, start_milliwh, idle_milliwh(apart)):
        return Gap.ROLLOVER, advance
    return Gap.REBASED, advance


def _resolution(register_milliwh: int) -> int:
    """What a start that was cut to whole kWh, or tenths of it, may lack; mWh."""
    steps = (1_000_000, 100_000)
    return next((one for one in steps if register_milliwh % one == 0), 0)


def rolls_over(from_milliwh: int, to_milliwh: int, most: float) -> bool:
    """Whether a register that fell may have run over its last digit.

    Args:
        from_milliwh: Before.
        to_milliwh: After, below it.
        most: What can have flowed in between, mWh: a counter that ran over has counted
            what was left of it and what it shows.
    """
    for span in _SPANS:
        left = span - from_milliwh
        if left > 0:
            return left * MAX_LEFT_SHARE <= span and left + to_milliwh <= most
    return False
