"""Learns what measured equipment usually draws, for plans; keeps it over restarts."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from gateway.bus import Bus, LoadMeasured
from gateway.clock import Clock
from gateway.domain.load_hours import HourMean, Hours, hour_of, learned
from gateway.domain.topology import LoadSource, Site
from gateway.errors import StoreError
from gateway.services import loads
from gateway.services.loads import Consumer
from gateway.store import load_hours
from gateway.store.writer import Writer

KEEP_EVERY_S: Final = 600.0
"""Real seconds between two times that what was learned is stored."""

NOTHING: Final[Hours] = {}

_log = structlog.get_logger()


class LoadHistory:
    """Run it as a task. Loop thread only."""

    def __init__(
        self, *, bus: Bus, writer: Writer, clock: Clock, site: Callable[[], Site]
    ) -> None:
        self._bus = bus
        self._writer = writer
        self._clock = clock
        self._site = site
        self._hours: dict[str, dict[int, HourMean]] = {}
        self._heard_at: dict[str, datetime] = {}
        self._changed: set[tuple[str, int]] = set()

    def of(self, load_id: str) -> Hours:
        """What is known of a load; empty where nothing is."""
        return self._hours.get(load_id, NOTHING)

    async def run(self) -> None:
        """Learn for ever; what cannot be stored now is stored later."""
        loop = asyncio.get_running_loop()
        with self._bus.subscribe("load_history", of=(LoadMeasured,)) as measured:
            try:
                self._hours = await self._writer.run(load_hours.read)
            except StoreError as error:
                _log.warning("load_history.unread", why=str(error))
            kept_s = loop.time()
            while True:
                for notice in await measured.batch():
                    if isinstance(notice, LoadMeasured):
                        self.take(notice)
                if loop.time() - kept_s >= KEEP_EVERY_S:
                    kept_s = loop.time()
                    await self.keep()

    def take(self, notice: LoadMeasured) -> None:
        """Learn from one reading of a load that has no profile of its own."""
        consumer = self._measured(notice.load_id)
        before = self._heard_at.get(notice.load_id)
        if consumer is None or (before is not None and notice.at <= before):
            return
        self._heard_at[notice.load_id] = notice.at
        if before is None:
            return  # for how long it stands is not known
        site = self._site()
        drawn = loads.measured_draw(
            consumer, loads.reading_of(notice), phase_v=site.phase_v
        )
        hour = hour_of(notice.at.astimezone(ZoneInfo(site.timezone)))
        known = self._hours.setdefault(notice.load_id, {})
        since_s = (notice.at - before).total_seconds()
        known[hour] = learned(known.get(hour), drawn, since_s)
        self._changed.add((notice.load_id, hour))

    async def keep(self) -> None:
        """Store what changed."""
        changed, self._changed = self._changed, set()
        rows: Mapping[tuple[str, int], HourMean] = {
            (load_id, hour): self._hours[load_id][hour] for load_id, hour in changed
        }
        if not rows:
            return
        try:
            await self._writer.run(
                partial(load_hours.put, learned=rows, now=self._clock.now())
            )
        except StoreError as error:
            self._changed |= changed
            _log.warning("load_history.not_kept", why=str(error))

    def _measured(self, load_id: str) -> Consumer | None:
        for load in self._site().loads:
            if load.id == load_id and load.source is not LoadSource.PROFILE:
                return Consumer.of(load)
        return None
