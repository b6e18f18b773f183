"""Runs one group: notices in, plans and limits out, everything recorded.

One task owns the group's state. Solving and calling stations happen in child tasks that
put their results into the inbox; nothing else touches the state. A limit is on disk
before it is sent, so that a restarted gateway knows what stations may hold.
"""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import structlog

from gateway.bus import (
    FactCommitted,
    LimitChanged,
    LinkChanged,
    LoadMeasured,
    PlanMade,
    RequestChanged,
    SettingChanged,
)
from gateway.domain import dwell
from gateway.domain.capability import Feature
from gateway.domain.car_facts import NOTHING_KNOWN
from gateway.domain.envelope import Violation, unix_s
from gateway.domain.events import StationBooted
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.metering import Sample, samples_in
from gateway.domain.phase_use import NOTHING_SEEN
from gateway.domain.session import Session, SessionEvent, SessionPhase
from gateway.errors import (
    StoreError,
)
from gateway.services import (
    car_watch,
    group_limits,
    group_problem,
    group_store,
    group_succession,
    limit_verdict,
    loads,
    phase_watch,
)
from gateway.services.arrivals import Place
from gateway.services.clock_watch import ClockWatch
from gateway.services.dispatch_ports import Ports
from gateway.services.evse_state import (
    OPERATOR_CALL,
    EvseState,
    Need,
    Outgoing,
    StationState,
    key_of,
    sample_of,
    session_ref,
)
from gateway.services.fresh_samples import FreshSamples
from gateway.services.group_items import (
    Answer,
    Item,
    LimitAnswered,
    LimitsCleared,
    OperatorCall,
    ProbeAsked,
    ProbeOver,
    Reload,
    Reported,
    ResendAsked,
    Solved,
    StationFree,
    Withheld,
)
from gateway.services.group_problem import Asked
from gateway.services.group_records import NOTHING_AGAINST, GroupRecords
from gateway.services.group_state import GroupState
from gateway.services.group_store import PlanMeta
from gateway.services.late_limits import LateLimits
from gateway.services.limit_calls import clear_limits, send_limits
from gateway.services.plan_basis import QUIET_S, Basis, plan_basis, round_basis
from gateway.services.plan_pace import PlanPace, next_step, stagger_s
from gateway.services.plan_words import reasons_in_words
from gateway.services.promises import Promise, by_session, promises_of
from gateway.services.read_back import (
    FALSE_SCHEDULE,
    ReadBack,
    excess_a,
)
from gateway.services.session_need import read_need
from gateway.services.station_learning import StationLearning
from gateway.services.station_setup import CLEAR_RETRY_S, StationSetup
from optimizer import check
from optimizer.forecast import unwaiting
from optimizer.outcome import Plan
from optimizer.rescue import rescued

LONGEST_WAIT_S: Final = 60.0
"""Real seconds after which a group looks around even if nothing happened."""

SHORTEST_WAIT_S: Final = 0.02
"""Real seconds between two looks, whatever deadlines say."""

RETRY_S: Final = 30
"""Real seconds before a limit that was not answered, or was refused, is sent again."""

ENDED_BY_CAR: Final = frozenset({"Other", "StoppedByEV"})
"""Reasons with which a session ends that neither driver nor operator ended."""

PASSING: Final = (FactCommitted, LoadMeasured, Reported)
"""What may change nothing that limits rest on: see `plan_basis.round_basis`."""

LOAD_DEADBAND_DA: Final = 30
"""Other equipment that changed by less than 1 A per phase is not worth a new plan.

What is sent heeds every reading, planned anew or not.
"""

_log = structlog.get_logger()


