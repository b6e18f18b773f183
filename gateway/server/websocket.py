"""WebSocket connections driven by callbacks: bytes in, whole messages out.

``websockets`` decides everything about the protocol (its sans-I/O `ServerProtocol`):
handshakes, fragments, control frames, limits, compression, closing. What nearly every
frame of a station is, one whole masked text frame, is cut out here instead: no task, no
queue and no generator per message, at a third of the cost. The protocol object is given
whole frames only, so it stands at the start of a frame whenever it is passed by.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Final, cast

import structlog
from typing_extensions import override
from websockets.exceptions import ProtocolError
from websockets.extensions.base import ServerExtensionFactory
from websockets.frames import CTRL_OPCODES, Frame
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.server.framing import (
    MASKED,
    TEXT,
    apply_mask,
    only_text,
    payload_of,
    text_head,
)
from gateway.server.host import Host
from gateway.server.link import Receiver

OPEN_TIMEOUT_S: Final = 15.0
CLOSE_TIMEOUT_S: Final = 5.0
MAX_HEAD_BYTES: Final = 16_384
"""Of a handshake request, request line and headers together."""
MAX_UNSENT_FRAMES: Final = 1000
"""Answers a station may leave unread before it is cut off."""
FRAMES_PER_TURN: Final = 32
"""Frames of one connection that are served before others get their turn."""

PROTOCOL_ERROR: Final = 1002
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011

_HEAD_END: Final = b"\r\n\r\n"

_log = structlog.get_logger()


class WebSocket(asyncio.Protocol):
    """One connection, plain or TLS; a `gateway.server.link.Transport`."""

    __slots__ = (
        "_host",
        "_is_bypassed",
        "_is_choked",
        "_is_due",
        "_is_ending",
        "_is_held",
        "_is_open",
        "_loop",
        "_n_unsent",
        "_parts",
        "_protocol",
        "_receiver",
        "_rest",
        "_timer",
        "_transport",
        "_unwritten",
        "remote",
    )

    def __init__(self, host: Host) -> None:
        self.remote = "local"
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(
            extensions=host.extensions or None, max_size=host.max_frame_bytes
        )
        self._transport: asyncio.Transport
        self._receiver: Receiver | None = None
        self._rest: bytearray | None = None
        self._parts: list[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._n_unsent = 0
        self._unwritten: list[bytes] = []  # frames that leave with the outbox
        self._is_open = False  # frames may be sent
        self._is_bypassed = False  # whole text frames need not pass the protocol object
        self._is_choked = False  # the peer does not read
        self._is_ending = False  # closing, and the timer for that is running
        self._is_held = False  # the receiver wants no more for now
        self._is_due = False  # the rest is served in the next turn of the loop

    @property
    def close_code(self) -> int | None:
        """What the station closed with; 1006 if it only went away."""
        return self._protocol.close_code

    @property
    def local_port(self) -> int | None:
        """The TCP port of ours that it came in by."""
        address = self._transport.get_extra_info("sockname")
        return None if address is None else int(address[1])

    @property
    def ssl_object(self) -> object:
        """The TLS layer; ``None`` without one."""
        return self._transport.get_extra_info("ssl_object")

    # What the host says.

    def refuse(
        self, status: HTTPStatus, text: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer the handshake with an HTTP error and close."""
        response = self._protocol.reject(status, text)
        for name, value in headers:
            response.headers[name] = value
        self._respond(response)

    def offer(self, extensions: Sequence[ServerExtensionFactory]) -> None:
        """Agree on these extensions, instead of those of the port."""
        self._protocol.available_extensions = extensions or None

    def accept(self, request: Request, subprotocol: str | None) -> bool:
        """Complete the handshake; False if the request is not a valid one (400)."""
        response = self._protocol.accept(request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and subprotocol:
            response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._respond(response)
        return self._protocol.state is State.OPEN

    def start(self, receiver: Receiver) -> None:
        """Give what comes in to ``receiver`` from now on."""
        self._receiver = receiver
        self._note_state()
        self.release()

    # What the receiver says.

    def send(self, frame: bytes) -> None:
        """Send one text frame; nothing once closing.

        Frames of one turn of the loop leave in one write (`gateway.server.outbox`).
        """
        if not self._is_open:
            return
        protocol = self._protocol
        if protocol.extensions:
            protocol.send_text(frame)
            self._flush()
            return
        unwritten = self._unwritten
        unwritten.append(text_head(len(frame)) + frame)
        if len(unwritten) == 1:
            self._host.outbox.add(self)

    def write_out(self) -> None:
        """Write the frames that wait for it."""
        unwritten = self._unwritten
        if not unwritten:
            return
        self._unwritten = []
        if not self._transport.is_closing():
            self._write(b"".join(unwritten), len(unwritten))

    def close(self, code: int, reason: str) -> None:
        """Close with a status after what is already sent; the first one counts."""
        if self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(code, reason)
        self._note_state()
        self._flush()
        self.release()  # to hear the station's own close

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    def hold(self) -> None:
        """Take no more from the station until ``release``."""
        self._is_held = True
        self._transport.pause_reading()

    def release(self) -> None:
        """Go on after ``hold``, with what has come in before first."""
        self._is_held = False
        if self._rest:
            self._go_on_soon()
        elif not self._is_due:
            self._read_on()

    # What the event loop says.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time that a handshake may take."""
        self._transport = cast("asyncio.Transport", transport)
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            self.remote = f"{address[0]}:{address[1]}"
        if self._host.arrived(self):
            self._timer = self._loop.call_later(OPEN_TIMEOUT_S, self.abort)
        else:
            self.abort()

    @override
    def data_received(self, data: bytes) -> None:
        """Take bytes; what is no whole frame yet, or not its turn, is kept."""
        if self._rest is None and not self._is_held and self._is_bypassed:
            text = only_text(data, self._host.max_frame_bytes)
            if text is not None:
                self._serve(text)
                return
            used = self._take_safely(data)
            if used < len(data):
                self._rest = bytearray(data[used:])
            return
        if self._rest is None:
            self._rest = bytearray()
        self._rest += data
        if not (self._is_held or self._is_due):
            self._take_rest()

    @override
    def eof_received(self) -> None:
        """The peer says no more: the transport closes."""
        self._protocol.receive_eof()
        self._note_state()
        self._flush()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone, once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_open = self._is_bypassed = False
        self._rest = None
        self._unwritten = []
        self._protocol.receive_eof()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost()
        self._host.left(self)
        # What refers to itself would wait for the collector, which looks rarely.
        self._protocol.parser.close()
        self._protocol.parser_exc = self._protocol.handshake_exc = None

    @override
    def pause_writing(self) -> None:
        """The peer does not read: count what waits from now on."""
        self._is_choked = True
        self._n_unsent = 0

    @override
    def resume_writing(self) -> None:
        """The peer has read."""
        self._is_choked = False

    # Inside.

    def _take_rest(self) -> None:
        rest = self._rest
        assert rest is not None
        if self._protocol.state is State.CONNECTING:
            self._greet(rest)
            return
        used = self._take_safely(rest)
        if self._rest is rest:
            del rest[:used]
            if not rest:
                self._rest = None

    def _greet(self, rest: bytearray) -> None:
        """Wait for the whole request, then ask the host; nothing is read meanwhile."""
        if self._protocol.eof_sent:  # refused: what still comes is of no interest
            self._rest = None
            return
        end = rest.find(_HEAD_END)
        if end < 0 and len(rest) <= MAX_HEAD_BYTES:
            return
        if end < 0 or end > MAX_HEAD_BYTES:
            rest.clear()
            self.refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too large\n"
            )
            return
        head = bytes(rest[: end + len(_HEAD_END)])
        del rest[: len(head)]
        if not rest:
            self._rest = None
        self.hold()
        self._protocol.receive_data(head)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._host.knock(self, event)
                return
        self._flush()  # no request: the protocol object has said what was wrong
        self.release()

    def _respond(self, response: Response) -> None:
        if self._transport.is_closing() or self._protocol.eof_sent:
            return  # gone while it was decided about
        response.headers["Server"] = "wattproof"
        self._protocol.send_response(response)
        self._note_state()
        if self._is_open and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush()
        if self._protocol.state is not State.OPEN:
            self._rest = None
            self.release()

    def _take_safely(self, data: bytes | bytearray) -> int:
        try:
            return self._take(data)
        except Exception:  # noqa: BLE001 - the outer edge: one station never takes others down
            self._fail()
            return len(data)

    def _serve(self, text: bytes) -> None:
        """Give the receiver one message that came by itself: nearly every one."""
        try:
            if self._receiver is not None:
                self._receiver.take(text)
        except Exception:  # noqa: BLE001 - the outer edge: one station never takes others down
            self._fail()

    def _fail(self) -> None:
        """Close because of a bug of ours, which is being handled."""
        _log.exception("link.failed", remote=self.remote)
        with suppress(ProtocolError):
            self._protocol.fail(INTERNAL_ERROR)
        self._note_state()
        self._flush()

    def _take(self, data: bytes | bytearray) -> int:
        """Serve whole frames; how many bytes they took."""
        at, end, limit = 0, len(data), self._host.max_frame_bytes
        for _ in range(FRAMES_PER_TURN):
            if self._is_held:
                return at
            start, length = payload_of(data, at, end)
            if not start:
                return at
            stop = start + length
            is_sound = data[at + 1] & MASKED and length <= limit
            if not is_sound:
                stop = end  # the protocol object closes; why is its to say
            elif stop > end:
                return at
            receiver = self._receiver
            if is_sound and self._is_bypassed and data[at] == TEXT and receiver:
                receiver.take(apply_mask(data[start:stop], data[start - 4 : start]))
            else:
                self._feed(bytes(data[at:stop]))
            at = stop
        if at < end:
            self._go_on_soon()
        return at

    def _feed(self, frame: bytes) -> None:
        """Give the protocol object one whole frame, or what is beyond saving."""
        protocol, receiver = self._protocol, self._receiver
        protocol.receive_data(frame)
        events = protocol.events_received()
        self._note_state()
        self._flush()
        for event in events:
            if not isinstance(event, Frame) or receiver is None:
                continue
            if event.opcode in CTRL_OPCODES:
                receiver.heard()
            elif protocol.state is State.OPEN:
                self._assemble(event, receiver)
        self._note_state()

    def _assemble(self, frame: Frame, receiver: Receiver) -> None:
        data = bytes(frame.data)
        if frame.fin and self._parts is None:
            receiver.take(data)
            return
        if self._parts is None:
            self._parts = []
        if data:
            self._parts.append(data)
        if frame.fin:
            whole, self._parts = b"".join(self._parts), None
            receiver.take(whole)

    def _note_state(self) -> None:
        self._is_open = self._protocol.state is State.OPEN
        self._is_bypassed = (
            self._receiver is not None and self._is_open and self._parts is None
        )

    def _write(self, data: bytes, n_frame: int = 1) -> None:
        self._transport.write(data)
        if self._is_choked:
            self._n_unsent += n_frame
            if self._n_unsent > 2 * MAX_UNSENT_FRAMES:
                self.abort()  # pings, without reading that it was closed
            elif self._n_unsent >= MAX_UNSENT_FRAMES:
                self.close(POLICY_VIOLATION, "answers are not being read")

    def _flush(self) -> None:
        """Send what the protocol object has to say, and see to it that closing ends."""
        self.write_out()  # what was sent before
        transport = self._transport
        for data in self._protocol.data_to_send():
            if transport.is_closing():
                break
            if data:
                self._write(data)
            elif transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
        if not self._is_ending and self._protocol.close_expected():
            self._is_ending = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(CLOSE_TIMEOUT_S, transport.abort)

    def _go_on_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due = False
        if self._transport.is_closing() or self._is_held:
            return
        self._read_on()  # unless what waits says otherwise
        if self._rest:
            self._take_rest()

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
