"""One connection of one station: a reader and a writer around a sans-I/O endpoint.

The reader never waits for a CALL of ours, so a station that calls while it is being
called is served at once. Answers to transaction messages come back from the store's
commit through ``post`` and leave in the order of their commits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec
import structlog

from gateway.clock import Clock
from gateway.errors import CallFailed, CallRefused, CallTimedOut, NotConnected
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.frames import Call, CallError, CallResult, encode_payload
from gateway.ocpp.rpc import CallPriority, Completion, Endpoint, Outcome

MAX_UNSENT_FRAMES: Final = 1000
"""Answers a station may leave unread before it is cut off."""

GOING_AWAY: Final = 1001
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013

_log = structlog.get_logger()


class Transport(Protocol):
    """What a link needs of a WebSocket, so that the library can be swapped."""

    async def receive(self) -> bytes:
        """The next frame's payload.

        Raises:
            EOFError: The connection is closed.
        """
        ...

    async def send(self, frame: bytes) -> None:
        """Send one text frame.

        Raises:
            EOFError: The connection is closed.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close with a status; returns when done or after a short while."""
        ...


class FrameSink(Protocol):
    """Where a link's inbound frames go (``services.ingest``)."""

    def handle(self, frame: Call, respond: Callable[[bytes], None], raw: bytes) -> None:
        """Take one CALL; ``respond`` is called at most once, now or later."""
        ...

    def refuse(self, raw: bytes, error: Exception) -> bytes | None:
        """Keep a frame that cannot be read; the answer to it, if there is one."""
        ...


@dataclass(slots=True)
class LinkCounters:
    """What went over a link."""

    frames_in: int = 0
    frames_out: int = 0
    orphan_answers: int = 0


class Link:
    """A live connection. Owned by the listener; loop thread only."""

    def __init__(
        self,
        *,
        station_id: str,
        adapter: Adapter,
        transport: Transport,
        endpoint: Endpoint,
        sink: FrameSink,
        clock: Clock,
        parse: Callable[[bytes], Call | CallResult | CallError],
        remote: str,
        epoch: int,
    ) -> None:
        self.station_id = station_id
        self.adapter = adapter
        self.remote = remote
        self.epoch = epoch
        self.opened_at: datetime = clock.now()
        self.last_frame_at: datetime = self.opened_at
        self.last_frame_s: float = 0.0
        self.counters = LinkCounters()
        self.is_open = True
        self._transport = transport
        self._endpoint = endpoint
        self._sink = sink
        self._clock = clock
        self._parse = parse
        self._unsent: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._close_with: tuple[int, str] | None = None

    async def run(self) -> None:
        """Serve the connection until it closes; both loops live and die together."""
        self.last_frame_s = self._loop.time()
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(), name="link.write")
                await self._read()
                writer.cancel()
        finally:
            self.is_open = False
            if self._timer is not None:
                self._timer.cancel()
            for completion in self._endpoint.close():
                _settle(completion)

    def post(self, frame: bytes) -> None:
        """Queue one frame for the station; never blocks, drops none.

        A station that does not read its answers is disconnected once
        ``MAX_UNSENT_FRAMES`` wait.
        """
        if not self.is_open:
            return
        if len(self._unsent) >= MAX_UNSENT_FRAMES:
            self.close_soon(POLICY_VIOLATION, "answers are not being read")
            return
        self._unsent.append(frame)
        self._wake.set()

    def close_soon(self, code: int, reason: str) -> None:
        """Have the writer close the connection after what is already queued."""
        if self._close_with is None:
            self._close_with = (code, reason)
            self._wake.set()

    async def call(
        self,
        action: str,
        payload: Mapping[str, object],
        *,
        timeout_s: float,
        priority: CallPriority = CallPriority.OTHER,
    ) -> dict[str, object]:
        """Send a CALL and wait for its answer.

        One CALL is outstanding at a time; others wait in line by priority.

        Args:
            action: Wire action.
            payload: Wire payload; members go out in this order.
            timeout_s: Real seconds from sending until ``CallTimedOut``.
            priority: Place in the line.

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
            token=future,
        )
        if not accepted:
            raise CallFailed(f"too many calls wait for {self.station_id}")
        self._pump()
        return _answer_of(await future, self.station_id, action)

    async def _read(self) -> None:
        while True:
            try:
                raw = await self._transport.receive()
            except EOFError:
                return
            self.counters.frames_in += 1
            self.last_frame_s = self._loop.time()
            self.last_frame_at = self._clock.now()
            self._take(raw)

    def _take(self, raw: bytes) -> None:
        try:
            frame = self._parse(raw)
        except ValueError as error:
            answer = self._sink.refuse(raw, error)
            if answer is not None:
                self.post(answer)
            return
        match frame:
            case Call():
                replay = self._endpoint.on_call(frame)
                if replay is None:
                    self._sink.handle(frame, self._responder(frame), raw)
                elif replay:
                    self.post(replay)
            case CallResult() | CallError():
                completion = self._endpoint.on_answer(frame, self._loop.time())
                if completion is None:
                    self.counters.orphan_answers += 1
                else:
                    _settle(completion)
                self._pump()

    def _responder(self, call: Call) -> Callable[[bytes], None]:
        def respond(frame: bytes) -> None:
            self._endpoint.on_response(call, frame)
            self.post(frame)

        return respond

    def _pump(self) -> None:
        """Send what may be sent now and arm the timer for the next deadline."""
        now_s = self._loop.time()
        for completion in self._endpoint.expire(now_s):
            _settle(completion)
        frame = self._endpoint.next_outgoing(now_s)
        if frame is not None:
            self.post(frame)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline_s = self._endpoint.next_deadline
        if deadline_s is not None:
            self._timer = self._loop.call_at(deadline_s, self._pump)

    async def _write(self) -> None:
        while True:
            while self._unsent:
                try:
                    await self._transport.send(self._unsent.popleft())
                except EOFError:
                    return
                self.counters.frames_out += 1
            if self._close_with is not None:
                await self._transport.close(*self._close_with)
                return
            self._wake.clear()
            await self._wake.wait()


def _settle(completion: Completion) -> None:
    future = completion.token
    if isinstance(future, asyncio.Future) and not future.done():
        future.set_result(completion)


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
            raise NotConnected(f"{station_id} disconnected before answering {action}")
