"""A version-neutral charging limit: what may be drawn, from when on.

Currents are integers in 0.1 A (``_da``, deci-ampere), the finest step OCPP 1.6 can say
(``multipleOf 0.1``), so that sums against a cabinet's limit are exact.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise


class LimitUnit(StrEnum):
    """What a station wants its limits in."""

    A = "A"
    W = "W"


class Purpose(StrEnum):
    """Where a limit stands in the station (OCPP 1.6, 3.13.1; 2.0.1, K01)."""

    SESSION = "session"
    DEFAULT = "default"
    STATION_MAX = "station_max"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitStep:
    """From ``offset_s`` after the schedule's start on, at most ``limit_da`` per phase.

    Attributes:
        offset_s: Site seconds after the start of the schedule; the first is 0.
        limit_da: 0.1 A per phase, AC side; 0 means no charging.
    """

    offset_s: int
    limit_da: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSchedule:
    """A schedule that never rises by itself and ends in the EVSE's floor.

    Attributes:
        start: When the first step applies, aware UTC.
        steps: At least one, offsets rising from 0, limits never rising.
            The last has no end: nothing lies beneath it.

    Raises:
        ValueError: A step rises, or offsets do not start at 0 and grow.
    """

    start: datetime
    steps: tuple[LimitStep, ...]

    def __post_init__(self) -> None:
        if not self.steps or self.steps[0].offset_s != 0:
            raise ValueError("a schedule starts at offset 0")
        for before, after in pairwise(self.steps):
            if after.offset_s <= before.offset_s:
                raise ValueError("offsets must grow")
            if after.limit_da > before.limit_da:
                raise ValueError("a schedule never rises by itself")
        if any(step.limit_da < 0 for step in self.steps):
            raise ValueError("a limit is not negative")

    @property
    def floor_da(self) -> int:
        """What the schedule decays to, 0.1 A."""
        return self.steps[-1].limit_da

    def elapsed_s(self, since: datetime) -> int:
        """Whole seconds from ``since`` to the start, rounded up, at least 0."""
        return max(0, math.ceil((self.start - since).total_seconds()))

    def at(self, moment: datetime) -> int:
        """Limit in 0.1 A at ``moment``; before the start, the first step's."""
        elapsed_s = (moment - self.start).total_seconds()
        limit_da = self.steps[0].limit_da
        for step in self.steps:
            if step.offset_s > elapsed_s:
                break
            limit_da = step.limit_da
        return limit_da


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimit:
    """Command: make an EVSE obey a schedule.

    Attributes:
        evse_id: The EVSE; 0 for the whole station.
        purpose: Which slot of the station it fills.
        schedule: The limits.
        transaction_id: Wire id of the running transaction, for ``Purpose.SESSION``.
        profile_id: Identifies the profile at the station; the same id replaces.
        unit: What the station wants; W is total power at the set voltage times
            ``number_phases``.
        number_phases: Phases the limit counts on, 1 to 3.
        nominal_v: Volt per phase used to turn A into W.
        relative_to: For a station that wants schedules counted from the start of the
            session: that start. ``None``: the schedule has a start of its own.
    """

    evse_id: int
    purpose: Purpose
    schedule: LimitSchedule
    transaction_id: str | None
    profile_id: int
    unit: LimitUnit = LimitUnit.A
    number_phases: int = 3
    nominal_v: float = 230.0
    relative_to: datetime | None = None

    @property
    def elapsed_s(self) -> int:
        """Whole seconds from ``relative_to`` to the schedule's start, at least 0.

        A station that counts from when it heard of the schedule instead takes every
        step that much later.
        """
        if self.relative_to is None:
            return 0
        return self.schedule.elapsed_s(self.relative_to)
