"""What a running session costs so far, from one register to the next.

It is the fold that makes the bill (`gateway.domain.account`), stopped at the latest
register: so its end is the bill.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from gateway.domain.account import Account
from gateway.domain.bill import amount_text
from gateway.domain.session import Session
from gateway.domain.tariff import Segment, Tariff, TariffError
from gateway.domain.tariff_terms import Use
from gateway.domain.thinning import PARKED_BELOW_W, RegisterPoint

AHEAD: Final = timedelta(days=1)
"""How far ahead the end of a price is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCost:
    """The cost up to a point.

    Attributes:
        account: Everything up to the latest register.
        segment: The terms around it, so that most steps need no look at the clock.
    """

    account: Account
    segment: Segment | None = None

    @property
    def tariff(self) -> Tariff:
        """The terms."""
        return self.account.tariff

    @property
    def upto(self) -> RegisterPoint:
        """The latest register that is in it."""
        return self.account.upto

    @property
    def use(self) -> Use:
        """How the session stands."""
        account = self.account
        used = account.upto.register_milliwh - account.begun.register_milliwh
        elapsed = account.upto.at - account.begun.at
        return Use(energy_milliwh=used, power_w=account.power_w, elapsed=elapsed)

    @property
    def is_parked(self) -> bool:
        """Whether the latest time counts as parking, where time has a price."""
        account = self.account
        if not account.rules.prices_time:
            return False
        is_still = account.upto.at > account.settled_to.at
        power_w = account.power_w
        return is_still or (power_w is not None and power_w < PARKED_BELOW_W)

    @property
    def exact(self) -> Fraction:
        """In major units, not rounded."""
        return self.account.closed().total.gross

    @property
    def text(self) -> str:
        """In major units of the currency, rounded as the bill is."""
        total = self.account.closed(self._segments()).total
        return amount_text(total.amount_minor, self.tariff.minor_digits)

    def to(self, point: RegisterPoint) -> "RunningCost":
        """The cost up to a later register; unchanged by one that is not later.

        Raises:
            TariffError: Some moment between them has no price.
        """
        known = self.account.upto
        if point.at < known.at or point.register_milliwh < known.register_milliwh:
            return self
        cost = self
        if not self._covers(point.at):
            cost = replace(self, segment=self._segment_now(point.at))
        account = self.account.to(point, cost._segments())  # noqa: SLF001 - one of its own kind
        return replace(cost, account=account)

    def _covers(self, until: datetime) -> bool:
        segment = self.segment
        return (
            segment is not None
            and segment.start <= self.account.settled_to.at
            and until <= segment.end
        )

    def _segments(self) -> tuple[Segment, ...] | None:
        if self.segment is None or not self._covers(self.account.upto.at):
            return None
        return (self.segment,)

    def _segment_now(self, until: datetime) -> Segment | None:
        """The terms since the last settled moment, if they reach far enough."""
        start = self.account.settled_to.at
        try:
            found = self.tariff.segments(start, max(until, start + AHEAD))[0]
        except TariffError:
            return None
        return found if until <= found.end else None


def opening(tariff: Tariff, begun: RegisterPoint) -> RunningCost:
    """Nothing used yet."""
    return RunningCost(account=Account.opening(tariff, begun))


def only_price(tariff: Tariff) -> int | None:
    """The price, in millionths per kWh, of a tariff that has but one."""
    first = tariff.elements[0]
    is_always = first.start is None and first.end is None and not first.days
    return first.price_micro_per_kwh if is_always and tariff.is_plain else None


def beginning(tariff: Tariff, session: Session) -> RunningCost | None:
    """Nothing yet; ``None`` while the start register is not known."""
    start = session.register_start_milliwh
    if session.started_at is None or start is None:
        return None
    return opening(tariff, RegisterPoint(at=session.started_at, register_milliwh=start))


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
