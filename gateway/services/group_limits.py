"""Decides which limits are worth sending to a group's stations; pure functions.

Everything here reads a ``GroupState`` and leaves it as it was.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from gateway.domain import dwell
from gateway.domain import envelope as env
from gateway.domain.capability import WHOLE_STATION, Feature
from gateway.domain.envelope import Staircase, Violation, unix_s
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.limits import LimitSchedule, Purpose, SetLimit
from gateway.domain.session import Session
from gateway.domain.spare import OwnPhases
from gateway.services import phase_watch
from gateway.services.evse_state import (
    OPERATOR_CALL,
    UNCONTROLLED,
    EvseState,
    Outgoing,
    StationState,
    key_of,
)
from gateway.services.group_admissions import what_is_left
from gateway.services.group_state import TRIAL_SEQUENCE, GroupState
from gateway.services.safe_limits import Board
from gateway.services.wishes import (
    MAX_PERIOD,
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
MAXIMUM_PROFILE_ID: Final = 300
"""Ids of our limits at a station: base plus EVSE; the same id replaces."""

_PURPOSES: Final = {
    Feature.SESSION: Purpose.SESSION,
    Feature.EVSE_DEFAULT: Purpose.DEFAULT,
    Feature.STATION_DEFAULT: Purpose.DEFAULT,
    Feature.STATION_MAX: Purpose.STATION_MAX,
}


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
        state, [safe_default(state.station, e.evse, now, e.unit) for e in state.evses]
    )


def probes_of(state: StationState, now: datetime) -> list[Outgoing]:
    """Defaults a step above the floors, for a short while; none if that is not so."""
    until_s = int(unix_s(now)) + PROBE_S
    found = [probe(state.station, e.evse, now, until_s, e.unit) for e in state.evses]
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
    known = state.capability
    way = known.default_way(len(state.station.evses))
    is_alike = len(alike) == 1 and len(state.evses) == len(state.station.evses)
    if way in WHOLE_STATION and is_alike:
        chosen = [(0, schedules[0], state.evses)]
    elif known.takes(Feature.EVSE_DEFAULT):
        way = Feature.EVSE_DEFAULT
        chosen = [
            (e.evse.ref.evse_id, s, [e])
            for s, e in zip(schedules, state.evses, strict=True)
        ]
    else:
        return []
    purpose = Purpose.STATION_MAX if way is Feature.STATION_MAX else Purpose.DEFAULT
    return [
        Outgoing(
            station_id=state.station.id,
            refs=tuple(key_of(e.evse.ref) for e in evses),
            session_id=None,
            command=SetLimit(
                evse_id=evse_id,
                purpose=purpose,
                schedule=schedule,
                transaction_id=None,
                profile_id=_profile_id(purpose, evse_id),
                unit=evses[0].unit,
                number_phases=len(evses[0].evse.phases),
                nominal_v=evses[0].evse.phase_v,
                relative_to=schedule.start if known.is_relative else None,
            ),
        )
        for evse_id, schedule, evses in chosen
    ]


def next_limits(group: GroupState, now: datetime) -> list[Outgoing]:
    """The session limits worth sending now; together with all others they fit.

    With them what takes limits of ended sessions back, where those stay.
    """
    released = list(_released(group, now))
    wishing = list(_wishing(group))
    if not wishing:
        return released
    refused = what_is_left(group, now).refused
    wishes = [(one, wish_of(group, one, now, refused)) for one in wishing]
    envelopes, rooms = group.envelopes(now), group.rooms(now)
    must_shed = bool(env.violations(envelopes, group.paths, rooms, from_s=unix_s(now)))
    board = Board(
        envelopes=envelopes,
        paths=group.paths,
        rooms=rooms,
        wishes=[wish for _, wish in wishes],
        now=now,
        margins=group.margins(),
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
            way = _way(group, one)
            if way is not None:
                found.append(
                    _session_limit(one, session, schedule, way, wish.relative_to)
                )
    return [*released, *found]


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


def next_deadline(group: GroupState, now: datetime) -> datetime | None:
    """When something has to be refreshed or counted anew, if nothing happens."""
    stale = (phase_watch.stale_at(group.site, one) for one in group.evses.values())
    found = [stale_at for stale_at in stale if stale_at is not None]
    for one in group.evses.values():
        if one.session is None or not _is_wishing(group, one):
            continue
        last = group.holding(one).latest(one.session.session_id)
        if last is None:
            continue
        again_s = dwell.next_s(one.rhythm, group.site.dwell, int(unix_s(now)))
        if again_s is not None:
            found.append(now + timedelta(seconds=again_s - unix_s(now)))
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
        and not state.is_tested
        and not state.blocks_sessions
        and not is_waiting
    )


def _wishing(group: GroupState) -> Iterator[EvseState]:
    ready = [one for one in group.evses.values() if _is_wishing(group, one)]
    return iter(sorted(ready, key=lambda one: (_departure(one), one.evse.ref)))


def _is_wishing(group: GroupState, one: EvseState) -> bool:
    return (
        one.session is not None
        and one.session.transaction_id is not None
        and group.stations[one.evse.ref.station_id].is_online
        and is_ours(group, one)
    )


def is_ours(group: GroupState, one: EvseState) -> bool:
    """Whether limits of ours are sent for the sessions of an EVSE.

    After an operator set something: nothing of ours until it restarts or is proven.
    Where no limit is taken in any way: nothing any more.
    """
    doubt = group.stations[one.evse.ref.station_id].trust.doubt
    return group.is_controlled(one) and doubt not in {OPERATOR_CALL, UNCONTROLLED}


def wish_of(
    group: GroupState, one: EvseState, now: datetime, refused: frozenset[EvseRef]
) -> Wish:
    """What an EVSE should be allowed: the plan's levels until the hold is over.

    Before the first plan what any car charges with; an EVSE whose rating counts
    anyway gets it, unless nobody should have been authorized there.
    """
    evse = one.evse
    now_s = int(unix_s(now))
    ceiling_da = evse.max_da if one.manual_da is None else one.manual_da
    is_trusted = group.is_trusted(one)
    levels: tuple[tuple[int, int], ...]
    if is_trusted:
        levels = dwell.hold(
            one.levels or ((now_s, evse.starting_da),),
            one.rhythm,
            group.site.dwell,
            least_da=max(1, evse.min_da),
            now_s=now_s,
        )
    else:
        is_admitted = key_of(evse.ref) not in refused
        levels = ((now_s, evse.max_da if is_admitted else evse.floor_da),)
    own = group.own_phases(one, now)
    known = group.stations[evse.ref.station_id].capability
    started_at = None if one.session is None else one.session.started_at
    hold_time_s = one.hold_s or group.site.hold_time_s
    hold_s = now_s + hold_time_s - min(group.skew_s(one), hold_time_s // 2)
    return Wish(
        evse=evse,
        unit=one.unit,
        levels=tuple((at_s, min(da, ceiling_da)) for at_s, da in levels),
        hold_until_s=max(now_s + 1, hold_s - hold_s % HOLD_GRID_S),
        skew_s=group.skew_s(one),
        is_reserved=not is_trusted,
        max_period=known.periods(MAX_PERIOD),
        relative_to=(started_at or now) if known.is_relative else None,
        sent=_sent(group, one, own),
        own=own,
    )


def _sent(group: GroupState, one: EvseState, own: OwnPhases | None) -> Staircase | None:
    """What the limit that the EVSE's session was sent last lets it draw."""
    if one.session is None:
        return None
    last = group.holding(one).latest(one.session.session_id)
    if last is None:
        return None
    skew_s = group.skew_s(one)
    if own is not None:
        return own.staircase(one.evse, last, skew_s)
    return env.held_staircase(one.evse, last, skew_s)