class GroupRunner:
    """The actor of one group.

    Attributes:
        state: What is known; read-only for others.
        plan: The newest plan, if any.
        plan_meta: Where it was kept.
        reasons: Why its sessions stay short, in words.
        asked: The problem that it solves.
        promises: What its sessions may expect.
        refused: EVSEs at which nobody may be authorized; any thread may read it.
    """

    def __init__(self, root: CabinetId, state: GroupState, ports: Ports) -> None:
        self.root = root
        self.state = state
        self.plan: Plan | None = None
        self.plan_meta: PlanMeta | None = None
        self.reasons: Mapping[SessionId, str] = {}
        self.asked: Asked | None = None
        self.promises: Mapping[SessionId, Promise] = {}
        self.refused: frozenset[EvseRef] = frozenset()
        self._ports = ports
        self._inbox: list[Item] = []
        self._wake = asyncio.Event()
        self._is_solving = False
        self._needs_plan = True
        self._next_step_at: datetime | None = None
        self._is_step_over = False
        self._stagger_s = stagger_s(root, ports.step_s)
        self._pruned_on = ports.clock.now().date()
        self._records = GroupRecords(root, ports)
        self._setup = StationSetup(
            send=self._send,
            store_trust=self._records.trust,
            start_clearing=self._start_clearing,
            retry=timedelta(seconds=CLEAR_RETRY_S * ports.clock.speed),
        )
        self._learning = StationLearning(records=self._records, setup=self._setup)
        self._read_back = ReadBack(ports)
        self._taken: dict[StationId, Outgoing] = {}
        self._fresh = FreshSamples(ports)
        self._late = LateLimits(setup=self._setup, records=self._records)
        self._clock = ClockWatch(ports.clock.speed)
        self._planned_load_da = 0
        self._pace = PlanPace(ports.plan_gap_s)
        self._planned: Basis = ()
        self._looked: Basis = ()
        self._looked_s = -QUIET_S
        self._tasks: asyncio.TaskGroup | None = None

    def offer(self, item: Item) -> None:
        """Put something into the inbox; never blocks."""
        self._inbox.append(item)
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self._records.unanswered(tuple(self.state.stations))
            await self._restore()
            while True:
                await self._turn()
                await self._rest()

    def _watch_clock(self) -> None:
        loop_s = asyncio.get_running_loop().time()
        if self._clock.look(self._now(), loop_s, self.state.site.hold_time_s):
            _log.critical("clock.jumped", group_id=self.root, by_s=self._clock.doubt_s)
        self.state.clock_doubt_s = self._clock.doubt_s

    # Waiting

    async def _rest(self) -> None:
        now = self._now()
        deadlines = [
            group_limits.next_deadline(self.state, now),
            self._next_step_at,
            *self._setup.deadlines(now),
            self._fresh.deadline(self.state, now),
        ]
        wait_s = LONGEST_WAIT_S
        if (self._needs_plan or self._is_step_over) and not self._is_solving:
            wait_s = self._pace.left_s(asyncio.get_running_loop().time())
        for deadline in deadlines:
            if deadline is not None:
                site_s = (deadline - now).total_seconds()
                wait_s = min(wait_s, self._ports.clock.real_s(site_s))
        try:
            async with asyncio.timeout(max(SHORTEST_WAIT_S, wait_s)):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._ports.debounce_s)

    # One turn

    async def _turn(self) -> None:
        self._wake.clear()
        self._watch_clock()
        items, self._inbox = self._inbox, []
        for item in items:
            await self._take(item)
        await self._records.flush()
        now = self._now()
        for one in self.state.evses.values():
            phase_watch.forget_stale(one, now)
        if self._next_step_at is None or now >= self._next_step_at:
            if self._next_step_at is not None and now.date() > self._pruned_on:
                self._pruned_on = now.date()
                await self._records.prune(now)
            self._next_step_at = next_step(now, self._ports.step_s, self._stagger_s)
            self._is_step_over = True
        for station in tuple(self.state.stations.values()):
            await self._setup.proceed(self.state, station, now)
        if plan_basis(self.state) != self._planned:
            self._needs_plan = True
        if self._may_plan():
            self._start_solving(now)
        if self._is_round_due(items):
            self._looked_s = asyncio.get_running_loop().time()
            await self._send_round()
            self.refused = group_limits.not_admitted(self.state, self._now())
            self._looked = round_basis(self.state)
        for one in self._fresh.due(self.state, now):
            self._spawn(self._fresh.ask(one), f"sample.{one.evse.ref.station_id}")

    def _may_plan(self) -> bool:
        """Whether a plan is due; what comes all at once is planned all at once."""
        loop_s = asyncio.get_running_loop().time()
        if self._is_solving or self._pace.left_s(loop_s) > 0:
            return False
        if not self._needs_plan and not self._is_step_over:
            return False
        self._pace.begin(loop_s)
        return True

    def _is_round_due(self, items: Sequence[Item]) -> bool:
        """Whether other limits may be worth sending: most samples change nothing."""
        waited_s = asyncio.get_running_loop().time() - self._looked_s
        return (
            waited_s >= QUIET_S
            or not all(isinstance(one, PASSING) for one in items)
            or not items
            or round_basis(self.state) != self._looked
        )

    async def _take(self, item: Item) -> None:
        match item:
            case FactCommitted():
                await self._take_fact(item)
            case LinkChanged():
                self._note_link(item.station_id, is_online=item.is_online)
                self._needs_plan = True
            case RequestChanged():
                await self._take_request(item.session_id)
            case LoadMeasured():
                self._take_reading(item)
            case SettingChanged():
                await self._restore()
            case ResendAsked():
                self._resend(item.ref)
            case Withheld():
                self.state.withheld = item.taken
                self._needs_plan = True
            case Reload():
                await self._restore()
                for station_id in self.state.stations:  # it may have restarted unheard
                    self._setup.restart(station_id)
                    self.state.boot(station_id, None)
            case _:
                await self._take_result(item)

    async def _take_result(
        self,
        item: LimitAnswered
        | StationFree
        | LimitsCleared
        | Solved
        | OperatorCall
        | ProbeAsked
        | ProbeOver
        | Reported,
    ) -> None:
        match item:
            case LimitAnswered():
                await self._take_answer(item)
            case StationFree():
                await self._free(item.station_id)
            case LimitsCleared():
                await self._take_cleared(item)
            case Solved():
                await self._take_plan(item)
            case OperatorCall():
                await self._take_operator_call(item)
            case ProbeAsked():
                await self._take_probe(item)
            case Reported():
                await self._take_reported(item)
            case ProbeOver():
                self._setup.restart(item.station_id)
                state = self.state.stations.get(item.station_id)
                if state is not None:
                    state.needs_setup = True
            case _:
                assert_never(item)

    async def _take_fact(self, notice: FactCommitted) -> None:
        event, session, now = notice.event, notice.session, self._now()
        if isinstance(event, StationBooted) and not notice.is_backlog:
            self._setup.restart(event.station_id)
            trust = self.state.boot(event.station_id, event.firmware)
            self._note_link(event.station_id, is_online=True)
            if trust is not None:
                await self._records.trust(trust)
            await self._learning.refresh(self.state, event.station_id)
            self._read_back.restarted(event.station_id)
            self._needs_plan = True
        if session is None:
            return
        before = self._known_session(session)
        need = None
        if before is None and session.phase is SessionPhase.RUNNING:
            need = await self._need_of(session)
            await self._learning.refresh(self.state, session.station_id)
        samples = samples_in(event) if isinstance(event, SessionEvent) else ()
        await self._fold(
            session, need, now, is_live=not notice.is_backlog, samples=samples
        )
        if (
            before is None
            or session.phase is not before.phase
            or session.transaction_id != before.transaction_id
        ):
            self._needs_plan = True

    def _note_link(self, station_id: StationId, *, is_online: bool) -> None:
        """Online is who may be managed: connected, and accepted at its last boot."""
        can = is_online and self._ports.stations.is_online(station_id)
        self.state.link(station_id, is_online=can)

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
        ref = session_ref(session)
        one = self.state.evses.get(ref)
        car = NOTHING_KNOWN if one is None else one.car
        use = NOTHING_SEEN if one is None else one.use
        if one is not None and is_live:
            await self._note_pause(one, session, now)
        gone = self.state.session(session, need, now, is_live=is_live, samples=samples)
        if gone:
            await self._records.forget(gone)
        if one is None:
            return
        is_over = session.phase is SessionPhase.ENDED
        if is_over or self._known_session(session) is not None:
            await self._records.phases(session, one.use.against)
        if not is_live:
            return
        obeyed = limit_verdict.obeyed(self.state, session, now)
        if obeyed is not None:
            await self._records.measured(obeyed, now)
        self._watch_car(one, now)
        phase_watch.tell(one, use, self.state.site)
        await self._records.car(session, car, one.car)
        if self.state.misbehaves(ref, now):
            disobeyed = limit_verdict.disobeyed(self.state, session)
            if disobeyed is not None:
                await self._records.measured(disobeyed, now)
            trust = self.state.distrust(session.station_id, "ignored_limit")
            _log.critical(
                "station.disobeyed",
                station_id=session.station_id,
                session_id=session.session_id,
                current_a=session.current_a,
                power_w=session.power_w,
            )
            if trust is not None:
                await self._records.trust(trust)
            self._needs_plan = True

    def _watch_car(self, one: EvseState, now: datetime) -> None:
        """A car that turns out different, or strays from its plan, needs a new one."""
        learned = car_watch.watch(one, now, skew_s=self.state.skew_s(one))
        if learned or car_watch.strays(one, now):
            self._needs_plan = True
            _log.info(
                "car.differs",
                evse=str(one.evse.ref),
                learned=learned,
                facts=one.car.planned(),
            )

    async def _take_request(self, session_id: SessionId) -> None:
        for one in self.state.evses.values():
            if one.session is not None and one.session.session_id == session_id:
                one.need = await self._need_of(one.session)
                self._needs_plan = True

    def _resend(self, ref: EvseRef) -> None:
        one = self.state.evses.get(ref)
        if one is not None:
            one.must_resend = self._needs_plan = True

    def _take_reading(self, notice: LoadMeasured) -> None:
        reading = loads.reading_of(notice)
        known = self.state.readings.get(notice.load_id)
        if known is not None and known.measured_at >= reading.measured_at:
            return
        self.state.readings[notice.load_id] = reading
        total_da = self._load_da()
        if abs(total_da - self._planned_load_da) >= LOAD_DEADBAND_DA:
            self._needs_plan = True

    async def _take_answer(self, item: LimitAnswered) -> None:
        now = self._now()
        gone: set[int] = set()
        station_id, command = item.outgoing.station_id, item.outgoing.command
        match item.answer:
            case _ if item.is_late:
                gone = await self._late.take(self.state, item, now)
                self._needs_plan = True
            case Answer.ACCEPTED:
                gone = self.state.accepted(item.outgoing, item.command_id, now)
                self._taken[station_id] = item.outgoing
            case Answer.REFUSED | Answer.NOT_SENT:
                self.state.refused(item.outgoing, item.command_id)
            case Answer.UNKNOWN:
                pass  # it stays: the station may hold it
            case _:
                assert_never(item.answer)
        if item.answer is not Answer.ACCEPTED and not item.is_late:
            self._wait_before_retry(station_id, now)
            if item.outgoing.session_id is None:
                self._setup.default_failed(station_id, command.evse_id, item.answer)
        if self._ports.churn is not None and item.answer is Answer.REFUSED:
            self._ports.churn.refused()
        if await self._learning.answered(self.state, item):
            self._hurry(station_id)
        await self._records.answer(item, gone, now)
        for ref in item.outgoing.refs:
            self._ports.bus.publish(
                LimitChanged(
                    evse=ref,
                    limit_da=command.schedule.at(now),
                    status=item.answer.value,
                    at=now,
                )
            )
        _log.info(
            "limit.answered",
            station_id=item.outgoing.station_id,
            evse=command.evse_id,
            purpose=command.purpose.value,
            limit_a=command.schedule.at(now) / 10,
            status=item.answer.value,
            is_late=item.is_late,
            latency_s=round(item.latency_s, 3),
        )

    async def _take_cleared(self, item: LimitsCleared) -> None:
        now = self._now()
        state = self.state.stations.get(item.station_id)
        if state is None:
            return
        if item.is_late:
            await self._take_cleared_late(state, item)
            return
        state.is_busy = False
        gone = self.state.wiped(item.station_id, surely=item.done)
        self._setup.cleared(item.station_id, now, done=item.done)
        await self._records.forget(gone)

    async def _take_cleared_late(
        self, station: StationState, item: LimitsCleared
    ) -> None:
        """What was set since the call may have gone with the rest: it is set again."""
        station.retry_at = None  # it answers
        trust = self.state.before_clearing(item.station_id)
        self.state.wiped(item.station_id, surely=False)
        self._setup.cleared_late(station, done=item.done)
        if trust is not None:
            await self._records.trust(trust)

    async def _take_operator_call(self, item: OperatorCall) -> None:
        found = group_limits.exceeds_as_rated(self.state, item.station_id, self._now())
        if found and not item.override:
            _answer(item.verdict, found)
            return
        trust = self.state.distrust(item.station_id, OPERATOR_CALL)
        self._needs_plan = True
        if trust is not None:
            self._setup.restart(item.station_id)
            if not await self._records.trust(trust):
                _fail(item.verdict, "the doubt about the station cannot be stored")
                return
        _answer(item.verdict, ())

    async def _take_probe(self, item: ProbeAsked) -> None:
        now, state = self._now(), self.state.stations.get(item.station_id)
        is_free = (
            state is not None
            and state.is_online
            and not state.is_busy
            and not state.needs_setup
            and all(one.session is None for one in state.evses)
        )
        batch = group_limits.probes_of(state, now) if state and is_free else []
        if batch and not group_limits.check(self.state, batch, now):
            await self._send(batch, now)
        is_sent = state is not None and is_free and state.is_busy
        if not item.verdict.done():
            item.verdict.set_result(is_sent)

    async def _take_plan(self, item: Solved) -> None:
        self._is_solving = False
        now = self._now()
        plan = item.outcome.plan
        broken = check(item.asked.problem, plan)
        if broken:
            _log.critical("plan.refused", group_id=self.root, rule=broken[0].rule.value)
            return
        reasons = reasons_in_words(item.asked, plan, ZoneInfo(self.state.site.timezone))
        promised = promises_of(item.asked, plan, self.state, reasons, now)
        meta = await self._records.write(
            lambda conn: group_store.record_plan(
                conn,
                item.asked,
                item.outcome,
                cabinet_id=self.root,
                promises=promised,
                now=now,
                seal=self._ports.seal,
            )
        )
        if meta is None:
            return
        self.plan, self.plan_meta, self.reasons = plan, meta, reasons
        self.asked, self.promises = item.asked, by_session(promised)
        if self._ports.batteries is not None:
            self._ports.batteries.take(plan)
        levels = group_problem.levels_of(plan)
        expected = group_problem.expected_of(item.asked, plan)
        for one in self.state.evses.values():
            if one.session is not None and one.session.session_id in levels:
                one.levels = levels[one.session.session_id]
                one.expected = expected.get(one.session.session_id)
        self._ports.bus.publish(
            PlanMade(
                cabinet_id=self.root,
                plan_id=meta.plan_id,
                outcome=meta.outcome,
                at=now,
            )
        )
        _log.info(
            "plan.made",
            group_id=self.root,
            outcome=meta.outcome,
            n_session=len(plan.session_ids),
            solve_s=round(plan.solve_s, 3),
            shortfall_wh=sum(plan.shortfall_wh),
            why=meta.why,
        )

    # Planning

    def _start_solving(self, now: datetime) -> None:
        is_urgent = self._needs_plan
        self._needs_plan = self._is_step_over = False
        self._planned = plan_basis(self.state)
        self._planned_load_da = self._load_da()
        ports = self._ports
        asked = group_problem.build(
            self.state,
            now,
            step_s=ports.step_s,
            n_step=max(1, ports.horizon_s // ports.step_s),
            prices=ports.prices,
            feed_in=ports.feed_in,
            usual_load=ports.usual_load,
            battery_wh=None if ports.batteries is None else ports.batteries.energy_wh,
            mode=ports.mode,
        )
        self._is_solving = True
        self._spawn(self._solve(asked, is_urgent=is_urgent), f"solve.{self.root}")

    async def _solve(self, asked: Asked, *, is_urgent: bool) -> None:
        asked = await self._foreseen(asked)
        problem = unwaiting(asked.problem, asked.silent)
        problem = rescued(problem, group_problem.had_wh(asked))
        asked = replace(asked, problem=problem)
        outcome = await self._ports.solver.solve(asked.problem, is_urgent=is_urgent)
        self.offer(Solved(asked=asked, outcome=outcome))

    async def _foreseen(self, asked: Asked) -> Asked:
        """Heed cars that still come; the state was read before, and is not again."""
        if self._ports.arrivals is None:
            return asked
        places = {
            ref: Place(cabinets=self.state.paths[ref], n_phase=len(one.evse.phases))
            for ref, one in self.state.evses.items()
        }
        try:
            problem = await self._ports.arrivals.foreseen(asked.problem, places)
        except StoreError as error:
            _log.warning("plan.history_unread", group_id=self.root, why=str(error))
            return asked
        return replace(asked, problem=problem)

    # Sending

    async def _send_round(self) -> None:
        now = self._now()
        batch = group_limits.next_limits(self.state, now)
        if batch:
            await self._send(batch, now)

    async def _send(self, batch: Sequence[Outgoing], now: datetime) -> None:
        """Check, record, then send; one call at a time to each station."""
        broken = group_limits.check(self.state, batch, now)
        if broken:
            _log.critical(
                "limit.withheld", group_id=self.root, violation=str(broken[0])
            )
            batch = group_limits.without_increases(self.state, batch, now)
            if not batch or group_limits.check(self.state, batch, now):
                return
        plan_id = None if self.plan_meta is None else self.plan_meta.plan_id
        ids = await self._records.batch(batch, plan_id=plan_id, now=now)
        if ids is None:
            self._looked_s = -QUIET_S  # tried again at the next look
            return
        per_station: dict[StationId, list[tuple[int, Outgoing]]] = defaultdict(list)
        for command_id, outgoing in zip(ids, batch, strict=True):
            self.state.add_sent(outgoing, command_id)
            if self._ports.churn is not None:
                self._ports.churn.sent(outgoing.station_id)
            per_station[outgoing.station_id].append((command_id, outgoing))
        for station_id, limits in per_station.items():
            self.state.stations[station_id].is_busy = True
            self._spawn(
                self._call_all(station_id, limits, now, plan_id),
                f"limits.{station_id}",
            )

    async def _call_all(
        self,
        station_id: StationId,
        limits: Iterable[tuple[int, Outgoing]],
        sent_at: datetime,
        plan_id: int | None,
    ) -> None:
        async for answered in send_limits(
            self._ports, limits, sent_at, plan_id, self.offer
        ):
            self.offer(answered)
        self.offer(StationFree(station_id=station_id))

    def _start_clearing(self, station_id: StationId) -> None:
        self._spawn(self._clear(station_id), f"clear.{station_id}")

    async def _clear(self, station_id: StationId) -> None:
        def came_late(done: bool) -> None:
            self.offer(LimitsCleared(station_id=station_id, done=done, is_late=True))

        done = await clear_limits(self._ports, station_id, came_late)
        self.offer(LimitsCleared(station_id=station_id, done=done))

    # Small things

    async def _restore(self) -> None:
        """Read everything from the store; calls under way stay counted."""
        ports = self._ports
        site, now = ports.site(), self._now()
        old = self.state
        group = site.group(self.root)
        ids = [station.id for station in group.stations]
        if not await self._records.flush():
            return  # what is stored would trust a station still
        stored = await self._records.write(
            lambda conn: group_store.load(conn, ids, now)
        )
        if stored is None:
            return  # what is known goes on to count
        state = group_store.state_of(site, self.root, stored)
        for station_id, station in state.stations.items():
            station.is_online = ports.stations.is_online(station_id)
        group_succession.succeed(state, old, now)
        self._records.phases_stored(stored.car_phases)
        self._learning.take(state, stored.capabilities)
        self.state = state
        for session in await ports.sessions.open_sessions():
            if session_ref(session) in state.evses:
                need = await self._need_of(session)
                gone = state.session(session, need, now, is_live=False)
                await self._records.forget(gone)
                car = stored.cars.get(session.session_id, NOTHING_KNOWN)
                one = state.evses[session_ref(session)]
                one.car = car.at(now)
                used, is_barred = stored.car_phases.get(
                    session.session_id, NOTHING_AGAINST
                )
                phase_watch.restore(one, used, is_barred=is_barred)
                group_succession.resume(state, session, old, now)
        self._needs_plan = True

    async def _free(self, station_id: StationId) -> None:
        station = self.state.stations.get(station_id)
        if station is not None:
            station.is_busy = False
            await self._setup.called(self.state, station, self._now())
            self._look_back(station)

    async def _need_of(self, session: Session) -> Need:
        return await read_need(
            session,
            self._ports.sessions,
            self.state.site,
            self._now(),
            self._ports.need_defaults,
        )

    def _wait_before_retry(self, station_id: StationId, now: datetime) -> None:
        state = self.state.stations.get(station_id)
        if state is not None:
            site_s = RETRY_S * self._ports.clock.speed
            state.retry_at = now + timedelta(seconds=site_s)

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
            await self._learning.seen_at_zero(self.state, session.station_id, shown)

    def _look_back(self, station: StationState) -> None:
        """Ask a station what it makes of what it took last, if that is due.

        Not while it is set up: what it holds is about to be cleared.
        """
        if station.needs_setup:
            return
        outgoing = self._taken.pop(station.station.id, None)
        concerned = [] if outgoing is None else self.state.concerned(outgoing)
        if (
            outgoing is not None
            and concerned
            and self._read_back.is_due(self.state, outgoing)
        ):
            self._spawn(
                self._ask_back(concerned[0].evse.ref), f"back.{outgoing.station_id}"
            )

    async def _ask_back(self, ref: EvseRef) -> None:
        one = self.state.evses.get(key_of(ref))
        if one is None:
            return
        found = await self._read_back.ask_twice(self.state, one)
        if found is not None:
            self.offer(found)

    async def _take_reported(self, item: Reported) -> None:
        station_id = item.ref.station_id
        self._read_back.heard(item)
        if item.takes is not None and station_id in self.state.stations:
            await self._learning.note(
                self.state, station_id, Feature.COMPOSITE, takes=item.takes
            )
        above_a = excess_a(self.state, item)
        if above_a is None:
            return
        station = self.state.stations[station_id]
        if station.trust.doubt == FALSE_SCHEDULE:
            return
        _log.critical(
            "limit.contradicted",
            station_id=station_id,
            evse=item.ref.evse_id,
            above_a=round(above_a, 1),
        )
        trust = self.state.distrust(station_id, FALSE_SCHEDULE)
        self._needs_plan = True
        if trust is not None:
            await self._records.trust(trust)

    def _hurry(self, station_id: StationId) -> None:
        state = self.state.stations.get(station_id)
        if state is not None:
            state.retry_at = None

    def _known_session(self, session: Session) -> Session | None:
        one = self.state.evses.get(session_ref(session))
        known = None if one is None else one.session
        if known is None or known.session_id != session.session_id:
            return None
        return known

    def _load_da(self) -> int:
        return loads.total_da(
            self.state.group,
            self.state.readings,
            now=self._now(),
            phase_v=self.state.site.phase_v,
        )

    def _spawn(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        assert self._tasks is not None  # run() opened the group
        self._tasks.create_task(coroutine, name=name)

    def _now(self) -> datetime:
        return self._ports.clock.now()


def _answer(
    verdict: asyncio.Future[tuple[Violation, ...]], found: tuple[Violation, ...]
) -> None:
    if not verdict.done():  # whoever asked may have gone
        verdict.set_result(found)


def _fail(verdict: asyncio.Future[tuple[Violation, ...]], why: str) -> None:
    if not verdict.done():
        verdict.set_exception(StoreError(why))
