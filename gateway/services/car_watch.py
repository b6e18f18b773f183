"""Watches what cars really do under their limits, for better plans; never for safety.

`gateway.domain.car_facts` says what is learned and what it may change. Here a sample is
put beside the limit that was in force, and a car that strays from its plan is noticed.
"""

from datetime import datetime, timedelta
from typing import Final

from gateway.domain.car_facts import NOTHING_KNOWN, STANDBY_DA, Seen, learn
from gateway.domain.envelope import TOTAL, Progress, counted
from gateway.domain.limits import LimitUnit
from gateway.domain.session import Session
from gateway.domain.topology import CurrentType
from gateway.services.enough import AWAKE
from gateway.services.evse_state import NO_RISK, EvseState, sample_of, sampled_at

SETTLE: Final = timedelta(seconds=60)
"""A car has followed a limit by then: what it draws is its own choice."""

POWER_WITHIN: Final = timedelta(seconds=5)
"""Power and currents of one sample are not further apart."""

STRAY_MILLIWH: Final = 500_000
STRAY_SHARE: Final = 0.05
"""A car is off its plan by half a kilowatt-hour and a twentieth of what was planned."""

STRAY_EVERY: Final = timedelta(minutes=5)
"""So often at most a car that is off its plan causes a new one."""


def forget(one: EvseState) -> None:
    """Another car is there now."""
    one.car, one.offered, one.risk = NOTHING_KNOWN, None, NO_RISK
    one.rest = AWAKE
    one.seen_at = one.expected = one.strayed_at = None


def watch(one: EvseState, now: datetime, *, skew_s: int) -> bool:
    """Learn from the newest sample of a session.

    Args:
        one: The EVSE; what was learned is put there.
        now: Site time at which the sample reached us.
        skew_s: How wrong the clock of its station may be.

    Returns:
        Whether plans reckon differently now.
    """
    session = one.session
    offered_da = _offered(one, now, skew_s)
    if session is None:
        return False
    at = sampled_at(session, one.evse)
    if at is None or at == one.seen_at:
        return False
    one.seen_at = at
    seen = _seen(one, session, at, offered_da)
    if seen is None or (one.rest.is_long and seen.drawn_da < STANDBY_DA):
        return False  # that a full car takes nothing says nothing of its least current
    before, one.car = one.car, learn(one.car, seen)
    return one.car.planned() != before.planned()


def strays(one: EvseState, now: datetime) -> bool:
    """Whether a car took clearly more or less than its plan reckoned with by now.

    Compares registers, as far as both are known; at most once in a while.
    """
    session, expected = one.session, one.expected
    if session is None or expected is None or expected.session_id != session.session_id:
        return False
    if one.strayed_at is not None and now - one.strayed_at < STRAY_EVERY:
        return False
    planned = expected.milliwh_by(now)
    taken = session.energy_milliwh - expected.begin_milliwh
    if abs(taken - planned) < max(STRAY_MILLIWH, STRAY_SHARE * planned):
        return False
    one.strayed_at = now
    return True


def _offered(one: EvseState, now: datetime, skew_s: int) -> int | None:
    """What the session was surely allowed for a while until now; else ``None``."""
    session = one.session
    mine = (
        []
        if session is None
        else [held for held in one.limits if held.session_id == session.session_id]
    )
    if not mine or any(held.progress < Progress.ACCEPTED for held in mine):
        one.offered = None
        return None
    newest = max(mine, key=lambda held: held.sequence)
    sent_da = newest.schedule.at(now + timedelta(seconds=skew_s))
    level_da = max(counted(one.evse, newest, sent_da)[:TOTAL])
    if one.offered is None or one.offered[0] != level_da:
        one.offered = (level_da, one.accepted_at or now)
    return level_da if now - one.offered[1] >= SETTLE else None


def _seen(
    one: EvseState, session: Session, at: datetime, offered_da: int | None
) -> Seen | None:
    evse = one.evse
    sample = sample_of(session, evse)
    if sample is None:
        return None
    is_ac = evse.current_type is CurrentType.AC
    by_current = is_ac and session.current_a is not None and at == session.current_at
    n_wired = len(evse.phases)
    n_used = one.car.n_phase or n_wired
    if is_ac and not by_current and n_used < n_wired:  # power alone was spread on all
        each_da = sample[0] * n_wired // n_used
        sample = (each_da, 0, 0)
    power_at = session.power_at
    is_same = power_at is not None and abs(power_at - at) <= POWER_WITHIN
    knows_terminals = by_current or n_wired == 1 or one.car.n_phase is not None
    return Seen(
        at=at,
        terminals_da=sample,
        power_w=session.power_w if is_same else None,
        phase_v=evse.phase_v,
        n_wired=n_wired,
        offered_da=offered_da,
        tells_phases=by_current,
        tells_ceiling=not is_ac
        or (knows_terminals and (one.unit is LimitUnit.A or n_wired == 1)),
    )
