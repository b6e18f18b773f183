"""CALLs that operators send, and what has to be remembered of their answers."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import CallRefused, NotConnected, RequestError
from gateway.ocpp.adapter import Adapter, CallOutcome, Command, ReservationAsked
from gateway.ocpp.rpc import CallPriority
from gateway.services.stations import StationDirectory
from gateway.store import reservations
from gateway.store.writer import Writer


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
    ) -> Mapping[str, object]:
        """Send a command and wait for the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A CALL of ours and the station's answer to it."""

    station_id: StationId
    adapter: Adapter
    command: Command
    answer: Mapping[str, object]
    answered_at: datetime


Observer: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""Records what an answer made true, before whoever sent the call hears of it."""


class StationCalls:
    """Sends operators' calls; keeps reservations and passwords in step with them."""

    def __init__(
        self,
        *,
        links: CallLinks,
        directory: StationDirectory,
        writer: Writer,
        clock: Clock,
    ) -> None:
        self._links = links
        self._directory = directory
        self._writer = writer
        self._clock = clock
        self._observers: list[Observer] = []

    def observe(self, observer: Observer) -> None:
        """Have every answered call recorded by ``observer`` as well."""
        self._observers.append(observer)

    async def call(
        self, station_id: StationId, command: Command, timeout_s: float
    ) -> Mapping[str, object]:
        """Send a call and record what its answer made true.

        Raises:
            CallFailed: No result came.
            RequestError: 422 a reservation whose expiry is not a time.
        """
        adapter = self._links.adapter(station_id)
        if adapter is None:
            raise NotConnected(f"{station_id} is not connected")
        try:
            asked = adapter.reservation_asked(command)
        except ValueError as error:
            raise RequestError(422, "bad_time", f"expiry: {error}") from error
        asked_at = self._clock.now()
        try:
            answer = await self._links.call(station_id, command, timeout_s=timeout_s)
        except CallRefused:
            if asked is not None:
                await self._reserve(station_id, asked, "Rejected", asked_at)
            raise
        if asked is not None:
            accepted = adapter.outcome(command.action, answer) is CallOutcome.ACCEPTED
            status = "Reserved" if accepted else "Rejected"
            await self._reserve(station_id, asked, status, asked_at)
        await self._remember(station_id, adapter, command, answer)
        exchange = Exchange(
            station_id=station_id,
            adapter=adapter,
            command=command,
            answer=answer,
            answered_at=self._clock.now(),
        )
        for observer in self._observers:
            await observer(exchange)
        return answer

    async def _reserve(
        self,
        station_id: StationId,
        asked: ReservationAsked,
        status: str,
        asked_at: datetime,
    ) -> None:
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> None:
            reservations.put(
                conn,
                reservation_id=asked.reservation_id,
                station_id=station_id,
                evse_id=asked.evse_id,
                token=asked.token,
                expires_at=asked.expires_at,
                status=status,
                now=now,
                group_id=asked.group_id,
            )
            reservations.link_use(
                conn, station_id, asked.reservation_id, since=asked_at, now=now
            )

        await self._writer.run(job)

    async def _remember(
        self,
        station_id: StationId,
        adapter: Adapter,
        command: Command,
        answer: Mapping[str, object],
    ) -> None:
        accepted = adapter.outcome(command.action, answer) is CallOutcome.ACCEPTED
        now = self._clock.now()
        cancelled = adapter.reservation_cancelled(command)
        if cancelled is not None and accepted:
            await self._writer.run(
                lambda conn: reservations.set_status(
                    conn, station_id, cancelled, "Cancelled", now
                )
            )
        password = adapter.password_set(command, answer)
        if password is not None:
            await self._directory.set_password(station_id, password)


async def expire_reservations(writer: Writer, now: datetime) -> int:
    """Mark reservations that have lapsed; returns how many."""
    return await writer.run(lambda conn: reservations.expire(conn, now))
