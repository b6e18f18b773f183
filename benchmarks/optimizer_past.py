"""What a site remembers of past days: how long cars stayed, how wrong drivers were."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from benchmarks.optimizer_days import Disturbance, Kind, disturbed, draw

HISTORY: Final = range(901, 911)
"""Seeds of the past days that are known; nothing is judged on them."""

ALIKE: Final = 8
"""Stays that began within so many steps of the same time of the day are alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastStays:
    """Stays of past days, as meters and plugs tell.

    Attributes:
        later: How much later than stated each car left, steps.
        stays: When each came, step of the day, and for how many steps.
    """

    later: tuple[int, ...]
    stays: tuple[tuple[int, int], ...]

    def like(self, arrival_step: int) -> list[int]:
        """How long those stayed that came at this time of the day, steps."""
        return [
            stay for begin, stay in self.stays if abs(begin - arrival_step) <= ALIKE
        ]


@cache
def past_stays(kind: Kind, what: Disturbance) -> PastStays:
    """Remember past days on which the same things went otherwise than said."""
    cars = [
        car for seed in HISTORY for car in disturbed(draw(kind, 63, seed), what).cars
    ]
    return PastStays(
        later=tuple(car.departure_step - car.stated_step for car in cars),
        stays=tuple(
            (car.arrival_step, car.departure_step - car.arrival_step) for car in cars
        ),
    )
