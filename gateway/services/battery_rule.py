"""What a battery shall do now: a rule, without a solver and without a forecast.

It stores what would be fed into the grid, and gives it back while energy is dear or a
cabinet is nearly full; or it does what a plan says, within the same bounds, and gives
no more than is drawn. Its discharge never raises a limit, and it never charges beyond
what the limits leave.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.phases import DC_UNDERVOLTAGE, PerPhase
from gateway.domain.topology import Battery
from gateway.services.loads import READING_EXTRA_DA, READING_SHARE

DEADBAND_W: Final = 100
"""Smaller exchanges with the grid than this are left alone, and smaller changes."""
SURPLUS_SHARE: Final = 0.95
"""Of a measured surplus that is stored: the sun goes on moving."""
TICK_H: Final = 1 / 60
"""What is decided has to fit the energy of so many hours; it is decided more often."""
DEAR_SHARE: Final = 2 / 3
"""Energy is dear in the upper third between the day's lowest and highest price."""
BY_PLAN: Final = "the plan says so"
FULL_SHARE: Final = 0.9
"""From this part of its limit on a cabinet counts as nearly full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What it shall do: W, charging positive, and why in words."""

    power_w: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a battery and its surroundings now; only fresh measurements.

    Attributes:
        energy_wh: What it holds.
        power_w: What it draws; negative: what it gives.
        feeder_w: What the outermost measured cabinet draws; negative: it feeds in.
        room_w: What it may charge with at most, by all limits.
        is_dear: Energy is dear now.
        is_congested: A cabinet above it is nearly full.
        by_hand_w: What an operator wants it to do.
        held: What it was told last, while meters do not show yet what came of it: a
            feeder with it less a power without it would be a surplus that never was.
        planned_w: What the newest plan wants of it; ``None``: the rule decides.
    """

    energy_wh: float | None
    power_w: float | None
    feeder_w: float | None
    room_w: int
    is_dear: bool = False
    is_congested: bool = False
    by_hand_w: int | None = None
    held: Wanted | None = None
    planned_w: int | None = None


def decide(battery: Battery, facts: Facts) -> Wanted:
    """The power of a battery; 0 whenever something that it takes is not known."""
    if facts.energy_wh is None:
        return Wanted(power_w=0, why="what it holds is not known")
    most_w = _most_charge_w(battery, facts.energy_wh, facts.room_w)
    least_w = -_most_discharge_w(battery, facts.energy_wh)
    if facts.by_hand_w is not None:
        return Wanted(
            power_w=max(least_w, min(most_w, facts.by_hand_w)), why="set by hand"
        )
    if facts.planned_w is not None and facts.planned_w >= 0:
        return Wanted(power_w=min(most_w, facts.planned_w), why=BY_PLAN)
    if facts.feeder_w is None or facts.power_w is None:
        return Wanted(power_w=0, why="the feeder or its own power is not measured")
    if facts.held is not None:
        held_w = max(least_w, min(most_w, facts.held.power_w))
        return Wanted(power_w=held_w, why=facts.held.why)
    without_w = facts.feeder_w - facts.power_w
    if facts.planned_w is not None:
        given_w = min(-facts.planned_w, max(0, math.floor(without_w)))
        return Wanted(power_w=max(least_w, -given_w), why=BY_PLAN)
    if without_w < -DEADBAND_W:
        surplus_w = math.floor(-without_w * SURPLUS_SHARE)
        return Wanted(power_w=min(most_w, surplus_w), why="stores a surplus")
    if not (facts.is_dear or facts.is_congested):
        return Wanted(power_w=0, why="no surplus, and energy is not dear")
    if without_w < DEADBAND_W:
        return Wanted(power_w=0, why="nothing is drawn that it could replace")
    why = "a cabinet is nearly full" if facts.is_congested else "energy is dear"
    return Wanted(power_w=max(least_w, -math.floor(without_w)), why=why)


def is_settled(
    told_at: datetime,
    others_told_at: Iterable[datetime],
    *,
    heard_at: datetime,
    feeder_at: datetime,
    within: timedelta,
) -> bool:
    """Whether two meters of different age both show what came of the last commands.

    Args:
        told_at: When the battery was told something else than before.
        others_told_at: The same of the others behind the feeder meter: its reading has
            their power in it, too.
        heard_at: When its own power was measured.
        feeder_at: When the feeder was measured.
        within: In this time a battery does what it was told.
    """
    last_at = max((told_at, *others_told_at))
    return heard_at - told_at >= within and feeder_at - last_at >= within


def room_w(battery: Battery, room_da: PerPhase) -> int:
    """Power that it may charge with while its current counts within a room.

    Its reading counts with a margin, so it gets less than the room.

    Args:
        battery: For its phases and voltage.
        room_da: Per supply phase, 0.1 A, what is counted for it now included.
    """
    least_da = min(room_da[phase] for phase in battery.phases)
    current_da = math.floor((least_da - READING_EXTRA_DA) / READING_SHARE)
    per_phase_w = current_da / 10 * battery.phase_v * DC_UNDERVOLTAGE
    return max(0, math.floor(per_phase_w * len(battery.phases)))


def is_dear(prices: Sequence[int], efficiency: float) -> bool:
    """Whether energy is dear in the first of the steps to come.

    It has to be in the upper third of the day's prices, and dearer than the lowest
    price with what storing loses.
    """
    if not prices:
        return False
    lowest, highest = min(prices), max(prices)
    is_high = prices[0] >= lowest + (highest - lowest) * DEAR_SHARE
    return is_high and prices[0] * efficiency > lowest


def _most_charge_w(battery: Battery, energy_wh: float, room: int) -> int:
    free_w = (battery.capacity_wh - energy_wh) / battery.efficiency / TICK_H
    return max(0, min(battery.max_charge_w, room, math.floor(free_w)))


def _most_discharge_w(battery: Battery, energy_wh: float) -> int:
    above_w = (energy_wh - battery.reserve_wh) / TICK_H
    return max(0, min(battery.max_discharge_w, math.floor(above_w)))
