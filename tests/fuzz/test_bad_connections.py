"""Bad handshakes, bad frames and floods at the real port, while another is served."""

import asyncio
import base64
import itertools
import json
import os
import resource
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway.domain.ids import StationId
from tests.support.bad_input import FRAMES
from tests.support.frame_oracle import Call, Refusal, Silence, expected
from tests.support.ocpp_port import (
    BOOT_16,
    PASSWORD,
    Port,
    RawStation,
    open_port,
    until,
)

SERVED_S = 5.0
"""How long the witness waits for an answer at most, on a shared machine."""
MAX_FRAME = 65_536
MAX_GROWTH_BYTES = 96 * 1024 * 1024
_few = settings(max_examples=max(10, settings.default.max_examples // 5), deadline=None)  # type: ignore[union-attr]  # a profile is loaded


@dataclass
class Yard:
    """A port, a station that behaves, and room for ones that do not."""

    port: Port
    witness: RawStation
    runner: asyncio.Runner
    _ids: "itertools.count[int]"

    async def is_served(self) -> None:
        """Whether the one that behaves is answered as always."""
        async with asyncio.timeout(SERVED_S):
            assert (await self.witness.ask("Heartbeat", {}))[0] == 3

    async def newcomer(self) -> str:
        """A registered station that nobody has seen yet."""
        station_id = f"F{next(self._ids)}"
        await self.port.register(station_id)
        return station_id

    async def talk(self, *parts: bytes, wait_s: float = 0.05) -> bytes:
        """Bytes to the port, the witness served meanwhile; what came back."""
        source = f"127.0.{next(self._ids) % 200 + 1}.7"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port.number, local_addr=(source, 0)
        )
        heard = b""
        try:
            for part in parts:
                writer.write(part)
                await self.is_served()
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(wait_s):
                    while data := await reader.read(65_536):
                        heard += data
        finally:
            writer.transport.abort()
        return heard


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder: Path = tmp_path_factory.mktemp("yard")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def open_yard() -> Yard:
            port = await stack.enter_async_context(open_port(folder))
            witness = await stack.enter_async_context(port.station())
            await witness.send([2, "boot", "BootNotification", BOOT_16])
            assert (await witness.receive())[0] == 3
            for _ in range(2):  # the configuration that follows a boot
                frame = await witness.receive()
                await witness.send([3, frame[1], {"status": "Accepted"}])
            return Yard(port, witness, runner, itertools.count(1))

        async def close_yard() -> None:
            await stack.aclose()

        opened = runner.run(open_yard())
        try:
            yield opened
        finally:
            runner.run(close_yard())


def credentials(station_id: str, password: bytes = PASSWORD) -> bytes:
    return base64.b64encode(station_id.encode() + b":" + password)


def handshake(
    station_id: str, password: bytes = PASSWORD, path: bytes | None = None
) -> bytes:
    target = f"/ocpp/{station_id}".encode() if path is None else path
    return b"\r\n".join(
        (
            b"GET " + target + b" HTTP/1.1",
            b"Host: 127.0.0.1",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: " + base64.b64encode(bytes(16)),
            b"Sec-WebSocket-Protocol: ocpp1.6",
            b"Authorization: Basic " + credentials(station_id, password),
            b"\r\n",
        )
    )


# --- handshakes

HEADS = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            b"GET / HTTP/0.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST /ocpp/CP1 HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
            b"GET /ocpp/CP1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
            b"GET /ocpp/CP1 HTTP/1.1\r\n" + b"A: b\r\n" * 4000 + b"\r\n",
            b"GET /ocpp/CP1 HTTP/1.1\r\nA: " + b"b" * 100_000,
            b"GET /ocpp/" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"GET /ocpp/CP1 HTTP/1.1\r\nHost: evil\r\nHost: twice\r\n\r\n",
            b"GET /ocpp/CP1 HTTP/1.1\nHost: x\n\n",
            b"\x00" * 70_000,
        )
    ),
)
PATHS = (
    b"/ocpp/../../etc/passwd",
    b"/ocpp/%2e%2e/%2e%2e/CP1%00",
    b"/ocpp/CP1;drop",
    b"/ocpp/" + b"i" * 4096,
    b"/ocpp/%ff%fe",
    b"/ocpp/CP1%0d%0aX-Injected:%201",
    b"/ocpp/<script>",
    b"/ocpp/%25%30%30",
)


