"""Translates a group's state into a problem for the optimizer, and its plan back."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.domain import envelope as env
from gateway.domain.envelope import (
    NO_LIMIT,
    TOTAL,
    Draw,
    unix_s,
)
from gateway.domain.ids import CabinetId, SessionId
from gateway.domain.usual_need import NeedSource
from gateway.services import loads, other_draws, spare_plan
from gateway.services.battery_plans import (
    EnergyWh,
    units,
)
from gateway.services.evse_state import Expected, key_of
from gateway.services.group_state import GroupState
from gateway.services.planned_session import (
    ev_session,
    is_steered,
    share_of,
    stretch_of,
)
from optimizer import CabinetLimit, CabinetProblem, EvSession, Mode, spare_time
from optimizer.grid import MAX_CURRENT_A
from optimizer.outcome import Plan

Prices = Callable[[datetime, int, int], Sequence[int] | None]
"""(start, step_s, n_step) -> import price per step, millionths per kWh, if known."""


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
        stretches: By session: energy asked for per energy of the problem, because its
            steps are whole (`planned_session.stretch_of`).
    """

    problem: CabinetProblem
    departures: Mapping[SessionId, datetime]
    defaults: frozenset[SessionId]
    silent: frozenset[SessionId] = frozenset()
    delivered: Mapping[SessionId, int] = field(default_factory=dict)
    shares: Mapping[SessionId, float] = field(default_factory=dict)
    stretches: Mapping[SessionId, float] = field(default_factory=dict)

    def asked_wh(self, index: int) -> float:
        """What a session of the problem still asks for, at the meter of its EVSE."""
        session = self.problem.sessions[index]
        name = SessionId(session.session_id)
        stretch = self.stretches.get(name, 1.0)
        return session.energy_wh * self.shares.get(name, 1.0) * stretch


def build(
    state: GroupState,
    now: datetime,
    *,
    step_s: int,
    n_step: int,
    prices: Prices | None = None,
    feed_in: Prices | None = None,
    usual_load: other_draws.UsualLoad | None = None,
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
    equipment = other_draws.equipment(state, now, step_s, n_step, usual_load)
    reserved = other_draws.reserved(
        state, now, step_s, n_step, steered_refs, equipment=equipment
    )
    limits = [
        _limits(state, CabinetId(cabinet.id), now, step_s, n_step)
        for cabinet in state.group.cabinets
    ]
    sessions = [ev_session(state, one, now, step_s) for one in steered]
    needs = {one.session.session_id: one.need for one in steered if one.session}
    start_prices = None if prices is None else prices(now, step_s, n_step)
    earned = None if feed_in is None else feed_in(now, step_s, n_step)
    batteries = () if start_prices is None else units(state, now, step_s, battery_wh)
    pv_w, load_w = other_draws.surplus(
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
                    imbalance_a=other_draws.imbalance(
                        state, cabinet, now, step_s, steered_refs
                    ),
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
            one.session.session_id: share_of(state, one)
            for one in steered
            if one.session
        },
        stretches={
            one.session.session_id: stretch_of(one, now, step_s)
            for one in steered
            if one.session
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
        left = asked.asked_wh(index) * 1000
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
        name: milliwh / 1000 / asked.shares[name] / asked.stretches.get(name, 1.0)
        for name, milliwh in asked.delivered.items()
    }


def with_spare_time(asked: Asked) -> Asked:
    """Leave cars that follow the price some time to spare; what is asked for stays."""
    roomier = spare_time.with_spare_time(asked.problem)
    pairs = zip(asked.problem.sessions, roomier.sessions, strict=True)
    grown = {
        SessionId(one.session_id): one.energy_wh / other.energy_wh
        for one, other in pairs
        if other.energy_wh > one.energy_wh
    }
    stretches = {
        name: asked.stretches.get(name, 1.0) * share for name, share in grown.items()
    }
    return replace(asked, problem=roomier, stretches={**asked.stretches, **stretches})


def wh_per_da(problem: CabinetProblem, session: EvSession) -> float:
    """Energy of 0.1 A over one step, Wh of the problem."""
    n_phase = session.n_power_phase or len(session.phases)
    return problem.nominal_v * n_phase * problem.step_s / 3600 / 10


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
