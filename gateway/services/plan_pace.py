"""When a group is planned: how often at most, and at which instant of a step."""

import math
import zlib
from datetime import datetime, timedelta
from typing import Final

_STAGGER_PART: Final = 15
"""Groups begin their steps within the first fifteenth of them, a minute of 15."""


def stagger_s(group_id: str, step_s: int) -> int:
    """Return how much later than others a group begins its steps, by its name.

    Thousands of groups that all ask at the same instant would wait for each other.
    """
    return zlib.crc32(group_id.encode()) % max(1, step_s // _STAGGER_PART)


def next_step(now: datetime, step_s: int, late_s: int) -> datetime:
    """Return the next boundary of a step, counted from midnight UTC plus ``late_s``."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + timedelta(seconds=late_s)
    elapsed = math.floor((now - first).total_seconds() / step_s)
    return first + timedelta(seconds=(elapsed + 1) * step_s)


class PlanPace:
    """Lets the first of many occasions through and gathers the rest.

    Args:
        gap_s: Real seconds from the start of one solve to the next, at least.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._begun_s: float | None = None

    def left_s(self, loop_s: float) -> float:
        """Seconds until the next solve may begin, by the loop's clock; 0: now."""
        if self._begun_s is None:
            return 0.0
        return max(0.0, self._begun_s + self._gap_s - loop_s)

    def begin(self, loop_s: float) -> None:
        """A solve begins."""
        self._begun_s = loop_s
