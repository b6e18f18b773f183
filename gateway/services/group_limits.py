"""Decides which limits are worth sending to a group's stations; pure functions.

Everything here reads a ``GroupState`` and leaves it as it was.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import HeldLimit, Violation, unix_s
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.limits import LimitSchedule, Purpose, SetLimit
from gateway.domain.session import Session
from gateway.services.evse_state import (
    OPERATOR_CALL,
    EvseState,
    Outgoing,
    StationState,
    key_of,
)
from gateway.services.group_state import TRIAL_SEQUENCE, GroupState
from gateway.services.safe_limits import (
    Board,
    Wish,
    is_worth_sending,
    probe,
    safe_default,
)

HOLD_GRID_S: Final = 60
"""Holds end on whole minutes, so that a group has few instants to consider."""

PROBE_S: Final = 600
"""Site seconds after which a step of the obedience test ends by itself."""

DEFAULT_PROFILE_ID: Final = 100
SESSION_PROFILE_ID: Final = 200
"""Ids of our limits at a station: base plus EVSE; the same id replaces."""


def not_admitted(group: GroupState, now: datetime) -> frozenset[EvseRef]:
    """EVSEs at which nobody may be authorized now.

    Proven ones never: their envelope is counted. While the ratings of others do
    not fit, an unproven one whose rating does not fit beside the envelopes of the
    proven ones and the ratings of unproven ones that charge already.
    """
    unproven = [ref for ref, one in group.evses.items() if not group.is_trusted(one)]
    if not unproven or not group.violations(now):
        return frozenset()
    idle = {ref for ref in unproven if group.evses[ref].session is None}
    board = Board(
        envelopes={
            ref: stairs
            for ref, stairs in group.envelopes(now).items()
            if ref not in idle
        },
        paths=group.paths,
        rooms=group.rooms(now),
        wishes=(),
        now=now,
    )
    found: set[EvseRef] = set()
    for ref in unproven:
        evse = group.evses[ref].evse
        rating = env.with_total(evse.rating) if ref in idle else env.NOTHING
        if not board.has_room(ref, rating, evse.phases):
            found.add(ref)
    return frozenset(found)


def exceeds_as_rated(
    group: GroupState, station_id: StationId, now: datetime
) -> tuple[Violation, ...]:
    """What would be exceeded if a station drew its ratings from now on."""
    before = group.envelopes(now)
    after = dict(before)
    state = group.stations.get(station_id)
    for one in () if state is None else state.evses:
        rating = env.with_total(one.evse.rating)
        after[key_of(one.evse.ref)] = (env.Rung(unix_s(now), rating),)
    return env.worsened(
        before, after, group.paths, group.rooms(now), from_s=unix_s(now)
    )


def defaults_of(state: StationState, now: datetime) -> list[Outgoing]:
    """The safe defaults of a station: one for all EVSEs, or one for each."""
    return _as_defaults(
        state, [safe_default(state.station, e.evse, now) for e in state.evses]
    )


def probes_of(state: StationState, now: datetime) -> list[Outgoing]:
    """Defaults a step above the floors, for a short while; none if that is not so."""
    until_s = int(unix_s(now)) + PROBE_S
    found = [probe(state.station, e.evse, now, until_s) for e in state.evses]
    schedules = [schedule for schedule in found if schedule is not None]
    return _as_defaults(state, schedules) if len(schedules) == len(found) else []


def _as_defaults(
    state: StationState, schedules: Sequence[LimitSchedule]
) -> list[Outgoing]:
    if not state.evses:
        return []
    alike = {
        (s.steps, e.unit, len(e.evse.phases), e.evse.phase_v)
        for s, e in zip(schedules, state.evses, strict=True)
    }
    if len(alike) == 1 and len(state.evses) == len(state.station.evses):
        chosen = [(0, schedules[0], state.evses)]
    else:
        chosen = [
            (e.evse.ref.evse_id, s, [e])
            for s, e in zip(schedules, state.evses, strict=True)
        ]
    return [
        Outgoing(
            station_id=state.station.id,
            refs=tuple(key_of(e.evse.ref) for e in evses),
            session_id=None,
            command=SetLimit(
                evse_id=evse_id,
                purpose=Purpose.DEFAULT,
                schedule=schedule,
                transaction_id=None,
                profile_id=DEFAULT_PROFILE_ID + evse_id,
                unit=evses[0].unit,
                number_phases=len(evses[0].evse.phases),
                nominal_v=evses[0].evse.phase_v,
            ),
        )
        for evse_id, schedule, evses in chosen
    ]


def next_limits(group: GroupState, now: datetime) -> list[Outgoing]:
    """The session limits worth sending now; together with all others they fit."""
    wishing = list(_wishing(group))
    if not wishing:
        return []
    refused = not_admitted(group, now)
    wishes = [(one, wish_of(group, one, now, refused)) for one in wishing]
    must_shed = bool(group.violations(now))
    board = Board(
        envelopes=group.envelopes(now),
        paths=group.paths,
        rooms=group.rooms(now),
        wishes=[wish for _, wish in wishes],
        now=now,
    )
    found: list[Outgoing] = []
    for one, wish in wishes:
        session = one.session
        if session is None or not _is_reachable(group, one, now):
            continue
        last = group.holding(one).latest(session.session_id)
        schedule = board.place(wish)
        if one.must_resend or is_worth_sending(
            last, schedule, now, must_shed=must_shed
        ):
            found.append(_session_limit(one, session, schedule))
    return found


def check(
    group: GroupState, batch: Iterable[Outgoing], now: datetime
) -> tuple[Violation, ...]:
    """What a batch would break that is not broken already; exact, independent.

    Shares nothing with how the batch was made but the envelopes themselves.
    """
    before = group.envelopes(now)
    kept = {ref: one.limits for ref, one in group.evses.items()}
    try:
        for index, outgoing in enumerate(batch):
            group.add_sent(outgoing, TRIAL_SEQUENCE + index)
        after = group.envelopes(now)
    finally:
        for ref, limits in kept.items():
            group.evses[ref].limits = limits
    return env.worsened(
        before, after, group.paths, group.rooms(now), from_s=unix_s(now)
    )


def without_increases(
    group: GroupState, batch: Iterable[Outgoing], now: datetime
) -> list[Outgoing]:
    """Those of a batch that let nobody draw more than before."""
    kept: list[Outgoing] = []
    before = group.envelopes(now)
    for outgoing in batch:
        limits = {one.evse.ref: one.limits for one in group.concerned(outgoing)}
        group.add_sent(outgoing, TRIAL_SEQUENCE)
        after = group.envelopes(now)
        for one in group.concerned(outgoing):
            one.limits = limits[one.evse.ref]
        if all(after[ref] == before[ref] for ref in outgoing.refs):
            kept.append(outgoing)
    return kept


def limit_as_sent(one: EvseState, session: Session, held: HeldLimit) -> Outgoing:
    """A session's limit as it was sent."""
    return _session_limit(one, session, held.schedule)


