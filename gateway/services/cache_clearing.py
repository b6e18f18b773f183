"""Empties the authorization caches of stations when a token is revoked (2.0.1, C11).

A station asks again for whoever it does not know. Without this, a token that was
accepted before may go on charging at a station that is offline or trusts its cache.
"""

import asyncio
from typing import Final

import structlog

from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.ocpp.adapter import Command
from gateway.services.line import Line
from gateway.services.station_port import Stations
from gateway.services.stations import StationDirectory
from gateway.services.token_book import TokenChange

CLEAR: Final = Command(action="ClearCache", payload={})
"""The same in both versions."""
SETTLE_S: Final = 2.0
"""Real seconds that further revocations are waited for: one message clears all."""
MAX_AT_ONCE: Final = 50

_log = structlog.get_logger()


class CacheClearing:
    """Run it as a task; connected, managed stations are told, some at the same time."""

    def __init__(
        self,
        *,
        stations: Stations,
        directory: StationDirectory,
        call_timeout_s: float,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._stations = stations
        self._directory = directory
        self._call_timeout_s = call_timeout_s
        self._settle_s = settle_s
        self._revoked = asyncio.Event()
        self._line = Line(self._clear, name="cache", at_once=MAX_AT_ONCE)

    def tokens_changed(self, change: TokenChange) -> None:
        """A token changed; only a revocation matters."""
        if change.was_revoked:
            self._revoked.set()

    async def run(self) -> None:
        """Clear caches after revocations, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._line.run(), name="caches.line")
            while True:
                await self._revoked.wait()
                await asyncio.sleep(self._settle_s)
                self._revoked.clear()
                for entry in self._directory.all():
                    if entry.managed:
                        self._line.put(entry.station_id)

    async def _clear(self, station_id: StationId) -> None:
        if not self._stations.is_online(station_id):
            return
        try:
            answer = await self._stations.call(
                station_id, CLEAR, timeout_s=self._call_timeout_s
            )
        except CallFailed as error:
            status = str(error)
        else:
            status = str(answer.get("status"))
        _log.info("cache.cleared", station_id=station_id, status=status)
