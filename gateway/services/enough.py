"""Whether a car has had enough: it takes nothing of what it is offered, for a while.

A car that was just offered current says *suspended by the EV*, too, until it has woken
up; planned as full it would lose the offer that wakes it, unless it got all that its
driver asked for. And a full car says
*suspended by the EVSE* as soon as its offer is gone; planned as hungry it would get the
offer again. So what it says has to last, and what is known lasts until it charges.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.events import ChargingState

WAKE: Final = timedelta(minutes=3)
"""Within this every car that wants to charge has begun, at a current that suits it."""

NEARLY_PERMILLE: Final = 995
"""A car that takes nothing and got this much of what was asked for has had enough."""

SILENT: Final = timedelta(minutes=15)
"""After this it has had enough even if no meter value tells that the offer suits it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Since when a car takes nothing of its offer.

    Attributes:
        since: ``None``: it charges, or nothing is offered to it.
        is_long: It has had enough.
    """

    since: datetime | None = None
    is_long: bool = False


AWAKE: Final = Rest()


def rest_after(
    known: Rest,
    state: ChargingState | None,
    now: datetime,
    *,
    is_by_choice: bool,
    has_need: bool = False,
) -> Rest:
    """Fold what a car's station says now.

    Args:
        known: Before.
        state: What the session is doing.
        now: Site time.
        is_by_choice: Its meter shows that it took as little as is offered before.
        has_need: It got what its driver asked for, or nearly.
    """
    if state is ChargingState.CHARGING:
        return AWAKE
    if state is not ChargingState.SUSPENDED_EV:
        return replace(known, since=None)
    since = known.since or now
    waited = now - since
    is_over = waited >= (WAKE if is_by_choice else SILENT)
    is_long = known.is_long or has_need or is_over
    return Rest(since=since, is_long=is_long)
