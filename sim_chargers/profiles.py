"""Charging profiles and the limit that follows from them at an instant.

Version-neutral: the two dialects translate to :class:`Profile`. Within one purpose the
highest stack level that has a period at the instant rules; a transaction profile rules
over a default one; the station's maximum caps both (OCPP 1.6, 3.13).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, assert_never

STATION: Final = 0  # connector or EVSE id that means the whole station
DEFAULT_PHASES: Final = 3
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S


class Purpose(Enum):
    """What a profile is for, in version-neutral words."""

    STATION_MAX = "station-max"
    EXTERNAL = "external"
    TX_DEFAULT = "tx-default"
    TX = "tx"


class Kind(Enum):
    """How a schedule is placed in time."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A limit that holds from ``start_s`` after the start of the schedule."""

    start_s: int
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One charging profile with its (first) schedule.

    Attributes:
        target: EVSE or connector id, 0 for the whole station.
        unit: ``A`` (per phase) or ``W`` (total power for AC).
        wire: The profile as it came, for reports.
        received_at: Station time of reception.
    """

    profile_id: int
    target: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    unit: str
    periods: tuple[Period, ...]
    received_at: datetime
    recurrency_s: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: str | None = None
    start: datetime | None = None
    duration_s: int | None = None
    wire: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What a limit means at one EVSE.

    AC limits become amperes per phase with the station's set voltage and the number of
    phases of the period (absent means 3, OCPP 1.6 7.8); DC limits become watts.
    """

    is_dc: bool
    nominal_v: float
    dc_v: float = 400.0

    def to_native(self, period: Period, unit: str) -> float:
        """Convert a limit to amperes per phase (AC) or watts (DC)."""
        if self.is_dc:
            return period.limit if unit == "W" else period.limit * self.dc_v
        if unit == "A":
            return period.limit
        return period.limit / (self.nominal_v * (period.phases or DEFAULT_PHASES))

    def from_native(self, limit: float, unit: str) -> float:
        """Convert a native limit to the unit of a report, 3 phases for AC."""
        if self.is_dc:
            return limit if unit == "W" else limit / self.dc_v
        return limit if unit == "A" else limit * self.nominal_v * DEFAULT_PHASES


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The EVSE for which limits are asked.

    Attributes:
        transaction_id: Wire id of the running transaction, None without one.
        transaction_start: Station time at which it began.
    """

    target: int
    scale: Scale
    transaction_id: str | None = None
    transaction_start: datetime | None = None


def limit_at(
    profiles: Iterable[Profile], context: Context, instant: datetime
) -> float | None:
    """Compose the limit of one EVSE, without the cap of the whole station.

    Returns:
        Native units (:class:`Scale`), or None where no profile says anything.
    """
    known = tuple(profiles)
    leaders = (
        _leading(known, Purpose.TX, context, instant)
        or _leading(known, Purpose.TX_DEFAULT, context, instant),
        _leading(known, Purpose.EXTERNAL, context, instant),
    )
    limits = [
        context.scale.to_native(found.period, found.unit) for found in leaders if found
    ]
    return min(limits) if limits else None


def station_cap_at(
    profiles: Iterable[Profile], scale: Scale, instant: datetime
) -> float | None:
    """Compose the cap on the sum of all EVSEs; None where nothing caps it."""
    context = Context(target=STATION, scale=scale)
    known = tuple(profiles)
    leaders = (
        _leading(known, Purpose.STATION_MAX, context, instant),
        _leading(known, Purpose.EXTERNAL, context, instant),
    )
    limits = [scale.to_native(found.period, found.unit) for found in leaders if found]
    return min(limits) if limits else None


def composite(
    profiles: Iterable[Profile],
    context: Context,
    instant: datetime,
    duration_s: int,
    maximum: float,
) -> list[tuple[int, float]]:
    """Compose a schedule: (seconds from ``instant``, native limit), merged.

    The station's cap counts for each EVSE; ``maximum`` stands where nothing limits.
    """
    known = tuple(profiles)
    end = instant + timedelta(seconds=duration_s)
    edges = {instant}
    for profile in known:
        edges.update(e for e in _edges(profile, context, instant, end))
    schedule: list[tuple[int, float]] = []
    for edge in sorted(e for e in edges if instant <= e < end):
        bounds = [maximum]
        found = (
            station_cap_at(known, context.scale, edge),
            None if context.target == STATION else limit_at(known, context, edge),
        )
        bounds.extend(bound for bound in found if bound is not None)
        limit = min(bounds)
        start_s = round((edge - instant).total_seconds())
        if schedule and schedule[-1][0] == start_s:
            schedule.pop()
        if not schedule or schedule[-1][1] != limit:
            schedule.append((start_s, limit))
    return schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leader:
    """The period that rules within its purpose."""

    unit: str
    period: Period


def _leading(
    profiles: tuple[Profile, ...], purpose: Purpose, context: Context, instant: datetime
) -> _Leader | None:
    best: tuple[tuple[int, bool], _Leader] | None = None
    for profile in profiles:
        if profile.purpose is not purpose or not _applies(profile, context):
            continue
        period = _period_at(profile, context, instant)
        if period is None:
            continue
        rank = (profile.stack_level, profile.target != STATION)
        if best is None or rank > best[0]:
            best = (rank, _Leader(unit=profile.unit, period=period))
    return None if best is None else best[1]


def _applies(profile: Profile, context: Context) -> bool:
    if profile.purpose is Purpose.TX:
        if context.transaction_start is None or profile.target != context.target:
            return False
        return profile.transaction_id in (None, context.transaction_id)
    if profile.purpose is Purpose.TX_DEFAULT:
        return profile.target in (STATION, context.target)
    return profile.target == context.target


def _period_at(profile: Profile, context: Context, instant: datetime) -> Period | None:
    if profile.valid_from is not None and instant < profile.valid_from:
        return None
    if profile.valid_to is not None and instant >= profile.valid_to:
        return None
    start = _start(profile, context, instant)
    if start is None or instant < start:
        return None
    elapsed_s = (instant - start).total_seconds()
    if profile.duration_s is not None and elapsed_s >= profile.duration_s:
        return None
    reached = [p for p in profile.periods if p.start_s <= elapsed_s]
    return reached[-1] if reached else None


def _start(profile: Profile, context: Context, instant: datetime) -> datetime | None:
    """Find the schedule's start that counts at an instant."""
    match profile.kind:
        case Kind.ABSOLUTE:
            # Without a start it is relative to the start of charging (1.6, 7.13).
            return profile.start or _relative_start(profile, context)
        case Kind.RELATIVE:
            return _relative_start(profile, context)
        case Kind.RECURRING:
            if profile.start is None or profile.recurrency_s is None:
                return None
            elapsed_s = (instant - profile.start).total_seconds()
            rounds = elapsed_s // profile.recurrency_s
            return profile.start + timedelta(seconds=rounds * profile.recurrency_s)
        case _:
            assert_never(profile.kind)


def _relative_start(profile: Profile, context: Context) -> datetime:
    if context.transaction_start is None:
        return profile.received_at
    return context.transaction_start


def _edges(
    profile: Profile, context: Context, instant: datetime, end: datetime
) -> list[datetime]:
    """List the instants at which this profile may change the limit."""
    edges = [e for e in (profile.valid_from, profile.valid_to) if e is not None]
    start = _start(profile, context, instant)
    while start is not None and start < end:
        edges.append(start)
        edges.extend(start + timedelta(seconds=p.start_s) for p in profile.periods)
        if profile.duration_s is not None:
            edges.append(start + timedelta(seconds=profile.duration_s))
        if profile.recurrency_s is None:
            break
        start += timedelta(seconds=profile.recurrency_s)
    return edges
