"""A zone's offset from UTC, and when it changes next."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HORIZON_DAYS: Final = 400


def offset_text(zone: ZoneInfo, moment: datetime) -> str:
    """The offset at a moment, as ``+02:00``."""
    return moment.astimezone(zone).isoformat(timespec="minutes")[-6:]


def next_change(zone: ZoneInfo, moment: datetime) -> datetime | None:
    """When the offset changes within the next 400 days, to the second."""
    now = moment.astimezone(zone).utcoffset()
    low = moment.astimezone(UTC)
    for _ in range(HORIZON_DAYS):
        high = low + timedelta(days=1)
        if high.astimezone(zone).utcoffset() != now:
            break
        low = high
    else:
        return None
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == now:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
