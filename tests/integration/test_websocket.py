"""The transport over real sockets: whatever the packets, the messages are the same."""

import asyncio
import gc
import itertools
import json
import os
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from gateway.domain.ids import StationId
from gateway.ocpp.rpc import Endpoint
from gateway.server import websocket
from gateway.server.link import Link
from gateway.server.pressure import Pressure
from gateway.services.ingest import StationSink
from tests.support.ocpp_port import BOOT_16, RawStation, open_port, until

Cut = Callable[[bytes], list[bytes]]


def frame(text: str, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """A client's frame on the wire."""
    return Frame(opcode, text.encode(), fin).serialize(mask=True)


def heartbeat(number: int) -> str:
    return json.dumps([2, f"h{number}", "Heartbeat", {}])


def pieces(size: int) -> Cut:
    return lambda wire: [wire[at : at + size] for at in range(0, len(wire), size)]


async def answers(cp: RawStation, n: int) -> list[str]:
    """The next answers; calls of the central system are passed over."""
    ids: list[str] = []
    while len(ids) < n:
        kind, message_id, *_ = await cp.receive()
        if kind != 2:
            ids.append(message_id)
    return ids


@pytest.mark.parametrize("cut", [pieces(1), pieces(7), pieces(100_000)])
async def test_messages_are_found_however_the_packets_are_cut(
    tmp_path: Path, cut: Cut
) -> None:
    long = json.dumps([2, "long", "DataTransfer", {"vendorId": "V", "data": "x" * 300}])
    wire = b"".join(
        (
            frame(heartbeat(0)),
            frame("mid", Opcode.PING),
            frame(long[:20], fin=False),
            frame(long[20:60], Opcode.CONT, fin=False),
            frame("between", Opcode.PING),
            frame("", Opcode.CONT, fin=False),
            frame(long[60:], Opcode.CONT),
            frame(long.replace("long", "whole")),
            frame(heartbeat(1), Opcode.BINARY),
            frame(heartbeat(2)),
        )
    )
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        for piece in cut(wire):
            cp.socket.transport.write(piece)
            await asyncio.sleep(0)
        heard = await answers(cp, 5)
        assert sorted(heard) == ["h0", "h1", "h2", "long", "whole"]
        assert heard.index("h0") < heard.index("h1") < heard.index("h2")


async def test_more_frames_than_one_turn_serves_are_all_answered_in_order(
    tmp_path: Path,
) -> None:
    n = 10 * websocket.FRAMES_PER_TURN
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        cp.socket.transport.write(b"".join(frame(heartbeat(i)) for i in range(n)))
        assert await answers(cp, n) == [f"h{i}" for i in range(n)]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame("x" * 65_537), 1009),
        (frame("x" * 40_000, fin=False) + frame("x" * 40_000, Opcode.CONT), 1009),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1009),
        (b"\xc1" + frame("{}")[1:], 1002),
        (b"\x83" + frame("{}")[1:], 1002),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
        (frame("{}", Opcode.CONT), 1002),
        (frame("{}", fin=False) + frame("{}"), 1002),
        (b"\x09\x80abcd", 1002),
    ],
    ids=[
        "long",
        "long in parts",
        "endless",
        "reserved bit",
        "unknown opcode",
        "unmasked",
        "continuation of nothing",
        "two at once",
        "masked ping without its mask",
    ],
)
async def test_what_breaks_the_protocol_costs_its_sender_the_connection(
    tmp_path: Path, wire: bytes, code: int
) -> None:
    async with open_port(tmp_path) as port, port.station() as other:
        await port.register("CP2")
        async with port.station("CP2") as cp:
            cp.socket.transport.write(wire)
            assert await cp.closed() == code
        assert (await other.ask("BootNotification", BOOT_16))[0] == 3
        await until(lambda: len(port.links.all()) == 1)


async def test_a_station_that_reads_nothing_is_cut_off_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.2)
    async with open_port(tmp_path) as port, port.station() as cp:
        await cp.ask("BootNotification", BOOT_16)
        cp.socket.transport.pause_reading()
        tracemalloc.start()
        async with asyncio.timeout(30):
            while port.links.is_online(StationId("CP1")):
                cp.socket.transport.write(frame("x" * 125, Opcode.PING) * 100)
                await asyncio.sleep(0.001)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20_000_000


