"""Translates a group's state into a problem for the optimizer, and its plan back."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import permutations
from typing import Final
from zoneinfo import ZoneInfo

from gateway.domain import envelope as env
from gateway.domain.envelope import (
    NO_LIMIT,
    TOTAL,
    Draw,
    Rung,
    Staircase,
    unix_s,
)
from gateway.domain.ids import CabinetId, EvseRef, SessionId
from gateway.domain.limits import LimitUnit
from gateway.domain.load_hours import Hours, expected
from gateway.domain.phases import DC_UNDERVOLTAGE
from gateway.domain.spare import SPARE_EVSE, OwnPhases
from gateway.domain.topology import Cabinet, CurrentType, LoadSource
from gateway.domain.usual_need import NeedSource
from gateway.services import loads, pv_forecast, spare_plan
from gateway.services.battery_plans import (
    EnergyWh,
    sure_draw,
    units,
    without_batteries_w,
)
from gateway.services.evse_state import EvseState, Expected, key_of
from gateway.services.group_state import GroupState
from optimizer import BatteryUnit, CabinetLimit, CabinetProblem, EvSession, Mode
from optimizer.grid import MAX_CURRENT_A
from optimizer.leaving import uncertain
from optimizer.outcome import Plan

Prices = Callable[[datetime, int, int], Sequence[int] | None]
"""(start, step_s, n_step) -> import price per step, millionths per kWh, if known."""

WITHHELD_STEPS: Final = 2
"""Steps for which what the fast loop withholds now is taken from the plan."""

TOP_UP_WH: Final = 2_000
"""Of a need that is only a default this much is always left while a car charges."""

LEAST_DC_W: Final = 1.0
"""DC is worth planning where anything is left for the car at all."""

FULL_WH: Final = 300
FULL_WEIGHT: Final = 0.1
"""A car that has had enough is offered a little, so that it can wake up."""

OVERDUE: Final = timedelta(hours=1)
"""A car that is still there after its departure is planned for so much longer."""


Equipment = Sequence[tuple[CabinetId, list[Draw]]]
"""Other equipment: its cabinet and what it draws in each step."""

UsualLoad = Callable[[str], Hours]
"""load id -> what it usually draws, by hour of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A problem and whose rows it holds.

    Attributes:
        departures: By session: what the promise names.
        defaults: Sessions whose need rests on a default.
        silent: Sessions of which no driver said when the car leaves.
        delivered: By session: milliwatt-hours delivered when this was asked.
        shares: By session: watt-hours delivered per watt-hour of the problem, which
            counts at the site's voltage and, of DC, on the side of the grid.
    """

    problem: CabinetProblem
    departures: Mapping[SessionId, datetime]
    defaults: frozenset[SessionId]
    silent: frozenset[SessionId] = frozenset()
    delivered: Mapping[SessionId, int] = field(default_factory=dict)
    shares: Mapping[SessionId, float] = field(default_factory=dict)


def build(
    state: GroupState,
    now: datetime,
    *,
    step_s: int,
    n_step: int,
    prices: Prices | None = None,
    feed_in: Prices | None = None,
    usual_load: UsualLoad | None = None,
    battery_wh: EnergyWh | None = None,
    mode: str = "finish",
) -> Asked:
    """State what has to be solved from ``now`` on.

    In the first step other equipment counts at what is guaranteed, later at what is
    expected. EVSEs without a session that can be steered count at their envelope.
    """
    now = now.replace(microsecond=0)
    steered = [one for one in state.evses.values() if is_steered(state, one)]
    steered_refs = {key_of(one.evse.ref) for one in steered}
    equipment = _equipment(state, now, step_s, n_step, usual_load)
    reserved = _reserved(state, now, step_s, n_step, steered_refs, equipment=equipment)
    limits = [
        _limits(state, CabinetId(cabinet.id), now, step_s, n_step)
        for cabinet in state.group.cabinets
    ]
    sessions = [_ev_session(state, one, now, step_s) for one in steered]
    needs = {one.session.session_id: one.need for one in steered if one.session}
    start_prices = None if prices is None else prices(now, step_s, n_step)
    earned = None if feed_in is None else feed_in(now, step_s, n_step)
    batteries = () if start_prices is None else units(state, now, step_s, battery_wh)
    pv_w, load_w = _surplus(
        state, now, step_s, n_step, equipment=equipment, batteries=batteries
    )
    problem = spare_plan.heeded(
        CabinetProblem(
            group_id=state.group.id,
            start=now,
            step_s=step_s,
            n_step=n_step,
            nominal_v=max(1, round(state.site.phase_v)),
            cabinets=tuple(
                CabinetLimit(
                    cabinet_id=cabinet.id,
                    parent=cabinet.parent if index else None,
                    limit_a=limit_a,
                    limit_w=limit_w,
                    reserved_a=reserved[cabinet.id],
                    imbalance_a=_imbalance(state, cabinet, now, step_s, steered_refs),
                )
                for index, (cabinet, (limit_a, limit_w)) in enumerate(
                    zip(state.group.cabinets, limits, strict=True)
                )
            ),
            sessions=tuple(sessions),
            import_price_micro_per_kwh=start_prices,
            feed_in_price_micro_per_kwh=earned,
            pv_w=pv_w,
            mode=Mode(mode),
            batteries=batteries,
            load_w=load_w,
        ),
        {
            one.session.session_id: one.evse.phases
            for one in steered
            if one.session and state.planned_phases(one, now) is not None
        },
        {str(one): margin_da for one, margin_da in state.margins().items()},
    )
    return Asked(
        problem=problem,
        departures={
            session_id: need.departure_at
            for session_id, need in needs.items()
            if need is not None
        },
        defaults=frozenset(
            session_id
            for session_id, need in needs.items()
            if need is None or need.is_default
        ),
        silent=frozenset(
            session_id
            for session_id, need in needs.items()
            if need is None or need.departure_from is not NeedSource.DRIVER
        ),
        delivered={
            one.session.session_id: one.session.energy_milliwh
            for one in steered
            if one.session
        },
        shares={
            one.session.session_id: _share(state, one) for one in steered if one.session
        },
    )


def levels_of(plan: Plan) -> dict[SessionId, tuple[tuple[int, int], ...]]:
    """What each session is to be allowed: (from when on, 0.1 A), never rising.

    A step that the plan wants higher than one before it is not sent ahead: it is
    planned again when its time has come.
    """
    start_s = int(unix_s(plan.start))
    found: dict[SessionId, tuple[tuple[int, int], ...]] = {}
    for session_id, currents in zip(plan.session_ids, plan.currents_da, strict=True):
        levels: list[tuple[int, int]] = []
        for step, current_da in enumerate(currents):
            if not levels or current_da < levels[-1][1]:
                levels.append((start_s + step * plan.step_s, current_da))
        found[SessionId(session_id)] = tuple(levels)
    return found


def expected_of(asked: Asked, plan: Plan) -> dict[SessionId, Expected]:
    """What each session takes if all goes by plan, at the meter of its EVSE."""
    problem = asked.problem
    found: dict[SessionId, Expected] = {}
    for index, session in enumerate(problem.sessions):
        name = SessionId(session.session_id)
        left = session.energy_wh * asked.shares[name] * 1000
        per_da = wh_per_da(problem, session) * asked.shares[name] * 1000
        steps: list[int] = []
        for current_da in plan.currents_da[index]:
            step = min(left, current_da * per_da)
            left -= step
            steps.append(round(step))
        found[name] = Expected(
            session_id=name,
            begin_milliwh=asked.delivered[name],
            start=plan.start,
            step_s=plan.step_s,
            milliwh=tuple(steps),
        )
    return found


def had_wh(asked: Asked) -> dict[str, float]:
    """What each session got before, Wh of the problem."""
    return {
        name: milliwh / 1000 / asked.shares[name]
        for name, milliwh in asked.delivered.items()
    }


def wh_per_da(problem: CabinetProblem, session: EvSession) -> float:
    """Energy of 0.1 A over one step, Wh of the problem."""
    n_phase = session.n_power_phase or len(session.phases)
    return problem.nominal_v * n_phase * problem.step_s / 3600 / 10


def _share(state: GroupState, one: EvseState) -> float:
    """Energy delivered per energy of the problem."""
    evse = one.evse
    share = evse.phase_v / max(1, round(state.site.phase_v))
    if evse.current_type is CurrentType.DC:
        share *= DC_UNDERVOLTAGE * evse.efficiency
    return share


def is_steered(state: GroupState, one: EvseState) -> bool:
    """Whether a session is planned, not only reserved for."""
    session = one.session
    return (
        session is not None
        and session.transaction_id is not None
        and state.is_advised(one)
        and (state.is_trusted(one) or not state.is_controlled(one))
        and state.stations[one.evse.ref.station_id].is_online
    )


def _ev_session(
    state: GroupState, one: EvseState, now: datetime, step_s: int
) -> EvSession:
    session, evse = one.session, one.evse
    assert session is not None  # is_steered
    delivered_wh = session.energy_milliwh // 1000
    need = one.need
    departure = now + OVERDUE if need is None else max(need.departure_at, now + OVERDUE)
    if need is not None and not need.is_default and need.departure_at > now:
        departure = need.departure_at
    energy_wh = TOP_UP_WH if need is None else max(0, need.energy_wh - delivered_wh)
    if need is None or need.is_default:
        energy_wh = max(energy_wh, TOP_UP_WH)
    weight = 1.0
    if one.rest.is_long:
        energy_wh, weight = min(energy_wh, FULL_WH), FULL_WEIGHT
    energy_wh = math.ceil(round(energy_wh / _share(state, one), 6))
    least_da, ceiling_da = _range(one)
    present = state.holding(one).latest(session.session_id)
    present_da = (
        evse.floor_da
        if present is None
        else max(env.counted(evse, present, present.schedule.at(now))[:TOTAL])
    )
    is_kept_on = state.never_pauses(one) and one.rhythm.is_on is not False
    own = state.planned_phases(one, now)
    planned = EvSession(
        session_id=session.session_id,
        cabinet_id=str(evse.cabinet_id),
        phases=evse.phases if own is None else own.phases,
        energy_wh=energy_wh,
        departure_step=_steps(departure - now, step_s),
        min_a=least_da / 10,
        max_a=max(ceiling_da, evse.floor_da) / 10,
        present_a=min(present_da, evse.max_da) / 10,
        floor_a=max(evse.floor_a, least_da / 10) if is_kept_on else evse.floor_a,
        weight=weight,
        n_power_phase=_power_phases(one, own),
    )
    likely = () if need is None else need.leaves_at
    return uncertain(planned, (_steps(at - now, step_s) for at in likely))


def _steps(ahead: timedelta, step_s: int) -> int:
    return math.ceil(ahead.total_seconds() / step_s)


def _range(one: EvseState) -> tuple[int, int]:
    """Least current that charges and largest one worth planning, 0.1 A.

    The rating and an operator's limit, narrowed by what the car showed; what it showed
    never leaves it without any current.
    """
    evse, car = one.evse, one.car
    ceiling_da = min(
        evse.max_da, evse.max_da if one.manual_da is None else one.manual_da
    )
    least_da = car.least_da(evse.min_da)
    if least_da > ceiling_da:
        least_da = evse.min_da
    if evse.current_type is CurrentType.DC:  # less feeds its auxiliaries only
        least_da = max(least_da, evse.input_da(LEAST_DC_W))
    if car.ceiling_da is not None:
        ceiling_da = min(ceiling_da, max(car.ceiling_da, least_da))
    return least_da, ceiling_da


def _power_phases(one: EvseState, own: OwnPhases | None) -> int:
    """On how many phases an ampere of the plan brings energy.

    A limit in W may be drawn on one phase, so that an ampere counts on all and brings
    the energy of one. A limit in A is per phase: so many as the car uses.
    """
    evse = one.evse
    if evse.current_type is CurrentType.DC:
        return len(evse.phases)
    if one.unit is not LimitUnit.A:
        return 1
    if own is not None:
        return len(own.phases)
    return min(one.car.n_phase or len(evse.phases), len(evse.phases))


def _limits(
    state: GroupState, cabinet_id: CabinetId, now: datetime, step_s: int, n_step: int
) -> tuple[list[list[float]] | None, list[float] | None]:
    cabinet = next(c for c in state.group.cabinets if c.id == cabinet_id)
    phase_v = state.site.phase_v
    draws: list[Draw] = []
    edges = {
        unix_s(edge)
        for one in state.thresholds
        if one.cabinet_id == cabinet_id
        for edge in (one.from_at, one.until_at)
        if edge is not None
    }
    for step in range(n_step):
        begin_s = int(unix_s(now)) + step * step_s
        instants = [begin_s, *(e for e in edges if begin_s < e < begin_s + step_s)]
        found = [
            loads.limit_draw(cabinet, state.thresholds, at_s=at_s, phase_v=phase_v)
            for at_s in instants
        ]
        one, two, three, total = (min(f[row] for f in found) for row in env.ROWS)
        draws.append((one, two, three, total))
    has_total = any(draw[TOTAL] < NO_LIMIT for draw in draws)
    has_phases = any(draw[0] < NO_LIMIT for draw in draws) or not has_total
    limit_a = [
        [min(draw[phase] / 10, MAX_CURRENT_A) for draw in draws] for phase in range(3)
    ]
    limit_w = [
        float(math.floor(min(draw[TOTAL] / 10 * phase_v, 1e9))) for draw in draws
    ]
    return (limit_a if has_phases else None, limit_w if has_total else None)


def _reserved(
    state: GroupState,
    now: datetime,
    step_s: int,
    n_step: int,
    steered: set[EvseRef],
    *,
    equipment: Equipment,
) -> dict[str, list[list[float]]]:
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


def _imbalance(
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


def _equipment(
    state: GroupState,
    now: datetime,
    step_s: int,
    n_step: int,
    usual_load: UsualLoad | None,
) -> Equipment:
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


def _surplus(
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
