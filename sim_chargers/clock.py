"""The simulator's own site clock, scaled and shared with its parent by arguments.

Site time runs ``speed`` times faster than real time. Parent and child agree when both
know which site instant belongs to which real instant, and the speed.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

MAX_SPEED: Final = 100_000.0


class Clock(Protocol):
    """Site time for everything that is simulated; real time stays in the loop."""

    @property
    def speed(self) -> float:
        """Site seconds per real second."""
        ...

    def now(self) -> datetime:
        """Return the site time, aware UTC."""
        ...

    async def sleep(self, site_s: float) -> None:
        """Wait for a number of site seconds."""
        ...


class SiteClock:
    """Site time = epoch + (real seconds since the epoch reference) * speed.

    The system clock is read once, here; afterwards the monotonic clock counts, so that
    a step of the system clock cannot make site time jump.
    """

    def __init__(
        self,
        *,
        epoch: datetime | None = None,
        epoch_unix_s: float | None = None,
        speed: float = 1.0,
    ) -> None:
        """Anchor the clock.

        Args:
            epoch: Site time at the reference instant; default: the real time.
            epoch_unix_s: Real instant (Unix seconds) of the epoch; default: now.
            speed: Site seconds per real second.

        Raises:
            ValueError: The epoch is naive or the speed is out of range.
        """
        if not 0 < speed <= MAX_SPEED:
            raise ValueError(f"speed must be in (0, {MAX_SPEED:g}], not {speed}")
        if epoch is not None and epoch.tzinfo is None:
            raise ValueError("the epoch needs a UTC offset, for example a final Z")
        self._speed = speed
        self._anchor_s = time.monotonic()
        unix_s = time.time()
        reference_s = unix_s if epoch_unix_s is None else epoch_unix_s
        start = datetime.fromtimestamp(reference_s, UTC) if epoch is None else epoch
        elapsed = timedelta(seconds=(unix_s - reference_s) * speed)
        self._start = start.astimezone(UTC) + elapsed

    @property
    def speed(self) -> float:
        """Site seconds per real second."""
        return self._speed

    def now(self) -> datetime:
        """Return the site time, aware UTC."""
        elapsed_s = time.monotonic() - self._anchor_s
        return self._start + timedelta(seconds=elapsed_s * self._speed)

    async def sleep(self, site_s: float) -> None:
        """Wait for a number of site seconds (at least one turn of the loop)."""
        await asyncio.sleep(max(0.0, site_s) / self._speed)


def to_wire(instant: datetime) -> str:
    """Format an instant for OCPP and the API: UTC, milliseconds, ``Z``."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def from_wire(text: str) -> datetime:
    """Parse an RFC 3339 instant.

    Raises:
        ValueError: It is no instant; one without an offset is taken as UTC, as
            chargers do.
    """
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
