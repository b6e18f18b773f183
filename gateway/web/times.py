"""Moments and spans as the pages say them: by the site's clock, with its zone."""

from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from gateway.web.render import age

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0


def moment(text: str | None, now: datetime, zone: ZoneInfo, unknown: str = "–") -> str:
    """An ISO time as text: the date only if it is another day."""
    if text is None:
        return unknown
    local = datetime.fromisoformat(text).astimezone(zone)
    if local.date() == now.astimezone(zone).date():
        return f"{local:%H:%M:%S %Z}"
    if local.year == now.astimezone(zone).year:
        return f"{local:%d %b, %H:%M %Z}"
    return f"{local:%d %b %Y, %H:%M %Z}"


def ago(text: str | None, now: datetime, zone: ZoneInfo) -> str:
    """How long ago a time was, with the time itself, as HTML."""
    if text is None:
        return "never"
    said, _ = age(text, now)
    exact = escape(moment(text, now, zone))
    return f'{escape(said)} <span class="soft">{exact}</span>'


def span(seconds: float) -> str:
    """A length of time in its largest unit, rounded."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    if seconds < 2 * DAY_S:
        return f"{seconds / HOUR_S:.0f} h"
    return f"{seconds / DAY_S:.0f} days"
