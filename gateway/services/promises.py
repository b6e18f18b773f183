"""What a driver is promised: surely this much, likely that much, and whether it fails.

Guaranteed is what the floor reserved for the EVSE brings by the departure, whatever
others do and even with everything dead. Likely is what the newest plan brings. At risk
is a session only after two plans in a row that leave it clearly short, and ready again
after three that do not: drivers shall not be alarmed and reassured by turns. Who said
nothing is at risk only if the plan is short for as long as the car may stay: by a
departure that is only assumed nobody was promised anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.domain.car_facts import CarFacts
from gateway.domain.ids import SessionId
from gateway.domain.limits import LimitUnit
from gateway.domain.topology import CurrentType, Evse
from gateway.domain.usual_need import NeedSource
from gateway.services.evse_state import EvseState, Risk
from gateway.services.group_problem import Asked, wh_per_da
from gateway.services.group_state import GroupState
from optimizer.outcome import Plan

NOISE_WH: Final = 500
NOISE_SHARE: Final = 0.02
"""Less than half a kilowatt-hour or a fiftieth of the need is no news."""

PLANS_TO_ALARM: Final = 2
PLANS_TO_REASSURE: Final = 3

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a session may expect by the newest plan.

    Attributes:
        energy_wh: Likely still to come from the plan's start on, Wh.
        shortfall_wh: Of the need, Wh.
        delivered_wh: Delivered when the plan was asked for, Wh.
        guaranteed_wh: From the start of the session until ``departure_at``, Wh;
            ``None``: nothing is reserved that its car could charge with.
        is_at_risk: See the module.
        reason: What keeps it short, in words, or ``None``.
    """

    session_id: SessionId
    energy_wh: int
    shortfall_wh: int
    delivered_wh: int
    guaranteed_wh: int | None
    departure_at: datetime
    is_default: bool
    is_at_risk: bool
    energy_from: NeedSource
    departure_from: NeedSource
    reason: str | None


def judged(risk: Risk, *, short_wh: int, need_wh: int) -> Risk:
    """Count one more plan that leaves a session short by so much, or does not."""
    is_short = short_wh >= max(NOISE_WH, NOISE_SHARE * need_wh)
    n_short = risk.n_short + 1 if is_short else 0
    n_fine = 0 if is_short else risk.n_fine + 1
    is_at_risk = (
        n_fine < PLANS_TO_REASSURE if risk.is_at_risk else n_short >= PLANS_TO_ALARM
    )
    return Risk(n_short=n_short, n_fine=n_fine, is_at_risk=is_at_risk)


def floor_w(evse: Evse, unit: LimitUnit, car: CarFacts) -> float:
    """Power that its floor brings a car; 0 where it cannot charge with that.

    A car that was not measured yet counts at the worst: on one phase, and of a limit in
    W, which it may share among all phases, on all of them.
    """
    least_da = car.least_da(evse.min_da)
    n_wired = len(evse.phases)
    if evse.current_type is CurrentType.DC:
        return evse.power_w(evse.floor_da) if evse.floor_da >= least_da else 0.0
    if unit is LimitUnit.A:
        n_phase = min(car.n_phase or 1, n_wired)
        enough = evse.floor_da >= least_da
        return evse.floor_da / 10 * evse.phase_v * n_phase if enough else 0.0
    each_da = evse.floor_da // n_wired
    per_phase_da = each_da * n_wired / min(car.n_phase or n_wired, n_wired)
    power_w = each_da / 10 * n_wired * evse.phase_v
    return power_w if per_phase_da >= least_da else 0.0


def guaranteed_wh(
    one: EvseState, *, departure_at: datetime, need_wh: int, now: datetime
) -> int | None:
    """What is surely there by the departure, from the start of the session on, Wh.

    Never more than the need. ``None``: nothing is reserved that its car can use.
    """
    if one.session is None:
        return None
    power_w = floor_w(one.evse, one.unit, one.car)
    if power_w <= 0:
        return None
    delivered_wh = one.session.energy_milliwh // 1000
    left = max(timedelta(0), departure_at - now)
    return min(max(delivered_wh, need_wh), delivered_wh + int(power_w * (left / HOUR)))


def likely_wh(asked: Asked, plan: Plan, index: int, until: datetime) -> int:
    """What a plan brings a session by a time, at the meter of its EVSE, Wh.

    Steps count with the part of them before that time.
    """
    session = asked.problem.sessions[index]
    step = timedelta(seconds=plan.step_s)
    per_da = wh_per_da(asked.problem, session)
    found = 0.0
    for number, current_da in enumerate(plan.currents_da[index]):
        share = min(1.0, max(0.0, (until - plan.start - number * step) / step))
        found += current_da * per_da * share
    scale = asked.shares.get(SessionId(session.session_id), 1.0)
    return int(min(found * scale, asked.asked_wh(index)))


def promises_of(
    asked: Asked,
    plan: Plan,
    state: GroupState,
    reasons: Mapping[SessionId, str],
    now: datetime,
) -> list[Promise]:
    """What every session of a plan may expect; risks are counted on the way."""
    known = {one.session.session_id: one for one in state.evses.values() if one.session}
    found: list[Promise] = []
    for index, session in enumerate(asked.problem.sessions):
        name = SessionId(session.session_id)
        one = known.get(name)
        if one is None:
            continue
        found.append(
            _promise(asked, plan, index, one, reason=reasons.get(name), now=now)
        )
    return found


def _promise(
    asked: Asked,
    plan: Plan,
    index: int,
    one: EvseState,
    *,
    reason: str | None,
    now: datetime,
) -> Promise:
    session = asked.problem.sessions[index]
    name, need = SessionId(session.session_id), one.need
    end = plan.start + timedelta(seconds=session.departure_step * plan.step_s)
    departure_at = asked.departures.get(name, end)
    until = departure_at if departure_at > plan.start else end
    energy_wh = likely_wh(asked, plan, index, until)
    needed_wh = int(asked.asked_wh(index))
    delivered_wh = asked.delivered.get(name, 0) // 1000
    short_wh = max(0, needed_wh - energy_wh)
    need_wh = delivered_wh + needed_wh
    missing_wh = short_wh
    if name in asked.defaults:
        missing_wh = max(0, needed_wh - likely_wh(asked, plan, index, max(until, end)))
    one.risk = judged(one.risk, short_wh=missing_wh, need_wh=need_wh)
    return Promise(
        session_id=name,
        energy_wh=energy_wh,
        shortfall_wh=short_wh,
        delivered_wh=delivered_wh,
        guaranteed_wh=guaranteed_wh(one, departure_at=until, need_wh=need_wh, now=now),
        departure_at=departure_at,
        is_default=name in asked.defaults,
        is_at_risk=one.risk.is_at_risk,
        energy_from=NeedSource.BUILT_IN if need is None else need.energy_from,
        departure_from=NeedSource.BUILT_IN if need is None else need.departure_from,
        reason=reason,
    )


def by_session(promises: Sequence[Promise]) -> dict[SessionId, Promise]:
    """Promises by their session."""
    return {one.session_id: one for one in promises}
