"""Looks every hour whether the sessions below a main meter claim more than it counted.

That is a fact about all of them together, and never says which one is wrong; so it is
an alarm to people, told once until it is over, and holds no bill by itself.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from gateway.bus import AlarmRaised, Bus
from gateway.clock import Clock
from gateway.domain.ids import CabinetId
from gateway.domain.main_meter import Fit
from gateway.domain.topology import Site
from gateway.errors import StoreError
from gateway.services.residual import Residual, of_cabinet
from gateway.store.queries import Queries

EVERY: Final = timedelta(hours=1)
WINDOW: Final = timedelta(days=1)
SEVERITY: Final = 2
"""A hardware failure, or somebody tampered (2.0.1, N07, severity)."""

_log = structlog.get_logger()


class ResidualWatch:
    """Run it as a task. Loop thread only."""

    def __init__(
        self, *, queries: Queries, bus: Bus, clock: Clock, site: Callable[[], Site]
    ) -> None:
        self._queries = queries
        self._bus = bus
        self._clock = clock
        self._site = site
        self._told: set[CabinetId] = set()

    async def run(self) -> None:
        """Look, for ever; a store that cannot be read costs one round."""
        while True:
            await asyncio.sleep(self._clock.real_s(EVERY.total_seconds()))
            try:
                await self.look()
            except StoreError as error:
                _log.warning("main_meter.unread", why=str(error))

    async def look(self) -> None:
        """Compare the last day of every cabinet that has such a meter.

        Raises:
            StoreError: The store cannot be read now.
        """
        site, now = self._site(), self._clock.now()
        for cabinet in site.cabinets:
            if cabinet.feeder_meter is None:
                continue
            work = partial(
                of_cabinet,
                site=site,
                cabinet_id=cabinet.id,
                begin=now - WINDOW,
                end=now,
            )
            found = await asyncio.to_thread(self._queries.read_now, work)
            if found is None or found.fit is not Fit.EXCEEDED:
                self._told.discard(cabinet.id)
            elif cabinet.id not in self._told:
                self._told.add(cabinet.id)
                self._tell(cabinet.id, found)

    def _tell(self, cabinet_id: CabinetId, found: Residual) -> None:
        assert found.span is not None, "it is exceeded"
        _log.warning(
            "main_meter.exceeded",
            cabinet_id=cabinet_id,
            station_id=found.station_id,
            main_milliwh=found.span.milliwh,
            sessions_milliwh=found.sessions_milliwh,
            sessions=found.n_session,
        )
        self._bus.publish(
            AlarmRaised(
                station_id=found.station_id,
                component="MainMeter",
                variable="Residual",
                value=f"sessions below cabinet {cabinet_id} have"
                f" {found.sessions_milliwh} mWh at least, its main meter counted"
                f" {found.span.milliwh} mWh",
                severity=SEVERITY,
                at=self._clock.now(),
            )
        )
