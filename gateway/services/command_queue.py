"""Commands that wait for their station, and the moment it comes back."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Final, Protocol

import structlog

from gateway.bus import Bus, CommandChanged, Lagged, LinkChanged, Notice
from gateway.clock import Clock
from gateway.domain.command import (
    RESTARTED,
    CommandState,
    Dropped,
    Failed,
    Progress,
)
from gateway.domain.ids import StationId
from gateway.errors import RequestError, StoreError, WattproofError
from gateway.ocpp.adapter import Adapter, Command
from gateway.services import command_rules as rules
from gateway.services.command_intake import Wish, checked, take
from gateway.services.command_log import CommandLog
from gateway.services.dialects import check_action, version_of
from gateway.services.station_calls import StationCalls
from gateway.services.stations import StationDirectory
from gateway.store import commands as rows
from gateway.store.commands import CommandRow
from gateway.store.writer import Writer

RESUME_S: Final = 1.0
"""Real seconds an accepted station has for booting after it came back; then it is
taken to go on without."""
RETRY_S: Final = 5.0
"""Real seconds before a station is tried again whose group or store was busy."""
MAX_SLEEP_S: Final = 60.0
UNPROCESSABLE: Final = 422
UNAVAILABLE: Final = 503

_log = structlog.get_logger()


class QueueLinks(Protocol):
    """Who is connected (``server.registry``)."""

    def adapter(self, station_id: StationId) -> Adapter | None:
        """The dialect of a station's live link."""
        ...


class Guard(Protocol):
    """See `Dispatch.operator_guard`."""

    def __call__(
        self,
        station_id: StationId,
        action: str,
        payload: Mapping[str, object],
        *,
        override: bool = False,
    ) -> Awaitable[None]:
        """Raise for what must not go out."""
        ...


