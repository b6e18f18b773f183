"""States what one session asks of a plan: its row of the problem."""

import math
from datetime import datetime, timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import TOTAL
from gateway.domain.limits import LimitUnit
from gateway.domain.phases import DC_UNDERVOLTAGE
from gateway.domain.spare import OwnPhases
from gateway.domain.topology import CurrentType
from gateway.services.evse_state import EvseState
from gateway.services.group_state import GroupState
from optimizer import EvSession
from optimizer.leaving import uncertain

TOP_UP_WH: Final = 2_000
"""Of a need that is only a default this much is always left while a car charges."""

LEAST_DC_W: Final = 1.0
"""DC is worth planning where anything is left for the car at all."""

FULL_WH: Final = 300
FULL_WEIGHT: Final = 0.1
"""A car that has had enough is offered a little, so that it can wake up."""

LEAST_STRETCH: Final = 0.1
"""Nobody is planned with more than ten times the need, however soon the car leaves."""

MOST_WEIGHT: Final = 10.0
"""What a few watt-hours that complete a car may count more than others."""

OVERDUE: Final = timedelta(hours=1)
"""A car that is still there after its departure is planned for so much longer."""


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


def ev_session(
    state: GroupState, one: EvseState, now: datetime, step_s: int
) -> EvSession:
    """State what a session that `is_steered` still asks for, and within what."""
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
    share = share_of(state, one) * stretch_of(one, now, step_s)
    energy_wh = math.ceil(round(energy_wh / share, 6))
    least_da, ceiling_da = _range(one)
    own = state.planned_phases(one, now)
    n_power_phase = _power_phases(one, own)
    if not one.rest.is_long:
        step_wh = state.site.phase_v * n_power_phase * least_da / 10 * step_s / 3600
        weight = _soon_done(energy_wh, step_wh)
    present = state.holding(one).latest(session.session_id)
    present_da = (
        evse.floor_da
        if present is None
        else max(env.counted(evse, present, present.schedule.at(now))[:TOTAL])
    )
    is_kept_on = state.never_pauses(one) and one.rhythm.is_on is not False
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
        n_power_phase=n_power_phase,
    )
    likely = () if need is None else need.leaves_at
    return uncertain(planned, (_steps(at - now, step_s) for at in likely))


def share_of(state: GroupState, one: EvseState) -> float:
    """Energy delivered per energy of the problem."""
    evse = one.evse
    share = evse.phase_v / max(1, round(state.site.phase_v))
    if evse.current_type is CurrentType.DC:
        share *= DC_UNDERVOLTAGE * evse.efficiency
    return share


def stretch_of(one: EvseState, now: datetime, step_s: int) -> float:
    """Energy asked for per energy of the problem, because steps are whole.

    A plan begins now, and a car hardly ever leaves at the end of one of its steps. Its
    stay counts in whole steps, and its need grows as much, so that it is planned with
    the current it takes to get all in time.
    """
    need = one.need
    if need is None or need.is_default or need.leaves_at or need.departure_at <= now:
        return 1.0
    steps = (need.departure_at - now).total_seconds() / step_s
    return max(LEAST_STRETCH, steps / math.ceil(steps))


def _soon_done(energy_wh: float, step_wh: float) -> float:
    """The weight of a car that its least current completes before a step is over.

    It is planned for the whole step, but leaves its current to others once it has all
    (`plan_basis`): so what an ampere brings is worth as much more as it takes less.
    """
    if energy_wh <= 0 or energy_wh >= step_wh:
        return 1.0
    return min(MOST_WEIGHT, step_wh / energy_wh)


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
    if car.reach_da is not None:
        ceiling_da = min(ceiling_da, max(car.reach_da, least_da))
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
