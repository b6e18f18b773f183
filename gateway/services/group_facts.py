"""Takes what a group hears of its stations, sessions and other equipment."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from gateway.bus import (
    FactCommitted,
    LoadMeasured,
)
from gateway.domain import dwell
from gateway.domain.car_facts import NOTHING_KNOWN
from gateway.domain.envelope import unix_s
from gateway.domain.events import StationBooted
from gateway.domain.ids import EvseRef, SessionId, StationId
from gateway.domain.metering import Sample, samples_in
from gateway.domain.phase_use import NOTHING_SEEN
from gateway.domain.session import Session, SessionEvent, SessionPhase
from gateway.services import (
    car_watch,
    group_store,
    group_succession,
    limit_verdict,
    loads,
    obedience,
    phase_watch,
)
from gateway.services.evse_state import (
    EvseState,
    Need,
    sample_of,
    session_ref,
)
from gateway.services.group_core import GroupCore
from gateway.services.group_planning import GroupPlanning
from gateway.services.group_records import NOTHING_AGAINST
from gateway.services.read_back import (
    ReadBack,
)
from gateway.services.session_need import read_need
from gateway.services.station_learning import StationLearning
from gateway.services.station_setup import StationSetup

ENDED_BY_CAR: Final = frozenset({"Other", "StoppedByEV"})
"""Reasons with which a session ends that neither driver nor operator ended."""

_log = structlog.get_logger()


class GroupFacts:
    """Folds facts into one group's state; records what samples show of limits.

    Args:
        core: What the parts of the runner share.
        setup: Hears of restarts.
        learning: Hears what pauses did.
        read_back: Hears of restarts.
        planning: Hears of other equipment.
    """

    def __init__(
        self,
        core: GroupCore,
        *,
        setup: StationSetup,
        learning: StationLearning,
        read_back: ReadBack,
        planning: GroupPlanning,
    ) -> None:
        self._core = core
        self._setup = setup
        self._learning = learning
        self._read_back = read_back
        self._planning = planning

    async def restore(self) -> None:
        """Read everything from the store anew; calls under way stay counted."""
        core, ports = self._core, self._core.ports
        site, now = ports.site(), core.now()
        old = core.state
        group = site.group(core.root)
        ids = [station.id for station in group.stations]
        if not await core.records.flush():
            return  # what is stored would trust a station still
        stored = await core.records.write(lambda conn: group_store.load(conn, ids, now))
        if stored is None:
            return  # what is known goes on to count
        state = group_store.state_of(site, core.root, stored)
        for station_id, station in state.stations.items():
            station.is_online = ports.stations.is_online(station_id)
        group_succession.succeed(state, old, now)
        core.records.phases_stored(stored.car_phases)
        self._learning.take(state, stored.capabilities)
        core.state = state
        for session in await ports.sessions.open_sessions():
            if session_ref(session) in state.evses:
                need = await self._need_of(session)
                gone = state.session(session, need, now, is_live=False)
                await core.records.forget(gone)
                car = stored.cars.get(session.session_id, NOTHING_KNOWN)
                one = state.evses[session_ref(session)]
                one.car = car.at(now)
                used, is_barred = stored.car_phases.get(
                    session.session_id, NOTHING_AGAINST
                )
                phase_watch.restore(one, used, is_barred=is_barred)
                group_succession.resume(state, session, old, now)
        core.needs_plan = True

    async def take(self, notice: FactCommitted) -> None:
        """Take what is on disk of a station or a session."""
        core, now = self._core, self._core.now()
        event, session = notice.event, notice.session
        if isinstance(event, StationBooted) and not notice.is_backlog:
            self._setup.restart(event.station_id)
            trust = core.state.boot(event.station_id, event.firmware)
            self.note_link(event.station_id, is_online=True)
            if trust is not None:
                await core.records.trust(trust)
            await self._learning.refresh(core.state, event.station_id)
            self._read_back.restarted(event.station_id)
            core.needs_plan = True
        if session is None:
            return
        before = self._known_session(session)
        need = None
        if before is None and session.phase is SessionPhase.RUNNING:
            need = await self._need_of(session)
            await self._learning.refresh(core.state, session.station_id)
        samples = samples_in(event) if isinstance(event, SessionEvent) else ()
        await self._fold(
            session, need, now, is_live=not notice.is_backlog, samples=samples
        )
        if (
            before is None
            or session.phase is not before.phase
            or session.transaction_id != before.transaction_id
        ):
            core.needs_plan = True

    def note_link(self, station_id: StationId, *, is_online: bool) -> None:
        """Online is who may be managed: connected, and accepted at its last boot."""
        can = is_online and self._core.ports.stations.is_online(station_id)
        self._core.state.link(station_id, is_online=can)

    async def _fold(
        self,
        session: Session,
        need: Need | None,
        now: datetime,
        *,
        is_live: bool,
        samples: Sequence[Sample],
    ) -> None:
        """Take over a session; record what its sample shows about its limits."""
        core = self._core
        ref = session_ref(session)
        one = core.state.evses.get(ref)
        car = NOTHING_KNOWN if one is None else one.car
        use = NOTHING_SEEN if one is None else one.use
        if one is not None and is_live:
            await self._note_pause(one, session, now)
        gone = core.state.session(session, need, now, is_live=is_live, samples=samples)
        if gone:
            await core.records.forget(gone)
        if one is None:
            return
        is_over = session.phase is SessionPhase.ENDED
        if is_over or self._known_session(session) is not None:
            await core.records.phases(session, one.use.against)
        if not is_live:
            return
        obeyed = limit_verdict.obeyed(core.state, session, now)
        if obeyed is not None:
            await core.records.measured(obeyed, now)
        self._watch_car(one, now)
        phase_watch.tell(one, use, core.state.site)
        await core.records.car(session, car, one.car)
        if obedience.misbehaves(core.state, ref, now):
            disobeyed = limit_verdict.disobeyed(core.state, session)
            if disobeyed is not None:
                await core.records.measured(disobeyed, now)
            trust = core.state.distrust(session.station_id, "ignored_limit")
            _log.critical(
                "station.disobeyed",
                station_id=session.station_id,
                session_id=session.session_id,
                current_a=session.current_a,
                power_w=session.power_w,
            )
            if trust is not None:
                await core.records.trust(trust)
            core.needs_plan = True

    def _watch_car(self, one: EvseState, now: datetime) -> None:
        """A car that turns out different, or strays from its plan, needs a new one."""
        learned = car_watch.watch(one, now, skew_s=self._core.state.skew_s(one))
        if learned or car_watch.strays(one, now):
            self._core.needs_plan = True
            _log.info(
                "car.differs",
                evse=str(one.evse.ref),
                learned=learned,
                facts=one.car.planned(),
            )

    async def take_request(self, session_id: SessionId) -> None:
        """A driver asked for something else."""
        for one in self._core.state.evses.values():
            if one.session is not None and one.session.session_id == session_id:
                one.need = await self._need_of(one.session)
                self._core.needs_plan = True

    async def _note_pause(
        self, one: EvseState, session: Session, now: datetime
    ) -> None:
        """Learn what 0 A did to a session."""
        if one.session is None or one.session.session_id != session.session_id:
            return
        sample = sample_of(session, one.evse)
        shown = dwell.shown_at_zero(
            one.rhythm,
            at_s=unix_s(now),
            current_da=None if sample is None else max(sample),
            has_ended_itself=session.phase is SessionPhase.ENDED
            and session.stop_reason in ENDED_BY_CAR,
        )
        if shown is not None:
            await self._learning.seen_at_zero(
                self._core.state, session.station_id, shown
            )

    def _known_session(self, session: Session) -> Session | None:
        one = self._core.state.evses.get(session_ref(session))
        known = None if one is None else one.session
        if known is None or known.session_id != session.session_id:
            return None
        return known

    async def _need_of(self, session: Session) -> Need:
        return await read_need(
            session,
            self._core.ports.sessions,
            self._core.state.site,
            self._core.now(),
            self._core.ports.need_defaults,
        )

    def resend(self, ref: EvseRef) -> None:
        """The limit of the session at an EVSE is wanted again."""
        one = self._core.state.evses.get(ref)
        if one is not None:
            one.must_resend = self._core.needs_plan = True

    def take_reading(self, notice: LoadMeasured) -> None:
        """Other equipment was measured."""
        reading = loads.reading_of(notice)
        known = self._core.state.readings.get(notice.load_id)
        if known is not None and known.measured_at >= reading.measured_at:
            return
        self._core.state.readings[notice.load_id] = reading
        self._planning.note_load()
