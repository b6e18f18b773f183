"""The OCPP port: handshake, authentication, one link per connection, graceful stop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import StartupError
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.frames import Call, CallError, CallResult
from gateway.ocpp.rpc import Endpoint
from gateway.server.auth import (
    BadCredentialsError,
    Credentials,
    parse_basic,
    station_id_of,
)
from gateway.server.link import FrameSink, Link
from gateway.server.registry import Links

PROTOCOL_ERROR: Final = 1002
CLOSE_TIMEOUT_S: Final = 5.0
OPEN_TIMEOUT_S: Final = 15.0
SWEEP_S: Final = 15.0
"""Real seconds between two looks for half-open connections."""

_log = structlog.get_logger()


class Gate(Protocol):
    """Who may come in (``services.admission``)."""

    async def admit(
        self, station_id: StationId, credentials: Credentials | None, remote: str
    ) -> StationId | None:
        """The station's registered id, or ``None`` when it is refused."""
        ...

    def knocked(self, station_id: str, remote: str, reason: str) -> None:
        """Remember a refused attempt for the cockpit."""
        ...

    def is_throttled(self, station_id: str, remote: str) -> bool:
        """Whether this sender failed too often of late."""
        ...

    def idle_timeout_s(self, station_id: StationId) -> float:
        """Real seconds of silence after which a connection counts as half-open."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """How the port behaves.

    Attributes:
        host: Address to bind.
        port: TCP port; 0 picks one.
        max_frame_bytes: Larger frames close the connection (1009).
        compression: Offer permessage-deflate; costs memory and CPU per connection.
    """

    host: str
    port: int
    max_frame_bytes: int
    compression: bool


class WebSocketTransport:
    """A ``websockets`` connection as a ``Transport``."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        """The next frame's payload; EOFError once closed."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as error:
            raise EOFError from error

    async def send(self, frame: bytes) -> None:
        """Send one text frame; EOFError once closed."""
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as error:
            raise EOFError from error

    async def close(self, code: int, reason: str) -> None:
        """Close with a status."""
        await self._connection.close(code, reason)


class Listener:
    """Accepts stations and runs their links."""

    def __init__(
        self,
        *,
        options: ListenerOptions,
        adapters: Mapping[str, Adapter],
        gate: Gate,
        links: Links,
        clock: Clock,
        parse: Callable[[bytes], Call | CallResult | CallError],
        make_endpoint: Callable[[], Endpoint],
        make_sink: Callable[[StationId, Adapter, str], FrameSink],
    ) -> None:
        self._options = options
        self._adapters = adapters
        self._gate = gate
        self._links = links
        self._clock = clock
        self._parse = parse
        self._make_endpoint = make_endpoint
        self._make_sink = make_sink

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Accept connections within the block; yields the bound port.

        Raises:
            StartupError: The port is in use or may not be bound.
        """
        options = self._options
        try:
            server = await serve(
                self._serve,
                options.host,
                options.port,
                process_request=self._process_request,
                select_subprotocol=self._select_subprotocol,
                compression="deflate" if options.compression else None,
                max_size=options.max_frame_bytes,
                max_queue=16,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,
                server_header="wattproof",
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise StartupError(
                f"cannot listen on {options.host}:{options.port} for OCPP: {reason}"
            ) from error
        async with asyncio.TaskGroup() as group:
            sweeper = group.create_task(self._sweep(), name="listener.sweep")
            try:
                yield _port_of(server)
            finally:
                self._links.close_all("the central system is stopping")
                server.close(close_connections=True)
                await server.wait_closed()
                sweeper.cancel()

    async def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        remote = _remote_of(connection)
        station_id = station_id_of(request.path)
        if station_id is None:
            return connection.respond(
                HTTPStatus.NOT_FOUND, "no station id: connect to /ocpp/{station_id}\n"
            )
        if self._gate.is_throttled(station_id, remote):
            return connection.respond(
                HTTPStatus.TOO_MANY_REQUESTS, "too many failed attempts\n"
            )
        try:
            credentials = parse_basic(_one(request.headers, "Authorization"))
        except BadCredentialsError as error:
            self._gate.knocked(station_id, remote, f"unreadable credentials: {error}")
            return self._unauthorized(connection)
        if _one(request.headers, "Sec-WebSocket-Protocol") is None:
            self._gate.knocked(station_id, remote, "offered no subprotocol")
            return connection.respond(
                HTTPStatus.BAD_REQUEST,
                "no subprotocol offered: ask for ocpp1.6 or ocpp2.0.1\n",
            )
        admitted = await self._gate.admit(station_id, credentials, remote)
        if admitted is None:
            return self._unauthorized(connection)
        connection.username = admitted
        return None

    def _unauthorized(self, connection: ServerConnection) -> Response:
        response = connection.respond(HTTPStatus.UNAUTHORIZED, "not authorized\n")
        response.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return response

    def _select_subprotocol(
        self, _connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """The station's first choice that is spoken here (OCPP-J 3.1.2)."""
        return next((name for name in offered if name in self._adapters), None)

    async def _serve(self, connection: ServerConnection) -> None:
        station_id = StationId(connection.username)
        remote = _remote_of(connection)
        adapter = self._adapters.get(connection.subprotocol or "")
        if adapter is None:
            self._gate.knocked(station_id, remote, "offered no OCPP version we speak")
            await connection.close(PROTOCOL_ERROR, "speak ocpp1.6 or ocpp2.0.1")
            return
        link = Link(
            station_id=station_id,
            adapter=adapter,
            transport=WebSocketTransport(connection),
            endpoint=self._make_endpoint(),
            sink=self._make_sink(station_id, adapter, remote),
            clock=self._clock,
            parse=self._parse,
            remote=remote,
            epoch=self._links.next_epoch(),
        )
        log = _log.bind(station_id=station_id, ocpp_version=adapter.version)
        log.info("link.opened", remote=remote)
        self._links.attach(link)
        try:
            await link.run()
        except Exception:  # the outer edge: one station never takes others down
            log.exception("link.failed")
        finally:
            self._links.detach(link)
            log.info(
                "link.closed",
                remote=remote,
                close_code=connection.close_code,
                duration_s=round(
                    (self._clock.now() - link.opened_at).total_seconds(), 1
                ),
                frames_in=link.counters.frames_in,
                frames_out=link.counters.frames_out,
                orphan_answers=link.counters.orphan_answers,
            )

    async def _sweep(self) -> None:
        """Close connections that have been silent for too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = loop.time()
            for link in self._links.all():
                idle_s = self._gate.idle_timeout_s(StationId(link.station_id))
                if now_s - link.last_frame_s > idle_s:
                    _log.warning("link.silent", station_id=link.station_id)
                    link.close_soon(PROTOCOL_ERROR, "silent for too long")


def _port_of(server: Server) -> int:
    for socket in server.sockets:
        return int(socket.getsockname()[1])
    raise StartupError("the OCPP port closed while starting")


def _remote_of(connection: ServerConnection) -> str:
    address = connection.remote_address
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "local"


def _one(headers: Headers, name: str) -> str | None:
    """A header that may legally come once; repeated ones are joined."""
    values = headers.get_all(name)
    return ", ".join(values) if values else None
