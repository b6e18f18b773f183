"""What is known about one group of cabinets, folded from notices; no I/O, no tasks.

Holds per EVSE what its station may hold, per station whether it can be trusted, and the
readings of other equipment. From that follow, at any instant, the envelopes, the rooms
left by the limits, and which limits are worth sending. ``services.dispatch`` feeds it,
writes its decisions to the store and carries them out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.domain import envelope as env
from gateway.domain.envelope import (
    Draw,
    HeldLimit,
    Holding,
    Progress,
    Staircase,
    Violation,
    unix_s,
)
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitSchedule, LimitUnit, Purpose, SetLimit
from gateway.domain.session import EndedBy, Session, SessionPhase
from gateway.domain.topology import (
    CurrentType,
    Evse,
    Group,
    Mode,
    PerPhase,
    Site,
    Station,
)
from gateway.services import loads
from gateway.services.loads import LoadReading, Threshold
from gateway.services.safe_limits import (
    Board,
    Wish,
    is_worth_sending,
    safe_default,
    unit_of,
)

RETRY_S: Final = 30
"""Real seconds before a limit that was not answered, or was refused, is sent again."""

OBEY_WITHIN_S: Final = 60
"""Site seconds a car has to follow a limit before its station is no longer trusted."""

OPERATOR_CALL: Final = "operator_call"
"""Doubt about a station to which an operator sent what may change its limits."""

HOLD_GRID_S: Final = 60
"""Holds end on whole minutes, so that a group has few instants to consider."""

DEFAULT_PROFILE_ID: Final = 100
SESSION_PROFILE_ID: Final = 200
"""Ids of our limits at a station: base plus EVSE; the same id replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether a station obeys, as far as is known.

    Attributes:
        is_proven: It passed the obedience test with ``firmware``.
        firmware: The firmware of the proof; ``None``: any (shipped proof).
        leftovers_known: What it held before us is cleared; only our limits remain.
        doubt: Why it is not trusted any more, a word, or ``None``.
    """

    station_id: StationId
    is_proven: bool = False
    firmware: str | None = None
    leftovers_known: bool = False
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a session needs, stated or assumed.

    Attributes:
        energy_wh: From the start of the session on, Wh.
        departure_at: When the car leaves.
        is_default: Nobody said so: it rests on a default of the site or station.
        may_pause: False: never below the smallest charging current once it charges.
    """

    energy_wh: int
    departure_at: datetime
    is_default: bool = True
    may_pause: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A limit that is about to be sent.

    Attributes:
        refs: The EVSEs whose envelope it enters: one, or all of a station.
        session_id: For ``Purpose.SESSION``.
    """

    station_id: StationId
    refs: tuple[EvseRef, ...]
    session_id: SessionId | None
    command: SetLimit


@dataclass(slots=True)
class EvseState:
    """What is known about one EVSE.

    Attributes:
        is_unsettled: It was not trusted and the meter has not yet shown that it now
            obeys; its rating counts until then.
        accepted_at: When the latest limit was accepted.
        heard_at: When the newest sample reached us.
        must_resend: What was sent may be lost (a restart, a clearing): send again.
        levels: What the plan wants: (from when on, 0.1 A per phase), never rising.
    """

    evse: Evse
    unit: LimitUnit
    limits: tuple[HeldLimit, ...] = ()
    session: Session | None = None
    need: Need | None = None
    manual_da: int | None = None
    is_unsettled: bool = False
    accepted_at: datetime | None = None
    heard_at: datetime | None = None
    must_resend: bool = False
    levels: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class StationState:
    """What is known about one station.

    Attributes:
        needs_setup: Its safe default has to be set, and leftovers cleared.
        is_busy: A call of ours is under way.
        blocks_sessions: Until its default was tried, nothing else is sent.
        retry_at: Nothing is sent before (site time).
    """

    station: Station
    trust: Trust
    is_online: bool = False
    needs_setup: bool = True
    blocks_sessions: bool = True
    is_busy: bool = False
    retry_at: datetime | None = None
    evses: list[EvseState] = field(default_factory=list)


class GroupState:
    """All of one group. Loop thread only."""

    def __init__(
        self,
        group: Group,
        *,
        site: Site,
        trusts: Mapping[StationId, Trust],
        modes: Mapping[CabinetId, Mode] | None = None,
        thresholds: Sequence[Threshold] = (),
        readings: Mapping[str, LoadReading] | None = None,
    ) -> None:
        self.group = group
        self.site = site
        self.modes = {cabinet.id: cabinet.mode for cabinet in group.cabinets}
        self.modes.update(modes or {})
        self.thresholds = tuple(thresholds)
        self.readings = dict(readings or {})
        self.stations: dict[StationId, StationState] = {}
        self.evses: dict[EvseRef, EvseState] = {}
        self.paths: dict[EvseRef, tuple[CabinetId, ...]] = {}
        ids = {cabinet.id for cabinet in group.cabinets}
        for station in group.stations:
            trust = trusts.get(station.id, Trust(station_id=station.id))
            state = StationState(station=station, trust=trust)
            self.stations[station.id] = state
            for evse in station.evses:
                if evse.cabinet_id not in ids:
                    continue
                one = EvseState(evse=evse, unit=unit_of(station, evse))
                one.is_unsettled = not self._is_obedient(state)
                state.evses.append(one)
                ref = key_of(evse.ref)
                self.evses[ref] = one
                self.paths[ref] = tuple(c.id for c in site.path(evse.cabinet_id))

    # What follows from the state

    def holding(self, one: EvseState) -> Holding:
        """What decides the envelope of an EVSE."""
        station = self.stations[one.evse.ref.station_id]
        return Holding(
            is_trusted=self._is_obedient(station) and not one.is_unsettled,
            limits=one.limits,
        )

    def envelopes(self, now: datetime) -> dict[EvseRef, Staircase]:
        """Upper bound of every EVSE from ``now`` on."""
        return {ref: self.envelope(one, now) for ref, one in self.evses.items()}

    def envelope(self, one: EvseState, now: datetime) -> Staircase:
        """Upper bound of one EVSE from ``now`` on."""
        station = self.stations[one.evse.ref.station_id].station
        return env.envelope(
            one.evse,
            self.holding(one),
            skew_s=station.clock_skew_s,
            from_s=unix_s(now),
        )

    def rooms(self, now: datetime) -> dict[CabinetId, Staircase]:
        """What limits leave after margins and other loads, from ``now`` on."""
        return loads.rooms(
            self.group,
            thresholds=self.thresholds,
            readings=self.readings,
            now=now,
            phase_v=self.site.phase_v,
        )

    def rooms_with(
        self, threshold: Threshold, now: datetime
    ) -> dict[CabinetId, Staircase]:
        """The rooms if one more threshold were set."""
        return loads.rooms(
            self.group,
            thresholds=(*self.thresholds, threshold),
            readings=self.readings,
            now=now,
            phase_v=self.site.phase_v,
        )

    def violations(self, now: datetime) -> tuple[Violation, ...]:
        """Where the envelopes do not fit, now or later."""
        return env.violations(
            self.envelopes(now), self.paths, self.rooms(now), from_s=unix_s(now)
        )

    def is_trusted(self, one: EvseState) -> bool:
        """Whether less than the rating of an EVSE counts."""
        holding = self.holding(one)
        return holding.is_trusted and holding.has_safe_default()

    def is_controlled(self, one: EvseState) -> bool:
        """Whether limits are sent for an EVSE: managed, and no cabinet only advises."""
        station = self.stations[one.evse.ref.station_id].station
        path = self.paths[key_of(one.evse.ref)]
        return station.managed and all(self.modes[c] is Mode.CONTROL for c in path)

    def is_advised(self, one: EvseState) -> bool:
        """Whether plans are made for an EVSE, carried out or not."""
        return self.stations[one.evse.ref.station_id].station.managed

    def not_admitted(self, now: datetime) -> frozenset[EvseRef]:
        """EVSEs at which nobody may be authorized now.

        Proven ones never: their envelope is counted. While the ratings of others do
        not fit, an unproven one whose rating does not fit beside the envelopes of the
        proven ones and the ratings of unproven ones that charge already.
        """
        unproven = [ref for ref, one in self.evses.items() if not self.is_trusted(one)]
        if not unproven or not self.violations(now):
            return frozenset()
        idle = {ref for ref in unproven if self.evses[ref].session is None}
        board = Board(
            envelopes={
                ref: stairs
                for ref, stairs in self.envelopes(now).items()
                if ref not in idle
            },
            paths=self.paths,
            rooms=self.rooms(now),
            wishes=(),
            now=now,
        )
        found: set[EvseRef] = set()
        for ref in unproven:
            evse = self.evses[ref].evse
            rating = env.with_total(evse.rating) if ref in idle else env.NOTHING
            if not board.has_room(ref, rating, evse.phases):
                found.add(ref)
        return frozenset(found)

    # What happens

    def boot(self, station_id: StationId, firmware: str | None) -> Trust | None:
        """A station restarted: everything is set anew, changed firmware is unproven.

        Returns:
            The new trust if it changed.
        """
        state = self.stations.get(station_id)
        if state is None:
            return None
        state.needs_setup = state.blocks_sessions = True
        state.retry_at = None
        for one in state.evses:
            one.must_resend = True
        trust = state.trust
        if (
            not trust.is_proven
            or trust.firmware is None
            or firmware is None
            or trust.firmware == firmware
        ):
            return None
        return self.distrust(station_id, "firmware_changed")

    def distrust(self, station_id: StationId, doubt: str) -> Trust | None:
        """From now on the ratings of a station count.

        Returns:
            The new trust, to be stored; ``None`` for an unknown station.
        """
        state = self.stations.get(station_id)
        if state is None:
            return None
        trust = Trust(
            station_id=station_id,
            is_proven=False,
            firmware=state.trust.firmware,
            leftovers_known=False,
            doubt=doubt,
        )
        self.set_trust(trust)
        state.needs_setup = doubt != OPERATOR_CALL
        return trust

    def exceeds_as_rated(
        self, station_id: StationId, now: datetime
    ) -> tuple[Violation, ...]:
        """What would be exceeded if a station drew its ratings from now on."""
        before = self.envelopes(now)
        after = dict(before)
        state = self.stations.get(station_id)
        for one in () if state is None else state.evses:
            rating = env.with_total(one.evse.rating)
            after[key_of(one.evse.ref)] = (env.Rung(unix_s(now), rating),)
        return env.worsened(
            before, after, self.paths, self.rooms(now), from_s=unix_s(now)
        )

    def set_trust(self, trust: Trust) -> None:
        """Take over what was found out about a station."""
        state = self.stations[trust.station_id]
        state.trust = trust
        for one in state.evses:
            if not self._is_obedient(state):
                one.is_unsettled = True
            elif one.session is None:
                one.is_unsettled = False

    def cleared(self, station_id: StationId) -> Trust:
        """The station holds our limits only.

        Returns:
            The new trust, to be stored.
        """
        state = self.stations[station_id]
        old = state.trust
        trust = Trust(
            station_id=station_id,
            is_proven=old.is_proven,
            firmware=old.firmware,
            leftovers_known=True,
            doubt=old.doubt,
        )
        state.needs_setup = False
        self.set_trust(trust)
        return trust

    def wiped(self, station_id: StationId) -> set[int]:
        """The station cleared everything it held; its defaults are set again next.

        Returns:
            Sequences of limits that are surely gone now.
        """
        before = self._sequences(station_id)
        for one in self.stations[station_id].evses:
            one.limits = tuple(h for h in one.limits if h.progress is Progress.SENT)
            one.must_resend = True
        return before - self._sequences(station_id)

    def link(self, station_id: StationId, *, is_online: bool) -> None:
        """A station came or went."""
        state = self.stations.get(station_id)
        if state is not None:
            state.is_online = is_online
            state.retry_at = None

    def session(
        self,
        session: Session,
        need: Need | None,
        now: datetime,
        *,
        is_live: bool = True,
    ) -> set[int]:
        """A session started, changed or ended.

        Args:
            session: After the fold.
            need: ``None`` keeps what is known.
            now: Site time.
            is_live: False: told from an offline queue; its samples confirm nothing.

        Returns:
            Sequences of limits that are surely gone now.
        """
        ref = EvseRef(station_id=session.station_id, evse_id=session.evse_id)
        one = self.evses.get(ref)
        if one is None:
            return set()
        before = self._sequences(session.station_id)
        if session.phase is SessionPhase.ENDED:
            is_known_to_end = session.ended_by is not EndedBy.OPERATOR
            if is_known_to_end:
                one.limits = env.end_session(one.limits, session.session_id)
            if one.session is None or one.session.session_id == session.session_id:
                one.session, one.need, one.levels = None, None, ()
                if is_known_to_end:
                    self._all_seen(one, now)
        else:
            old = one.session
            if old is None or old.session_id != session.session_id:
                one.levels = ()
                one.accepted_at, one.heard_at = None, None
            elif is_live and _sampled_at(session) != _sampled_at(old):
                one.heard_at = now
            one.session = session
            one.need = need if need is not None else one.need
            if is_live:
                self._look(one, now)
        return before - self._sequences(session.station_id)

    def misbehaves(self, ref: EvseRef, now: datetime) -> bool:
        """Whether the newest sample shows clearly more than the envelope allows."""
        one = self.evses.get(ref)
        if one is None or one.session is None or not self.is_trusted(one):
            return False
        sample = sample_of(one.session, one.evse)
        sampled_at = _sampled_at(one.session)
        since = one.accepted_at
        if sample is None or sampled_at is None or one.heard_at is None:
            return False
        grace = timedelta(seconds=OBEY_WITHIN_S)
        if since is None or one.heard_at < since + grace:
            return False
        skew_s = self.stations[ref.station_id].station.clock_skew_s
        if sampled_at + timedelta(seconds=skew_s) < since + grace:
            return False
        earlier = now - grace - timedelta(seconds=skew_s)
        bound = env.highest(r.draw for r in self.envelope(one, max(since, earlier)))
        return env.contradicts(one.evse, bound, sample)

    def add_sent(self, outgoing: Outgoing, sequence: int) -> None:
        """A limit is on its way: it counts from before it is sent."""
        command = outgoing.command
        held = HeldLimit(
            sequence=sequence,
            purpose=command.purpose,
            schedule=command.schedule,
            progress=Progress.SENT,
            session_id=outgoing.session_id,
            unit=command.unit,
            number_phases=command.number_phases,
            nominal_v=command.nominal_v,
        )
        for one in self._concerned(outgoing):
            one.limits = (*one.limits, held)
            if command.purpose is Purpose.SESSION and sequence < _TRIAL_SEQUENCE:
                one.must_resend = False

    def add_held(self, ref: EvseRef, held: HeldLimit) -> None:
        """A limit from the store that the station may hold."""
        one = self.evses.get(ref)
        if one is not None:
            one.limits = (*one.limits, held)

    def accepted(self, outgoing: Outgoing, sequence: int, now: datetime) -> set[int]:
        """A station holds a limit now.

        Returns:
            Sequences of limits that are surely gone now.
        """
        before = self._sequences(outgoing.station_id)
        for one in self._concerned(outgoing):
            one.limits = env.accept(one.limits, sequence)
            one.accepted_at = now
            if one.session is None:
                self._all_seen(one, now)
            one.limits = self._pruned(one, now)
        return before - self._sequences(outgoing.station_id)

    def refused(self, outgoing: Outgoing, sequence: int) -> None:
        """A station surely did not take a limit."""
        for one in self._concerned(outgoing):
            one.limits = env.refuse(one.limits, sequence)

    # What to send

    def defaults_of(self, state: StationState, now: datetime) -> list[Outgoing]:
        """The safe defaults of a station: one for all EVSEs, or one for each."""
        if not state.evses:
            return []
        schedules = [safe_default(state.station, e.evse, now) for e in state.evses]
        if (
            len(
                {(s.steps, e.unit) for s, e in zip(schedules, state.evses, strict=True)}
            )
            == 1
        ):
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

    def round(self, now: datetime) -> list[Outgoing]:
        """The session limits worth sending now; together with all others they fit."""
        wishing = list(self._wishing())
        if not wishing:
            return []
        refused = self.not_admitted(now)
        wishes = [(one, self._wish(one, now, refused)) for one in wishing]
        must_shed = bool(self.violations(now))
        board = Board(
            envelopes=self.envelopes(now),
            paths=self.paths,
            rooms=self.rooms(now),
            wishes=[wish for _, wish in wishes],
            now=now,
        )
        found: list[Outgoing] = []
        for one, wish in wishes:
            session = one.session
            if session is None or not self._is_reachable(one, now):
                continue
            last = self.holding(one).latest(session.session_id)
            schedule = board.place(wish)
            if one.must_resend or is_worth_sending(
                last, schedule, now, must_shed=must_shed
            ):
                found.append(self._session_limit(one, session, schedule))
        return found

    def check(self, batch: Iterable[Outgoing], now: datetime) -> tuple[Violation, ...]:
        """What a batch would break that is not broken already; exact, independent.

        Shares nothing with how the batch was made but the envelopes themselves.
        """
        before = self.envelopes(now)
        kept = {ref: one.limits for ref, one in self.evses.items()}
        try:
            for index, outgoing in enumerate(batch):
                self.add_sent(outgoing, _TRIAL_SEQUENCE + index)
            after = self.envelopes(now)
        finally:
            for ref, limits in kept.items():
                self.evses[ref].limits = limits
        return env.worsened(
            before, after, self.paths, self.rooms(now), from_s=unix_s(now)
        )

    def without_increases(
        self, batch: Iterable[Outgoing], now: datetime
    ) -> list[Outgoing]:
        """Those of a batch that let nobody draw more than before."""
        kept: list[Outgoing] = []
        before = self.envelopes(now)
        for outgoing in batch:
            limits = {one.evse.ref: one.limits for one in self._concerned(outgoing)}
            self.add_sent(outgoing, _TRIAL_SEQUENCE)
            after = self.envelopes(now)
            for one in self._concerned(outgoing):
                one.limits = limits[one.evse.ref]
            if all(after[ref] == before[ref] for ref in outgoing.refs):
                kept.append(outgoing)
        return kept

    def profile_ids(self, station_id: StationId) -> tuple[int, ...]:
        """Ids of our limits that a station may hold."""
        ids = [DEFAULT_PROFILE_ID]
        for one in self.stations[station_id].evses:
            evse_id = one.evse.ref.evse_id
            ids += [DEFAULT_PROFILE_ID + evse_id, SESSION_PROFILE_ID + evse_id]
        return tuple(ids)

    def outgoing_of(
        self, one: EvseState, session: Session, held: HeldLimit
    ) -> Outgoing:
        """A session's limit as it was sent."""
        return self._session_limit(one, session, held.schedule)

    def resume(self, session: Session, old: "GroupState", now: datetime) -> None:
        """Take over from an older state what the store does not have."""
        ref = key_of(session.evse)
        one, before = self.evses[ref], old.evses.get(ref)
        if before is None or before.session is None:
            return
        if before.session.session_id == session.session_id:
            one.levels = before.levels
            one.accepted_at, one.heard_at = before.accepted_at, before.heard_at
            one.is_unsettled = one.is_unsettled and before.is_unsettled
            self._look(one, now)

    def next_deadline(self, now: datetime) -> datetime | None:
        """When something has to be refreshed or counted anew, if nothing happens."""
        found: list[datetime] = []
        for one in self._wishing():
            if one.session is None:
                continue
            last = self.holding(one).latest(one.session.session_id)
            if last is None:
                continue
            level_da = last.schedule.at(now)
            for step in last.schedule.steps:
                ends = last.schedule.start + timedelta(seconds=step.offset_s)
                if step.limit_da < level_da:
                    found.append(now + (ends - now) / 2)
                    break
        retries = (s.retry_at for s in self.stations.values() if s.is_online)
        found.extend(retry_at for retry_at in retries if retry_at is not None)
        return min((at for at in found if at > now), default=None)

    # Inside

    def _concerned(self, outgoing: Outgoing) -> list[EvseState]:
        """Its EVSEs, without those that were unregistered meanwhile."""
        return [self.evses[ref] for ref in outgoing.refs if ref in self.evses]

    def _sequences(self, station_id: StationId) -> set[int]:
        state = self.stations.get(station_id)
        evses = [] if state is None else state.evses
        return {held.sequence for one in evses for held in one.limits}

    def _is_obedient(self, state: StationState) -> bool:
        return (
            state.station.managed
            and state.trust.is_proven
            and state.trust.leftovers_known
        )

    def _is_reachable(self, one: EvseState, now: datetime) -> bool:
        state = self.stations[one.evse.ref.station_id]
        is_waiting = state.retry_at is not None and state.retry_at > now
        return (
            state.is_online
            and not state.is_busy
            and not state.blocks_sessions
            and not is_waiting
        )

    def _wishing(self) -> Iterator[EvseState]:
        ready = [
            one
            for one in self.evses.values()
            if one.session is not None
            and one.session.transaction_id is not None
            and self.is_controlled(one)
            and self._is_connected(one)
            and not self._is_in_other_hands(one)
        ]
        return iter(sorted(ready, key=lambda one: (_departure(one), one.evse.ref)))

    def _is_in_other_hands(self, one: EvseState) -> bool:
        """An operator set something: nothing of ours until it restarts or is proven."""
        return self.stations[one.evse.ref.station_id].trust.doubt == OPERATOR_CALL

    def _is_connected(self, one: EvseState) -> bool:
        return self.stations[one.evse.ref.station_id].is_online

    def _wish(self, one: EvseState, now: datetime, refused: frozenset[EvseRef]) -> Wish:
        evse = one.evse
        now_s = int(unix_s(now))
        ceiling_da = evse.max_da if one.manual_da is None else one.manual_da
        is_trusted = self.is_trusted(one)
        levels: tuple[tuple[int, int], ...]
        if is_trusted:
            levels = one.levels or ((now_s, evse.min_da),)
        else:
            is_admitted = key_of(evse.ref) not in refused
            levels = ((now_s, evse.max_da if is_admitted else evse.floor_da),)
        hold_s = now_s + self.site.hold_time_s - self._skew_s(one)
        return Wish(
            evse=evse,
            unit=one.unit,
            levels=tuple((at_s, min(da, ceiling_da)) for at_s, da in levels),
            hold_until_s=max(now_s + 1, hold_s - hold_s % HOLD_GRID_S),
            skew_s=self._skew_s(one),
            is_reserved=not is_trusted,
        )

    def _skew_s(self, one: EvseState) -> int:
        return self.stations[one.evse.ref.station_id].station.clock_skew_s

    def _session_limit(
        self, one: EvseState, session: Session, schedule: LimitSchedule
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

    def _look(self, one: EvseState, now: datetime) -> None:
        """Let the newest sample confirm the newest accepted limit."""
        session = one.session
        if session is None or one.accepted_at is None or one.heard_at is None:
            return
        sample, sampled_at = sample_of(session, one.evse), _sampled_at(session)
        skew = timedelta(seconds=self._skew_s(one))
        if (
            sample is None
            or sampled_at is None
            or one.heard_at < one.accepted_at
            or sampled_at < one.accepted_at - skew
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
            state = self.stations[one.evse.ref.station_id]
            if self._is_obedient(state):
                one.is_unsettled = False

    def _all_seen(self, one: EvseState, now: datetime) -> None:
        """No car is there: what was accepted counts as seen."""
        for held in one.limits:
            if held.progress is Progress.ACCEPTED:
                one.limits = env.see(one.limits, held.sequence)
        one.limits = self._pruned(one, now)
        state = self.stations[one.evse.ref.station_id]
        if self._is_obedient(state):
            one.is_unsettled = False

    def _pruned(self, one: EvseState, now: datetime) -> tuple[HeldLimit, ...]:
        return env.forget_dominated(
            one.evse, one.limits, skew_s=self._skew_s(one), from_s=unix_s(now)
        )


_TRIAL_SEQUENCE: Final = 1 << 60


def key_of(ref: EvseRef) -> EvseRef:
    """An EVSE without its connector: what limits apply to."""
    return EvseRef(station_id=ref.station_id, evse_id=ref.evse_id)


def sample_of(session: Session, evse: Evse) -> PerPhase | None:
    """The newest sample at the terminals, 0.1 A; power alone counts on each phase."""
    if session.current_a is not None and not _is_power_newer(session):
        l1, l2, l3 = session.current_a
        return (round(l1 * 10), round(l2 * 10), round(l3 * 10))
    if session.power_w is None:
        return None
    each_da = (
        evse.input_da(session.power_w)
        if evse.current_type is CurrentType.DC
        else (round(session.power_w / (evse.phase_v * len(evse.phases)) * 10))
    )
    n_phase = len(evse.phases)
    return (each_da, each_da if n_phase > 1 else 0, each_da if n_phase > 2 else 0)  # noqa: PLR2004 - three phases


def _sampled_at(session: Session) -> datetime | None:
    if session.current_a is not None and not _is_power_newer(session):
        return session.current_at or session.sampled_at
    return session.power_at or session.sampled_at


def _is_power_newer(session: Session) -> bool:
    return (
        session.power_at is not None
        and session.current_at is not None
        and session.power_at > session.current_at
    )


def now_draw(stairs: Staircase, now: datetime) -> Draw:
    """What an envelope allows at ``now``."""
    return env.value_at(stairs, unix_s(now))


def _departure(one: EvseState) -> float:
    return float("inf") if one.need is None else one.need.departure_at.timestamp()
