"""Notices that the site clock was set forward, by the clock that nobody sets."""

import math
from datetime import datetime
from typing import Final

JUMP_S: Final = 2.0
"""Real seconds by which a clock may be corrected without being doubted."""

MAX_DOUBT_S: Final = 366 * 86_400
"""Site seconds; no clock that was further off was ever of use to a station."""


class ClockWatch:
    """How far stations may be behind a site clock that jumped.

    A site clock that is set forward leaves stations with limits that hold longer than
    it says. So for two hold times all that stations hold counts so much later.

    Attributes:
        doubt_s: Site seconds by which stations may be behind; 0: no doubt.
    """

    def __init__(self, speed: float) -> None:
        self.doubt_s = 0
        self._speed = speed
        self._known: tuple[datetime, float] | None = None
        self._until_s = 0.0

    def look(self, now: datetime, loop_s: float, hold_time_s: int) -> bool:
        """Compare the clocks; whether the site clock jumped.

        Args:
            now: Site time.
            loop_s: Time of the loop clock, real seconds.
            hold_time_s: Within which limits decay, site seconds.
        """
        known, self._known = self._known, (now, loop_s)
        if self.doubt_s and loop_s >= self._until_s:
            self.doubt_s = 0
        if known is None:
            return False
        passed_s = (now - known[0]).total_seconds()
        jump_s = passed_s - (loop_s - known[1]) * self._speed
        if jump_s <= JUMP_S * max(1.0, self._speed):
            return False
        self.doubt_s = min(MAX_DOUBT_S, self.doubt_s + math.ceil(jump_s))
        self._until_s = loop_s + 2 * hold_time_s / self._speed
        return True