@_few
@given(st.lists(HEADS, min_size=1, max_size=3))
def test_no_bad_handshake_opens_or_disturbs_anything(
    yard: Yard, parts: list[bytes]
) -> None:
    heard = yard.runner.run(yard.talk(*parts))
    assert not heard.startswith((b"HTTP/1.1 101", b"HTTP/1.1 2", b"HTTP/1.1 500"))


@pytest.mark.parametrize("path", PATHS)
def test_an_odd_path_leads_nowhere(yard: Yard, path: bytes) -> None:
    heard = yard.runner.run(yard.talk(handshake("CP1", b"wrong", path)))
    assert heard.startswith(b"HTTP/1.1 4"), heard[:100]
    assert b"\r\nX-Injected" not in heard


def test_an_unknown_id_and_a_wrong_password_are_told_apart_by_nobody(
    yard: Yard,
) -> None:
    wrong = yard.runner.run(yard.talk(handshake("CP1", b"not-the-password")))
    unknown = yard.runner.run(yard.talk(handshake("CP2", b"not-the-password")))

    def plain(answer: bytes) -> list[bytes]:
        return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date")]

    assert plain(wrong) == plain(unknown)
    assert wrong.startswith(b"HTTP/1.1 401")


def test_hundreds_of_half_open_handshakes_and_slow_ones_keep_nobody_out(
    yard: Yard,
) -> None:
    async def crowd() -> None:
        opened = []
        for number in range(400):
            source = f"127.1.{number % 250}.9"
            _, writer = await asyncio.open_connection(
                "127.0.0.1", yard.port.number, local_addr=(source, 0)
            )
            writer.write(b"GET /ocpp/CP1 HT"[: number % 16])
            opened.append(writer)
        try:
            for byte in handshake("CP1")[:40]:
                opened[0].write(bytes([byte]))
                await yard.is_served()
            station_id = await yard.newcomer()
            async with yard.port.station(station_id) as station:
                assert (await station.ask("BootNotification", BOOT_16))[0] == 3
        finally:
            for writer in opened:
                writer.transport.abort()

    yard.runner.run(crowd())


# --- frames below OCPP


@st.composite
def wire_frames(draw: st.DrawFn) -> bytes:
    """One WebSocket frame that may be wrong in its every part."""
    head = draw(st.integers(0, 255))
    payload = draw(st.binary(max_size=80) | st.just(b'[2,"1","Heartbeat",{}]'))
    length = draw(
        st.sampled_from(
            (len(payload), 0, 125, 126, 127, MAX_FRAME, 2**30, 2**63, 2**64 - 1)
        )
    )
    form = draw(st.sampled_from((7, 16, 64)))
    is_masked = draw(st.sampled_from((0x80, 0x80, 0x80, 0)))
    if form == 7:
        size = bytes([is_masked | min(length, 125)])
    elif form == 16:
        size = bytes([is_masked | 126]) + struct.pack("!H", min(length, 0xFFFF))
    else:
        size = bytes([is_masked | 127]) + struct.pack("!Q", length)
    mask = bytes(4) if is_masked else b""
    return bytes([head]) + size + mask + payload


@_few
@given(st.lists(wire_frames(), min_size=1, max_size=6))
def test_frames_that_are_none_cost_their_sender_alone(
    yard: Yard, sent: list[bytes]
) -> None:
    async def run() -> None:
        station_id = await yard.newcomer()
        heard = await yard.talk(handshake(station_id), b"".join(sent))
        assert heard.startswith(b"HTTP/1.1 101")
        await until(lambda: not yard.port.links.is_online(StationId(station_id)))

    yard.runner.run(run())


