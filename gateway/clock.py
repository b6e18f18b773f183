"""The site clock: the only place that asks the machine what time it is.

Two clocks exist (``docs/architecture.md``, Time). The *site clock* below stamps facts,
schedules and steps and may run faster than real time. The *loop clock*
(``asyncio``'s monotonic time) always counts real seconds and drives timeouts.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Site time, and how fast it runs."""

    @property
    def speed(self) -> float:
        """Site seconds per real second; 1 in production."""
        ...

    def now(self) -> datetime:
        """Aware UTC site time."""
        ...

    def real_s(self, site_s: float) -> float:
        """Real seconds in which ``site_s`` site seconds pass."""
        ...


class SystemClock:
    """The machine's clock, for real stations."""

    speed = 1.0

    def now(self) -> datetime:
        """Aware UTC time of the machine."""
        return datetime.now(UTC)

    def real_s(self, site_s: float) -> float:
        """The same number: this clock is not scaled."""
        return site_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledClock:
    """Site time that started at ``epoch`` and runs ``speed`` times faster.

    Attributes:
        epoch: Site time at the moment ``started_monotonic_s``.
        epoch_unix_s: The machine's Unix time at that same moment; another process
            that gets ``epoch``, ``epoch_unix_s`` and ``speed`` tells the same time.
        started_monotonic_s: Reading of the monotonic clock at ``epoch``.
        speed: Site seconds per real second, above 0.
    """

    epoch: datetime
    epoch_unix_s: float
    started_monotonic_s: float
    speed: float

    @classmethod
    def starting_at(cls, epoch: datetime, speed: float) -> "ScaledClock":
        """A clock that shows ``epoch`` now."""
        return cls(
            epoch=epoch,
            epoch_unix_s=time.time(),
            started_monotonic_s=time.monotonic(),
            speed=speed,
        )

    def now(self) -> datetime:
        """Aware UTC site time."""
        elapsed_s = time.monotonic() - self.started_monotonic_s
        return self.epoch + timedelta(seconds=elapsed_s * self.speed)

    def real_s(self, site_s: float) -> float:
        """Real seconds in which ``site_s`` site seconds pass."""
        return site_s / self.speed
