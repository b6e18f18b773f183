"""Departures that are not certain: what past stays say of when a car will be gone.

Drivers who say nothing stay as long as such stays do, and what drivers say has proved
right or wrong by some minutes. So a plan may be given several equally likely
departures of a car instead of one. It may use the whole time until the last of them,
but a kWh planned for after some of them is missing with these, and priced so
(``optimizer.goal``): cars get their energy before they may be gone.

Only plans depend on it: no limit is ever widened.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from optimizer.parts import EvSession

MOST_STEPS: Final = 16
"""More departures than these are represented by so many quantiles."""

LEAST_STEPS: Final = 3
"""Fewer say nothing."""


def uncertain(session: EvSession, departures: Iterable[int]) -> EvSession:
    """Plan a session with equally likely departures instead of one.

    Args:
        session: As it is said or assumed.
        departures: First steps without the car, of past stays like this one. Those
            that are over did not come true: the car is still there.

    Returns:
        The session as it is, where less than ``LEAST_STEPS`` are left.
    """
    left = sorted(step for step in departures if step > 0)
    if len(left) < LEAST_STEPS:
        return session
    chosen = _quantiles(left)
    certain = chosen[0] == chosen[-1]
    return replace(
        session,
        departure_step=chosen[-1],
        leaving_steps=() if certain else chosen,
    )


def _quantiles(ordered: list[int]) -> tuple[int, ...]:
    """Represent many by few: the middle ones of equal parts."""
    if len(ordered) <= MOST_STEPS:
        return tuple(ordered)
    return tuple(
        ordered[(2 * part + 1) * len(ordered) // (2 * MOST_STEPS)]
        for part in range(MOST_STEPS)
    )
