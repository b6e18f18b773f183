"""Times of the week in local time, as an operator writes them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
MIDNIGHT: Final = 1_440
"""Minutes of a day; ``24:00``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekTime:
    """A stretch of some days of the week.

    Attributes:
        days: On which it begins, 0 is Monday.
        from_minute: First minute of the day.
        until_minute: First minute after it; not above ``from_minute``: it ends the day
            after.
    """

    days: frozenset[int]
    from_minute: int
    until_minute: int

    def holds(self, local: datetime) -> bool:
        """Whether a local time lies in it."""
        minute = local.hour * 60 + local.minute
        today, yesterday = local.weekday(), (local.weekday() - 1) % len(DAYS)
        if self.from_minute < self.until_minute:
            is_between = self.from_minute <= minute < self.until_minute
            return today in self.days and is_between
        return (today in self.days and minute >= self.from_minute) or (
            yesterday in self.days and minute < self.until_minute
        )


def minute_of(text: str) -> int:
    """Minutes since midnight of ``HH:MM``; ``24:00`` is the end of the day.

    Raises:
        ValueError: It is no such time.
    """
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time of day: write HH:MM")
    return MIDNIGHT if found[1] is None else int(found[1]) * 60 + int(found[2])


def week_time(days: Sequence[str], from_text: str, until_text: str) -> WeekTime:
    """Read a stretch.

    Args:
        days: Words of `DAYS`; none means all.
        from_text: ``HH:MM``.
        until_text: ``HH:MM``; not later than the beginning: of the day after.

    Raises:
        ValueError: Something of it means nothing.
    """
    unknown = [day for day in days if day not in DAYS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no day: one of {', '.join(DAYS)}")
    begins = minute_of(from_text)
    if begins == MIDNIGHT:
        raise ValueError("from: 24:00 is the end of a day, not its beginning")
    return WeekTime(
        days=frozenset(map(DAYS.index, days or DAYS)),
        from_minute=begins,
        until_minute=minute_of(until_text),
    )


def to_words(one: WeekTime) -> dict[str, object]:
    """The inverse of `week_time`, with the members ``days``, ``from``, ``until``."""
    return {
        "days": [DAYS[day] for day in sorted(one.days)],
        "from": _clock(one.from_minute),
        "until": _clock(one.until_minute),
    }


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
