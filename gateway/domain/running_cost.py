"""What a running session costs so far, from one register to the next.

A bill shares the energy between two samples over the prices of the time between them;
so the exact cost up to a sample is that up to the one before plus one such share, and
the end of it is the bill. A tariff with one price needs the first and last register.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.bill import RegisterPoint, amount_text, price, rounded_minor
from gateway.domain.session import Session
from gateway.domain.tariff import Tariff, TariffError

AHEAD: Final = timedelta(days=1)
"""How far ahead the end of a price is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCost:
    """The cost up to a point.

    Attributes:
        upto: The latest register that is in it.
        exact: Milliwatt-hours times price in millionths per kWh.
        price_micro_per_kwh: From ``upto`` until ``price_until``; 0 while not looked up.
    """

    tariff: Tariff
    upto: RegisterPoint
    exact: int = 0
    price_micro_per_kwh: int = 0
    price_until: datetime | None = None

    @property
    def text(self) -> str:
        """In major units of the currency, rounded."""
        digits = self.tariff.minor_digits
        return amount_text(rounded_minor(self.exact, digits), digits)

    def to(self, point: RegisterPoint) -> "RunningCost":
        """The cost up to a later register; unchanged by one that is not later.

        Raises:
            TariffError: Some moment between them has no price.
        """
        known = self.upto
        if point.at < known.at or point.register_milliwh < known.register_milliwh:
            return self
        energy = point.register_milliwh - known.register_milliwh
        only = only_price(self.tariff)
        if only is not None:
            return replace(self, upto=point, exact=self.exact + energy * only)
        if self.price_until is not None and point.at <= self.price_until:
            more = energy * self.price_micro_per_kwh
            return replace(self, upto=point, exact=self.exact + more)
        more = price(self.tariff, (known, point)).exact
        return _looked_up(replace(self, upto=point, exact=self.exact + more))


def only_price(tariff: Tariff) -> int | None:
    """The price, in millionths per kWh, of a tariff that has but one."""
    first = tariff.elements[0]
    is_always = first.start is None and first.end is None and not first.days
    return first.price_micro_per_kwh if is_always else None


def beginning(tariff: Tariff, session: Session) -> RunningCost | None:
    """Nothing yet; ``None`` while the start register is not known."""
    start = session.register_start_milliwh
    if session.started_at is None or start is None:
        return None
    point = RegisterPoint(at=session.started_at, register_milliwh=start)
    return RunningCost(tariff=tariff, upto=point)


def latest(session: Session) -> RegisterPoint | None:
    """The latest register of a session; its start if nothing came since."""
    last = session.register_last_milliwh
    at: datetime | None = session.last_sample_at or session.started_at
    if last is None or at is None:
        return None
    return RegisterPoint(at=at, register_milliwh=last)


def so_far(known: RunningCost, session: Session) -> RunningCost | None:
    """The cost up to a session's latest register; ``None`` if it has no price."""
    point = latest(session)
    if point is None:
        return known
    try:
        return known.to(point)
    except (TariffError, ValueError):
        return None


def _looked_up(cost: RunningCost) -> RunningCost:
    """With the price from here on, so that most steps need no look at the clock."""
    start = cost.upto.at
    try:
        segment = cost.tariff.segments(start, start + AHEAD)[0]
    except TariffError:
        return replace(cost, price_until=None)
    return replace(
        cost,
        price_micro_per_kwh=segment.price_micro_per_kwh,
        price_until=segment.end,
    )
