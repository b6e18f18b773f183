"""What the API and the cockpit show of a group; computed from its runner's state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain import envelope as env
from gateway.domain.envelope import NO_LIMIT, TOTAL, unix_s
from gateway.domain.ids import CabinetId, EvseRef, SessionId
from gateway.domain.limits import Purpose
from gateway.domain.phases import PerPhase
from gateway.domain.topology import Cabinet, Mode
from gateway.services import loads, shed_words
from gateway.services.evse_state import EvseState, key_of, sample_of
from gateway.services.feeder import feeder_reading, signed_draw
from gateway.services.group_runner import GroupRunner
from gateway.services.group_state import GroupState
from gateway.services.limit_words import Binding, binding_of, bindings, why
from gateway.services.promises import Promise


class CabinetState(StrEnum):
    """How a cabinet is doing.

    ``COMMISSIONING``: the ratings of stations not proven to obey do not fit, so nothing
    can be promised yet. ``OVER_LIMIT``: what may be drawn exceeds the limit although
    all obey; reductions are on their way. ``SHEDDING``: the feeder meter showed more
    than the limit, so something is held back. ``FEEDER_LOST``: that meter tells nothing
    fresh, so nobody would notice what disobeys.
    """

    CONTROL = "control"
    ADVISE = "advise"
    COMMISSIONING = "commissioning"
    OVER_LIMIT = "over_limit"
    SHEDDING = "shedding"
    FEEDER_LOST = "feeder_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetView:
    """One cabinet now; 0.1 A on supply phases, ``None`` where there is no such limit.

    Attributes:
        limit_da: Limit in force per phase: the lowest of gross, net and threshold.
        limit_w: Limit in force in total.
        gross_da: What busbars and cables carry per phase.
        export_da: What may be fed in per phase.
        feeder_da: What the feeder meter shows, import positive; ``None``: not fresh.
        withheld_da: What the fast loop holds back, per phase.
        note: What the feeder meter means for its limits, in words.
        load_da: What is drawn: measured where fresh, else the upper bound.
        load_w: The same in W at nominal voltage.
        load_source: ``feeder``, ``measured``, or ``bound``: something is unmeasured.
        other_da: What of it is other equipment: measured where fresh, else its worst.
        worst_case_da: What may be drawn at most: envelopes and other loads.
        headroom_da: Limit less margin less worst case, per phase; negative when over.
        unproven: EVSEs that count at their rating.
    """

    cabinet_id: CabinetId
    parent: CabinetId | None
    mode: Mode
    state: CabinetState
    limit_da: PerPhase | None
    limit_w: int | None
    margin_da: int
    load_da: PerPhase
    load_w: int
    load_source: str
    worst_case_da: PerPhase
    headroom_da: PerPhase | None
    unproven: tuple[EvseRef, ...]
    gross_da: PerPhase | None = None
    export_da: PerPhase | None = None
    feeder_da: PerPhase | None = None
    withheld_da: PerPhase = (0, 0, 0)
    note: str | None = None
    other_da: PerPhase = (0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseView:
    """One EVSE now.

    Attributes:
        limit_da: What it is allowed now, 0.1 A per phase; ``None``: nothing was set.
        limit_w: The same as power.
        bound_da: What it may draw at most by all that is known, 0.1 A.
        is_proven: Less than its rating counts.
        why: The reason for its limit, in words, or ``None``.
        binding: The limit above it that binds now in the plan, with its price.
    """

    ref: EvseRef
    cabinet_id: CabinetId
    session_id: SessionId | None
    limit_da: int | None
    limit_w: int | None
    bound_da: int
    is_proven: bool
    doubt: str | None
    manual_limit_da: int | None
    why: str | None
    binding: Binding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlanView:
    """What the newest plan holds for a session.

    Attributes:
        currents_da: Per step, 0.1 A per phase.
        energy_wh: Still to come from the plan's start on.
        promise: What it may expect.
        reason: Why energy is missing, or ``None``.
    """

    session_id: SessionId
    station_id: str
    evse_id: int
    currents_da: tuple[int, ...]
    energy_wh: int
    shortfall_wh: int
    departure_at: datetime | None
    is_default: bool
    promise: Promise | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """The newest plan of a group.

    Attributes:
        bindings: Every limit that binds in it.
    """

    plan_id: int
    group_id: CabinetId
    made_at: datetime
    outcome: str
    engine: str
    why: str | None
    start: datetime
    step_s: int
    price_micro_per_kwh: tuple[int, ...]
    bindings: tuple[Binding, ...]
    sessions: tuple[SessionPlanView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """A group now."""

    group_id: CabinetId
    at: datetime
    cabinets: tuple[CabinetView, ...]
    evses: tuple[EvseView, ...]
    plan: PlanView | None


def group_view(runner: GroupRunner, now: datetime) -> GroupView:
    """Everything about a group at once."""
    state = runner.state
    envelopes = state.envelopes(now)
    violated = {v.cabinet_id for v in state.violations(now)}
    return GroupView(
        group_id=runner.root,
        at=now,
        cabinets=tuple(
            _cabinet(state, cabinet, envelopes, violated, now)
            for cabinet in state.group.cabinets
        ),
        evses=tuple(_evse(runner, one, now) for one in state.evses.values()),
        plan=plan_view(runner),
    )


def plan_view(runner: GroupRunner) -> PlanView | None:
    """The newest plan, or ``None`` before the first."""
    plan, meta = runner.planning.plan, runner.planning.meta
    if plan is None or meta is None:
        return None
    known = {
        one.session.session_id: one
        for one in runner.state.evses.values()
        if one.session is not None
    }
    sessions: list[SessionPlanView] = []
    for index, name in enumerate(plan.session_ids):
        one = known.get(SessionId(name))
        if one is None:
            continue
        promise = runner.planning.promises.get(SessionId(name))
        sessions.append(
            SessionPlanView(
                session_id=SessionId(name),
                station_id=one.evse.ref.station_id,
                evse_id=one.evse.ref.evse_id,
                currents_da=tuple(plan.currents_da[index]),
                energy_wh=promise.energy_wh if promise else plan.energy_wh[index],
                shortfall_wh=(
                    promise.shortfall_wh if promise else plan.shortfall_wh[index]
                ),
                departure_at=None if one.need is None else one.need.departure_at,
                is_default=one.need is None or one.need.is_default,
                promise=promise,
                reason=runner.planning.reasons.get(SessionId(name)),
            )
        )
    return PlanView(
        plan_id=meta.plan_id,
        group_id=runner.root,
        made_at=meta.made_at,
        outcome=meta.outcome,
        engine=plan.engine,
        why=meta.why,
        start=plan.start,
        step_s=plan.step_s,
        price_micro_per_kwh=tuple(plan.energy_price_micro_per_kwh),
        bindings=bindings(plan, runner.state.site.phase_v),
        sessions=tuple(sessions),
    )


def evse_view(runner: GroupRunner, ref: EvseRef, now: datetime) -> EvseView:
    """One EVSE of the group."""
    return _evse(runner, runner.state.evses[ref], now)


def _cabinet(
    state: GroupState,
    cabinet: Cabinet,
    envelopes: Mapping[EvseRef, env.Staircase],
    violated: set[CabinetId],
    now: datetime,
) -> CabinetView:
    at_s = unix_s(now)
    phase_v = state.site.phase_v
    counted = [ref for ref in envelopes if cabinet.id in state.paths[ref]]
    below = [ref for ref in counted if ref in state.evses]
    unproven = tuple(ref for ref in below if not state.is_trusted(state.evses[ref]))
    limit = loads.limit_draw(cabinet, state.thresholds, at_s=at_s, phase_v=phase_v)
    worst = loads.counted_now(
        state.group, cabinet.id, state.readings, now=now, phase_v=phase_v
    )
    for ref in counted:
        worst = env.add(worst, env.value_at(envelopes[ref], at_s))
    load, source = _load(state, cabinet, below, envelopes, now)
    has_phases = limit[0] < NO_LIMIT
    meter = feeder_reading(state, cabinet, now)
    is_lost = cabinet.feeder_meter is not None and meter is None
    held = state.withheld.get(cabinet.id, env.NOTHING)
    headroom = [limit[p] - cabinet.margin_da - worst[p] for p in range(3)]
    return CabinetView(
        cabinet_id=cabinet.id,
        parent=cabinet.parent,
        mode=state.modes[cabinet.id],
        state=_state_of(
            state.modes[cabinet.id],
            cabinet.id in violated,
            unproven,
            is_held=any(held),
            is_lost=is_lost,
        ),
        limit_da=(limit[0], limit[1], limit[2]) if has_phases else None,
        limit_w=(
            math.floor(limit[TOTAL] / 10 * phase_v) if limit[TOTAL] < NO_LIMIT else None
        ),
        margin_da=cabinet.margin_da,
        load_da=load,
        load_w=round(sum(load) / 10 * phase_v),
        load_source=source,
        worst_case_da=(worst[0], worst[1], worst[2]),
        headroom_da=(headroom[0], headroom[1], headroom[2]) if has_phases else None,
        unproven=unproven,
        gross_da=cabinet.limit_da,
        export_da=cabinet.export_limit_da,
        feeder_da=None if meter is None else signed_draw(meter, phase_v)[:TOTAL],
        withheld_da=held[:TOTAL],
        note=shed_words.note(held, is_lost=is_lost),
        other_da=_others(state, cabinet, now)[0],
    )


def _state_of(
    mode: Mode,
    is_violated: bool,
    unproven: tuple[EvseRef, ...],
    *,
    is_held: bool,
    is_lost: bool,
) -> CabinetState:
    if mode is Mode.ADVISE:
        return CabinetState.ADVISE
    if is_violated:
        return CabinetState.COMMISSIONING if unproven else CabinetState.OVER_LIMIT
    if is_held:
        return CabinetState.SHEDDING
    return CabinetState.FEEDER_LOST if is_lost else CabinetState.CONTROL


def _load(
    state: GroupState,
    cabinet: Cabinet,
    below: list[EvseRef],
    envelopes: Mapping[EvseRef, env.Staircase],
    now: datetime,
) -> tuple[PerPhase, str]:
    feeder = feeder_reading(state, cabinet, now)
    if feeder is not None and feeder.current_da is not None:
        return feeder.current_da, "feeder"
    source = "measured"
    total = env.NOTHING
    for ref in below:
        one = state.evses[ref]
        sample = None if one.session is None else sample_of(one.session, one.evse)
        if one.session is None:
            drawn = env.NOTHING
        elif sample is None:
            drawn, source = env.value_at(envelopes[ref], unix_s(now)), "bound"
        else:
            drawn = env.with_total(one.evse.measured_on_supply(sample))
        total = env.add(total, drawn)
    others, is_measured = _others(state, cabinet, now)
    total = env.add(total, env.with_total(others))
    source = source if is_measured else "bound"
    return (total[0], total[1], total[2]), source


def _others(
    state: GroupState, cabinet: Cabinet, now: datetime
) -> tuple[PerPhase, bool]:
    """What other equipment draws, and whether all of it is measured."""
    ids = {c.id for c in state.site.subtree(cabinet.id)}
    total, is_measured = env.NOTHING, True
    for consumer in loads.consumers(state.group):
        if consumer.cabinet_id not in ids:
            continue
        reading = state.readings.get(consumer.id)
        if (
            reading is None
            or loads.fresh_end(consumer.stale_after_s, reading, now) is None
        ):
            current, is_measured = consumer.worst_case, False
        else:
            current = loads.measured_draw(consumer, reading, phase_v=state.site.phase_v)
        total = env.add(total, env.with_total(current))
    return (total[0], total[1], total[2]), is_measured


def _evse(runner: GroupRunner, one: EvseState, now: datetime) -> EvseView:
    state = runner.state
    evse, ref = one.evse, key_of(one.evse.ref)
    holding = state.holding(one)
    held = None
    if one.session is not None:
        held = holding.latest(one.session.session_id)
    if held is None:
        defaults = [h for h in one.limits if h.purpose is Purpose.DEFAULT]
        held = max(defaults, key=lambda h: h.sequence, default=None)
    limit_da = limit_w = None
    if held is not None:
        sent_da = held.schedule.at(now)
        counted = env.counted(evse, held, sent_da)
        limit_da = max(counted[:TOTAL])
        limit_w = round(sent_da / 10 * held.nominal_v * held.number_phases)
    bound = env.value_at(state.envelope(one, now), unix_s(now))
    trust = state.stations[ref.station_id].trust
    binding = None if one.session is None else binding_of(runner, one, now)
    return EvseView(
        ref=ref,
        cabinet_id=state.paths[ref][0],
        session_id=None if one.session is None else one.session.session_id,
        limit_da=limit_da,
        limit_w=limit_w,
        bound_da=max(bound[:TOTAL]),
        is_proven=state.is_trusted(one),
        doubt=trust.doubt,
        manual_limit_da=one.manual_da,
        why=why(runner, one, limit_da, binding),
        binding=binding,
    )
