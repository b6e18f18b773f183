"""Where the ledger gets its time from: always injected, real only by default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Whatever knows the time of the site."""

    def now(self) -> datetime:
        """Return the aware UTC time; never earlier than the call before."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the aware UTC time of the machine."""
        return datetime.now(UTC)
