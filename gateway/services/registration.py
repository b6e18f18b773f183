"""Has a station that waits boot at once when its registration becomes Accepted.

Only where its last boot was answered Pending: a rejected station is sent nothing
(2.0.1, B03.FR.03), and after an accepted boot none may be asked for (1.6 errata 3.40).
"""

import asyncio
from typing import Final

import structlog

from gateway.bus import Bus, SettingChanged
from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.services.reach import Reach
from gateway.services.stations import StationDirectory

PENDING: Final = "Pending"
BOOT: Final = "BootNotification"
MAX_AT_ONCE: Final = 50

_log = structlog.get_logger()


class Registration:
    """Watches registrations; run it as a task."""

    def __init__(
        self,
        *,
        reach: Reach,
        directory: StationDirectory,
        bus: Bus,
        call_timeout_s: float,
    ) -> None:
        self._reach = reach
        self._directory = directory
        self._bus = bus
        self._call_timeout_s = call_timeout_s

    async def run(self) -> None:
        """Ask for boots as stations become accepted, for ever."""
        places = asyncio.Semaphore(MAX_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            with self._bus.subscribe(
                "registration", of=(SettingChanged,)
            ) as subscription:
                async for notice in subscription:
                    station_id = self._to_boot(notice)
                    if station_id is None:
                        continue
                    await places.acquire()
                    task = tasks.create_task(
                        self._ask(station_id), name=f"registration.{station_id}"
                    )
                    task.add_done_callback(lambda _task: places.release())

    def _to_boot(self, notice: object) -> StationId | None:
        if not isinstance(notice, SettingChanged):
            return None
        kind, _, name = notice.subject.partition("/")
        entry = self._directory.find(name) if kind == "station" else None
        if entry is None or entry.registration != "Accepted":
            return None
        context = self._reach.context(entry.station_id)
        if context is None or context.is_accepted or context.boot_answer != PENDING:
            return None
        return entry.station_id

    async def _ask(self, station_id: StationId) -> None:
        adapter = self._reach.adapter(station_id)
        if adapter is None:
            return
        command = adapter.encode_trigger(BOOT, None)
        try:
            await self._reach.call(station_id, command, timeout_s=self._call_timeout_s)
        except CallFailed as error:
            _log.info("boot.not_asked", station_id=station_id, why=str(error))