@pytest.mark.parametrize("size", [1, 13])
async def test_a_slow_handshake_is_served_and_an_endless_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT_S", 3.0)
    request = (
        b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\n"
        b"Connection: keep-alive, Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
        b"Authorization: Basic Q1AxOmEtc3RhdGlvbi1wYXNzd29yZA==\r\n\r\n"
    )
    async with open_port(tmp_path) as port:
        for wire, expected in ((request, b"HTTP/1.1 101"), (request[:-2], b"")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            for piece in pieces(size)(wire):
                writer.write(piece)
                await asyncio.sleep(0)
            async with asyncio.timeout(30):
                assert (await reader.readline())[:12] == expected
            writer.close()


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"GET /ocpp/CP1 HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"GET /ocpp/CP1 HTTP/1.1\r\nX: " + b"y" * 9_000 + b"\r\n\r\n", b"431"),
        (b"GET /ocpp/CP1 HTTP/1.1\r\n" + b"X: yyyyyyyy\r\n" * 9_000, b"431"),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\n\r\n", b"401"),
        (b"rubbish\r\n\r\n", b""),
        (os.urandom(64) + b"\r\n\r\n", b""),
        (b"POST /ocpp/CP1 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", b""),
    ],
    ids=[
        "many headers",
        "a long header",
        "headers without end",
        "a long path",
        "no credentials",
        "rubbish",
        "random bytes",
        "another method",
    ],
)
async def test_a_bad_request_gets_an_answer_or_the_door(
    tmp_path: Path, wire: bytes, status: bytes
) -> None:
    async with open_port(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(wire)
        async with asyncio.timeout(30):
            try:
                said = await reader.read()
            except ConnectionResetError:
                said = b""
        assert said[9:12] == status or (status == b"431" and not said)
        writer.close()
        async with port.station() as cp:
            assert (await cp.ask("BootNotification", BOOT_16))[0] == 3


async def test_a_loop_that_is_behind_sends_stations_away_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.pressure.ENTRIES_PER_S", 1.0)
    monkeypatch.setattr(Pressure, "note", lambda _self, _lag: None)
    async with open_port(tmp_path) as port:
        port.listener._pressure.lag_s = 3.0
        async with port.station():
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(b"GET /ocpp/CP2 HTTP/1.1\r\nHost: x\r\n\r\n")
            said = (await reader.read()).decode()
            assert said.startswith("HTTP/1.1 503")
            wait_s = int(said.split("Retry-After: ")[1].split("\r\n")[0])
            assert 5 <= wait_s < 30
            writer.close()
        port.listener._pressure.lag_s = 0.0
        async with port.station() as cp:
            assert (await cp.ask("BootNotification", BOOT_16))[0] == 3


async def test_one_station_that_floods_leaves_another_its_time(tmp_path: Path) -> None:
    async with open_port(tmp_path) as port:
        await port.register("CP2")
        async with port.station() as flooder, port.station("CP2") as other:
            await flooder.ask("BootNotification", BOOT_16)
            await other.ask("BootNotification", BOOT_16)
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
            numbers = itertools.count()

            async def flood() -> None:
                while True:
                    for _ in range(200):
                        call = [2, f"f{next(numbers)}", "StatusNotification", status]
                        flooder.socket.transport.write(frame(json.dumps(call)))
                    await asyncio.sleep(0.01)

            async def read_away() -> None:
                async for _ in flooder.socket:
                    pass

            loop = asyncio.get_running_loop()
            took = []
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(flood()), group.create_task(read_away())]
                await asyncio.sleep(0.5)
                for _ in range(50):
                    began_s = loop.time()
                    await other.ask("Heartbeat", {})
                    took.append(loop.time() - began_s)
                for task in tasks:
                    task.cancel()
            flooded = port.links.get(StationId("CP1"))
            assert flooded is not None
            seconds = sum(took) + 0.5
            assert flooded.counters.frames_in < 4_000 + 1_500 * seconds
            assert sorted(took)[45] < 2.0


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_connection_that_is_gone_leaves_nothing_for_the_collector(
    tmp_path: Path, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    kinds = (websocket.WebSocket, ServerProtocol, Link, Endpoint, StationSink)

    def living() -> list[object]:
        return [one for one in gc.get_objects() if type(one) in kinds]

    async def run() -> list[str]:
        before = living()  # what earlier tests hold on to is not ours
        async with open_port(tmp_path) as port:
            await port.register("CP2")
            for ending in ("close", "abort", "protocol", "refused", "rubbish"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
                if ending == "rubbish":
                    writer.write(b"rubbish\r\n\r\n")
                    await reader.read()
                elif ending == "refused":
                    writer.write(b"GET /ocpp/CP9 HTTP/1.1\r\n\r\n")
                    await reader.read()
                writer.close()
                async with port.station("CP2") as cp:
                    await cp.ask("BootNotification", BOOT_16)
                    if ending == "abort":
                        cp.socket.transport.abort()
                    elif ending == "protocol":
                        cp.socket.transport.write(b"\x81\x00")
                        await cp.closed()
            await until(lambda: not port.listener._sockets)

            def left() -> list[str]:
                found = [o for o in living() if not any(o is one for one in before)]
                return [type(one).__name__ for one in found]

            with suppress(TimeoutError):  # the writer's thread lets go of the last one
                await until(lambda: not left())
            return left()

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(run()) == []
    finally:
        gc.enable()
