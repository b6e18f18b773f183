"""CALLs that operators send, and what has to be remembered of their answers."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeAlias

import structlog

from gateway.clock import Clock
from gateway.domain.command import (
    DISCONNECTED,
    TIMEOUT,
    Accepted,
    Change,
    Failed,
    NotSent,
)
from gateway.domain.effects import AtOnce, SendsReport
from gateway.domain.ids import StationId
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    RequestError,
    WattproofError,
)
from gateway.ocpp.adapter import Adapter, CallOutcome, Command, ReservationAsked
from gateway.ocpp.device_words import is_empty
from gateway.ocpp.effects import read_answer, redacted
from gateway.ocpp.rpc import CallPriority
from gateway.services.command_log import CommandLog
from gateway.services.stations import StationDirectory
from gateway.store import reservations
from gateway.store.commands import CommandRow, NewCommand
from gateway.store.writer import Writer

MAX_LATE: Final = 1_000
"""Late answers that wait to be recorded; more are only logged."""
STOPS: Final = frozenset({"RemoteStopTransaction", "RequestStopTransaction"})
SERVICE: Final = "service"
"""Who asks where no person does."""

Answered: TypeAlias = Mapping[str, object] | CallFailed

_log = structlog.get_logger()


class CallLinks(Protocol):
    """How stations are reached (``server.registry``)."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect a connected station speaks."""
        ...

    async def call(
        self,
        station_id: StationId,
        command: Command,
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
        on_late: Callable[[Answered], None] | None = None,
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A CALL of ours and the station's answer to it."""

    asked_at: datetime
    station_id: StationId
    adapter: Adapter
    command: Command
    answer: Mapping[str, object]
    answered_at: datetime


Observer: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""Records what an answer made true, before whoever sent the call hears of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A CALL that is on its way, and what its answer will settle."""

    row: CommandRow
    adapter: Adapter
    command: Command
    asked_at: datetime
    reservation: ReservationAsked | None
    password: bytes | None

    @property
    def station_id(self) -> StationId:
        return self.row.station_id


class StationCalls:
    """Sends operators' calls; keeps commands, reservations and passwords in step.

    An answer that comes within ten minutes after its call was given up is recorded
    like one in time: run it as a task for that.
    """

    def __init__(
        self,
        *,
        links: CallLinks,
        directory: StationDirectory,
        writer: Writer,
        clock: Clock,
        log: CommandLog,
    ) -> None:
        self._links = links
        self._directory = directory
        self._writer = writer
        self._clock = clock
        self._commands = log
        self._observers: list[Observer] = []
        self._late: asyncio.Queue[tuple[_Asked, Answered]] = asyncio.Queue(MAX_LATE)
        self._passwords: dict[StationId, int] = {}

    def observe(self, observer: Observer) -> None:
        """Have every answered call recorded by ``observer`` as well."""
        self._observers.append(observer)

    async def run(self) -> None:
        """Record late answers, and what the store did not take at once, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commands.repay(), name="calls.repay")
            await self._record_late()

    async def _record_late(self) -> None:
        while True:
            asked, answer = await self._late.get()
            try:
                if isinstance(answer, CallFailed):
                    await self._failed(asked, answer)
                else:
                    await self._answered(asked, answer, is_late=True)
            except WattproofError as error:
                _log.warning(
                    "late_answer.not_recorded",
                    station_id=asked.station_id,
                    action=asked.command.action,
                    why=str(error),
                )

    async def call(
        self,
        station_id: StationId,
        command: Command,
        timeout_s: float,
        *,
        asked_by: str = SERVICE,
        on_command: Callable[[CommandRow], None] | None = None,
    ) -> Mapping[str, object]:
        """Send a call as a command and record what its answer made true.

        A new password is accepted besides the old one from before it is sent until the
        station has answered, late or not.

        Args:
            station_id: Where to.
            command: Valid by the schema of the station's version.
            timeout_s: Real seconds to wait for the answer.
            asked_by: Who wants it, as in the audit trail.
            on_command: Told of the stored command before it is sent.

        Raises:
            CallFailed: No result came.
            RequestError: 422 a reservation whose expiry is not a time.
            StoreError: It could not be recorded; where that is so before sending, it
                was not sent.
        """
        adapter = self._links.adapter(station_id)
        if adapter is None:
            raise NotConnected(f"{station_id} is not connected")
        reservation = _reservation(adapter, command)
        password = await self._await_password(station_id, adapter, command)
        row = await self._commands.begin(
            NewCommand(
                station_id=station_id,
                action=command.action,
                payload=redacted(command.payload),
                asked_by=asked_by,
                timeout_s=timeout_s,
                expects=adapter.expected(command, self._clock.now()),
            )
        )
        if on_command is not None:
            on_command(row)
        return await self._exchange(row, adapter, command, reservation, password)

    async def send_waiting(
        self, row: CommandRow, adapter: Adapter, command: Command
    ) -> None:
        """Send a command that waited; what becomes of it is in its row.

        Raises:
            RequestError: 422 a reservation whose expiry is not a time.
            StoreError: It could not be recorded.
        """
        reservation = _reservation(adapter, command)
        password = await self._await_password(row.station_id, adapter, command)
        sent = await self._commands.sent(row, adapter, command)
        if sent is None:
            return
        try:
            await self._exchange(sent, adapter, command, reservation, password)
        except CallFailed as error:
            _log.info(
                "command.failed",
                station_id=row.station_id,
                action=command.action,
                why=str(error),
            )

    async def _await_password(
        self, station_id: StationId, adapter: Adapter, command: Command
    ) -> bytes | None:
        """Accept a password that is about to be sent, before its command is stored.

        Raises:
            StoreError: It is not accepted: there must be no command for it.
        """
        password = adapter.password_asked(command)
        if password is not None:
            await self._directory.set_pending(station_id, password)
        return password

    async def _exchange(
        self,
        row: CommandRow,
        adapter: Adapter,
        command: Command,
        reservation: ReservationAsked | None,
        password: bytes | None,
    ) -> Mapping[str, object]:
        asked = _Asked(
            row=row,
            adapter=adapter,
            command=command,
            asked_at=self._clock.now(),
            reservation=reservation,
            password=password,
        )
        is_stop = command.action in STOPS
        try:
            answer = await self._links.call(
                row.station_id,
                command,
                timeout_s=row.timeout_s,
                priority=CallPriority.STOP if is_stop else CallPriority.OTHER,
                on_late=partial(self._came_late, asked),
            )
        except CallFailed as error:
            await self._failed(asked, error)
            raise
        await self._answered(asked, answer, is_late=False)
        return answer

    def _came_late(self, asked: _Asked, answer: Answered) -> None:
        try:
            self._late.put_nowait((asked, answer))
        except asyncio.QueueFull:
            _log.warning(
                "late_answer.dropped",
                station_id=asked.station_id,
                action=asked.command.action,
            )

    async def _failed(self, asked: _Asked, error: CallFailed) -> None:
        """No result: what that says about the command, and what it surely undoes."""
        now = self._clock.now()
        change: Change
        code = {}
        match error:
            case CallRefused():
                change = Failed(
                    at=now, reason="refused", detail=str(error), was_answered=True
                )
                code = {"code": error.code, "description": error.description}
            case CallTimedOut():
                change = Failed(at=now, reason=TIMEOUT, detail=str(error))
            case NotConnected(was_sent=True):
                change = Failed(at=now, reason=DISCONNECTED, detail=str(error))
            case NotConnected() if asked.row.is_queueable:
                change = NotSent(at=now)
            case NotConnected():
                change = Failed(at=now, reason="not_sent", detail=str(error))
            case _:
                change = Failed(at=now, reason="call_failed", detail=str(error))
        await self._commands.settle(asked.row.command_id, change, code or None)
        if not isinstance(error, CallRefused):
            return
        if asked.password is not None:
            await self._directory.drop_pending(asked.station_id, asked.password)
        if asked.reservation is not None:
            await self._reserve(asked, asked.reservation, "Rejected")

    async def _answered(
        self, asked: _Asked, answer: Mapping[str, object], *, is_late: bool
    ) -> None:
        command, adapter = asked.command, asked.adapter
        now = self._clock.now()
        await self._commands.settle(
            asked.row.command_id, self._reading(asked, answer, now), redacted(answer)
        )
        accepted = adapter.outcome(command.action, answer) is CallOutcome.ACCEPTED
        if asked.reservation is not None:
            status = "Reserved" if accepted else "Rejected"
            await self._reserve(asked, asked.reservation, status)
        cancelled = adapter.reservation_cancelled(command)
        if cancelled is not None and accepted:
            await self._writer.run(
                lambda conn: reservations.set_status(
                    conn, asked.station_id, cancelled, "Cancelled", now
                )
            )
        await self._keep_password(asked, answer, is_late=is_late)
        exchange = Exchange(
            asked_at=asked.asked_at,
            station_id=asked.station_id,
            adapter=adapter,
            command=command,
            answer=answer,
            answered_at=now,
        )
        for observer in self._observers:
            await self._tell(observer, exchange)

    async def _tell(self, observer: Observer, exchange: Exchange) -> None:
        """Have an answer recorded; one that makes no sense is told, not raised.

        Answers are not checked by a schema: whoever sent the call sees them as they
        came, and what an observer stumbles over costs nobody else.
        """
        try:
            await observer(exchange)
        except WattproofError:
            raise
        except Exception:  # noqa: BLE001 - the outer edge of an answer: a station may say anything
            _log.exception(
                "answer.not_recorded",
                station_id=exchange.station_id,
                action=exchange.command.action,
            )

    def _reading(
        self, asked: _Asked, answer: Mapping[str, object], now: datetime
    ) -> Change:
        """What an answer says about its command."""
        read = read_answer(asked.command.action, answer)
        if not read.is_accepted:
            return Failed(at=now, reason="refused", detail=read.word, was_answered=True)
        expected = asked.row.expects or AtOnce()
        within = self._commands.within(expected)
        return Accepted(
            at=now,
            is_done=read.is_done
            or within is None
            or (isinstance(expected, SendsReport) and is_empty(read.word)),
            effect_by=None if read.is_scheduled or within is None else now + within,
            word=read.word,
        )

    async def _reserve(
        self, asked: _Asked, reservation: ReservationAsked, status: str
    ) -> None:
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> None:
            reservations.put(
                conn,
                reservation_id=reservation.reservation_id,
                station_id=asked.station_id,
                evse_id=reservation.evse_id,
                token=reservation.token,
                expires_at=reservation.expires_at,
                status=status,
                now=now,
                group_id=reservation.group_id,
            )
            reservations.link_use(
                conn,
                asked.station_id,
                reservation.reservation_id,
                since=asked.asked_at,
                now=now,
            )

        await self._writer.run(job)

    async def _keep_password(
        self, asked: _Asked, answer: Mapping[str, object], *, is_late: bool
    ) -> None:
        """Store what the station took; of two, the one that was sent last."""
        if asked.password is None:
            return
        station_id, number = asked.station_id, asked.row.command_id
        password = asked.adapter.password_set(asked.command, answer)
        if password is None:
            await self._directory.drop_pending(station_id, asked.password)
            return
        if number < self._passwords.get(station_id, 0):
            return
        self._passwords[station_id] = number
        if is_late:
            await self._directory.set_password_late(station_id, password)
        else:
            await self._directory.set_password(station_id, password)


def _reservation(adapter: Adapter, command: Command) -> ReservationAsked | None:
    """What a command reserves.

    Raises:
        RequestError: 422 its expiry is not a time.
    """
    try:
        return adapter.reservation_asked(command)
    except ValueError as error:
        raise RequestError(422, "bad_time", f"expiry: {error}") from error


async def expire_reservations(writer: Writer, now: datetime) -> int:
    """Mark reservations that have lapsed; returns how many."""
    return await writer.run(lambda conn: reservations.expire(conn, now))