def next_deadline(group: GroupState, now: datetime) -> datetime | None:
    """When something has to be refreshed or counted anew, if nothing happens."""
    found: list[datetime] = []
    for one in _wishing(group):
        if one.session is None:
            continue
        last = group.holding(one).latest(one.session.session_id)
        if last is None:
            continue
        level_da = last.schedule.at(now)
        for step in last.schedule.steps:
            ends = last.schedule.start + timedelta(seconds=step.offset_s)
            if step.limit_da < level_da:
                found.append(now + (ends - now) / 2)
                break
    retries = (s.retry_at for s in group.stations.values() if s.is_online)
    found.extend(retry_at for retry_at in retries if retry_at is not None)
    return min((at for at in found if at > now), default=None)


def _is_reachable(group: GroupState, one: EvseState, now: datetime) -> bool:
    state = group.stations[one.evse.ref.station_id]
    is_waiting = state.retry_at is not None and state.retry_at > now
    return (
        state.is_online
        and not state.is_busy
        and not state.blocks_sessions
        and not is_waiting
    )


def _wishing(group: GroupState) -> Iterator[EvseState]:
    ready = [
        one
        for one in group.evses.values()
        if one.session is not None
        and one.session.transaction_id is not None
        and _is_connected(group, one)
        and is_ours(group, one)
    ]
    return iter(sorted(ready, key=lambda one: (_departure(one), one.evse.ref)))


def is_ours(group: GroupState, one: EvseState) -> bool:
    """Whether limits of ours are sent for the sessions of an EVSE.

    After an operator set something: nothing of ours until it restarts or is proven.
    """
    doubt = group.stations[one.evse.ref.station_id].trust.doubt
    return group.is_controlled(one) and doubt != OPERATOR_CALL


def _is_connected(group: GroupState, one: EvseState) -> bool:
    return group.stations[one.evse.ref.station_id].is_online


def wish_of(
    group: GroupState, one: EvseState, now: datetime, refused: frozenset[EvseRef]
) -> Wish:
    """What an EVSE should be allowed: the plan's levels until the hold is over.

    Before the first plan the least a car charges with; an EVSE whose rating counts
    anyway gets it, unless nobody should have been authorized there.
    """
    evse = one.evse
    now_s = int(unix_s(now))
    ceiling_da = evse.max_da if one.manual_da is None else one.manual_da
    is_trusted = group.is_trusted(one)
    levels: tuple[tuple[int, int], ...]
    if is_trusted:
        levels = one.levels or ((now_s, evse.min_da),)
    else:
        is_admitted = key_of(evse.ref) not in refused
        levels = ((now_s, evse.max_da if is_admitted else evse.floor_da),)
    hold_time_s = group.site.hold_time_s
    hold_s = now_s + hold_time_s - min(group.skew_s(one), hold_time_s // 2)
    return Wish(
        evse=evse,
        unit=one.unit,
        levels=tuple((at_s, min(da, ceiling_da)) for at_s, da in levels),
        hold_until_s=max(now_s + 1, hold_s - hold_s % HOLD_GRID_S),
        skew_s=group.skew_s(one),
        is_reserved=not is_trusted,
    )


def _session_limit(
    one: EvseState, session: Session, schedule: LimitSchedule
) -> Outgoing:
    evse = one.evse
    return Outgoing(
        station_id=session.station_id,
        refs=(key_of(evse.ref),),
        session_id=session.session_id,
        command=SetLimit(
            evse_id=evse.ref.evse_id,
            purpose=Purpose.SESSION,
            schedule=schedule,
            transaction_id=session.transaction_id,
            profile_id=SESSION_PROFILE_ID + evse.ref.evse_id,
            unit=one.unit,
            number_phases=len(evse.phases),
            nominal_v=evse.phase_v,
        ),
    )


def _departure(one: EvseState) -> float:
    return float("inf") if one.need is None else one.need.departure_at.timestamp()
