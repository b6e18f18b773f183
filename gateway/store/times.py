"""Times as the store writes them: RFC 3339, UTC, always six decimals.

One fixed width makes text order time order, and a person can read the file.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

MICROSECONDS: Final = timedelta(microseconds=1)
N_CHARACTER: Final = 27

_encode: Final = msgspec.json.Encoder().encode


def to_text(moment: datetime) -> str:
    """Write an aware time, e.g. ``2026-01-31T12:00:00.000000Z``.

    By msgspec, a tenth of the cost of ``isoformat``: a message writes several.
    """
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text = _encode(moment)[1:-1].decode()
    return text if len(text) == N_CHARACTER else f"{text[:-1]}.000000Z"


def from_text(text: str) -> datetime:
    """Read a time written by `to_text`."""
    return datetime.fromisoformat(text)


def optional_text(moment: datetime | None) -> str | None:
    """Write a time that may be absent."""
    return None if moment is None else to_text(moment)


def optional_time(text: str | None) -> datetime | None:
    """Read a time that may be absent."""
    return None if text is None else datetime.fromisoformat(text)
