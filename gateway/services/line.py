"""Work for one station at a time, some stations at once, and nobody's failure spreads.

A station stands in line once, however often it is put there, and is never worked for
twice at the same time: one that comes back meanwhile gets another turn afterwards. So
a storm of boots is as long as there are stations, and no station can make it longer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import structlog

from gateway.domain.ids import StationId

_log = structlog.get_logger()


class Line:
    """Stations that wait for their turn. Loop thread only; run it as a task.

    Args:
        work: What is done for a station; what it raises is logged and ends its turn.
        name: Of the tasks and in the log, e.g. ``setup``.
        at_once: Stations that are worked for at the same time.
    """

    def __init__(
        self, work: Callable[[StationId], Awaitable[None]], *, name: str, at_once: int
    ) -> None:
        self._work = work
        self._name = name
        self._at_once = at_once
        self._waiting: OrderedDict[StationId, None] = OrderedDict()
        self._busy: set[StationId] = set()
        self._news = asyncio.Event()

    def put(self, station_id: StationId) -> None:
        """Give a station a turn, unless it waits for one already."""
        self._waiting[station_id] = None
        self._news.set()

    async def run(self) -> None:
        """Give turns, for ever; cut short, the stations it worked for lose theirs."""
        places = asyncio.Semaphore(self._at_once)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await places.acquire()
                station_id = await self._next()
                task = tasks.create_task(
                    self._turn(station_id), name=f"{self._name}.{station_id}"
                )
                task.add_done_callback(lambda _task: places.release())

    async def _next(self) -> StationId:
        """The first in line that is not worked for now."""
        while True:
            for station_id in self._waiting:
                if station_id not in self._busy:
                    del self._waiting[station_id]
                    return station_id
            self._news.clear()
            await self._news.wait()

    async def _turn(self, station_id: StationId) -> None:
        self._busy.add(station_id)
        try:
            await self._work(station_id)
        except Exception:  # noqa: BLE001 - the outer edge of a station's turn: told, and its alone
            _log.exception("turn.failed", line=self._name, station_id=station_id)
        finally:
            self._busy.discard(station_id)
            self._news.set()
