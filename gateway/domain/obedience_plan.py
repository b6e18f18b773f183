"""When the obedience test of a station is due: pure rules of time."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.ids import StationId

NIGHT: Final = (60, 300)
"""Minutes of the day: between 1 and 5 o'clock hardly anybody waits at a station."""

AGAIN: Final = timedelta(hours=1)
"""So long after a test that could not be run it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObediencePlan:
    """A test that is to come.

    Attributes:
        due_at: Not before.
        window: Minutes of the day, local time: from the first on, before the second; it
            may go over midnight. ``None``: at any hour.
        every_days: So many days later again; ``None``: once.
        restart: Whether the station is restarted.
        outage_s: Real seconds without network; 0: none.
    """

    station_id: StationId
    due_at: datetime
    window: tuple[int, int] | None = None
    every_days: int | None = None
    restart: bool = False
    outage_s: float = 0.0

    def is_due(self, local: datetime) -> bool:
        """Whether it may run now; ``local`` is the site's time."""
        if local < self.due_at:
            return False
        if self.window is None:
            return True
        first, end = self.window
        minute = local.hour * 60 + local.minute
        if first < end:
            return first <= minute < end
        return minute >= first or minute < end

    def after(self, now: datetime) -> "ObediencePlan | None":
        """What is to come once it ran; ``None``: nothing."""
        if self.every_days is None:
            return None
        every = timedelta(days=self.every_days)
        missed = max(0, (now - self.due_at) // every)
        return replace(self, due_at=self.due_at + (missed + 1) * every)

    def later(self, now: datetime) -> "ObediencePlan":
        """The same, because it could not be run now."""
        return replace(self, due_at=now + AGAIN)
