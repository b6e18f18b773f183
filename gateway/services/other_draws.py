"""States what a plan leaves to others: EVSEs that it does not steer, other equipment.

Rows of the problem that no session has: what is reserved in each cabinet, what its
phases may differ by, and what PV is expected to leave.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from gateway.domain import envelope as env
from gateway.domain.envelope import TOTAL, Draw, Rung, Staircase, unix_s
from gateway.domain.ids import CabinetId, EvseRef
from gateway.domain.load_hours import Hours, expected
from gateway.domain.spare import SPARE_EVSE
from gateway.domain.topology import Cabinet, LoadSource
from gateway.services import loads, pv_forecast
from gateway.services.battery_plans import sure_draw, without_batteries_w
from gateway.services.group_state import GroupState
from optimizer import BatteryUnit
from optimizer.grid import MAX_CURRENT_A

WITHHELD_STEPS: Final = 2
"""Steps for which what the fast loop withholds now is taken from the plan."""

Equipment: TypeAlias = Sequence[tuple[CabinetId, list[Draw]]]
"""Other equipment: its cabinet and what it draws in each step."""

UsualLoad: TypeAlias = Callable[[str], Hours]
"""load id -> what it usually draws, by hour of the day."""


def reserved(
    state: GroupState,
    now: datetime,
    step_s: int,
    n_step: int,
    steered: set[EvseRef],
    *,
    equipment: Equipment,
) -> dict[str, list[list[float]]]:
    """Per cabinet what is kept from sessions that are steered, A, shape (3, n_step).

    Envelopes of all other EVSEs, other equipment, margins, and for a while what the
    fast loop withholds.
    """
    below = {
        cabinet.id: {c.id for c in state.site.subtree(cabinet.id)}
        for cabinet in state.group.cabinets
    }
    others = [
        (state.paths[ref], stairs)
        for ref, stairs in state.envelopes(now).items()
        if ref not in steered and ref.evse_id != SPARE_EVSE
    ]
    others.extend(_noise(state, now, steered))
    found: dict[str, list[list[float]]] = {}
    for cabinet in state.group.cabinets:
        rows: list[list[float]] = [[], [], []]
        mine = [stairs for path, stairs in others if cabinet.id in path]
        drawn = tuple(env.Rung(*one) for one in env.sum_of(mine, from_s=unix_s(now)))
        for step in range(n_step):
            at_s = int(unix_s(now)) + step * step_s
            taken: Draw = (cabinet.margin_da,) * 3 + (0,)
            if step < WITHHELD_STEPS:
                taken = env.add(taken, state.withheld.get(cabinet.id, env.NOTHING))
            taken = env.add(taken, env.value_at(drawn, at_s))
            for cabinet_id, series in equipment:
                if cabinet_id in below[cabinet.id]:
                    taken = env.add(taken, series[step])
            for phase, row in enumerate(rows):
                row.append(min(taken[phase] / 10, MAX_CURRENT_A))
        found[cabinet.id] = rows
    return found


def _noise(
    state: GroupState, now: datetime, steered: set[EvseRef]
) -> Iterator[tuple[tuple[CabinetId, ...], Staircase]]:
    """What is counted of steered sessions on phases that they are not planned on."""
    for ref in steered:
        one = state.evses[ref]
        own = state.planned_phases(one, now)
        if own is not None:
            yield state.paths[ref], (Rung(unix_s(now), own.least_elsewhere(one.evse)),)


def imbalance(
    state: GroupState,
    cabinet: Cabinet,
    now: datetime,
    step_s: int,
    steered: set[EvseRef],
) -> float | None:
    """What steered sessions may load one phase more than another, A.

    What other EVSEs may draw on fewer than three phases until the next plan is taken
    off.
    """
    if cabinet.imbalance_da is None:
        return None
    taken = dict.fromkeys(permutations(range(3), 2), 0)
    for ref, stairs in state.envelopes(now).items():
        if (
            ref in steered
            or ref.evse_id == SPARE_EVSE
            or cabinet.id not in state.paths[ref]
        ):
            continue
        instants = [unix_s(now), *(r.at_s for r in stairs)]
        draws = [
            env.value_at(stairs, at_s)
            for at_s in instants
            if unix_s(now) <= at_s < unix_s(now) + step_s
        ]
        for one, other in taken:
            taken[one, other] += max(0, *(draw[one] - draw[other] for draw in draws))
    return max(0, cabinet.imbalance_da - max(taken.values())) / 10


def equipment(
    state: GroupState,
    now: datetime,
    step_s: int,
    n_step: int,
    usual_load: UsualLoad | None,
) -> Equipment:
    """What other equipment counts at: sure in the first step, expected later."""
    zone = ZoneInfo(state.site.timezone)
    profiles = {
        load.id: load
        for load in state.group.loads
        if load.source is LoadSource.PROFILE and load.profile_da
    }
    steered = {one.id for one in state.group.batteries if one.is_controlled}
    found: list[tuple[CabinetId, list[Draw]]] = []
    for consumer in loads.consumers(state.group):
        stairs = loads.load_staircase(
            consumer,
            state.readings.get(consumer.id),
            now=now,
            phase_v=state.site.phase_v,
        )
        sure = sure_draw(stairs, now, step_s)
        present = stairs[0].draw
        usual = {} if usual_load is None else usual_load(consumer.id)
        series = [sure]
        for step in range(1, n_step):
            profile = profiles.get(consumer.id)
            ahead = timedelta(seconds=step * step_s)
            local = (now + ahead).astimezone(zone)
            if consumer.id in steered:
                series.append(env.NOTHING)  # it only takes what limits leave then
            elif profile is not None:
                series.append(env.with_total(profile.expected(local.hour)))
            elif usual:
                three = (present[0], present[1], present[2])
                then = expected(usual, three, ahead=ahead, local=local)
                series.append(env.with_total(then))
            else:
                series.append(present)
        found.append((consumer.cabinet_id, series))
    return found


def surplus(
    state: GroupState,
    now: datetime,
    step_s: int,
    n_step: int,
    *,
    equipment: Equipment,
    batteries: Sequence[BatteryUnit],
) -> tuple[list[float], list[float]]:
    """What PV is expected to leave, W, and what other equipment draws beyond PV.

    Other equipment uses PV first; batteries that are planned are none of it.
    """
    zone = ZoneInfo(state.site.timezone)
    pv_w = [0.0] * n_step
    for pv in state.group.pvs:
        one = pv_forecast.forecast_w(
            pv,
            state.readings.get(pv.id),
            now=now,
            zone=zone,
            step_s=step_s,
            n_step=n_step,
        )
        pv_w = [total + value for total, value in zip(pv_w, one, strict=True)]
    if not any(pv_w) and not batteries:
        return pv_w, []
    others_w = [0.0] * n_step
    for _, series in equipment:
        for step, draw in enumerate(series):
            others_w[step] += draw[TOTAL] / 10 * state.site.phase_v
    if batteries:
        others_w = without_batteries_w(others_w, state, batteries, now, step_s)
    beyond_w = pv_forecast.surplus_w(others_w, pv_w)
    return pv_forecast.surplus_w(pv_w, others_w), beyond_w
