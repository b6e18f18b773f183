"""Watches on which phases cars draw, and says on which an EVSE is counted.

`gateway.domain.phase_use` has the rule, `gateway.domain.spare` what is kept free for
cars that break it. Whatever is doubtful counts on every phase of its EVSE.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.domain.events import ChargingState
from gateway.domain.limits import LimitUnit
from gateway.domain.phase_use import (
    NOTHING_SEEN,
    STALE_AFTER,
    PhaseSample,
    PhaseUse,
    observe,
    restarted,
)
from gateway.domain.phases import Grid, Rotation
from gateway.domain.session import Session
from gateway.domain.spare import OwnPhases
from gateway.domain.topology import CurrentType, Site
from gateway.services.evse_state import EvseState

POWER_WITHIN: Final = timedelta(seconds=5)
"""Power and currents of one sample are not further apart."""

UNPLUGGED: Final = frozenset(
    {ChargingState.IDLE, ChargingState.PREPARING, ChargingState.FINISHING}
)
"""In these states the cable may be out: the next car may be another one."""

_log = structlog.get_logger()


def may_free(site: Site, one: EvseState) -> bool:
    """Whether a car may be counted on fewer phases than its EVSE has.

    Only where a neutral makes the current of a phase its own, limits are in A, so that
    they bind each phase, and somebody measured which phase is which.
    """
    evse = one.evse
    return (
        site.free_unused_phases
        and site.grid is Grid.TN
        and evse.phases_confirmed
        and evse.current_type is CurrentType.AC
        and len(evse.phases) > 1
        and one.unit is LimitUnit.A
    )


def own_phases(site: Site, one: EvseState, now: datetime) -> OwnPhases | None:
    """What the car of an EVSE is counted on; ``None``: on all phases."""
    if one.session is None or not may_free(site, one):
        return None
    phases = one.use.phases(one.evse.phases, now)
    if phases is None:
        return None
    return OwnPhases(session_id=one.session.session_id, phases=phases)


def known_phases(site: Site, one: EvseState) -> Rotation | None:
    """The same whatever the time is: a change of it is worth a new plan."""
    heard_at = one.use.heard_at
    own = None if heard_at is None else own_phases(site, one, heard_at)
    return None if own is None else own.phases


def stale_at(site: Site, one: EvseState) -> datetime | None:
    """When a car counts on all phases again, if no sample comes."""
    if one.use.heard_at is None or known_phases(site, one) is None:
        return None
    return one.use.heard_at + STALE_AFTER


def forget(one: EvseState) -> None:
    """Another car may be there."""
    one.use = NOTHING_SEEN


def forget_stale(one: EvseState, now: datetime) -> None:
    """Samples stayed away: whatever is known has to be seen anew."""
    if one.use.heard_at is not None and not one.use.is_fresh(now):
        one.use = restarted(one.use)


def restart(one: EvseState) -> None:
    """Its station restarted."""
    one.use = restarted(one.use)


def look(one: EvseState, now: datetime, *, skew_s: int) -> None:
    """Learn from what a live session tells.

    Args:
        one: The EVSE; what is known is put there.
        now: Site time.
        skew_s: How wrong the clock of its station may be.
    """
    session = one.session
    if session is None:
        return
    if session.charging_state in UNPLUGGED:
        restart(one)
        return
    sample = _sample(one, session, now)
    if sample is not None and now - sample.at < STALE_AFTER + timedelta(seconds=skew_s):
        one.use = observe(one.use, sample)


def tell(one: EvseState, before: PhaseUse, site: Site) -> None:
    """Say what a sample changed, in the log."""
    if not may_free(site, one) or before.is_known == one.use.is_known:
        return
    evse, taken = str(one.evse.ref), one.use.is_barred
    if one.use.is_known:
        _log.info("car.phases_known", evse=evse, phases=known_phases(site, one))
    elif taken:
        _log.warning("car.phases_taken_back", evse=evse)
    else:
        _log.info("car.phases_unknown", evse=evse)


def _sample(one: EvseState, session: Session, now: datetime) -> PhaseSample | None:
    """The newest currents; power alone tells no phases."""
    if session.current_a is None or session.current_at is None:
        return None
    l1, l2, l3 = session.current_a
    power_at = session.power_at
    is_same = power_at is not None and (
        abs(power_at - session.current_at) <= POWER_WITHIN
    )
    return PhaseSample(
        at=session.current_at,
        heard_at=now,
        terminals_da=(round(l1 * 10), round(l2 * 10), round(l3 * 10)),
        power_w=session.power_w if is_same else None,
        phase_v=one.evse.phase_v,
        n_wired=len(one.evse.phases),
    )
