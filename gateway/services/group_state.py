"""What is known about one group of cabinets, folded from notices; no I/O, no tasks.

Holds per EVSE what its station may hold, per station whether it can be trusted, and the
readings of other equipment. ``services.group_envelopes`` says what follows from that,
``services.group_limits`` decides what to send, and ``services.group_runner`` feeds it,
records and sends.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Final

from gateway.domain import dwell
from gateway.domain import envelope as env
from gateway.domain.capability import Capability, way_of
from gateway.domain.dwell import Rhythm
from gateway.domain.envelope import (
    HeldLimit,
    Progress,
    unix_s,
)
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.limits import Purpose
from gateway.domain.metering import Sample
from gateway.domain.session import EndedBy, Session, SessionPhase
from gateway.domain.topology import CurrentType
from gateway.services import car_watch, obedience, phase_watch
from gateway.services.enough import NEARLY_PERMILLE, rest_after
from gateway.services.evse_state import (
    OPERATOR_CALL,
    UNCONTROLLED,
    EvseState,
    Need,
    Outgoing,
    Trust,
    key_of,
    sample_of,
    sampled_at,
)
from gateway.services.group_envelopes import GroupEnvelopes
from gateway.services.wishes import unit_of

TRIAL_SEQUENCE: Final = 1 << 60
"""Sequences from here on stand for limits that are only tried on paper."""


class GroupState(GroupEnvelopes):
    """All of one group, and what changes it. Loop thread only."""

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
            if not self.is_obedient(state):
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
        obedience.note_bound(self, one, now)
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
                    obedience.all_seen(self, one, now)
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
                    has_need=one.has_had(NEARLY_PERMILLE),
                )
                obedience.confirm_newest(self, one, now)
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
            obedience.note_bound(self, one, now)
            one.limits = env.accept(one.limits, sequence)
            one.accepted_at = now
            if outgoing.session_id is not None:
                is_on = outgoing.command.schedule.at(now) > 0
                one.rhythm = dwell.told(one.rhythm, is_on=is_on, at_s=unix_s(now))
            if one.session is None:
                obedience.all_seen(self, one, now)
            one.limits = obedience.pruned(self, one, now)
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


def _is_older(session: Session, other: Session) -> bool:
    if session.session_id == other.session_id:
        return False
    if session.started_at is None or other.started_at is None:
        return session.started_at is None
    return session.started_at <= other.started_at
