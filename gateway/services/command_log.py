"""Every step of every command: stored first, then told to those who follow it."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import structlog

from gateway.bus import Bus, CommandChanged
from gateway.clock import Clock
from gateway.domain import effects
from gateway.domain.command import Change, CommandState, Progress, Sent
from gateway.domain.effects import Expectation, StartsSession
from gateway.errors import StoreError
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.effects import redacted
from gateway.store import commands as rows
from gateway.store.commands import CommandRow, NewCommand
from gateway.store.writer import Writer

CALL_PREFIX: Final = "c"
LIMIT_PREFIX: Final = "l"

MAX_OWED: Final = 1_000
"""Ends of commands that wait for the store; the oldest make room."""
RETRY_S: Final = 5.0
"""Real seconds before the store is asked again to note the end of a command."""

_log = structlog.get_logger()

Watcher: TypeAlias = Callable[[CommandRow], None]


class CommandLog:
    """Where commands are written. Loop thread only.

    Args:
        writer: The store.
        bus: Hears of every step.
        clock: Site time.
        start_within: How long a session is waited for after a remote start.
    """

    def __init__(
        self,
        *,
        writer: Writer,
        bus: Bus,
        clock: Clock,
        start_within: timedelta = effects.WITHIN[StartsSession],
    ) -> None:
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._start_within = start_within
        self._watchers: list[Watcher] = []
        self._owed: deque[tuple[int, Change, Mapping[str, Any] | None]] = deque(
            maxlen=MAX_OWED
        )
        self._owes = asyncio.Event()

    def watch(self, watcher: Watcher) -> None:
        """Have ``watcher`` called after each step, before anything else happens."""
        self._watchers.append(watcher)

    def within(self, expected: Expectation) -> timedelta | None:
        """How long an effect is waited for."""
        if isinstance(expected, StartsSession):
            return self._start_within
        return effects.within(expected)

    async def begin(self, new: NewCommand) -> CommandRow:
        """Store a command that is sent at once.

        Raises:
            StoreError: It is not stored: it must not be sent.
        """
        now = self._clock.now()
        progress = Progress(
            state=CommandState.SENT,
            sent_at=now,
            deadline_at=now + timedelta(seconds=new.timeout_s * self._clock.speed),
            effect_by=self._latest_effect(new.expects, new.timeout_s),
        )
        row = await self._writer.run(lambda conn: rows.insert(conn, new, progress, now))
        self.announce(row)
        return row

    async def sent(
        self, row: CommandRow, adapter: Adapter, command: Command
    ) -> CommandRow | None:
        """Note that a waiting command leaves, spelled for the station's version.

        Returns:
            ``None`` if it does not wait any more.
        """
        now = self._clock.now()
        expected = adapter.expected(command, now)
        change = Sent(at=now, effect_by=self._latest_effect(expected, row.timeout_s))

        def job(conn: sqlite3.Connection) -> CommandRow | None:
            rows.encoded(
                conn,
                row.command_id,
                action=command.action,
                payload=redacted(command.payload),
                expects=expected,
            )
            return rows.move(conn, row.command_id, change)

        moved = await self._writer.run(job)
        if moved is not None:
            self.announce(moved)
        return moved

    async def move(
        self,
        command_id: int,
        change: Change,
        *,
        answer: Mapping[str, Any] | None = None,
    ) -> CommandRow | None:
        """Take a command one step further; ``None`` if the step did not fit.

        Raises:
            StoreError: The step is not stored.
        """
        moved = await self._writer.run(
            lambda conn: rows.move(conn, command_id, change, answer=answer)
        )
        if moved is not None:
            self.announce(moved)
        return moved

    async def settle(
        self, command_id: int, change: Change, answer: Mapping[str, Any] | None
    ) -> None:
        """Store what an answer, or none, says of a command; later if not now.

        Raises:
            StoreError: Not now.
        """
        try:
            await self.move(command_id, change, answer=answer)
        except StoreError:
            self._owed.append((command_id, change, answer))
            self._owes.set()
            raise

    async def repay(self) -> None:
        """Write the ends that the store refused, for ever: none stays ``sent``."""
        while True:
            await self._owes.wait()
            await asyncio.sleep(RETRY_S)
            try:
                while self._owed:
                    command_id, change, answer = self._owed[0]
                    await self.move(command_id, change, answer=answer)
                    self._owed.popleft()
                self._owes.clear()
            except StoreError as error:
                _log.warning(
                    "command.not_ended", n_owed=len(self._owed), why=str(error)
                )

    def announce(self, row: CommandRow) -> None:
        """Tell of a stored step."""
        for watcher in self._watchers:
            watcher(row)
        self._bus.publish(
            CommandChanged(
                command_id=call_id(row.command_id),
                station_id=row.station_id,
                action=row.action,
                state=row.progress.state.value,
                reason=row.progress.reason,
                is_late=row.progress.is_late,
                at=self._clock.now(),
            )
        )

    def _latest_effect(
        self, expected: Expectation | None, timeout_s: float
    ) -> datetime | None:
        """Until when an effect counts though no answer came."""
        within = None if expected is None else self.within(expected)
        if within is None:
            return None
        waiting = timedelta(seconds=timeout_s * self._clock.speed)
        return self._clock.now() + waiting + within


def call_id(command_id: int) -> str:
    """What the API calls a command."""
    return f"{CALL_PREFIX}{command_id}"
