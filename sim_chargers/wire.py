"""The station's end of the wire: connect, call, answer, come back.

One CALL of ours is outstanding at a time; calls of the central system are answered
while it is. Delays of the network (time-outs, back-off) are real seconds.
"""

import asyncio
import logging
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidURI,
    WebSocketException,
)

from sim_chargers.faults import (
    FLAP_AFTER_S,
    LATE_ANSWER_S,
    LOST_ANSWER_SHARE,
    RESERVED_BITS_EVERY,
    Faults,
)
from sim_chargers.frames import (
    Call,
    CallError,
    CallResult,
    Frame,
    FrameError,
    Payload,
    decode,
    encode,
)
from sim_chargers.outcomes import (
    Answer,
    NoAnswer,
    Outcome,
    Refusal,
    RefusedError,
    Reply,
)
from sim_chargers.quirk_socket import (
    address,
    authorization,
    connection_kind,
    offered,
    security,
    with_reserved_bit,
)
from sim_chargers.quirks import Distorter

CALL_TIMEOUT_S: Final = 30.0
OPEN_TIMEOUT_S: Final = 10.0
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 15.0
ATTEMPTS_PER_URL: Final = 3  # NetworkProfileConnectionAttempts (B10)
MAX_WAITING_CALLS: Final = 100

_log = logging.getLogger(__name__)


