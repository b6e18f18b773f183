"""Runs one group: notices in, plans and limits out, everything recorded.

One task owns the group's state. Solving and calling stations happen in child tasks that
put their results into the inbox; nothing else touches the state. A limit is on disk
before it is sent, so that a restarted gateway knows what stations may hold.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog

from gateway.bus import (
    FactCommitted,
    LinkChanged,
    LoadMeasured,
    RequestChanged,
    SettingChanged,
)
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.services import group_limits, phase_watch
from gateway.services.clock_watch import ClockWatch
from gateway.services.dispatch_ports import Ports
from gateway.services.fresh_samples import FreshSamples
from gateway.services.group_admissions import (
    UNUSED_S,
    GroupAdmissions,
    what_is_left,
)
from gateway.services.group_core import GroupCore
from gateway.services.group_facts import GroupFacts
from gateway.services.group_items import (
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
from gateway.services.group_planning import GroupPlanning
from gateway.services.group_state import GroupState
from gateway.services.limit_answers import LimitAnswers
from gateway.services.limit_sending import LimitSending
from gateway.services.plan_pace import next_step, stagger_s
from gateway.services.read_back import ReadBack
from gateway.services.station_learning import StationLearning
from gateway.services.station_setup import CLEAR_RETRY_S, StationSetup

LONGEST_WAIT_S: Final = 60.0
"""Real seconds after which a group looks around even if nothing happened."""

SHORTEST_WAIT_S: Final = 0.02
"""Real seconds between two looks, whatever deadlines say."""

_log = structlog.get_logger()


class GroupRunner:
    """The actor of one group.

    Attributes:
        planning: The newest plan; read-only for others.
        admissions: Who may be authorized; any thread may ask it.
    """

    def __init__(self, root: CabinetId, state: GroupState, ports: Ports) -> None:
        self.root = root
        self.admissions = GroupAdmissions(
            timedelta(seconds=UNUSED_S * ports.clock.speed)
        )
        self._ports = ports
        self._core = core = GroupCore(root, state, ports)
        self.planning = GroupPlanning(core)
        self._sending = LimitSending(core, self.planning)
        self._setup = StationSetup(
            send=self._sending.send,
            store_trust=core.records.trust,
            start_clearing=self._sending.start_clearing,
            retry=timedelta(seconds=CLEAR_RETRY_S * ports.clock.speed),
        )
        learning = StationLearning(records=core.records, setup=self._setup)
        read_back = ReadBack(ports)
        self._facts = GroupFacts(
            core,
            setup=self._setup,
            learning=learning,
            read_back=read_back,
            planning=self.planning,
        )
        self._answers = LimitAnswers(
            core,
            setup=self._setup,
            learning=learning,
            read_back=read_back,
            sending=self._sending,
        )
        self._unproven: set[EvseRef] = set()
        self._next_step_at: datetime | None = None
        self._stagger_s = stagger_s(root, ports.step_s)
        self._pruned_on = ports.clock.now().date()
        self._fresh = FreshSamples(ports)
        self._clock = ClockWatch(ports.clock.speed)

    @property
    def state(self) -> GroupState:
        """What is known; read-only for others."""
        return self._core.state

    def offer(self, item: Item) -> None:
        """Put something into the inbox; never blocks."""
        self._core.offer(item)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._core.tasks = tasks
            await self._core.records.unanswered(tuple(self.state.stations))
            await self._facts.restore()
            while True:
                await self._turn()
                await self._rest()

    def _watch_clock(self) -> None:
        loop_s = asyncio.get_running_loop().time()
        if self._clock.look(self._core.now(), loop_s, self.state.site.hold_time_s):
            _log.critical("clock.jumped", group_id=self.root, by_s=self._clock.doubt_s)
        self.state.clock_doubt_s = self._clock.doubt_s

    async def _rest(self) -> None:
        now = self._core.now()
        deadlines = [
            group_limits.next_deadline(self.state, now),
            self._next_step_at,
            *self._setup.deadlines(now),
            self._fresh.deadline(self.state, now),
        ]
        plan_in_s = self.planning.wait_s()
        wait_s = LONGEST_WAIT_S if plan_in_s is None else plan_in_s
        for deadline in deadlines:
            if deadline is not None:
                site_s = (deadline - now).total_seconds()
                wait_s = min(wait_s, self._ports.clock.real_s(site_s))
        try:
            async with asyncio.timeout(max(SHORTEST_WAIT_S, wait_s)):
                await self._core.wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._ports.debounce_s)

    async def _turn(self) -> None:
        items = self._core.taken()
        self._watch_clock()
        for item in items:
            await self._take(item)
        self._note_doubts()
        await self._core.records.flush()
        now = self._core.now()
        for one in self.state.evses.values():
            phase_watch.forget_stale(one, now)
        await self._step_on(now)
        for station in tuple(self.state.stations.values()):
            await self._setup.proceed(self.state, station, now)
        self.planning.proceed(now)
        await self._look(items)
        for one in self._fresh.due(self.state, now):
            self._core.spawn(self._fresh.ask(one), f"sample.{one.evse.ref.station_id}")

    def _note_doubts(self) -> None:
        """Who is let in is decided anew at once where a station restarted."""
        state = self.state
        unproven = {r for r, one in state.evses.items() if not state.is_trusted(one)}
        if unproven != self._unproven:
            self._unproven = unproven
            self.admissions.looked(what_is_left(state, self._core.now()))

    async def _step_on(self, now: datetime) -> None:
        """Notice the end of a step of the plan, and that of a day."""
        if self._next_step_at is not None and now < self._next_step_at:
            return
        if self._next_step_at is not None and now.date() > self._pruned_on:
            self._pruned_on = now.date()
            await self._core.records.prune(now)
        self._next_step_at = next_step(now, self._ports.step_s, self._stagger_s)
        self.planning.step_over()

    async def _look(self, items: Sequence[Item]) -> None:
        if await self._sending.look(items):
            self.admissions.looked(what_is_left(self.state, self._core.now()))

    async def _take(self, item: Item) -> None:
        match item:
            case FactCommitted():
                await self._facts.take(item)
            case LinkChanged():
                self._facts.note_link(item.station_id, is_online=item.is_online)
                self._core.needs_plan = True
            case RequestChanged():
                await self._facts.take_request(item.session_id)
            case LoadMeasured():
                self._facts.take_reading(item)
            case SettingChanged():
                await self._facts.restore()
            case ResendAsked():
                self._facts.resend(item.ref)
            case Withheld():
                self.state.withheld = item.taken
                self._core.needs_plan = True
            case Reload():
                await self._facts.restore()
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
                await self._answers.take(item)
            case StationFree():
                await self._answers.free(item.station_id)
            case LimitsCleared():
                await self._answers.take_cleared(item)
            case Solved():
                await self.planning.take(item)
            case OperatorCall():
                await self._answers.take_operator_call(item)
            case ProbeAsked():
                await self._answers.take_probe(item)
            case Reported():
                await self._answers.take_reported(item)
            case ProbeOver():
                self._end_probe(item.station_id)
            case _:
                assert_never(item)

    def _end_probe(self, station_id: StationId) -> None:
        self._setup.restart(station_id)
        state = self.state.stations.get(station_id)
        if state is not None:
            state.needs_setup = True
