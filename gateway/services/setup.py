"""Configuration that a managed station gets right after an accepted boot: sampling."""

import asyncio
from typing import Final

import structlog

from gateway.domain.ids import StationId
from gateway.errors import CallFailed, NotConnected
from gateway.ocpp.adapter import CallOutcome, Command
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch_ports import Stations
from gateway.services.stations import StationDirectory

MAX_AT_ONCE: Final = 200
"""Stations that are set up at the same time; a storm of boots waits in line."""
MAX_WAITING: Final = 100_000

_log = structlog.get_logger()


class StationSetup:
    """Sends the configuration after boots; run it as a task."""

    def __init__(
        self,
        *,
        stations: Stations,
        directory: StationDirectory,
        sample_interval_s: int,
        call_timeout_s: float,
    ) -> None:
        self._stations = stations
        self._directory = directory
        self._sample_interval_s = sample_interval_s
        self._call_timeout_s = call_timeout_s
        self._booted: asyncio.Queue[StationId] = asyncio.Queue(MAX_WAITING)

    def booted(self, station_id: StationId) -> None:
        """A boot was accepted; when the line is full the station goes without."""
        entry = self._directory.find(station_id)
        if entry is None or not entry.managed:
            return
        try:
            self._booted.put_nowait(station_id)
        except asyncio.QueueFull:
            _log.warning("setup.skipped", station_id=station_id)

    async def run(self) -> None:
        """Set up stations as they boot, for ever."""
        places = asyncio.Semaphore(MAX_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                station_id = await self._booted.get()
                await places.acquire()
                task = tasks.create_task(
                    self._set_up(station_id), name=f"setup.{station_id}"
                )
                task.add_done_callback(lambda _task: places.release())

    async def _set_up(self, station_id: StationId) -> None:
        adapter = self._stations.adapter(station_id)
        if adapter is None:
            return
        refused: list[str] = []
        for command in adapter.encode_setup(sample_interval_s=self._sample_interval_s):
            try:
                answer = await self._stations.call(
                    station_id,
                    command,
                    timeout_s=self._call_timeout_s,
                    priority=CallPriority.CONFIG,
                )
            except NotConnected:
                return
            except CallFailed as error:
                refused.append(f"{_name(command)}: {error}")
                continue
            if adapter.outcome(command.action, answer) is not CallOutcome.ACCEPTED:
                refused.append(f"{_name(command)}: not accepted")
        if refused:
            _log.info("setup.incomplete", station_id=station_id, refused=refused)


def _name(command: Command) -> str:
    return f"{command.action} {command.payload.get('key', '')}".strip()
