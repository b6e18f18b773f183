"""Empties the authorization caches of stations when a token is revoked (2.0.1, C11).

A station asks again for whoever it does not know. Without this, a token that was
accepted before may go on charging at a station that is offline or trusts its cache.
"""

import asyncio
from typing import Final

import structlog

from gateway.errors import CallFailed
from gateway.ocpp.adapter import Command
from gateway.services.dispatch_ports import Stations
from gateway.services.stations import StationDirectory
from gateway.services.token_book import TokenChange

CLEAR: Final = Command(action="ClearCache", payload={})
"""The same in both versions."""
SETTLE_S: Final = 2.0
"""Real seconds that further revocations are waited for: one message clears all."""

_log = structlog.get_logger()


class CacheClearing:
    """Run it as a task; connected, managed stations are told one after the other."""

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

    def tokens_changed(self, change: TokenChange) -> None:
        """A token changed; only a revocation matters."""
        if change.was_revoked:
            self._revoked.set()

    async def run(self) -> None:
        """Clear caches after revocations, for ever."""
        while True:
            await self._revoked.wait()
            await asyncio.sleep(self._settle_s)
            self._revoked.clear()
            for entry in self._directory.all():
                if not entry.managed or not self._stations.is_online(entry.station_id):
                    continue
                try:
                    answer = await self._stations.call(
                        entry.station_id, CLEAR, timeout_s=self._call_timeout_s
                    )
                except CallFailed as error:
                    status = str(error)
                else:
                    status = str(answer.get("status"))
                _log.info("cache.cleared", station_id=entry.station_id, status=status)
