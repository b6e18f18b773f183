"""Watches on which phases cars draw, and says on which an EVSE is counted.

`gateway.domain.phase_use` has the rule, `gateway.domain.spare` what is kept free for
cars that break it. Whatever is doubtful counts on every phase of its EVSE.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.domain.events import ChargingState
from gateway.domain.limits import LimitUnit
from gateway.domain.metering import Sample
from gateway.domain.phase_use import (
    NOTHING_SEEN,
    STALE_AFTER,
    PhaseSample,
    PhaseUse,
    observe,
    restarted,
    witness,
)
from gateway.domain.phases import Grid, Rotation
from gateway.domain.spare import OwnPhases
from gateway.domain.topology import CurrentType, Site
from gateway.services.evse_state import EvseState

UNPLUGGED: Final = frozenset(
    {ChargingState.IDLE, ChargingState.PREPARING, ChargingState.FINISHING}
)
"""In these states the cable may be out: the next car may be another one."""

NOT_CHARGING: Final = UNPLUGGED | {
    ChargingState.SUSPENDED_EV,
    ChargingState.SUSPENDED_EVSE,
}
"""In these as well where a session goes on without a cable (1.6, 4.9 and 9.1.34)."""

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


def likely_phases(site: Site, one: EvseState, now: datetime) -> OwnPhases | None:
    """What it will count on once its car has charged for a while; for plans only.

    A car that waits, or has just begun, is counted on all phases: planned so as well,
    it would seem to need three times the room, and never get the chance to show more.
    """
    if one.session is None or not may_free(site, one) or one.use.is_barred:
        return None
    used, wired = one.use.used, one.evse.phases
    if not used or one.car.n_phase != len(used) or len(used) >= len(wired):
        return own_phases(site, one, now)
    phases = tuple(phase for index, phase in enumerate(wired) if index in used)
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
        restart(one)


def restart(one: EvseState) -> None:
    """Its station restarted, or another car may be there.

    Whatever was sampled until what is known of the session tells nothing of it.
    """
    session = one.session
    if session is None:
        one.use = restarted(one.use)
        return
    for at in (session.current_at, session.charging_state_at):
        one.use = restarted(one.use, at)


def restore(one: EvseState, used: frozenset[int], *, is_barred: bool) -> None:
    """What was seen before the gateway restarted still speaks against fewer phases."""
    one.use = PhaseUse(used=used | one.use.used, is_barred=is_barred)
    restart(one)


def look(
    one: EvseState,
    samples: Iterable[Sample],
    now: datetime,
    *,
    skew_s: int,
    ends_unplugged: bool,
) -> None:
    """Learn from what a live session tells.

    Args:
        one: The EVSE; what is known is put there.
        samples: That were told now, whenever they were taken.
        now: Site time.
        skew_s: How wrong the clock of its station may be.
        ends_unplugged: Its sessions end when the cable is out. Otherwise that may look
            like a pause, and another car may be plugged in after it.
    """
    session = one.session
    if session is None:
        return
    may_be_out = session.charging_state in (
        UNPLUGGED if ends_unplugged else NOT_CHARGING
    )
    for found in _samples(one, samples, now):
        one.use = witness(one.use, found)
        if may_be_out or now - found.at >= STALE_AFTER + timedelta(seconds=skew_s):
            continue
        one.use = observe(one.use, found)
        if not found.loud and not ends_unplugged:
            restart(one)
    if may_be_out:
        restart(one)


def contradict(one: EvseState, samples: Iterable[Sample], now: datetime) -> None:
    """Take from a backlog what speaks against fewer phases; it teaches nothing else."""
    for found in _samples(one, samples, now):
        one.use = witness(one.use, found)


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


def _samples(
    one: EvseState, samples: Iterable[Sample], now: datetime
) -> Iterator[PhaseSample]:
    """Those with currents; power alone tells no phases."""
    n_wired = len(one.evse.phases)
    for sample in samples:
        if sample.current_a is None:
            continue
        l1, l2, l3 = sample.current_a
        is_all = all(sample.power_told[:n_wired])
        yield PhaseSample(
            at=sample.sampled_at,
            heard_at=now,
            terminals_da=(round(l1 * 10), round(l2 * 10), round(l3 * 10)),
            power_w=sample.power_w if is_all else None,
            phase_v=one.evse.phase_v,
            n_wired=n_wired,
            told=frozenset(i for i in range(3) if sample.current_told[i]),
        )