class CommandQueue:
    """One line per station; each sends one command at a time. Loop thread only."""

    def __init__(
        self,
        *,
        log: CommandLog,
        calls: StationCalls,
        links: QueueLinks,
        directory: StationDirectory,
        guard: Guard,
        writer: Writer,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._commands = log
        self._calls = calls
        self._links = links
        self._directory = directory
        self._guard = guard
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._waiting: dict[StationId, dict[int, CommandRow]] = {}
        self._ready_at_s: dict[StationId, float] = {}
        self._busy: set[StationId] = set()
        self._wake = asyncio.Event()
        log.watch(self._follow)

    async def prepare(self) -> None:
        """Find what was left by an earlier run; before stations may connect.

        What was sent without an answer is failed: the answer can not come any more,
        its effect still can.
        """
        now = self._clock.now()
        for row in await self._writer.run(rows.still_open):
            if row.progress.state is CommandState.SENT:
                lost = Failed(
                    at=now,
                    reason=RESTARTED,
                    detail="the gateway stopped before the answer came",
                )
                await self._commands.move(row.command_id, lost)
            else:
                self._commands.announce(row)

    async def submit(self, wish: Wish) -> CommandRow:
        """Take a command; it goes out at once if its station is there.

        Returns:
            The command, or the one that was asked for with the same idempotency key.

        Raises:
            RequestError: 422 it cannot be sent or must not wait; 409 the idempotency
                key was used for something else; 429 too many wait.
        """
        rules.check_neutral(wish.action, wish.payload)
        rules.check_may_wait(wish.payload)
        version = version_of(self._links, self._directory, wish.station_id)
        check_action(wish.station_id, version, wish.action, also=rules.NEUTRAL)
        adapter = self._links.adapter(wish.station_id)
        if adapter is not None:
            checked(wish.station_id, wish.action, wish.payload, adapter, 0)
        now = self._clock.now()
        progress = Progress(
            state=CommandState.QUEUED,
            deadline_at=now + rules.deadline_of(wish.action, wish.deadline_s),
        )
        taken = await self._writer.run(lambda conn: take(conn, wish, progress, now))
        for row in taken:
            self._commands.announce(row)
        return taken[-1]

    async def withdraw(self, command_id: int) -> CommandRow:
        """Take a waiting command back.

        Raises:
            RequestError: 409 it does not wait (any more).
        """
        moved = await self._commands.move(
            command_id, Dropped(at=self._clock.now(), reason="withdrawn")
        )
        if moved is None:
            raise RequestError(409, "not_queued", "it does not wait any more")
        return moved

    def booted(self, station_id: StationId) -> None:
        """A boot was accepted and answered: what waits may go out."""
        self._ready_at_s[station_id] = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Send what waits as stations come back, for ever."""
        self._busy.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="commands.listen")
            while True:
                self._wake.clear()
                try:
                    await self._expire()
                except StoreError as error:
                    _log.warning("commands.not_expired", why=str(error))
                    await asyncio.sleep(RETRY_S)
                for station_id in [one for one in self._waiting if self._is_ready(one)]:
                    self._busy.add(station_id)
                    tasks.create_task(
                        self._send_all(station_id), name=f"commands.{station_id}"
                    )
                try:
                    async with asyncio.timeout(self._sleep_s()):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    def _follow(self, row: CommandRow) -> None:
        waiting = self._waiting.setdefault(row.station_id, {})
        if row.progress.state is CommandState.QUEUED:
            waiting[row.command_id] = row
        else:
            waiting.pop(row.command_id, None)
        if not waiting:
            del self._waiting[row.station_id]

    async def _listen(self) -> None:
        """Know since when each station is back; wake the sender for news."""
        loop = asyncio.get_running_loop()
        with self._bus.subscribe(
            "commands.queue",
            limit=100_000,
            wants=_is_news,
            of=(LinkChanged, CommandChanged),
        ) as subscription:
            async for notice in subscription:
                match notice:
                    case LinkChanged(is_online=True):
                        at_s = loop.time() + RESUME_S
                        self._ready_at_s.setdefault(notice.station_id, at_s)
                    case LinkChanged():
                        if self._links.adapter(notice.station_id) is None:
                            self._ready_at_s.pop(notice.station_id, None)
                    case Lagged():  # a station may have come back unheard
                        for station_id in self._waiting:
                            if self._links.adapter(station_id) is not None:
                                at_s = loop.time() + RESUME_S
                                self._ready_at_s.setdefault(station_id, at_s)
                    case _:
                        pass
                self._wake.set()

    def _is_ready(self, station_id: StationId) -> bool:
        """Whether its next command may go out now."""
        if station_id in self._busy or self._links.adapter(station_id) is None:
            return False
        ready_at_s = self._ready_at_s.get(station_id)
        if ready_at_s is None or ready_at_s > asyncio.get_running_loop().time():
            return False
        entry = self._directory.find(station_id)
        is_accepted = entry is not None and entry.registration == "Accepted"
        if ready_at_s == 0.0:
            return is_accepted
        return is_accepted and entry is not None and entry.accepted_at is not None

    async def _send_all(self, station_id: StationId) -> None:
        """Send what waits for one station, in order, until it is gone again."""
        try:
            while row := self._next(station_id):
                if not await self._send_safely(row):
                    return
                self._drop(row)
        except (StoreError, RequestError) as error:
            _log.warning("commands.held", station_id=station_id, why=str(error))
            self._later(station_id)
        finally:
            self._busy.discard(station_id)
            self._wake.set()

    async def _send_safely(self, row: CommandRow) -> bool:
        """Send one command; one that we stumble over must not block the line."""
        try:
            return await self._send(row)
        except WattproofError:
            raise
        except Exception as error:  # noqa: BLE001 - the outer edge of a command: told and failed
            _log.exception("command.stumbled", command_id=row.command_id)
            detail = type(error).__name__
            internal = Failed(at=self._clock.now(), reason="internal", detail=detail)
            await self._end(row, internal)
            return True

    def _drop(self, row: CommandRow) -> None:
        """A command that took no step is gone from the store: it waits no more."""
        waiting = self._waiting.get(row.station_id, {})
        if waiting.get(row.command_id) is row:
            del waiting[row.command_id]
            if not waiting:
                del self._waiting[row.station_id]

    def _next(self, station_id: StationId) -> CommandRow | None:
        waiting = self._waiting.get(station_id)
        return waiting[min(waiting)] if waiting else None

    def _later(self, station_id: StationId) -> None:
        self._ready_at_s[station_id] = asyncio.get_running_loop().time() + RETRY_S

    async def _send(self, row: CommandRow) -> bool:
        """Send one command; False once the station is gone."""
        adapter = self._links.adapter(row.station_id)
        if adapter is None:
            return False
        now = self._clock.now()
        if _is_past(row, now):
            await self._end(row, Dropped(at=now, reason="deadline"))
            return True
        try:
            command = await self._cleared(row, adapter)
            await self._calls.send_waiting(row, adapter, command)
        except RequestError as error:
            if error.status == UNAVAILABLE:
                raise
            is_invalid = error.status == UNPROCESSABLE
            refused = Failed(
                at=self._clock.now(),
                reason="not_valid" if is_invalid else error.code,
                detail=f"{error.code}: {error.message}"
                if is_invalid
                else error.message,
            )
            await self._end(row, refused)
        return self._links.adapter(row.station_id) is not None

    async def _cleared(self, row: CommandRow, adapter: Adapter) -> Command:
        """The command in the version's words, valid and within every limit.

        Raises:
            RequestError: It is not.
        """
        assert row.wire is not None, "it waits"
        command = checked(
            row.station_id,
            row.wire["action"],
            row.wire["payload"],
            adapter,
            row.command_id,
        )
        await self._guard(
            row.station_id, command.action, command.payload, override=row.is_override
        )
        return command

    async def _expire(self) -> None:
        now = self._clock.now()
        late = [
            row
            for waiting in self._waiting.values()
            for row in waiting.values()
            if _is_past(row, now)
        ]
        for row in late:
            await self._end(row, Dropped(at=now, reason="deadline"))

    async def _end(self, row: CommandRow, change: Dropped | Failed) -> None:
        """End a waiting command; one that is gone from the store waits no more."""
        if await self._commands.move(row.command_id, change) is None:
            self._drop(row)

    def _sleep_s(self) -> float:
        """Until the next deadline, or until a station may be sent to."""
        now, now_s = self._clock.now(), asyncio.get_running_loop().time()
        sleep_s = MAX_SLEEP_S
        for station_id, waiting in self._waiting.items():
            ready_at_s = self._ready_at_s.get(station_id, 0.0)
            if ready_at_s > now_s and station_id not in self._busy:
                sleep_s = min(sleep_s, ready_at_s - now_s)
            for row in waiting.values():
                if row.progress.deadline_at is not None:
                    left_s = (row.progress.deadline_at - now).total_seconds()
                    sleep_s = min(sleep_s, self._clock.real_s(left_s))
        return max(0.0, sleep_s)


def _is_news(notice: Notice) -> bool:
    return isinstance(notice, LinkChanged | CommandChanged)


def _is_past(row: CommandRow, now: datetime) -> bool:
    deadline_at = row.progress.deadline_at
    return deadline_at is not None and deadline_at <= now
