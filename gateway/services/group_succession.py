"""A group's state follows another one: the site was changed, or read anew.

What the store does not have is taken over: what is under way at stations, what samples
showed of running sessions, and what counts for EVSEs that the site map took away.
"""

from datetime import datetime

from gateway.domain import envelope as env
from gateway.domain.envelope import UnixS, unix_s
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.session import Session
from gateway.services import obedience
from gateway.services.evse_state import (
    OPERATOR_CALL,
    UNCONTROLLED,
    Departed,
    key_of,
)
from gateway.services.group_state import GroupState


def resume(state: GroupState, session: Session, old: GroupState, now: datetime) -> None:
    """Take over from an older state what the store does not have."""
    ref = key_of(session.evse)
    one, before = state.evses[ref], old.evses.get(ref)
    if before is None or before.session is None:
        return
    if before.session.session_id == session.session_id:
        one.levels, one.rhythm = before.levels, before.rhythm
        one.hold_s = before.hold_s
        one.car, one.offered = before.car, before.offered
        one.rest = before.rest
        one.seen_at, one.expected = before.seen_at, before.expected
        one.strayed_at, one.risk = before.strayed_at, before.risk
        one.accepted_at, one.heard_at = before.accepted_at, before.heard_at
        one.watched_at, one.bounds = before.watched_at, before.bounds
        one.is_unsettled = one.is_unsettled or before.is_unsettled
        one.must_resend = before.must_resend
        if one.evse.phases == before.evse.phases:
            one.use = before.use
        obedience.confirm_newest(state, one, now)


def succeed(state: GroupState, old: GroupState, now: datetime) -> None:
    """Take over from an older state what is under way at stations."""
    for station_id, station in state.stations.items():
        before = old.stations.get(station_id)
        if before is not None:
            station.is_busy, station.is_tested = before.is_busy, before.is_tested
            is_open = not station.trust.leftovers_known
            is_ours = station.trust.doubt not in {OPERATOR_CALL, UNCONTROLLED}
            station.needs_setup = before.needs_setup or (is_open and is_ours)
            station.blocks_sessions = before.blocks_sessions
            station.retry_at = before.retry_at
    state.withheld = old.withheld
    depart(state, old, now)


def depart(state: GroupState, old: GroupState, now: datetime) -> None:
    """Go on counting what the site map took away, until its limits have decayed.

    An EVSE that is moved or removed on paper may still hang behind its old cabinet.
    """
    now_s = unix_s(now)
    state.clock_doubt_s = old.clock_doubt_s
    state.departed = tuple(one for one in old.departed if one.until_s > now_s)
    for ref, one in old.evses.items():
        kept = state.paths.get(ref, ())
        left = tuple(c for c in old.paths[ref] if c not in kept)
        path = tuple(c for c in left if c in state.modes)
        if not path:
            continue
        until_s = now_s + state.site.hold_time_s + 2 * old.skew_s(one)
        stairs = [r for r in old.envelope(one, now) if r.at_s < until_s]
        name = f"{ref.station_id} (was here, {len(state.departed)}, {now_s})"
        gone = Departed(
            ref=EvseRef(
                station_id=StationId(name),
                evse_id=ref.evse_id,
                connector_id=ref.connector_id,
            ),
            path=path,
            stairs=(*stairs, env.Rung(UnixS(until_s), env.NOTHING)),
            until_s=UnixS(until_s),
        )
        state.departed = (*state.departed, gone)
    state.paths.update((one.ref, one.path) for one in state.departed)
