"""Work on stations that a lost connection cut short, and that no boot begins anew.

A station that was only cut off from the network may come back without a
BootNotification, and nobody can tell at once whether one will follow. So it is given
some time: a connection that has lasted that long without a boot will see none.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from gateway.domain.ids import StationId

SETTLE_S: Final = 15.0
"""A connection this old (real seconds, up to twice as many) has had its boot."""
MAX_TRIES: Final = 3
"""Without a boot in between: a connection may be lost over the work itself."""

_log = structlog.get_logger()


class Unfinished:
    """Stations with work left to do. Loop thread only; run it as a task.

    Args:
        epoch_of: The number of a station's connection while it may be worked on.
        begin: Begins the work anew on that connection.
        name: Of the work, in the log, e.g. ``setup``.
        settle_s: Real seconds to wait for a boot.
    """

    def __init__(
        self,
        *,
        epoch_of: Callable[[StationId], int | None],
        begin: Callable[[StationId, int], None],
        name: str,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._epoch_of = epoch_of
        self._begin = begin
        self._name = name
        self._settle_s = settle_s
        self._seen: dict[StationId, int | None] = {}
        self._n_tries: dict[StationId, int] = {}
        self._news = asyncio.Event()

    def cut_short(self, station_id: StationId) -> None:
        """The connection went before the work was done."""
        if self._n_tries.get(station_id, 0) >= MAX_TRIES:
            _log.warning("work.given_up", work=self._name, station_id=station_id)
            return
        self._seen[station_id] = None
        self._news.set()

    def begun(self, station_id: StationId) -> None:
        """The work is being done again: it is not left any more."""
        self._seen.pop(station_id, None)

    def booted(self, station_id: StationId) -> None:
        """The station begins from the start, and so does the work."""
        self._seen.pop(station_id, None)
        self._n_tries.pop(station_id, None)

    async def run(self) -> None:
        """Begin work anew where a connection lasts, for ever."""
        while True:
            await self._news.wait()
            while self._seen:
                await asyncio.sleep(self._settle_s)
                self._look()
            self._news.clear()

    def _look(self) -> None:
        for station_id, seen in list(self._seen.items()):
            epoch = self._epoch_of(station_id)
            if epoch is None or epoch != seen:
                self._seen[station_id] = epoch
                continue
            del self._seen[station_id]
            self._n_tries[station_id] = self._n_tries.get(station_id, 0) + 1
            _log.info("work.begun_anew", work=self._name, station_id=station_id)
            self._begin(station_id, epoch)
