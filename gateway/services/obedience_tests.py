"""Runs obedience tests when they are asked for or due, and keeps what they found.

A planned test waits for its hour, for a station that is there and set up, and for
nobody to charge at it. One test at a time at each station.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import structlog

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.domain.obedience_plan import ObediencePlan
from gateway.domain.topology import Site
from gateway.errors import RequestError, StoreError
from gateway.services.group_runner import GroupRunner
from gateway.store import commissioning as rows
from gateway.store.commissioning import Cause, TestRecord
from gateway.store.writer import Writer

LOOK_S: Final = 20.0
"""Real seconds between two looks at what is due."""
MOST_TESTS: Final = 100
"""Latest tests of a station that are shown."""

_log = structlog.get_logger()


class Trial(Protocol):
    """`services.commissioning.Commissioning.run`."""

    def __call__(
        self, station_id: StationId, *, restart: bool = False, outage_s: float = 0
    ) -> Awaitable[dict[str, object]]:
        """Test a station and store the proof."""
        ...


class Runners(Protocol):
    """What the dispatch knows of stations."""

    def runner(self, station_id: StationId) -> GroupRunner | None:
        """The runner of a station's group."""
        ...


class ObedienceTests:
    """Loop thread only."""

    def __init__(
        self,
        *,
        test: Trial,
        dispatch: Runners,
        writer: Writer,
        clock: Clock,
        site: Callable[[], Site],
        firmware_of: Callable[[StationId], str | None],
        look_s: float = LOOK_S,
    ) -> None:
        self._test = test
        self._dispatch = dispatch
        self._writer = writer
        self._clock = clock
        self._site = site
        self._firmware_of = firmware_of
        self._look_s = look_s
        self._running: set[StationId] = set()

    async def run(self) -> None:
        """Run what is due, for ever, one after the other."""
        while True:
            await asyncio.sleep(self._look_s)
            try:
                await self._run_due()
            except StoreError as error:
                _log.warning("commissioning.skipped", why=str(error))

    async def asked(
        self, station_id: StationId, *, restart: bool = False, outage_s: float = 0
    ) -> dict[str, object]:
        """Test a station now.

        Raises:
            RequestError: As `services.commissioning.Commissioning.run`; 409 it is
                tested already.
        """
        return await self._tested(Cause.ASKED, station_id, restart, outage_s)

    async def after_firmware(
        self, station_id: StationId, *, restart: bool = False
    ) -> dict[str, object]:
        """Test a station because it runs another firmware.

        Raises:
            RequestError: As `asked`.
        """
        return await self._tested(Cause.FIRMWARE, station_id, restart, 0)

    # What is planned, and what was found

    async def put_plan(self, plan: ObediencePlan) -> None:
        """Plan a test, instead of the one that was planned."""
        now = self._clock.now()
        await self._writer.run(partial(rows.put_plan, plan=plan, now=now))

    async def drop_plan(self, station_id: StationId) -> bool:
        """Plan none; False if none was planned."""
        return await self._writer.run(partial(rows.drop_plan, station_id=station_id))

    async def plan(self, station_id: StationId) -> ObediencePlan | None:
        """What is planned for a station."""
        return await self._writer.run(partial(rows.plan_of, station_id=station_id))

    async def history(self, station_id: StationId) -> Sequence[TestRecord]:
        """The tests of a station, latest first."""
        return await self._writer.run(
            partial(rows.history, station_id=station_id, limit=MOST_TESTS)
        )

    # Inside

    async def _run_due(self) -> None:
        now = self._clock.now()
        local = now.astimezone(ZoneInfo(self._site().timezone))
        for plan in await self._writer.run(partial(rows.due, now=now)):
            if plan.is_due(local) and self._is_free(plan.station_id):
                await self._run_planned(plan)

    async def _run_planned(self, plan: ObediencePlan) -> None:
        then: ObediencePlan | None
        try:
            await self._tested(
                Cause.SCHEDULE, plan.station_id, plan.restart, plan.outage_s
            )
            then = plan.after(self._clock.now())
        except RequestError as error:
            then = plan.later(self._clock.now())
            _log.warning(
                "station.not_tested", station_id=plan.station_id, why=str(error)
            )
        if await self.plan(plan.station_id) != plan:
            return  # somebody planned another meanwhile
        if then is None:
            await self.drop_plan(plan.station_id)
        else:
            await self.put_plan(then)

    def _is_free(self, station_id: StationId) -> bool:
        runner = self._dispatch.runner(station_id)
        state = None if runner is None else runner.state.stations.get(station_id)
        return (
            state is not None
            and state.station.managed
            and state.is_online
            and not state.needs_setup
            and station_id not in self._running
            and all(one.session is None for one in state.evses)
        )

    async def _tested(
        self, cause: Cause, station_id: StationId, restart: bool, outage_s: float
    ) -> dict[str, object]:
        if station_id in self._running:
            raise RequestError(409, "test_running", f"{station_id} is being tested")
        self._running.add(station_id)
        started_at = self._clock.now()
        try:
            found = await self._test(station_id, restart=restart, outage_s=outage_s)
        except RequestError as error:
            if cause is not Cause.ASKED:
                await self._keep(cause, station_id, started_at, {}, str(error))
            raise
        finally:
            self._running.discard(station_id)
        await self._keep(cause, station_id, started_at, found, None)
        return found

    async def _keep(
        self,
        cause: Cause,
        station_id: StationId,
        started_at: datetime,
        found: Mapping[str, object],
        trouble: str | None,
    ) -> None:
        steps = found.get("steps")
        record = TestRecord(
            station_id=station_id,
            started_at=started_at,
            ended_at=self._clock.now(),
            cause=cause,
            firmware=self._firmware_of(station_id),
            is_proven=None if trouble is not None else bool(found.get("is_proven")),
            trouble=trouble,
            steps=steps if isinstance(steps, list) else (),
        )
        await self._writer.run(partial(rows.add, record=record))
