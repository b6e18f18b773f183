"""Main meters of stations (connector 0, EVSE 0) as meters of the site.

What a station's main meter says belongs to no session. Where the operator says what it
measures, a feeder or other equipment, its samples are readings of that. Nothing is
subscribed to while no station is said to have such a meter.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import structlog

from gateway.bus import (
    Bus,
    FactCommitted,
    Notice,
    SettingChanged,
    Subscription,
)
from gateway.clock import Clock
from gateway.domain.events import SessionUpdated
from gateway.domain.ids import StationId
from gateway.domain.metering import Sample, samples_in
from gateway.domain.topology import Site
from gateway.errors import WattproofError
from gateway.services.loads import LoadReading

DECI: Final = 10

Put: TypeAlias = Callable[[LoadReading], Awaitable[bool]]
"""Takes a measurement, as ``PUT /loads/{id}/reading`` does."""

_log = structlog.get_logger()


class MainMeters:
    """Run it as a task. Loop thread only."""

    def __init__(
        self, *, bus: Bus, clock: Clock, site: Callable[[], Site], put: Put
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._site = site
        self._put = put
        self._meters: Mapping[StationId, str] = {}

    async def run(self) -> None:
        """Follow the main meters that there are, for ever."""
        while True:
            with self._bus.subscribe(
                "main_meters.settings", of=(SettingChanged,)
            ) as settings:
                self._meters = {
                    one.id: one.main_meter
                    for one in self._site().stations
                    if one.main_meter is not None
                }
                if self._meters:
                    await self._follow_until(settings)
                else:
                    await settings.batch()

    async def _follow_until(self, settings: Subscription) -> None:
        with self._bus.subscribe(
            "main_meters", wants=self._is_main, of=(SessionUpdated,)
        ) as samples:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(self._follow(samples), name="main_meters")
                await settings.batch()
                task.cancel()

    def _is_main(self, notice: Notice) -> bool:
        if not isinstance(notice, FactCommitted) or notice.session is not None:
            return False
        event = notice.event
        return (
            isinstance(event, SessionUpdated)
            and event.station_id in self._meters
            and event.evse is not None
            and event.evse.evse_id == 0
            and not notice.is_backlog
        )

    async def _follow(self, samples: Subscription) -> None:
        async for notice in samples:
            if isinstance(notice, FactCommitted) and isinstance(
                notice.event, SessionUpdated
            ):
                await self._take(notice.event)

    async def _take(self, event: SessionUpdated) -> None:
        load_id = self._meters[event.station_id]
        for sample in samples_in(event):
            if sample.current_a is None and sample.power_w is None:
                continue
            try:
                await self._put(self._reading(load_id, sample))
            except WattproofError as error:
                _log.warning(
                    "main_meter.not_taken",
                    station_id=event.station_id,
                    load_id=load_id,
                    why=str(error),
                )

    def _reading(self, load_id: str, sample: Sample) -> LoadReading:
        """A sample as a reading; a clock that is ahead does not make it last longer."""
        current_da = None
        if sample.current_a is not None:
            one, two, three = sample.current_a
            current_da = (round(one * DECI), round(two * DECI), round(three * DECI))
        return LoadReading(
            load_id=load_id,
            measured_at=min(sample.sampled_at, self._clock.now()),
            current_da=current_da,
            power_w=sample.power_w,
        )
