"""What is known about one group of cabinets, folded from notices; no I/O, no tasks.

Holds per EVSE what its station may hold, per station whether it can be trusted, and the
readings of other equipment. From that follow, at any instant, the envelopes, the rooms
left by the limits. ``services.group_limits`` decides what to send, and
``services.group_runner`` feeds it, records and sends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from gateway.domain import dwell, spare
from gateway.domain import envelope as env
from gateway.domain.capability import AtZero, Capability, Feature, way_of
from gateway.domain.dwell import Rhythm
from gateway.domain.envelope import (
    Draw,
    HeldLimit,
    Holding,
    Progress,
    Staircase,
    Violation,
    unix_s,
)
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.limits import Purpose
from gateway.domain.metering import Sample
from gateway.domain.session import EndedBy, Session, SessionPhase
from gateway.domain.topology import CurrentType, Group, Mode, Site
from gateway.services import car_watch, loads, phase_watch
from gateway.services.enough import rest_after
from gateway.services.evse_state import (
    OPERATOR_CALL,
    UNCONTROLLED,
    Departed,
    EvseState,
    Need,
    Outgoing,
    StationState,
    Trust,
    key_of,
    sample_of,
    sampled_at,
)
from gateway.services.loads import LoadReading, Threshold
from gateway.services.wishes import unit_of

OBEY_WITHIN_S: Final = 60
"""Site seconds a car has to follow a limit before its station is no longer trusted."""

TRIAL_SEQUENCE: Final = 1 << 60
"""Sequences from here on stand for limits that are only tried on paper."""


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
        self.departed: tuple[Departed, ...] = ()
        self.clock_doubt_s = 0
        self.withheld: Mapping[CabinetId, Draw] = {}
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
        for cabinet in group.cabinets:
            self.paths[spare.spare_ref(cabinet.id)] = (cabinet.id,)

    # What follows from the state

    def holding(self, one: EvseState) -> Holding:
        """What decides the envelope of an EVSE."""
        station = self.stations[one.evse.ref.station_id]
        is_trusted = not one.is_unsettled and self._is_obedient(station)
        return one.kept.holding(one.limits, is_trusted=is_trusted)

    def envelopes(self, now: datetime) -> dict[EvseRef, Staircase]:
        """What counts for every EVSE from ``now`` on, with those that departed.

        Its upper bound; where its car surely uses some phases only, what it draws on
        these, with room behind each cabinet for one car that does not keep to them.
        """
        found: dict[EvseRef, Staircase] = {}
        freed: dict[EvseRef, tuple[Staircase, Staircase]] = {}
        from_s = unix_s(now)
        for ref, one in self.evses.items():
            own = self.own_phases(one, now)
            if own is None:
                found[ref] = self.envelope(one, now)
                continue
            freed[ref] = one.kept.on_own_phases(
                one.evse,
                self.holding(one),
                own,
                skew_s=self.skew_s(one),
                from_s=from_s,
            )
            found[ref] = freed[ref][1]
        found.update((one.ref, one.stairs) for one in self.departed)
        if freed:
            found.update(spare.spares(freed, self.paths, self.margins(), from_s=from_s))
        return found

    def margins(self) -> dict[CabinetId, int]:
        """What is kept free behind each cabinet, 0.1 A per phase."""
        return {cabinet.id: cabinet.margin_da for cabinet in self.group.cabinets}

    def own_phases(self, one: EvseState, now: datetime) -> spare.OwnPhases | None:
        """The phases on which an EVSE is counted now; ``None``: all that it has.

        Only where limits end with their session: they bind no other car then.
        """
        own = phase_watch.own_phases(self.site, one, now)
        return own if own is not None and self._binds_one_car(one) else None

    def planned_phases(self, one: EvseState, now: datetime) -> spare.OwnPhases | None:
        """The phases on which a plan counts an EVSE; ``None``: all that it has."""
        own = phase_watch.likely_phases(self.site, one, now)
        return own if own is not None and self._binds_one_car(one) else None

    def envelope(self, one: EvseState, now: datetime) -> Staircase:
        """Upper bound of one EVSE from ``now`` on, whatever its car does."""
        return one.kept.of(
            one.evse,
            self.holding(one),
            skew_s=self.skew_s(one),
            from_s=unix_s(now),
        )

    def rooms(self, now: datetime) -> dict[CabinetId, Staircase]:
        """What limits leave after margins and other loads, from ``now`` on.

        Less what the fast loop withholds because a feeder meter shows too much.
        """
        rooms = loads.rooms(
            self.group,
            thresholds=self.thresholds,
            readings=self.readings,
            now=now,
            phase_v=self.site.phase_v,
        )
        return loads.less(rooms, self.withheld, self.group) if self.withheld else rooms

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
        if one.is_unsettled:
            return False
        station = self.stations[one.evse.ref.station_id]
        return self._is_obedient(station) and env.has_safe_default(one.limits)

    def is_controlled(self, one: EvseState) -> bool:
        """Whether limits are sent for an EVSE: managed, and no cabinet only advises."""
        station = self.stations[one.evse.ref.station_id].station
        path = self.paths[key_of(one.evse.ref)]
        return station.managed and all(self.modes[c] is Mode.CONTROL for c in path)

    def is_advised(self, one: EvseState) -> bool:
        """Whether plans are made for an EVSE, carried out or not."""
        return self.stations[one.evse.ref.station_id].station.managed

    # What happens

    def set_capability(self, station_id: StationId, known: Capability) -> bool:
        """From now on a station is told what it takes.

        One that cannot be told 0 A has its least current for a floor: so much is
        reserved for it whatever the configuration says.

        Returns:
            Whether its safe default goes elsewhere now, or is another one.
        """
        state = self.stations[station_id]
        n_evse, before = len(state.station.evses), state.capability
        state.capability = known
        is_other = known.default_way(n_evse) is not before.default_way(n_evse)
        wired = {key_of(evse.ref): evse for evse in state.station.evses}
        for one in state.evses:
            evse = wired[key_of(one.evse.ref)]
            floor_da = evse.floor_da
            if not known.can_pause:
                floor_da = max(floor_da, evse.starting_da)
            unit = unit_of(state.station, evse)
            if evse.current_type is CurrentType.AC:
                unit = known.unit(unit)
            is_other = is_other or (unit, floor_da) != (one.unit, one.evse.floor_da)
            one.unit, one.evse = unit, replace(evse, floor_da=floor_da)
        return is_other or known.is_relative is not before.is_relative

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
        trust = state.trust
        for one in state.evses:
            one.must_resend = True
            phase_watch.restart(one)
            if not trust.survives_restart:
                one.limits = env.doubt_defaults(one.limits)
                one.is_unsettled = one.is_unsettled or one.session is not None
        if not trust.is_proven or firmware is None or trust.firmware == firmware:
            return None
        if trust.firmware is None:  # shipped as proven: with what it runs now
            state.trust = replace(trust, firmware=firmware)
            return state.trust
        return self.distrust(station_id, "firmware_changed")

    def distrust(self, station_id: StationId, doubt: str) -> Trust | None:
        """From now on the ratings of a station count.

        Returns:
            The new trust, to be stored; ``None`` for an unknown station.
        """
        state = self.stations.get(station_id)
        if state is None:
            return None
        trust = replace(
            state.trust,
            is_proven=False,
            leftovers_known=False,
            doubt=doubt,
            survives_restart=False,
        )
        self.set_trust(trust)
        state.needs_setup = doubt not in {OPERATOR_CALL, UNCONTROLLED}
        return trust

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
        trust = replace(state.trust, leftovers_known=True)
        state.needs_setup = False
        self.set_trust(trust)
        return trust

    def before_clearing(self, station_id: StationId) -> Trust | None:
        """The station is asked next to clear its limits, ours as well.

        Until they are set again its rating counts.

        Returns:
            The new trust if it changed, to be stored first.
        """
        state = self.stations[station_id]
        if not state.trust.leftovers_known:
            return None
        self.set_trust(replace(state.trust, leftovers_known=False))
        return state.trust

    def wiped(self, station_id: StationId, *, surely: bool) -> set[int]:
        """The station cleared what it held; its defaults are set again next.

        Args:
            station_id: Which.
            surely: Everything is gone; otherwise some of it may be.

        Returns:
            Sequences of limits that are surely gone now.
        """
        before = self._sequences(station_id)
        for one in self.stations[station_id].evses:
            if surely:
                one.limits = tuple(h for h in one.limits if h.progress is Progress.SENT)
            one.limits = env.doubt_defaults(one.limits)
            one.must_resend = True
        return before - self._sequences(station_id)

    def has_stray_defaults(
        self, station_id: StationId, ours: set[tuple[Purpose, int]]
    ) -> bool:
        """Whether a default of ours lies elsewhere than it is put now.

        Where sessions are limited by another way than their own, that is no stray.
        """
        state = self.stations[station_id]
        way = state.capability.way(len(state.station.evses))
        return any(
            held.purpose is not Purpose.SESSION
            and (held.purpose, held.target) not in ours
            and way_of(held.purpose, held.target) is not way
            for one in state.evses
            for held in one.limits
        )

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
        samples: Sequence[Sample] = (),
    ) -> set[int]:
        """A session started, changed or ended.

        Args:
            session: After the fold.
            need: ``None`` keeps what is known.
            now: Site time.
            is_live: False: told from an offline queue; its samples confirm nothing.
            samples: That came with it.

        Returns:
            Sequences of limits that are surely gone now.
        """
        ref = EvseRef(station_id=session.station_id, evse_id=session.evse_id)
        one = self.evses.get(ref)
        if one is None:
            return set()
        station = self.stations[session.station_id]
        before = self._sequences(session.station_id)
        self._note_bound(one, now)
        if session.phase is SessionPhase.ENDED:
            is_known_to_end = session.ended_by is not EndedBy.OPERATOR
            if is_known_to_end:
                one.limits = env.end_session(one.limits, session.session_id)
            if one.session is None or one.session.session_id == session.session_id:
                one.session, one.need, one.levels = None, None, ()
                one.rhythm = Rhythm()
                car_watch.forget(one)
                phase_watch.forget(one)
                if is_known_to_end:
                    self._all_seen(one, now)
        else:
            old = one.session
            if old is not None and not is_live and _is_older(session, old):
                return set()  # a backlog tells of a car that left long ago
            if old is None or old.session_id != session.session_id:
                car_watch.forget(one)
                phase_watch.forget(one)
                one.levels, one.rhythm = (), Rhythm()
                one.accepted_at, one.heard_at = None, None
            elif is_live and (
                sampled_at(session, one.evse) != sampled_at(old, one.evse)
            ):
                one.heard_at = now
            one.session = session
            one.need = need if need is not None else one.need
            if is_live:
                self._rouse(one, now)
                one.rest = rest_after(
                    one.rest,
                    session.charging_state,
                    now,
                    is_by_choice=one.car.is_idle_by_choice,
                )
                self.confirm_newest(one, now)
                phase_watch.look(
                    one,
                    samples,
                    now,
                    skew_s=self.skew_s(one),
                    ends_unplugged=station.capability.ends_unplugged,
                )
            else:
                phase_watch.contradict(one, samples, now)
        return before - self._sequences(session.station_id)

    def misbehaves(self, ref: EvseRef, now: datetime) -> bool:
        """Whether the newest sample shows clearly more than the envelope allows."""
        one = self.evses.get(ref)
        if one is None or one.session is None or not self.is_trusted(one):
            return False
        sample = sample_of(one.session, one.evse)
        at = sampled_at(one.session, one.evse)
        since, heard_at = one.watched_at, one.heard_at
        if sample is None or at is None or since is None or heard_at is None:
            return False
        grace = timedelta(seconds=OBEY_WITHIN_S)
        skew = timedelta(seconds=self.skew_s(one))
        if heard_at < since + grace or at + skew < since + grace:
            return False
        earlier = max(since, min(now, at) - skew - grace)
        current = (rung.draw for rung in self.envelope(one, earlier))
        known = (draw for until, draw in one.bounds if until >= earlier)
        bound = env.highest((*current, *known))
        return env.contradicts(one.evse, bound, sample)

    def add_sent(self, outgoing: Outgoing, sequence: int) -> None:
        """A limit is on its way: it counts from before it is sent."""
        for one in self.concerned(outgoing):
            self.hold_again(one, outgoing, sequence)
            if outgoing.session_id is not None and sequence < TRIAL_SEQUENCE:
                one.must_resend = False

    def hold_again(self, one: EvseState, outgoing: Outgoing, sequence: int) -> None:
        """A station may hold a limit that it was sent."""
        command = outgoing.command
        held = HeldLimit(
            sequence=sequence,
            purpose=command.purpose,
            schedule=command.schedule,
            progress=Progress.SENT,
            session_id=outgoing.session_id,
            target=command.evse_id,
            unit=command.unit,
            number_phases=command.number_phases,
            nominal_v=command.nominal_v,
            late_s=command.elapsed_s,
        )
        held_so_far = (*one.limits, held)
        one.limits = tuple(sorted(held_so_far, key=attrgetter("sequence")))

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
        for one in self.concerned(outgoing):
            self._note_bound(one, now)
            one.limits = env.accept(one.limits, sequence)
            one.accepted_at = now
            if outgoing.session_id is not None:
                is_on = outgoing.command.schedule.at(now) > 0
                one.rhythm = dwell.told(one.rhythm, is_on=is_on, at_s=unix_s(now))
            if one.session is None:
                self._all_seen(one, now)
            one.limits = self._pruned(one, now)
        return before - self._sequences(outgoing.station_id)

    def refused(self, outgoing: Outgoing, sequence: int) -> None:
        """A station surely did not take a limit."""
        for one in self.concerned(outgoing):
            one.limits = env.refuse(one.limits, sequence)

    # Inside

    def concerned(self, outgoing: Outgoing) -> list[EvseState]:
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

    def never_pauses(self, one: EvseState) -> bool:
        """Whether a session shall not be paused: asked for, or it would end."""
        known = self.stations[one.evse.ref.station_id].capability
        is_wanted = one.need is not None and not one.need.may_pause
        return is_wanted or known.at_zero is AtZero.ENDS

    def _rouse(self, one: EvseState, now: datetime) -> None:
        """See whether a car sleeps since a pause, and may be woken by another."""
        known = self.stations[one.evse.ref.station_id].capability
        is_told = one.session is not None and one.heard_at == now
        if not is_told or not known.can_pause or self.never_pauses(one):
            return
        assert one.session is not None  # is_told
        sample = sample_of(one.session, one.evse)
        if sample is not None:
            at_s = unix_s(now)
            one.rhythm = dwell.seen(one.rhythm, current_da=max(sample), at_s=at_s)

    def _binds_one_car(self, one: EvseState) -> bool:
        """Whether limits of a session bind nobody else, and are obeyed."""
        station = self.stations[one.evse.ref.station_id]
        way = station.capability.way(len(station.station.evses))
        return way is Feature.SESSION and self.is_trusted(one)

    def skew_s(self, one: EvseState) -> int:
        """How far the clock of an EVSE's station may be from ours, site seconds."""
        station = self.stations[one.evse.ref.station_id].station
        return station.clock_skew_s + self.clock_doubt_s

    def _note_bound(self, one: EvseState, now: datetime) -> None:
        """Remember what an EVSE might draw until now, before that changes."""
        if not self.is_trusted(one):
            one.watched_at, one.bounds = None, ()
            return
        one.watched_at = one.watched_at or now
        since = now - self._judged(one)
        bound = env.highest(r.draw for r in self.envelope(one, since))
        kept = tuple((at, draw) for at, draw in one.bounds if at >= since)
        one.bounds = (*kept, (now, bound))

    def _judged(self, one: EvseState) -> timedelta:
        """A sample may show what was allowed so long before we hear of it."""
        return timedelta(seconds=OBEY_WITHIN_S + 2 * self.skew_s(one))

    def confirm_newest(self, one: EvseState, now: datetime) -> None:
        """Let the newest sample confirm the newest accepted limit."""
        session = one.session
        if session is None or one.accepted_at is None or one.heard_at is None:
            return
        sample, at = sample_of(session, one.evse), sampled_at(session, one.evse)
        skew = timedelta(seconds=self.skew_s(one))
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
            one.evse, one.limits, skew_s=self.skew_s(one), from_s=unix_s(now)
        )


def _is_older(session: Session, other: Session) -> bool:
    if session.session_id == other.session_id:
        return False
    if session.started_at is None or other.started_at is None:
        return session.started_at is None
    return session.started_at <= other.started_at