def test_fragments_without_end_are_cut_off_at_the_limit(yard: Yard) -> None:
    async def run() -> None:
        station_id = await yard.newcomer()
        first = Frame(Opcode.TEXT, b"[" * 1000, fin=False).serialize(mask=True)
        more = Frame(Opcode.CONT, b"[" * 1000, fin=False).serialize(mask=True)
        heard = await yard.talk(handshake(station_id), first + more * 100, wait_s=1)
        closing = struct.pack("!H", 1009)
        assert closing in heard.split(b"\r\n\r\n", 1)[1]

    yard.runner.run(run())


# --- frames of OCPP-J


@_few
@given(
    st.sampled_from(sorted(FRAMES)).flatmap(lambda name: FRAMES[name]),
    st.sampled_from((("1.6", "ocpp1.6"), ("2.0.1", "ocpp2.0.1"))),
)
def test_bad_input_over_the_wire_is_answered_as_by_the_table(
    yard: Yard, raw: bytes | str, version: tuple[str, str]
) -> None:
    data = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
    if len(data) > MAX_FRAME:
        return
    number, subprotocol = version

    async def run() -> None:
        station_id = await yard.newcomer()
        async with yard.port.station(
            station_id, subprotocols=(subprotocol,)
        ) as station:
            boot = (
                BOOT_16
                if number == "1.6"
                else {
                    "reason": "PowerUp",
                    "chargingStation": {"vendorName": "V", "model": "M"},
                }
            )
            await yard.port.directory.put(
                StationId(station_id), {"managed": False}, is_admin=True
            )
            assert (await station.ask("BootNotification", boot))[0] == 3
            try:
                data.decode()
            except UnicodeDecodeError:
                await station.socket.send(data)  # as a binary message
            else:
                await station.socket.send(data, text=True)
            await yard.is_served()
            await station.send([2, "alive", "Heartbeat", {}])
            answers = []
            while (frame := await station.receive())[1] != "alive":
                answers.append(frame)
            match expected(number, data):
                case Silence():
                    assert answers == []
                case Refusal(message_id, code):
                    assert [one[:3] for one in answers] == [[4, message_id, code]]
                case Call(message_id, _):
                    await_late = [] if answers else [await station.receive()]
                    assert [one[1] for one in answers + await_late] == [message_id]

    yard.runner.run(run())


def test_a_flood_that_reads_no_answers_stays_within_bounds(yard: Yard) -> None:
    async def run() -> None:
        station_id = await yard.newcomer()
        boot = json.dumps([2, "b", "BootNotification", BOOT_16])
        events = (
            json.dumps(
                [
                    2,
                    f"e{number}",
                    "SecurityEventNotification",
                    {"type": "x" * 40, "timestamp": "2026-06-01T12:00:00Z"},
                ]
            )
            for number in itertools.count()
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", yard.port.number)
        writer.transport.set_write_buffer_limits(high=65_536)
        writer.write(handshake(station_id))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_text(boot))
        before = _rss_bytes()
        sent = 0
        waits_s = []
        loop = asyncio.get_running_loop()
        until_s = loop.time() + 2.5
        while loop.time() < until_s or sent <= 1000:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(0.05):
                    for one in itertools.islice(events, 500):
                        writer.write(_text(one))
                        sent += 1
                    await writer.drain()
            began_s = loop.time()
            await yard.is_served()
            waits_s.append(loop.time() - began_s)
            assert yard.port.writer.pending < 200
        writer.transport.abort()
        assert sorted(waits_s)[len(waits_s) // 2] < 1.0
        assert _rss_bytes() - before < MAX_GROWTH_BYTES

    yard.runner.run(run())


def _text(message: str) -> bytes:
    return Frame(Opcode.TEXT, message.encode()).serialize(mask=True)


def _rss_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
