"""What a car says it needs, and whether its own schedule stays within an offer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.domain.assets import Evse
from gateway.domain.limits import LimitSchedule, LimitUnit

_DECI = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CarNeeds:
    """What a car asks for (2.0.1, ``ChargingNeedsType``).

    Attributes:
        energy_wh: From now on, Wh; ``None`` if it does not say.
        departure_at: When it leaves; ``None`` if it does not say.
    """

    energy_wh: int | None = None
    departure_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarPeriod:
    """One period of a car's schedule.

    Attributes:
        offset_s: Seconds after its start.
        limit: A per phase, or W in total.
        number_phases: Phases it charges on; ``None``: all that the EVSE has.
    """

    offset_s: int
    limit: Decimal
    number_phases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarSchedule:
    """How a car will charge (2.0.1, NotifyEVChargingSchedule).

    Attributes:
        periods: In the order of their offsets.
        duration_s: When the last one ends; ``None``: never.
    """

    start: datetime
    unit: LimitUnit
    periods: tuple[CarPeriod, ...]
    duration_s: int | None = None


def exceeds(
    schedule: CarSchedule, offer: LimitSchedule, evse: Evse, now: datetime
) -> bool:
    """Whether a car's schedule wants more than the offer at some instant from now on.

    Args:
        schedule: The car's.
        offer: What its station was sent.
        evse: Turns W into A, and says how many phases there are.
        now: What both said about the past does not matter.
    """
    ends = [period.offset_s for period in schedule.periods[1:]]
    for period, end_s in zip(
        schedule.periods, [*ends, schedule.duration_s], strict=True
    ):
        begins = max(now, schedule.start + timedelta(seconds=period.offset_s))
        stops = None if end_s is None else schedule.start + timedelta(seconds=end_s)
        if stops is not None and stops <= begins:
            continue
        if _amperes(period, schedule.unit, evse) * _DECI > _least(offer, begins, stops):
            return True
    return False


def _amperes(period: CarPeriod, unit: LimitUnit, evse: Evse) -> Decimal:
    if unit is LimitUnit.A:
        return period.limit
    phases = period.number_phases or len(evse.phases)
    return period.limit / (Decimal(str(evse.phase_v)) * phases)


def _least(offer: LimitSchedule, begins: datetime, stops: datetime | None) -> int:
    """The smallest limit of an offer within a time, 0.1 A; an offer never rises."""
    if stops is None:
        return offer.floor_da
    within = [
        step.limit_da
        for step in offer.steps
        if begins < offer.start + timedelta(seconds=step.offset_s) < stops
    ]
    return min(offer.at(begins), *within) if within else offer.at(begins)
