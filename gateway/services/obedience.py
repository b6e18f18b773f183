"""Compares what meters show with the limits that stations hold.

A sample below a newly accepted limit confirms it, so that older ones count no more; one
above everything that a station may hold shows that it does not obey.
"""

from datetime import datetime, timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import HeldLimit, Progress, unix_s
from gateway.domain.ids import EvseRef
from gateway.services.evse_state import EvseState, sample_of, sampled_at
from gateway.services.group_envelopes import GroupEnvelopes

OBEY_WITHIN_S: Final = 60
"""Site seconds a car has to follow a limit before its station is no longer trusted."""


def misbehaves(group: GroupEnvelopes, ref: EvseRef, now: datetime) -> bool:
    """Whether the newest sample shows clearly more than the envelope allows."""
    one = group.evses.get(ref)
    if one is None or one.session is None or not group.is_trusted(one):
        return False
    sample = sample_of(one.session, one.evse)
    at = sampled_at(one.session, one.evse)
    since, heard_at = one.watched_at, one.heard_at
    if sample is None or at is None or since is None or heard_at is None:
        return False
    grace = timedelta(seconds=OBEY_WITHIN_S)
    skew = timedelta(seconds=group.skew_s(one))
    if heard_at < since + grace or at + skew < since + grace:
        return False
    earlier = max(since, min(now, at) - skew - grace)
    current = (rung.draw for rung in group.envelope(one, earlier))
    known = (draw for until, draw in one.bounds if until >= earlier)
    bound = env.highest((*current, *known))
    return env.contradicts(one.evse, bound, sample)


def note_bound(group: GroupEnvelopes, one: EvseState, now: datetime) -> None:
    """Remember what an EVSE might draw until now, before that changes."""
    if not group.is_trusted(one):
        one.watched_at, one.bounds = None, ()
        return
    one.watched_at = one.watched_at or now
    since = now - _judged(group, one)
    bound = env.highest(r.draw for r in group.envelope(one, since))
    kept = tuple((at, draw) for at, draw in one.bounds if at >= since)
    one.bounds = (*kept, (now, bound))


def _judged(group: GroupEnvelopes, one: EvseState) -> timedelta:
    """A sample may show what was allowed so long before we hear of it."""
    return timedelta(seconds=OBEY_WITHIN_S + 2 * group.skew_s(one))


def confirm_newest(group: GroupEnvelopes, one: EvseState, now: datetime) -> None:
    """Let the newest sample confirm the newest accepted limit."""
    session = one.session
    if session is None or one.accepted_at is None or one.heard_at is None:
        return
    sample, at = sample_of(session, one.evse), sampled_at(session, one.evse)
    skew = timedelta(seconds=group.skew_s(one))
    if (
        sample is None
        or at is None
        or one.heard_at < one.accepted_at
        or at < one.accepted_at - skew
    ):
        return
    accepted = [h for h in one.limits if h.progress >= Progress.ACCEPTED]
    mine = [h for h in accepted if h.session_id == session.session_id]
    newest = max(mine or accepted, key=lambda h: h.sequence, default=None)
    if newest is None:
        return
    level_da = newest.schedule.at(now)
    allowed = env.counted(one.evse, newest, level_da)
    if env.confirms(one.evse, allowed, sample):
        one.limits = env.see(one.limits, newest.sequence)
        state = group.stations[one.evse.ref.station_id]
        if group.is_obedient(state):
            one.is_unsettled = False


def all_seen(group: GroupEnvelopes, one: EvseState, now: datetime) -> None:
    """No car is there: what was accepted counts as seen."""
    for held in one.limits:
        if held.progress is Progress.ACCEPTED:
            one.limits = env.see(one.limits, held.sequence)
    one.limits = pruned(group, one, now)
    state = group.stations[one.evse.ref.station_id]
    if group.is_obedient(state):
        one.is_unsettled = False


def pruned(
    group: GroupEnvelopes, one: EvseState, now: datetime
) -> tuple[HeldLimit, ...]:
    """The limits of an EVSE without those that bound nothing any more."""
    return env.forget_dominated(
        one.evse, one.limits, skew_s=group.skew_s(one), from_s=unix_s(now)
    )
