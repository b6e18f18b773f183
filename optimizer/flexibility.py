"""What a session gave by waiting: energy shifted and delivered before it really left.

Computed when a session is over, from what the meter counted and when it really left;
what was declared earns nothing. The counterfactual is the same car without our limits:

    r_0 = E                                 energy that was really delivered, mWh
    u_t = min(c_t, r_t)                     if our limit held it back in interval t
    u_t = min(a_t, r_t)                     else: it took what it wanted
    r_(t+1) = r_t - u_t

with a_t what it took and c_t what it takes at most (its own largest rate seen). So u is
never behind a, both end at E, and u exceeds a only where our limit held the car back:

    shifted  U = max(0, sum max(0, u_t - a_t) - shortfall)           mWh
    value    V = max(0, sum p_t (u_t - a_t))                         micro

p_t is the price of the plan for the session: energy plus congestion. Held back means
that the limit was below what the car takes, and that the car followed it closely. Under
a limit of 0 nothing can be seen: it counts if the car charged when it was next allowed
to. A car that waits on its own (its timer, its taper, its full battery) gives nothing.

The shortfall counts against whoever left before the departure he declared, without the
energy he asked for. Only integers: whoever has the readings gets the same numbers.

Source: the definitions of flexibility compared in Yan et al., arXiv 2301.03342; that a
baseline must be computed, never declared: arXiv 2011.10681.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

HELD_BACK_PERCENT: Final = 95
"""A limit above this part of what the car takes holds nothing back."""
FOLLOWED_PERCENT: Final = 85
"""A car that takes less than this part of its limit waits on its own."""
WOKEN_PERCENT: Final = 50
"""After a pause a car was ready if it then takes this part of what it may."""
SHORTEST_S: Final = 60
"""Intervals below it say nothing of the car's rate: registers count in steps."""
MICRO_PER_PRICE: Final = 1_000_000
"""mWh in a kWh."""
RELIABILITY_START: Final = 500
RELIABILITY_MOST: Final = 1_000
"""Permille of a driver who keeps his departures."""
RELIABILITY_STEP: Final = 100
"""Permille by which one departure moves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A time between two readings of a session.

    Attributes:
        duration_s: Its length, s.
        delivered_milliwh: What the register counted in it.
        limit_milliwh: The most that our limit allowed in it; ``None`` without one.
        price_micro_per_kwh: What a kWh cost the plan in it, congestion included.
    """

    duration_s: int
    delivered_milliwh: int
    limit_milliwh: int | None
    price_micro_per_kwh: int

    def __post_init__(self) -> None:
        """Refuse what no meter and no limit can say.

        Raises:
            ValueError: A duration is not positive, or an energy negative.
        """
        if self.duration_s <= 0:
            raise ValueError("an interval lasts")
        if self.delivered_milliwh < 0 or (self.limit_milliwh or 0) < 0:
            raise ValueError("energy is not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What was declared of a stay that ended before it.

    Attributes:
        requested_milliwh: The energy asked for.
    """

    requested_milliwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one stay gave.

    Attributes:
        shifted_milliwh: Energy that waited and was delivered all the same.
        value_micro: What its waiting saved, in millionths of the currency.
        uncontrolled_milliwh: Per interval: what the car would have taken.
        held_back: Per interval: our limit was why it took no more.
        shortfall_milliwh: Of who left early, already subtracted.
    """

    shifted_milliwh: int
    value_micro: int
    uncontrolled_milliwh: tuple[int, ...]
    held_back: tuple[bool, ...]
    shortfall_milliwh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A stay as the pool sees it.

    Attributes:
        reliability_permille: See `reliability_after`.
    """

    shifted_milliwh: int
    value_micro: int
    reliability_permille: int


def contribution(
    intervals: Sequence[Interval], left_early: Departure | None = None
) -> Contribution:
    """What a stay gave by waiting.

    Sessions of one driver that follow each other closely are one stay: their intervals
    one after another, with what lies between them as an interval without a limit. So
    nobody gains by plugging in anew.

    Args:
        intervals: In order, without a gap.
        left_early: Who left before the departure he declared.
    """
    most = _most(intervals)
    held_back = tuple(_held_back(intervals, most))
    left = sum(one.delivered_milliwh for one in intervals)
    shortfall = 0
    if left_early is not None:
        shortfall = max(0, min(left_early.requested_milliwh, sum(most)) - left)
    uncontrolled = []
    for one, most_milliwh, is_held in zip(intervals, most, held_back, strict=True):
        wanted = most_milliwh if is_held else one.delivered_milliwh
        taken = min(wanted, left)
        uncontrolled.append(taken)
        left -= taken
    moves = [
        taken - one.delivered_milliwh
        for taken, one in zip(uncontrolled, intervals, strict=True)
    ]
    saved = sum(
        move * one.price_micro_per_kwh
        for move, one in zip(moves, intervals, strict=True)
    )
    return Contribution(
        shifted_milliwh=max(0, sum(move for move in moves if move > 0) - shortfall),
        value_micro=max(0, saved // MICRO_PER_PRICE),
        uncontrolled_milliwh=tuple(uncontrolled),
        held_back=held_back,
        shortfall_milliwh=shortfall,
    )


def shares(pool_milliwh: int, claims: Sequence[Claim]) -> tuple[int, ...]:
    """What each stay of a period is credited, mWh of flexibility.

    The pool is divided by value times reliability; nobody is credited more than was
    shifted, and all together never more than the pool. What is left stays in the pool.
    """
    if pool_milliwh < 0:
        raise ValueError("a pool is not negative")
    weights = [
        claim.value_micro * claim.reliability_permille if claim.shifted_milliwh else 0
        for claim in claims
    ]
    whole = sum(weights)
    if not whole:
        return (0,) * len(claims)
    return tuple(
        min(claim.shifted_milliwh, pool_milliwh * weight // whole)
        for claim, weight in zip(claims, weights, strict=True)
    )


def reliability_after(departures_kept: Sequence[bool]) -> int:
    """Permille of trust in a driver's departures, from all that he declared, in order.

    It starts in the middle and moves a tenth of the way with each departure.
    """

    def step(trust: int, is_kept: bool) -> int:
        aim = RELIABILITY_MOST if is_kept else 0
        return trust + (aim - trust) * RELIABILITY_STEP // 1_000

    *_, last = accumulate(departures_kept, step, initial=RELIABILITY_START)
    return last


def _most(intervals: Sequence[Interval]) -> list[int]:
    """What the car takes at most in each interval, by the largest rate it showed."""
    fastest: Interval | None = None
    for one in intervals:
        if one.duration_s < SHORTEST_S:
            continue
        if fastest is None or (
            one.delivered_milliwh * fastest.duration_s
            > fastest.delivered_milliwh * one.duration_s
        ):
            fastest = one
    if fastest is None:
        return [one.delivered_milliwh for one in intervals]
    return [
        max(
            one.delivered_milliwh,
            fastest.delivered_milliwh * one.duration_s // fastest.duration_s,
        )
        for one in intervals
    ]


def _held_back(intervals: Sequence[Interval], most: Sequence[int]) -> list[bool]:
    """Per interval: our limit was why the car took no more."""
    found: list[bool] = []
    is_ready_later = False  # until an interval shows it
    for one, most_milliwh in zip(reversed(intervals), reversed(most), strict=True):
        offered = most_milliwh
        if one.limit_milliwh is not None:
            offered = min(offered, one.limit_milliwh)
        if offered == 0:
            found.append(is_ready_later and one.limit_milliwh == 0)
            continue
        is_ready_later = one.delivered_milliwh * 100 >= offered * WOKEN_PERCENT
        found.append(
            one.limit_milliwh is not None
            and one.limit_milliwh * 100 < most_milliwh * HELD_BACK_PERCENT
            and one.delivered_milliwh * 100 >= one.limit_milliwh * FOLLOWED_PERCENT
        )
    found.reverse()
    return found
