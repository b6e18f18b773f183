"""Finds answers to what stations ask of services; see `gateway.ocpp.inquiries`.

Questions wait in one bounded line and are answered by a few tasks at a time, so a slow
certificate authority holds up nobody but those who ask it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import structlog

from gateway.domain.ids import StationId
from gateway.errors import WattproofError
from gateway.ocpp.inquiries import Finding, Inquiry

MAX_AT_ONCE: Final = 32
MAX_WAITING: Final = 1_000
MAX_PER_STATION: Final = 8
"""Of one station, waiting and being answered: a quarter of `MAX_AT_ONCE`, so that one
that asks without end, where answers are slow, keeps no other waiting. A station that
keeps to OCPP has one."""
DEADLINE_S: Final = 20.0
"""Real seconds after which a station is answered without a finding; stations wait 30 s
or longer for an answer (1.6 and 2.0.1 leave it to the station)."""

_log = structlog.get_logger()

Q = TypeVar("Q", bound=Inquiry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An answer, and what follows once the station has it.

    Attributes:
        finding: Goes to the station now.
        then: Runs after the answer left, e.g. a CALL that the answer announces.
    """

    finding: Finding
    then: Callable[[], Awaitable[None]] | None = None


Handler: TypeAlias = Callable[[StationId, Q], Awaitable[Found | None]]
OnFound: TypeAlias = Callable[[Finding | None], None]


class Inquiries:
    """Who answers what. Loop thread only; run it as a task."""

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._handlers: dict[type, Handler[Any]] = {}
        self._waiting: asyncio.Queue[tuple[StationId, Inquiry, OnFound]] = (
            asyncio.Queue(MAX_WAITING)
        )
        self._n_open: Counter[StationId] = Counter()

    def answer_with(self, kind: type[Q], handler: Handler[Q]) -> None:
        """Have questions of one kind answered by ``handler``; it may raise our errors.

        A handler that returns ``None`` or raises leaves the polite refusal.
        """
        self._handlers[kind] = handler

    def ask(self, station_id: StationId, inquiry: Inquiry, on_found: OnFound) -> None:
        """Ask; ``on_found`` is called once, now if nobody can answer."""
        if type(inquiry) not in self._handlers:
            on_found(None)
            return
        if self._n_open[station_id] >= MAX_PER_STATION:
            on_found(None)
            return
        try:
            self._waiting.put_nowait((station_id, inquiry, on_found))
        except asyncio.QueueFull:
            _log.warning("inquiry.refused", station_id=station_id, why="line is full")
            on_found(None)
        else:
            self._n_open[station_id] += 1

    async def run(self) -> None:
        """Answer questions as they come, for ever."""
        places = asyncio.Semaphore(MAX_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                station_id, inquiry, on_found = await self._waiting.get()
                await places.acquire()
                task = tasks.create_task(
                    self._answer(station_id, inquiry, on_found),
                    name=f"inquiry.{station_id}",
                )
                task.add_done_callback(lambda _task: places.release())

    def _close(self, station_id: StationId) -> None:
        self._n_open[station_id] -= 1
        if not self._n_open[station_id]:
            del self._n_open[station_id]

    async def _answer(
        self, station_id: StationId, inquiry: Inquiry, on_found: OnFound
    ) -> None:
        try:
            found = await self._found(station_id, inquiry)
            on_found(None if found is None else found.finding)
            if found is not None and found.then is not None:
                await found.then()
        except WattproofError as error:
            _log.warning("inquiry.not_followed", station_id=station_id, why=str(error))
        except Exception:  # noqa: BLE001 - the outer edge of an answer and what follows: told
            _log.exception("inquiry.not_followed", station_id=station_id)
        finally:
            self._close(station_id)

    async def _found(self, station_id: StationId, inquiry: Inquiry) -> Found | None:
        """What the handler says; nothing if it fails or takes too long."""
        what = type(inquiry).__name__
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._handlers[type(inquiry)](station_id, inquiry)
        except TimeoutError:
            _log.warning("inquiry.late", station_id=station_id, inquiry=what)
        except WattproofError as error:
            _log.warning(
                "inquiry.failed", station_id=station_id, inquiry=what, why=str(error)
            )
        except Exception:  # noqa: BLE001 - the outer edge of a question: told and answered
            _log.exception("inquiry.failed", station_id=station_id, inquiry=what)
        return None
