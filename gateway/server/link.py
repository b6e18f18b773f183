"""One connection of one station: callbacks around a sans-I/O endpoint.

The transport calls ``take`` for each message; nothing in it waits, so a station that
calls while it is being called is served at once. Answers to transaction messages come
back from the store's commit through ``post`` and leave in the order of their commits.
A station that sends more than its share is read no further until it is its turn again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeAlias

import msgspec
import structlog

from gateway.clock import Clock
from gateway.domain.connection import PLAIN, ConnectionSecurity
from gateway.domain.ids import StationId
from gateway.errors import CallFailed, CallRefused, CallTimedOut, NotConnected
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.frames import Call, CallError, CallResult, Frame, encode_payload
from gateway.ocpp.rpc import NO_ANSWER, CallPriority, Completion, Endpoint, Outcome

MAX_UNANSWERED: Final = 64
"""CALLs of one station under way at once; a station that keeps to OCPP has one."""
PATIENCE_S: Final = 10.0
"""Answers that have not come by then will not come: the store was away."""
MAX_FRAMES_PER_S: Final = 1000.0
"""What one station may send on average: far above a replayed backlog."""
SHARE_S: Final = 1 / MAX_FRAMES_PER_S
BURST_S: Final = 2.0
"""How much of that may come at once, as seconds of it."""

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013


OnLate: TypeAlias = Callable[[Mapping[str, object] | CallFailed], None]
"""Told of an answer that came after its call had been given up."""

_log = structlog.get_logger()


class Transport(Protocol):
    """What a link needs of a WebSocket, so that it can be another one. Never waits."""

    def send(self, frame: bytes) -> None:
        """Send one text frame; nothing once it closes."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close with a status after what is sent already; the first call counts."""
        ...

    def hold(self) -> None:
        """Take no more from the station until ``release``."""
        ...

    def release(self) -> None:
        """Go on reading."""
        ...


class Receiver(Protocol):
    """What a transport needs of a link."""

    def take(self, raw: bytes) -> None:
        """Take one message, text or binary."""
        ...

    def heard(self) -> None:
        """A ping or pong came: a sign of life."""
        ...

    def lost(self) -> None:
        """The connection is gone; called once."""
        ...