def _way(group: GroupState, one: EvseState) -> Feature | None:
    state = group.stations[one.evse.ref.station_id]
    return state.capability.way(len(state.station.evses))


def _released(group: GroupState, now: datetime) -> Iterator[Outgoing]:
    """What takes back limits that were set for a session and outlive it.

    Not once they have decayed to the floor by themselves.
    """
    for one in group.evses.values():
        if one.session is not None or not is_ours(group, one):
            continue
        if not _is_reachable(group, one, now):
            continue
        if all(
            held.session_id is None or held.purpose is Purpose.SESSION
            for held in one.limits
        ):
            continue
        newest = {
            (held.purpose, held.target): held
            for held in sorted(one.limits, key=lambda held: held.sequence)
            if held.purpose is not Purpose.SESSION
        }
        if all(held.session_id is None for held in newest.values()):
            continue
        station = group.stations[one.evse.ref.station_id].station
        floor = safe_default(station, one.evse, now, one.unit)
        for (purpose, target), held in newest.items():
            if held.session_id is None or held.schedule.at(now) <= floor.floor_da:
                continue
            yield Outgoing(
                station_id=station.id,
                refs=(key_of(one.evse.ref),),
                session_id=None,
                command=SetLimit(
                    evse_id=target,
                    purpose=purpose,
                    schedule=floor,
                    transaction_id=None,
                    profile_id=_profile_id(purpose, target),
                    unit=one.unit,
                    number_phases=len(one.evse.phases),
                    nominal_v=one.evse.phase_v,
                    relative_to=floor.start if held.late_s else None,
                ),
            )


def _profile_id(purpose: Purpose, target: int) -> int:
    match purpose:
        case Purpose.SESSION:
            return SESSION_PROFILE_ID + target
        case Purpose.DEFAULT:
            return DEFAULT_PROFILE_ID + target
        case Purpose.STATION_MAX:
            return MAXIMUM_PROFILE_ID
        case _:
            assert_never(purpose)


def _session_limit(
    one: EvseState,
    session: Session,
    schedule: LimitSchedule,
    way: Feature,
    relative_to: datetime | None,
) -> Outgoing:
    evse = one.evse
    purpose = _PURPOSES[way]
    target = 0 if way in WHOLE_STATION else evse.ref.evse_id
    is_own = purpose is Purpose.SESSION
    return Outgoing(
        station_id=session.station_id,
        refs=(key_of(evse.ref),),
        session_id=session.session_id,
        command=SetLimit(
            evse_id=target,
            purpose=purpose,
            schedule=schedule,
            transaction_id=session.transaction_id if is_own else None,
            profile_id=_profile_id(purpose, target),
            unit=one.unit,
            number_phases=len(evse.phases),
            nominal_v=evse.phase_v,
            relative_to=relative_to,
        ),
    )


def _departure(one: EvseState) -> float:
    return float("inf") if one.need is None else one.need.departure_at.timestamp()