class Peer(Protocol):
    """The station behind a link."""

    def note(self, action: str, payload: Payload, outcome: Outcome, ours: bool) -> None:
        """Take note of an exchange that is over."""
        ...

    async def on_online(self) -> None:
        """Run from the moment the socket is open; cancelled when it closes."""
        ...

    def on_offline(self) -> None:
        """Note that the socket is gone."""
        ...

    def on_call(self, action: str, payload: Payload) -> Reply:
        """Serve a call of the central system.

        Raises:
            RefusedError: Answer with a CALLERROR.
        """
        ...


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Counters of one link since the start."""

    connects: int = 0
    frames_in: int = 0
    frames_out: int = 0
    refused: int = 0
    timeouts: int = 0
    strays: int = 0


@dataclass(slots=True, kw_only=True)
class Link:
    """A connection to the central system that comes back by itself.

    Attributes:
        distrusted: The last server's certificate was not trusted.
        urls: Where to connect, the preferred first; after
            ``ATTEMPTS_PER_URL`` failures the next one gets its turn.
    """

    urls: list[str]
    station_id: str
    subprotocol: str
    password: str | None
    peer: Peer
    rng: Random
    faults: Faults = field(default_factory=Faults)
    tls: Callable[[], ssl.SSLContext] | None = None
    call_timeout_s: float = CALL_TIMEOUT_S
    backoff_first_s: float = BACKOFF_FIRST_S
    late_answer_s: float = LATE_ANSWER_S
    traffic: Traffic = field(default_factory=Traffic)
    distrusted: bool = False
    _socket: ClientConnection | None = None
    _pending: tuple[str, asyncio.Future[Outcome]] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _cable: asyncio.Event = field(default_factory=asyncio.Event)
    _distorter: Distorter = field(init=False)
    _n_served: int = 0
    _place: int = 0

    def __post_init__(self) -> None:
        """Start with the network cable plugged in."""
        self._cable.set()
        self._distorter = Distorter(self.faults)

    @property
    def url(self) -> str:
        """The address that is tried now."""
        return self.urls[self._place % len(self.urls)]

    def prefer(self, urls: list[str]) -> None:
        """Connect elsewhere from the next connection on."""
        self.urls = urls
        self._place = 0

    @property
    def online(self) -> bool:
        """Whether a socket is open."""
        return self._socket is not None

    async def run(self) -> None:
        """Keep a connection up until cancelled."""
        failures = 0
        while True:
            await self._cable.wait()
            try:
                async with self._ghost(), self._connect() as socket:
                    agreed = socket.subprotocol == self.subprotocol
                    if not agreed and "no-subprotocol" not in self.faults:
                        raise InvalidHandshake("the subprotocol was not agreed")
                    failures = 0
                    self.traffic.connects += 1
                    await self._serve(socket)
            except (OSError, WebSocketException, InvalidURI, TimeoutError) as error:
                failures += 1
                self.distrusted |= isinstance(error, ssl.SSLCertVerificationError)
                self._place += failures % ATTEMPTS_PER_URL == 0
                _log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG,
                    "%s: no connection: %s",
                    self.station_id,
                    error,
                )
            if "flapping" in self.faults and not failures:
                continue
            longest_s = min(BACKOFF_MAX_S, self.backoff_first_s * 2**failures)
            await asyncio.sleep(longest_s * self.rng.uniform(0.5, 1.0))

    async def call(self, action: str, payload: Payload) -> Outcome:
        """Send one CALL and wait for its answer; callers queue up in order."""
        async with self._turn:
            socket = self._socket
            if socket is None:
                return NoAnswer(reason="offline")
            payload = self._distorter.outgoing(action, payload)
            outcome = await self._exchange(socket, action, payload)
            self.peer.note(action, payload, outcome, ours=True)
            if isinstance(outcome, Answer):
                for again in self._distorter.afterwards(action, payload):
                    await self._exchange(socket, *again)
            return outcome

    async def _exchange(
        self, socket: ClientConnection, action: str, payload: Payload
    ) -> Outcome:
        """Send one CALL under a new id and wait for its answer; one at a time."""
        message_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending = (message_id, answer)
        frame = Call(message_id=message_id, action=action, payload=payload)
        try:
            await self._send(socket, frame)
            if "duplicate-frames" in self.faults and action in _TRANSACTION_CALLS:
                await self._send(socket, frame)
            async with asyncio.timeout(self.call_timeout_s):
                return await answer
        except TimeoutError:
            self.traffic.timeouts += 1
            return NoAnswer(reason="timeout")
        except ConnectionClosed:
            return NoAnswer(reason="offline")
        finally:
            self._pending = None

    async def drop(self) -> None:
        """Close the socket; the link comes back by itself."""
        if self._socket is not None:
            await self._socket.close()

    def unplug_cable(self) -> None:
        """Cut the network without a goodbye, until plugged in again."""
        self._cable.clear()
        if self._socket is not None:
            self._socket.transport.abort()

    def plug_cable(self) -> None:
        """Let the link connect again."""
        self._cable.set()

    def _connect(self) -> connect:
        return connect(
            address(self.faults, self.url, self.station_id),
            subprotocols=offered(self.faults, self.subprotocol),
            additional_headers=authorization(
                self.faults, self.station_id, self.password
            ),
            create_connection=connection_kind(self.faults),
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=1,
            proxy=None,
            ssl=self._security(),
        )

    def _security(self) -> ssl.SSLContext | None:
        """Make the context anew each time: certificates come and go."""
        if not self.url.startswith("wss:"):
            return None
        context = ssl.create_default_context() if self.tls is None else self.tls()
        return security(self.faults, context)

    @asynccontextmanager
    async def _ghost(self) -> AsyncIterator[None]:
        """Hold a second, silent socket of this station, as after a lost NAT entry."""
        if "double-connect" not in self.faults:
            yield
            return
        async with self._connect():
            yield

    async def _serve(self, socket: ClientConnection) -> None:
        self._socket = socket
        waiting: asyncio.Queue[Call] = asyncio.Queue(MAX_WAITING_CALLS)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._answer_calls(socket, waiting)),
                    group.create_task(self.peer.on_online()),
                ]
                try:
                    async with asyncio.timeout(self._patience_s()):
                        async for text in socket:
                            await self._receive(text, waiting)
                except TimeoutError:
                    _log.info("%s: hangs up", self.station_id)
                except ConnectionClosed as closed:
                    _log.info("%s: connection lost: %s", self.station_id, closed)
                for task in tasks:
                    task.cancel()
        finally:
            self._socket = None
            if self._pending is not None and not self._pending[1].done():
                self._pending[1].set_result(NoAnswer(reason="offline"))
            self.peer.on_offline()

    def _patience_s(self) -> float | None:
        return FLAP_AFTER_S if "flapping" in self.faults else None

    async def _receive(self, text: str | bytes, waiting: asyncio.Queue[Call]) -> None:
        self.traffic.frames_in += 1
        try:
            frame = decode(text)
        except FrameError as error:
            _log.warning("%s: ignored a frame: %s", self.station_id, error)
            return
        if isinstance(frame, Call):
            # A full queue stops reading: the peer feels it as back-pressure.
            await waiting.put(frame)
            return
        pending = self._pending
        if pending is None or frame.message_id != pending[0] or pending[1].done():
            self.traffic.strays += 1
            return
        lost = "lost-answers" in self.faults and self.rng.random() < LOST_ANSWER_SHARE
        if lost:
            pending[1].set_result(NoAnswer(reason="timeout"))
        elif isinstance(frame, CallResult):
            pending[1].set_result(Answer(payload=frame.payload))
        else:
            self.traffic.refused += 1
            refusal = Refusal(code=frame.code, description=frame.description)
            pending[1].set_result(refusal)

    async def _answer_calls(
        self, socket: ClientConnection, waiting: asyncio.Queue[Call]
    ) -> None:
        while True:
            call = await waiting.get()
            if await self._is_dodged(socket, call):
                continue
            try:
                reply = self.peer.on_call(call.action, call.payload)
            except RefusedError as refused:
                refusal = Refusal(code=refused.code, description=refused.description)
                self.peer.note(call.action, call.payload, refusal, ours=False)
                await self._try_send(
                    socket,
                    CallError(
                        message_id=call.message_id,
                        code=refused.code,
                        description=refused.description,
                    ),
                )
                continue
            result = CallResult(message_id=call.message_id, payload=reply.payload)
            await self._try_send(socket, result)
            answer = Answer(payload=reply.payload)
            self.peer.note(call.action, call.payload, answer, ours=False)
            if reply.after is not None:
                reply.after()

    async def _is_dodged(self, socket: ClientConnection, call: Call) -> bool:
        """Misbehave before a call is served; whether it is refused altogether."""
        self._n_served += 1
        if "crossing-calls" in self.faults:
            await self.call("Heartbeat", {})
        if "late-answers" in self.faults:
            await asyncio.sleep(self.late_answer_s)
        if "stray-answers" in self.faults:
            stray = CallResult(message_id=f"stray-{self._n_served}", payload={})
            await self._try_send(socket, stray)
        if "odd-errors" in self.faults and self._n_served % 2 == 0:
            await socket.send(f'[4,"{call.message_id}","FormationViolation"]')
            self.traffic.frames_out += 1
            return True
        return False

    async def _try_send(self, socket: ClientConnection, frame: Frame) -> None:
        try:
            await self._send(socket, frame)
        except ConnectionClosed:
            _log.info("%s: went offline before answering", self.station_id)

    async def _send(self, socket: ClientConnection, frame: Frame) -> None:
        self.traffic.frames_out += 1
        text = encode(frame)
        is_marked = self.traffic.frames_out % RESERVED_BITS_EVERY == 0
        if is_marked and "reserved-bits" in self.faults:
            socket.transport.write(with_reserved_bit(text))
            return
        await socket.send(text)


_TRANSACTION_CALLS: Final = frozenset(
    {"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"}
)
