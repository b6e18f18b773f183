"""CALLs that the gateway sends by itself, kept as commands like those of people.

The light path: stored when sent, ended by the answer. Their services judge for
themselves what an answer brought about, so nothing is waited for afterwards.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import structlog

from gateway.clock import Clock
from gateway.domain.command import (
    DISCONNECTED,
    TIMEOUT,
    Accepted,
    Change,
    Failed,
)
from gateway.domain.ids import StationId
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    StoreError,
)
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.effects import read_answer, redacted
from gateway.ocpp.rpc import CallPriority
from gateway.services.command_log import CommandLog
from gateway.services.station_port import OnLate, Stations
from gateway.store.commands import CommandRow, NewCommand

SYSTEM: Final = "system"
"""Who asks where the gateway does by itself."""

OnAnswer: TypeAlias = Callable[[StationId, Mapping[str, object]], Awaitable[None]]

_log = structlog.get_logger()


class SystemCalls:
    """Stations as services reach them; every call is a command. Loop thread only.

    Args:
        stations: What really sends.
        log: Where commands are written.
        clock: Site time.
        on_answer: Hears of every answer.
    """

    def __init__(
        self,
        stations: Stations,
        *,
        log: CommandLog,
        clock: Clock,
        on_answer: OnAnswer | None = None,
    ) -> None:
        self._stations = stations
        self._on_answer = on_answer
        self._commands = log
        self._clock = clock

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect a connected station speaks."""
        return self._stations.adapter(station_id)

    def epoch_of(self, station_id: StationId) -> int | None:
        """The number of its connection; ``None`` without one."""
        return self._stations.epoch_of(station_id)

    def is_online(self, station_id: StationId) -> bool:
        """Whether it is connected."""
        return self._stations.is_online(station_id)

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
        on_late: OnLate | None = None,
        epoch: int | None = None,
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer; see `Stations.call`.

        A store that fails keeps no call back: it would leave a station as it is.

        Raises:
            CallFailed: No result came.
        """
        if epoch is not None and self._stations.epoch_of(station_id) != epoch:
            raise NotConnected(f"{station_id} has another connection by now, or none")
        row = None
        if self._stations.adapter(station_id) is not None:
            row = await self._begin(station_id, command, timeout_s)
        try:
            answer = await self._stations.call(
                station_id,
                command,
                timeout_s=timeout_s,
                priority=priority,
                on_late=on_late,
                epoch=epoch,
            )
        except CallFailed as error:
            await self._end(row, self._failure(error), None)
            raise
        read = read_answer(command.action, answer)
        now = self._clock.now()
        change: Change = Accepted(at=now, is_done=True, word=read.word)
        if not read.is_accepted:
            change = Failed(
                at=now, reason="refused", detail=read.word, was_answered=True
            )
        await self._end(row, change, redacted(answer))
        if self._on_answer is not None:
            await self._on_answer(station_id, answer)
        return answer

    async def _begin(
        self, station_id: StationId, command: Command, timeout_s: float
    ) -> CommandRow | None:
        new = NewCommand(
            station_id=station_id,
            action=command.action,
            payload=redacted(command.payload),
            asked_by=SYSTEM,
            timeout_s=timeout_s,
        )
        try:
            return await self._commands.begin(new)
        except StoreError as error:
            _log.warning("command.not_kept", station_id=station_id, why=str(error))
            return None

    async def _end(
        self, row: CommandRow | None, change: Change, answer: Mapping[str, Any] | None
    ) -> None:
        if row is None:
            return
        try:
            await self._commands.settle(row.command_id, change, answer)
        except StoreError as error:
            _log.warning("command.not_kept", station_id=row.station_id, why=str(error))

    def _failure(self, error: CallFailed) -> Failed:
        now, text = self._clock.now(), str(error)
        match error:
            case CallRefused():
                return Failed(at=now, reason="refused", detail=text, was_answered=True)
            case CallTimedOut():
                return Failed(at=now, reason=TIMEOUT, detail=text)
            case NotConnected(was_sent=True):
                return Failed(at=now, reason=DISCONNECTED, detail=text)
            case NotConnected():
                return Failed(at=now, reason="not_sent", detail=text)
            case _:
                return Failed(at=now, reason="call_failed", detail=text)


class Droppable(Stations, Protocol):
    """Stations whose connections can be closed (``server.registry``)."""

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        """Close a connection; whether there was one."""
        ...

    def keep_out(self, station_id: StationId, seconds: float) -> None:
        """Close its connection, and refuse others for so many real seconds."""
        ...


class ObservedStations(SystemCalls):
    """Stations as the obedience test reaches them, before they are accepted, too."""

    def __init__(self, stations: Droppable, *, log: CommandLog, clock: Clock) -> None:
        super().__init__(stations, log=log, clock=clock)
        self._droppable = stations

    def disconnect(self, station_id: StationId, reason: str) -> bool:
        """Close its connection; whether there was one."""
        return self._droppable.disconnect(station_id, reason)

    def keep_out(self, station_id: StationId, seconds: float) -> None:
        """Close its connection, and refuse others for so many real seconds."""
        self._droppable.keep_out(station_id, seconds)