class FrameSink(Protocol):
    """Where a link's inbound frames go (``services.ingest``)."""

    def handle(
        self,
        frame: Call,
        respond: Callable[[bytes], None],
        raw: bytes,
        received_at: datetime,
    ) -> None:
        """Take one CALL; ``respond`` is called at most once, now or later.

        It gets `NO_ANSWER` where no answer will ever come: the station sends again.
        """
        ...

    def refuse(self, raw: bytes, error: Exception) -> bytes | None:
        """Keep a frame that cannot be read; the answer to it, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiter:
    """Who waits for an answer, and who is told if it comes too late."""

    future: asyncio.Future[Completion]
    on_late: OnLate | None


@dataclass(slots=True)
class LinkCounters:
    """What went over a link."""

    frames_in: int = 0
    frames_out: int = 0
    orphan_answers: int = 0


class Link:
    """A live connection, from its making until ``lost``. Loop thread only."""

    __slots__ = (
        "_clock",
        "_endpoint",
        "_hold_timer",
        "_is_known_to_flood",
        "_loop",
        "_n_unanswered",
        "_on_lost",
        "_paced_to_s",
        "_sink",
        "_timer",
        "_transport",
        "adapter",
        "counters",
        "epoch",
        "is_open",
        "last_frame_at",
        "last_frame_s",
        "opened_at",
        "remote",
        "security",
        "station_id",
    )

    def __init__(
        self,
        *,
        station_id: StationId,
        adapter: Adapter,
        transport: Transport,
        endpoint: Endpoint,
        sink: FrameSink,
        clock: Clock,
        remote: str,
        epoch: int,
        security: ConnectionSecurity = PLAIN,
        on_lost: Callable[["Link"], None] | None = None,
    ) -> None:
        self.station_id = station_id
        self.adapter = adapter
        self.remote = remote
        self.epoch = epoch
        self.security = security
        self.opened_at: datetime = clock.now()
        self.last_frame_at: datetime = self.opened_at
        self.counters = LinkCounters()
        self.is_open = True
        self._transport = transport
        self._endpoint = endpoint
        self._sink = sink
        self._clock = clock
        self._on_lost = on_lost
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.last_frame_s: float = self._loop.time()
        self._n_unanswered = 0
        self._paced_to_s = 0.0
        self._hold_timer: asyncio.TimerHandle | None = None
        self._is_known_to_flood = False

    def take(self, raw: bytes) -> None:
        """Take one message of the station."""
        self.counters.frames_in += 1
        self.last_frame_s = now_s = self._loop.time()
        self.last_frame_at = now = self._clock.now()
        try:
            frame = self.adapter.read(raw, self.station_id, now)
        except ValueError as error:
            answer = self._sink.refuse(raw, error)
            if answer is not None:
                self.post(answer)
        else:
            self._take_frame(frame, raw, now, now_s)
        paced_to_s = self._paced_to_s
        paced_to_s = max(paced_to_s, now_s)
        self._paced_to_s = paced_to_s = paced_to_s + SHARE_S
        if paced_to_s - now_s > BURST_S or self._n_unanswered >= MAX_UNANSWERED:
            self._slow_down(paced_to_s - now_s)

    @property
    def is_waited_on(self) -> bool:
        """Whether the station waits for an answer of ours."""
        return self._n_unanswered > 0

    def heard(self) -> None:
        """Note a sign of life that is no message: a ping, a pong."""
        self.last_frame_s = self._loop.time()

    def lost(self) -> None:
        """The connection is gone: whoever waits for an answer is told."""
        self.is_open = False
        for timer in (self._timer, self._hold_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._hold_timer = None
        for completion in self._endpoint.close():
            self._settle(completion)
        if self._on_lost is not None:
            self._on_lost(self)

    def post(self, frame: bytes) -> None:
        """Send one frame to the station; never blocks, drops none.

        A station that does not read what it is sent is disconnected by the transport.
        """
        if self.is_open:
            self.counters.frames_out += 1
            self._transport.send(frame)

    def close_soon(self, code: int, reason: str) -> None:
        """Close the connection after what is already sent."""
        self._transport.close(code, reason)

    async def call(
        self,
        action: str,
        payload: Mapping[str, object],
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
        on_late: OnLate | None = None,
    ) -> dict[str, object]:
        """Send a CALL and wait for its answer.

        One CALL is outstanding at a time; others wait in line by priority.

        Args:
            action: Wire action.
            payload: Wire payload; members go out in this order.
            timeout_s: Real seconds from sending until ``CallTimedOut``.
            priority: Place in the line.
            on_late: Gets an answer that comes within ten minutes after
                ``CallTimedOut``, or after the caller was cancelled; must not block.

        Raises:
            NotConnected: The connection is or gets closed.
            CallTimedOut: No answer in time; the station may still act on it.
            CallRefused: The station answered with a CALLERROR.
            CallFailed: The line is full, or the answer is not a JSON object.
        """
        if not self.is_open:
            raise NotConnected(f"{self.station_id} is not connected")
        future: asyncio.Future[Completion] = self._loop.create_future()
        accepted = self._endpoint.queue_call(
            action,
            encode_payload(payload),
            timeout_s=timeout_s,
            priority=priority,
            token=_Waiter(future, on_late),
        )
        if not accepted:
            raise CallFailed(f"too many calls wait for {self.station_id}")
        self._pump()
        return _answer_of(await future, self.station_id, action)

    def _take_frame(
        self, frame: Frame, raw: bytes, now: datetime, now_s: float
    ) -> None:
        match frame:
            case Call():
                replay = self._endpoint.on_call(frame)
                if replay is None:
                    self._n_unanswered += 1
                    self._sink.handle(frame, partial(self._respond, frame), raw, now)
                elif replay:
                    self.post(replay)
            case CallResult() | CallError():
                completion = self._endpoint.on_answer(frame, now_s)
                if completion is None:
                    self.counters.orphan_answers += 1
                else:
                    self._settle(completion)
                self._pump()

    def _respond(self, call: Call, frame: bytes) -> None:
        if frame == NO_ANSWER:
            self._endpoint.forget(call)  # it still counts: the station is read slower
            return
        self._endpoint.on_response(call, frame)
        self.post(frame)
        if self._n_unanswered > 0:
            self._n_unanswered -= 1
        if self._hold_timer is not None and self._n_unanswered == MAX_UNANSWERED // 2:
            self._go_on()

    def _slow_down(self, ahead_s: float) -> None:
        """Read no further while the station has more than its share."""
        if self._hold_timer is not None:
            return
        if self._n_unanswered >= MAX_UNANSWERED:
            self._hold(PATIENCE_S)
        else:
            self._hold(ahead_s - BURST_S / 2)

    def _hold(self, at_most_s: float) -> None:
        if not self._is_known_to_flood:
            self._is_known_to_flood = True
            _log.warning(
                "link.slowed",
                station_id=self.station_id,
                unanswered=self._n_unanswered,
                frames_in=self.counters.frames_in,
            )
        self._transport.hold()
        self._hold_timer = self._loop.call_later(at_most_s, self._go_on)

    def _go_on(self) -> None:
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        self._n_unanswered = min(self._n_unanswered, MAX_UNANSWERED // 2)
        if self.is_open:
            self._transport.release()

    def _pump(self) -> None:
        """Send what may be sent now and arm the timer for the next deadline."""
        now_s = self._loop.time()
        for completion in self._endpoint.expire(now_s):
            self._settle(completion)
        frame = self._endpoint.next_outgoing(now_s)
        if frame is not None:
            self.post(frame)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self._endpoint.next_deadline
        if deadline_s is not None:
            self._timer = self._loop.call_at(deadline_s, self._pump)

    def _settle(self, completion: Completion) -> None:
        """Hand an answer to who waits for it; a late one to who wants to hear it."""
        waiter = completion.token
        if not isinstance(waiter, _Waiter):
            return
        if not waiter.future.done():
            waiter.future.set_result(completion)
        elif waiter.on_late is not None:
            answer: Mapping[str, object] | CallFailed
            try:
                answer = _answer_of(completion, self.station_id, completion.action)
            except CallFailed as error:
                answer = error
            waiter.on_late(answer)


def _answer_of(
    completion: Completion, station_id: str, action: str
) -> dict[str, object]:
    match completion.outcome:
        case Outcome.RESULT:
            try:
                return msgspec.json.decode(completion.payload, type=dict[str, object])
            except msgspec.DecodeError as error:
                raise CallFailed(
                    f"{action} answer is not an object: {error}"
                ) from error
        case Outcome.ERROR:
            raise CallRefused(
                completion.code, completion.description, dict(completion.details)
            )
        case Outcome.TIMEOUT:
            raise CallTimedOut(f"{station_id} did not answer {action} in time")
        case Outcome.DISCONNECTED:
            raise NotConnected(
                f"{station_id} disconnected before answering {action}",
                was_sent=completion.was_sent,
            )
