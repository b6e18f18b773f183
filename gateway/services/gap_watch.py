"""Asks stations for transaction messages that are missing (2.0.1, E14).

A gap in ``seqNo`` means that a message was lost or still waits in the station. It is
asked once per gap and connection; the session stays marked incomplete until the
missing messages are in.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

import structlog

from gateway.bus import Bus, LinkChanged, Notice
from gateway.domain.ids import SessionId, StationId
from gateway.domain.session import Session
from gateway.errors import CallFailed
from gateway.ocpp.rpc import CallPriority
from gateway.services.dispatch_ports import SessionQueries
from gateway.services.station_port import Stations

MAX_WAITING: Final = 1_000
MAX_REMEMBERED: Final = 10_000
MAX_AT_ONCE: Final = 20

Gaps: TypeAlias = tuple[tuple[int, int], ...]

_log = structlog.get_logger()


class GapWatch:
    """Notices gaps and asks about them. Loop thread only; run it as a task."""

    def __init__(
        self,
        *,
        stations: Stations,
        sessions: SessionQueries,
        bus: Bus,
        is_managed: Callable[[StationId], bool],
        call_timeout_s: float,
    ) -> None:
        self._stations = stations
        self._sessions = sessions
        self._bus = bus
        self._is_managed = is_managed
        self._call_timeout_s = call_timeout_s
        self._asked: OrderedDict[SessionId, Gaps] = OrderedDict()
        self._waiting: asyncio.Queue[Session] = asyncio.Queue(MAX_WAITING)

    def noticed(self, session: Session) -> None:
        """A session with a gap was stored; asked about once until the gap changes."""
        gaps = gaps_of(session)
        is_known = self._asked.get(session.session_id) == gaps
        if is_known or not self._is_managed(session.station_id):
            return
        try:
            self._waiting.put_nowait(session)
        except asyncio.QueueFull:
            return  # the next message of the session notices it again
        self._asked[session.session_id] = gaps
        self._asked.move_to_end(session.session_id)
        while len(self._asked) > MAX_REMEMBERED:
            self._asked.popitem(last=False)

    async def run(self) -> None:
        """Ask, for ever; a station that comes back is asked anew."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_links(), name="gaps.links")
            places = asyncio.Semaphore(MAX_AT_ONCE)
            while True:
                session = await self._waiting.get()
                await places.acquire()
                task = tasks.create_task(
                    self._ask(session), name=f"gaps.{session.station_id}"
                )
                task.add_done_callback(lambda _task: places.release())

    async def _watch_links(self) -> None:
        with self._bus.subscribe(
            "gaps", wants=_is_return, of=(LinkChanged,)
        ) as subscription:
            async for notice in subscription:
                if isinstance(notice, LinkChanged):
                    await self._ask_again(notice.station_id)

    async def _ask_again(self, station_id: StationId) -> None:
        for session in await self._sessions.open_sessions(station_id):
            if session.has_gap:
                self._asked.pop(session.session_id, None)
                self.noticed(session)

    async def _ask(self, session: Session) -> None:
        adapter = self._stations.adapter(session.station_id)
        if adapter is None or session.transaction_id is None:
            return
        if not self._stations.is_online(session.station_id):
            self._asked.pop(session.session_id, None)  # not accepted: asked later
            return
        command = adapter.encode_transaction_status(session.transaction_id)
        if command is None:
            return
        try:
            answer = await self._stations.call(
                session.station_id,
                command,
                timeout_s=self._call_timeout_s,
                priority=CallPriority.OTHER,
            )
        except CallFailed as error:
            _log.info("gap.unanswered", station_id=session.station_id, why=str(error))
            return
        _log.info(
            "gap.answered",
            station_id=session.station_id,
            session_id=session.session_id,
            missing=gaps_of(session),
            messages_in_queue=answer.get("messagesInQueue"),
            is_ongoing=answer.get("ongoingIndicator"),
        )


def _is_return(notice: Notice) -> bool:
    return isinstance(notice, LinkChanged) and notice.is_online


def gaps_of(session: Session) -> Gaps:
    """Ranges of ``seqNo`` that are missing before the latest one, ends included."""
    found: list[tuple[int, int]] = []
    expected = 0
    for low, high in session.sequences:
        if low > expected:
            found.append((expected, low - 1))
        expected = high + 1
    return tuple(found)
