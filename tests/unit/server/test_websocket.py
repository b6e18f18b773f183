"""Bytes in, messages out: the same whatever the packets, the fragments, the timing."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.base import ServerExtensionFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from gateway.server import websocket
from gateway.server.outbox import MOST, Outbox
from gateway.server.websocket import WebSocket

HANDSHAKE = (
    b"GET /ocpp/CP1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Pipe:
    """A transport in memory."""

    def __init__(self) -> None:
        self.written = b""
        self.n_write = 0
        self.is_closed = False
        self.is_paused = False

    def write(self, data: bytes) -> None:
        self.written += data
        self.n_write += 1

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.is_closed

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True

    abort = close


class Desk:
    """Takes messages, and a rest after some of them."""

    def __init__(self, socket: WebSocket, rest_after: frozenset[int]) -> None:
        self.socket = socket
        self.rest_after = rest_after
        self.taken: list[bytes] = []
        self.n_heard = 0
        self.is_lost = False

    def take(self, raw: bytes) -> None:
        self.taken.append(raw)
        if len(self.taken) in self.rest_after:
            self.socket.hold()
            asyncio.get_running_loop().call_later(0.0005, self.socket.release)

    def heard(self) -> None:
        self.n_heard += 1

    def lost(self) -> None:
        self.is_lost = True


class House:
    """Lets everyone in."""

    max_frame_bytes = 1_000
    extensions: Sequence[ServerExtensionFactory] = ()

    def __init__(self, rest_after: frozenset[int] = frozenset()) -> None:
        self.rest_after = rest_after
        self.outbox = Outbox(asyncio.get_running_loop().call_soon)
        self.desk: Desk

    def arrived(self, _socket: WebSocket) -> bool:
        return True

    def knock(self, socket: WebSocket, request: Request) -> None:
        assert socket.accept(request, "ocpp1.6")
        self.desk = Desk(socket, self.rest_after)
        socket.start(self.desk)

    def left(self, _socket: WebSocket) -> None:
        pass


def opened(house: Any) -> tuple[WebSocket, Pipe]:
    socket, pipe = WebSocket(house), Pipe()
    socket.connection_made(cast("asyncio.Transport", pipe))
    return socket, pipe


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[bytes], int]:
    """Frames on the wire, the messages in them, and how many pings are among them."""
    wire, messages, n_ping = b"", [], 0
    for _ in range(draw(st.integers(1, 50))):
        parts = draw(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
        opcode = draw(st.sampled_from((Opcode.TEXT, Opcode.TEXT, Opcode.BINARY)))
        for index, part in enumerate(parts):
            kind = Opcode.CONT if index else opcode
            fin = index == len(parts) - 1
            wire += Frame(kind, part, fin).serialize(mask=True)
            if draw(st.integers(0, 9)) == 0:
                wire += Frame(Opcode.PING, b"?").serialize(mask=True)
                n_ping += 1
        messages.append(b"".join(parts))
    return wire, messages, n_ping


@given(
    conversations(),
    st.lists(st.integers(1, 500), min_size=1, max_size=20),
    st.frozensets(st.integers(1, 50), max_size=5),
)
def test_every_message_arrives_once_and_in_order(
    conversation: tuple[bytes, list[bytes], int],
    sizes: list[int],
    rest_after: frozenset[int],
) -> None:
    wire, messages, n_ping = conversation

    async def run() -> None:
        house = House(rest_after)
        socket, pipe = opened(house)
        data, at, turn = HANDSHAKE + wire, 0, 0
        while at < len(data):
            if pipe.is_paused:
                await asyncio.sleep(0.0002)
                continue
            size = sizes[turn % len(sizes)]
            socket.data_received(data[at : at + size])
            at, turn = at + size, turn + 1
        async with asyncio.timeout(5):
            while (  # noqa: ASYNC110 - nothing tells of it
                len(house.desk.taken) < len(messages) or house.desk.n_heard < n_ping
            ):
                await asyncio.sleep(0.0002)
        assert house.desk.taken == messages
        assert house.desk.n_heard == n_ping
        socket.connection_lost(None)
        assert house.desk.is_lost

    asyncio.run(run())


@given(st.binary(max_size=2_000), st.integers(1, 300))
def test_rubbish_ends_in_a_close_or_in_waiting_never_in_an_error(
    rubbish: bytes, size: int
) -> None:
    async def run() -> None:
        house = House()
        socket, pipe = opened(house)
        socket.data_received(HANDSHAKE)
        for at in range(0, len(rubbish), size):
            if pipe.is_closed:
                break
            socket.data_received(rubbish[at : at + size])
            await asyncio.sleep(0)
        socket.connection_lost(None)
        assert all(
            len(message) <= house.max_frame_bytes for message in house.desk.taken
        )

    asyncio.run(run())


@given(st.integers(0, 70_000))
def test_what_is_sent_is_one_sound_frame(length: int) -> None:
    async def run() -> None:
        house = House()
        socket, pipe = opened(house)
        socket.data_received(HANDSHAKE)
        pipe.written = b""
        socket.send(b"x" * length)
        await asyncio.sleep(0)
        expected = Frame(Opcode.TEXT, b"x" * length).serialize(mask=False)
        assert pipe.written == expected
        socket.connection_lost(None)

    asyncio.run(run())


async def test_one_turn_serves_a_bounded_number_of_frames() -> None:
    house = House()
    socket, pipe = opened(house)
    frame = Frame(Opcode.TEXT, b"x").serialize(mask=True)
    n = 10 * websocket.FRAMES_PER_TURN
    socket.data_received(HANDSHAKE)
    socket.data_received(frame * n)
    assert len(house.desk.taken) == websocket.FRAMES_PER_TURN
    states = [pipe.is_paused]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(house.desk.taken) == n
    assert [*states, pipe.is_paused] == [True, False]
    socket.connection_lost(None)


async def test_nothing_is_sent_once_it_is_closed() -> None:
    house = House()
    socket, pipe = opened(house)
    socket.data_received(HANDSHAKE)
    socket.close(1008, "enough")
    socket.close(1001, "later word does not count")
    closing = pipe.written
    socket.send(b"too late")
    assert pipe.written == closing
    assert b"enough" in closing
    assert b"later" not in closing
    socket.connection_lost(None)
    socket.refuse(HTTPStatus.NOT_FOUND, "gone")  # a late decision harms nobody


async def test_what_is_sent_in_one_turn_leaves_in_one_write_and_in_order() -> None:
    house = House()
    socket, pipe = opened(house)
    socket.data_received(HANDSHAKE)
    socket.data_received(Frame(Opcode.PING, b"1").serialize(mask=True))
    pipe.written, pipe.n_write = b"", 0
    socket.send(b"one")
    socket.send(b"two")
    assert pipe.written == b""
    await asyncio.sleep(0)
    assert pipe.written == b"\x81\x03one\x81\x03two"
    assert pipe.n_write == 1
    await asyncio.sleep(0)
    assert pipe.n_write == 1


@pytest.mark.parametrize("what", ["ping", "close"])
async def test_what_was_sent_leaves_before_a_control_frame(what: str) -> None:
    house = House()
    socket, pipe = opened(house)
    socket.data_received(HANDSHAKE)
    pipe.written = b""
    socket.send(b"first")
    if what == "ping":
        socket.data_received(Frame(Opcode.PING, b"1").serialize(mask=True))
    else:
        socket.close(1000, "")
    text, control = pipe.written[:7], pipe.written[7:]
    assert text == b"\x81\x05first"
    assert control[0] == (0x8A if what == "ping" else 0x88)
    await asyncio.sleep(0)
    assert pipe.written == text + control
    socket.connection_lost(None)


async def test_what_waits_when_the_connection_is_lost_is_dropped() -> None:
    house = House()
    socket, pipe = opened(house)
    socket.data_received(HANDSHAKE)
    pipe.written = b""
    socket.send(b"too late")
    socket.connection_lost(None)
    await asyncio.sleep(0)
    assert pipe.written == b""


async def test_a_connection_that_cannot_be_written_to_keeps_no_other_waiting() -> None:
    house = House()
    (bad, broken), (good, pipe) = opened(house), opened(house)
    for socket in (bad, good):
        socket.data_received(HANDSHAKE)

    def fails(_data: bytes) -> None:
        raise OSError("the fault under test")

    broken.write = fails  # type: ignore[assignment,method-assign]  # the fault under test
    pipe.written = b""
    bad.send(b"one")
    good.send(b"two")
    await asyncio.sleep(0)
    assert pipe.written == b"\x81\x03two"


async def test_many_waiting_connections_are_written_at_once() -> None:
    house = House()
    pairs = [opened(house) for _ in range(MOST)]
    for socket, pipe in pairs:
        socket.data_received(HANDSHAKE)
        pipe.written = b""
    for socket, _ in pairs:
        socket.send(b"x")
    assert all(pipe.written == b"\x81\x01x" for _, pipe in pairs)


async def test_a_message_that_fails_ends_its_connection_only() -> None:
    house = House()
    socket, pipe = opened(house)
    socket.data_received(HANDSHAKE)

    def broken(raw: bytes) -> None:
        raise KeyError(raw)

    house.desk.take = broken  # type: ignore[method-assign]  # the fault under test
    socket.data_received(Frame(Opcode.TEXT, b"x").serialize(mask=True))
    assert b"\x88\x02\x03\xf3" in pipe.written
    socket.connection_lost(None)
