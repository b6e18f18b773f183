"""Housekeeping: what is done every few seconds, and the directory's mirror of boots."""

import asyncio
from functools import partial
from typing import Final

import structlog

from gateway.bus import FactCommitted, Lagged, Notice
from gateway.domain.events import StationBooted
from gateway.errors import StoreError
from gateway.services.device import Device
from gateway.services.station_calls import expire_reservations
from gateway.store import stations as station_rows
from gateway.wiring.base import Base

HOUSEKEEPING_S: Final = 10.0
"""Real seconds between two rounds of housekeeping."""
AT_ONCE: Final = 100
"""Stations in one commit."""
PAUSE_S: Final = 0.02
"""Real seconds between two such commits."""

_log = structlog.get_logger()


class House:
    """Keeps rows and directory in step with time and with what stations say."""

    def __init__(self, base: Base, device: Device) -> None:
        self._base = base
        self._device = device

    async def mirror_boots(self) -> None:
        """Keep the directory in step with what stations say of themselves."""
        base = self._base
        with base.bus.subscribe(
            "directory", wants=_is_boot, of=(StationBooted,)
        ) as subscription:
            async for notice in subscription:
                if isinstance(notice, Lagged):
                    await base.directory.reload()
                elif isinstance(notice, FactCommitted):
                    base.directory.on_boot(notice, base.clock.now())

    async def keep(self) -> None:
        """End what time ends, for ever; a store that fails costs one round."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await expire_reservations(self._base.writer, self._base.clock.now())
                await self._device.reports.sweep()
                await self._device.networks.sweep()
                await self.note_seen(pause_s=PAUSE_S)
            except StoreError as error:
                _log.warning("house.skipped", why=str(error))

    async def note_seen(self, *, pause_s: float = 0.0) -> None:
        """Store when each station was last heard.

        Args:
            pause_s: Real seconds between some and the next: a commit with thousands
                of them would keep the messages of stations waiting.
        """
        seen = [*self._base.links.seen().items()]
        for start in range(0, len(seen), AT_ONCE):
            some = dict(seen[start : start + AT_ONCE])
            await self._base.writer.run(partial(station_rows.set_last_seen, seen=some))
            await asyncio.sleep(pause_s)


def _is_boot(notice: Notice) -> bool:
    return isinstance(notice, FactCommitted) and isinstance(notice.event, StationBooted)
