"""Connections come and go for years: none of them may stay in memory."""

import asyncio
import gc
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.server import ServerProtocol

from gateway.domain.ids import StationId
from gateway.errors import CallFailed
from gateway.ocpp.rpc import Endpoint
from gateway.server.handshake import Knock
from gateway.server.link import Link
from gateway.server.reconnects import MAX_CONNECTS, MAX_TAKEOVERS
from gateway.server.websocket import WebSocket
from gateway.services.ingest import StationSink
from tests.support.api_site import api_site
from tests.support.certificates import Authority, client_context, server_tls
from tests.support.ocpp_port import BOOT_16, Port, open_port, until

KINDS = (WebSocket, ServerProtocol, Link, Endpoint, StationSink, Knock)
N_STATION = 10
N_RECONNECT = 200


class Census:
    """Counts what has come to life since it was made and lives still."""

    def __init__(self, *kinds: type) -> None:
        self._kinds = kinds or KINDS
        self._before = self._all()  # what earlier tests hold on to is not ours

    def _all(self) -> list[object]:
        gc.collect()
        return [one for one in gc.get_objects() if type(one) in self._kinds]

    def living(self) -> Counter[str]:
        known = {id(one) for one in self._before}
        return Counter(type(o).__name__ for o in self._all() if id(o) not in known)


async def left_by(census: Census) -> Counter[str]:
    """What is left when the threads have let go of their last answers, too."""
    for _ in range(20):
        if not census.living():
            break
        await asyncio.sleep(0.1)
    return census.living()


async def all_gone(port: Port) -> None:
    await until(lambda: not port.listener._sockets)


async def called_while_it_leaves(port: Port, station_id: str, ending: int) -> None:
    """One connection that ends while it owes an answer, in one of three ways."""
    async with port.station(station_id) as cp:
        await cp.ask("BootNotification", BOOT_16)

        async def call() -> None:
            with suppress(CallFailed):
                link = port.links.get(StationId(station_id))
                assert link is not None
                await link.call("GetLocalListVersion", {}, timeout_s=30)

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(call())
            await cp.receive()
            match ending:
                case 0:
                    await cp.socket.close()
                case 1:
                    cp.socket.transport.abort()
                case 2:
                    cp.socket.transport.write(b"\x81\x00")
                    await cp.closed()
                case _:
                    waiting.cancel()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def factory(
    request: pytest.FixtureRequest,
) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


def test_two_hundred_reconnects_leave_no_connection_behind(
    tmp_path: Path, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> Counter[str]:
        census = Census()
        async with open_port(tmp_path) as port:
            names = [f"R{index}" for index in range(N_STATION)]
            for name in names:
                await port.register(name)
            for index in range(N_RECONNECT):
                await called_while_it_leaves(port, names[index % N_STATION], index % 4)
            await all_gone(port)
            return await left_by(census)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(run()) == {}


def test_refused_rationed_and_contested_stations_leave_nothing(
    tmp_path: Path, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def refused(port: Port, station_id: str, password: bytes) -> int:
        with pytest.raises(InvalidStatus) as caught:
            async with port.station(station_id, password=password):
                pytest.fail("connected")
        return caught.value.response.status_code

    async def run() -> Counter[str]:
        census = Census()
        async with open_port(tmp_path) as port:
            seen = [await refused(port, "NOBODY", b"x" * 16) for _ in range(30)]
            assert set(seen) == {401, 429}
            for number in range(2 * MAX_TAKEOVERS + 2):
                async with port.station() as first:
                    source = f"127.0.0.{2 + number % 2}"
                    async with port.station(source=source) as second:
                        await second.ask("BootNotification", BOOT_16)
                        await first.closed()
            assert port.links.contested(StationId("CP1"))
            with suppress(InvalidStatus):
                for _ in range(MAX_CONNECTS + 1):
                    async with port.station():
                        pass
            assert await refused(port, "CP1", b"a-station-password") == 503
            for rubbish in (b"", b"GET /ocpp", b"rubbish\r\n\r\n", b"\0" * 20_000):
                _, writer = await asyncio.open_connection("127.0.0.1", port.number)
                writer.write(rubbish)
                with suppress(ConnectionError):
                    await writer.drain()
                writer.close()
            await all_gone(port)
            return await left_by(census)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(run()) == {}


def test_tls_connections_and_failed_tls_handshakes_leave_nothing(
    tmp_path: Path, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    root, clients = Authority.new(), Authority.new("Station root")
    own = clients.issue(tmp_path, "CP1")
    with_certificate = client_context(root, tmp_path, certificate=own)
    distrustful = client_context(clients, tmp_path)
    strange = Authority.new("Stranger").issue(tmp_path, "CP1")
    stranger = client_context(root, tmp_path, certificate=strange)

    async def run() -> Counter[str]:
        config = server_tls(tmp_path, root, clients)
        census = Census(*KINDS, SSLProtocol)
        async with open_port(tmp_path, tls=config) as port:
            number = port.listener.tls_port
            assert number is not None

            async def once(**how: Any) -> None:
                async with port.station(
                    scheme="wss", number=number, server_hostname="localhost", **how
                ) as cp:
                    await cp.ask("BootNotification", BOOT_16)
                    if how["ssl"] is not with_certificate:
                        cp.socket.transport.abort()

            for _ in range(20):
                await once(ssl=with_certificate, password=None)
                await once(ssl=client_context(root, tmp_path))
                for bad in (distrustful, stranger):
                    with suppress(OSError, WebSocketException):
                        await once(ssl=bad, password=None)
                _, writer = await asyncio.open_connection("127.0.0.1", number)
                writer.write(b"GET /ocpp/CP1 HTTP/1.1\r\n\r\n")
                writer.close()
            await all_gone(port)
            return await left_by(census)

    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(run()) == {}


async def test_the_whole_gateway_keeps_no_connection_either(tmp_path: Path) -> None:
    census = Census()
    async with api_site(tmp_path) as site:
        names = [f"R{index}" for index in range(N_STATION)]
        for name in names:
            await site.register(name)
        for index in range(60):
            version = "1.6" if index % 2 else "2.0.1"
            async with site.station(names[index % N_STATION], version) as first:
                await first.boot()
                await first.ask("Heartbeat", {})
                if index % 3 == 0:
                    async with site.station(names[index % N_STATION], version) as again:
                        await again.boot()
        with pytest.raises(InvalidStatus):
            async with site.station("NEW", password="another-password-1"):
                pytest.fail("connected")
        assert await left_by(census) == {}
