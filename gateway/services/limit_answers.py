"""Takes what the stations of a group answer, and who asks before a call to them."""

import asyncio
from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog

from gateway.bus import (
    LimitChanged,
)
from gateway.domain.capability import Feature
from gateway.domain.envelope import Violation
from gateway.domain.ids import EvseRef, StationId
from gateway.errors import (
    StoreError,
)
from gateway.services import (
    group_limits,
)
from gateway.services.evse_state import (
    OPERATOR_CALL,
    Outgoing,
    StationState,
    key_of,
)
from gateway.services.group_core import GroupCore
from gateway.services.group_items import (
    Answer,
    LimitAnswered,
    LimitsCleared,
    OperatorCall,
    ProbeAsked,
    Reported,
)
from gateway.services.late_limits import LateLimits
from gateway.services.limit_sending import LimitSending
from gateway.services.read_back import (
    FALSE_SCHEDULE,
    ReadBack,
    excess_a,
)
from gateway.services.station_learning import StationLearning
from gateway.services.station_setup import StationSetup

RETRY_S: Final = 30
"""Real seconds before a limit that was not answered, or was refused, is sent again."""

_log = structlog.get_logger()


class LimitAnswers:
    """Settles what stations hold by what they answered.

    Args:
        core: What the parts of the runner share.
        setup: Hears how safe defaults were answered.
        learning: Hears what stations take.
        read_back: Says what is asked back.
        sending: Sends the steps of an obedience test.
    """

    def __init__(
        self,
        core: GroupCore,
        *,
        setup: StationSetup,
        learning: StationLearning,
        read_back: ReadBack,
        sending: LimitSending,
    ) -> None:
        self._core = core
        self._setup = setup
        self._learning = learning
        self._read_back = read_back
        self._sending = sending
        self._late = LateLimits(setup=setup, records=core.records)
        self._taken: dict[StationId, Outgoing] = {}

    async def take(self, item: LimitAnswered) -> None:
        """Take how a station answered a limit, or that it did not."""
        core, now = self._core, self._core.now()
        gone: set[int] = set()
        station_id, command = item.outgoing.station_id, item.outgoing.command
        match item.answer:
            case _ if item.is_late:
                gone = await self._late.take(core.state, item, now)
                core.needs_plan = True
            case Answer.ACCEPTED:
                gone = core.state.accepted(item.outgoing, item.command_id, now)
                self._taken[station_id] = item.outgoing
            case Answer.REFUSED | Answer.NOT_SENT:
                core.state.refused(item.outgoing, item.command_id)
            case Answer.UNKNOWN:
                pass  # it stays: the station may hold it
            case _:
                assert_never(item.answer)
        if item.answer is not Answer.ACCEPTED and not item.is_late:
            self._wait_before_retry(station_id, now)
            if item.outgoing.session_id is None:
                self._setup.default_failed(station_id, command.evse_id, item.answer)
        if core.ports.churn is not None and item.answer is Answer.REFUSED:
            core.ports.churn.refused()
        if await self._learning.answered(core.state, item):
            self._hurry(station_id)
        await core.records.answer(item, gone, now)
        for ref in item.outgoing.refs:
            core.ports.bus.publish(
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

    async def take_cleared(self, item: LimitsCleared) -> None:
        """Take what became of clearing a station."""
        now = self._core.now()
        state = self._core.state.stations.get(item.station_id)
        if state is None:
            return
        if item.is_late:
            await self._take_cleared_late(state, item)
            return
        state.is_busy = False
        gone = self._core.state.wiped(item.station_id, surely=item.done)
        self._setup.cleared(item.station_id, now, done=item.done)
        await self._core.records.forget(gone)

    async def _take_cleared_late(
        self, station: StationState, item: LimitsCleared
    ) -> None:
        """What was set since the call may have gone with the rest: it is set again."""
        station.retry_at = None  # it answers
        trust = self._core.state.before_clearing(item.station_id)
        self._core.state.wiped(item.station_id, surely=False)
        self._setup.cleared_late(station, done=item.done)
        if trust is not None:
            await self._core.records.trust(trust)

    async def take_operator_call(self, item: OperatorCall) -> None:
        """Say whether an operator's call may be sent, and doubt its station if so."""
        found = group_limits.exceeds_as_rated(
            self._core.state, item.station_id, self._core.now()
        )
        if found and not item.override:
            _answer(item.verdict, found)
            return
        trust = self._core.state.distrust(item.station_id, OPERATOR_CALL)
        self._core.needs_plan = True
        if trust is not None:
            self._setup.restart(item.station_id)
            if not await self._core.records.trust(trust):
                _fail(item.verdict, "the doubt about the station cannot be stored")
                return
        _answer(item.verdict, ())

    async def take_probe(self, item: ProbeAsked) -> None:
        """Send a step of the obedience test to an idle station."""
        now, state = self._core.now(), self._core.state.stations.get(item.station_id)
        is_free = (
            state is not None
            and state.is_online
            and not state.is_busy
            and not state.needs_setup
            and all(one.session is None for one in state.evses)
        )
        batch = group_limits.probes_of(state, now) if state and is_free else []
        if batch and not group_limits.check(self._core.state, batch, now):
            await self._sending.send(batch, now)
        is_sent = state is not None and is_free and state.is_busy
        if not item.verdict.done():
            item.verdict.set_result(is_sent)

    async def free(self, station_id: StationId) -> None:
        """The calls to a station are over."""
        station = self._core.state.stations.get(station_id)
        if station is not None:
            station.is_busy = False
            await self._setup.called(self._core.state, station, self._core.now())
            self._look_back(station)

    def _wait_before_retry(self, station_id: StationId, now: datetime) -> None:
        state = self._core.state.stations.get(station_id)
        if state is not None:
            site_s = RETRY_S * self._core.ports.clock.speed
            state.retry_at = now + timedelta(seconds=site_s)

    def _look_back(self, station: StationState) -> None:
        """Ask a station what it makes of what it took last, if that is due.

        Not while it is set up: what it holds is about to be cleared.
        """
        if station.needs_setup:
            return
        outgoing = self._taken.pop(station.station.id, None)
        concerned = [] if outgoing is None else self._core.state.concerned(outgoing)
        if (
            outgoing is not None
            and concerned
            and self._read_back.is_due(self._core.state, outgoing)
        ):
            self._core.spawn(
                self._ask_back(concerned[0].evse.ref), f"back.{outgoing.station_id}"
            )

    async def _ask_back(self, ref: EvseRef) -> None:
        one = self._core.state.evses.get(key_of(ref))
        if one is None:
            return
        found = await self._read_back.ask_twice(self._core.state, one)
        if found is not None:
            self._core.offer(found)

    async def take_reported(self, item: Reported) -> None:
        """Compare what a station reports with what it was told."""
        station_id = item.ref.station_id
        self._read_back.heard(item)
        if item.takes is not None and station_id in self._core.state.stations:
            await self._learning.note(
                self._core.state, station_id, Feature.COMPOSITE, takes=item.takes
            )
        above_a = excess_a(self._core.state, item)
        if above_a is None:
            return
        station = self._core.state.stations[station_id]
        if station.trust.doubt == FALSE_SCHEDULE:
            return
        _log.critical(
            "limit.contradicted",
            station_id=station_id,
            evse=item.ref.evse_id,
            above_a=round(above_a, 1),
        )
        trust = self._core.state.distrust(station_id, FALSE_SCHEDULE)
        self._core.needs_plan = True
        if trust is not None:
            await self._core.records.trust(trust)

    def _hurry(self, station_id: StationId) -> None:
        state = self._core.state.stations.get(station_id)
        if state is not None:
            state.retry_at = None


def _answer(
    verdict: asyncio.Future[tuple[Violation, ...]], found: tuple[Violation, ...]
) -> None:
    if not verdict.done():  # whoever asked may have gone
        verdict.set_result(found)


def _fail(verdict: asyncio.Future[tuple[Violation, ...]], why: str) -> None:
    if not verdict.done():
        verdict.set_exception(StoreError(why))
