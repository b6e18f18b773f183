"""Batteries in plans: what they hold goes in, what they shall do comes out.

A battery with ``control = "plan"`` is planned together with the cars while what it
holds is known, prices are, and it does what it is told; else its rule decides.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from gateway.domain import envelope as env
from gateway.domain.envelope import Draw, Staircase, unix_s
from gateway.domain.topology import Battery
from gateway.services import loads
from gateway.services.group_state import GroupState
from gateway.services.loads import Consumer
from optimizer import BatteryUnit
from optimizer.outcome import Plan

FRESH_S: Final = 60
"""Site seconds for which what a battery holds is planned with."""
FOLLOWED_STEPS: Final = 2
"""Steps of a plan that are followed: the first, and one more if the next is late."""

EnergyWh: TypeAlias = Callable[[str, datetime], float | None]
"""(battery id, now) -> what it holds; ``None``: it cannot be planned now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    start: datetime
    step_s: int
    powers_w: tuple[int, ...]


class BatteryPlans:
    """Between the batteries and the plans of their groups. Loop thread only."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[float, datetime]] = {}
        self._planned: dict[str, _Planned] = {}

    def holds(self, battery_id: str, energy_wh: float, at: datetime) -> None:
        """A battery that follows plans said what it holds."""
        self._held[battery_id] = (energy_wh, at)

    def is_gone(self, battery_id: str) -> None:
        """A battery follows no plan now."""
        self._held.pop(battery_id, None)

    def energy_wh(self, battery_id: str, now: datetime) -> float | None:
        """What it holds; ``None``: it cannot be planned now."""
        found = self._held.get(battery_id)
        if found is None or now - found[1] > timedelta(seconds=FRESH_S):
            return None
        return found[0]

    def take(self, plan: Plan) -> None:
        """A group has a new plan. One by a rule says nothing of batteries."""
        for name, powers_w in zip(plan.battery_ids, plan.battery_w, strict=True):
            self._planned[name] = _Planned(
                start=plan.start, step_s=plan.step_s, powers_w=powers_w
            )

    def power_w(self, battery_id: str, now: datetime) -> int | None:
        """What the newest plan wants of it now, W; ``None``: none says anything."""
        plan = self._planned.get(battery_id)
        if plan is None:
            return None
        step = math.floor((now - plan.start).total_seconds() / plan.step_s)
        if not 0 <= step < min(FOLLOWED_STEPS, len(plan.powers_w)):
            return None
        return plan.powers_w[step]


def sure_draw(stairs: Staircase, now: datetime, step_s: int) -> Draw:
    """The most that a consumer is counted with in the step from ``now`` on."""
    until_s = unix_s(now) + step_s
    return env.highest(
        env.value_at(stairs, at_s)
        for at_s in (unix_s(now), *(r.at_s for r in stairs if r.at_s < until_s))
    )


def units(
    state: GroupState, now: datetime, step_s: int, energy_wh: EnergyWh | None
) -> tuple[BatteryUnit, ...]:
    """The batteries of a group that are planned now."""
    if energy_wh is None:
        return ()
    found: list[BatteryUnit] = []
    for battery in state.group.batteries:
        held_wh = energy_wh(battery.id, now) if battery.follows_plan else None
        if held_wh is None or _is_uneven(state, battery):
            continue
        draw = drawn(state, battery, now, step_s)
        found.append(
            BatteryUnit(
                battery_id=battery.id,
                cabinet_id=battery.cabinet_id,
                phases=tuple(battery.phases),
                capacity_wh=battery.capacity_wh,
                energy_wh=max(0, min(battery.capacity_wh, math.floor(held_wh))),
                reserve_wh=math.ceil(battery.reserve_wh),
                target_wh=battery.capacity_wh * battery.target_percent // 100,
                max_charge_w=battery.max_charge_w,
                max_discharge_w=battery.max_discharge_w,
                efficiency_permille=max(1, math.floor(battery.efficiency * 1000)),
                held_a=min(draw[phase] for phase in battery.phases) / 10,
            )
        )
    return tuple(found)


def drawn(state: GroupState, battery: Battery, now: datetime, step_s: int) -> Draw:
    """What limits count for a battery in the first step."""
    stairs = loads.load_staircase(
        Consumer.of(battery),
        state.readings.get(battery.id),
        now=now,
        phase_v=state.site.phase_v,
    )
    return sure_draw(stairs, now, step_s)


def without_batteries_w(
    total_w: list[float],
    state: GroupState,
    planned: Iterable[BatteryUnit],
    now: datetime,
    step_s: int,
) -> list[float]:
    """What equipment draws without the batteries that are planned, W per step."""
    names = {one.battery_id for one in planned}
    own = [
        drawn(state, battery, now, step_s)
        for battery in state.group.batteries
        if battery.id in names
    ]
    first_w = sum(draw[env.TOTAL] for draw in own) / 10 * state.site.phase_v
    return [max(0.0, total_w[0] - first_w), *total_w[1:]]


def _is_uneven(state: GroupState, battery: Battery) -> bool:
    """On some phases only, where a cabinet limits the imbalance: not planned."""
    n_phase = len(battery.phases)
    path = state.site.path(battery.cabinet_id)
    return n_phase < len(env.ROWS) - 1 and any(
        cabinet.imbalance_da is not None for cabinet in path
    )
