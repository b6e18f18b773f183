"""The OCPP port: handshake, authentication, one link per connection, graceful stop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol

import structlog
from typing_extensions import override
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CTRL_OPCODES, Frame
from websockets.http11 import Request, Response
from websockets.protocol import Event
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
from gateway.server.reconnects import RETRY_AFTER_S, Reconnects
from gateway.server.registry import Links

PROTOCOL_ERROR: Final = 1002
CLOSE_TIMEOUT_S: Final = 5.0
OPEN_TIMEOUT_S: Final = 15.0
BACKLOG: Final = 4096
"""Handshakes the kernel holds for us: a site that comes back at once must not meet a
full queue, where each lost attempt costs a station seconds."""
SWEEP_S: Final = 15.0
"""Real seconds between two looks for half-open connections."""
PING_INTERVAL_S: Final = None
"""No pings of ours: some models never answer one and would be cut off for it."""

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


class StationConnection(ServerConnection):
    """A connection that also tells of pings and pongs: they are signs of life."""

    on_control: Callable[[], None] | None = None

    @override
    def process_event(self, event: Event) -> None:
        """Take one frame (or the handshake) as it comes in."""
        if (
            self.on_control is not None
            and isinstance(event, Frame)
            and event.opcode in CTRL_OPCODES
        ):
            self.on_control()
        super().process_event(event)


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
        self._reconnects = Reconnects()

    @asynccontextmanager
    async def listening(self, bound: socket.socket | None = None) -> AsyncIterator[int]:
        """Accept connections within the block; yields the bound port.

        Args:
            bound: A socket that is bound already, instead of host and port.

        Raises:
            StartupError: The port is in use or may not be bound.
        """
        options = self._options
        address: tuple[str, int] | tuple[None, None] = (options.host, options.port)
        try:
            server = await serve(
                self._serve,
                *(address if bound is None else (None, None)),
                sock=bound,
                process_request=self._process_request,
                select_subprotocol=self._select_subprotocol,
                compression="deflate" if options.compression else None,
                max_size=options.max_frame_bytes,
                max_queue=16,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=PING_INTERVAL_S,
                create_connection=StationConnection,
                server_header="wattproof",
                backlog=BACKLOG,
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
        now_s = asyncio.get_running_loop().time()
        if not self._reconnects.may_connect(admitted, now_s):
            _log.warning("station.flapping", station_id=admitted, remote=remote)
            response = connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many connections: wait\n"
            )
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
            return response
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
        if isinstance(connection, StationConnection):
            connection.on_control = partial(_heard, link)
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
            self._reconnects.forget(now_s)
            for link in self._links.all():
                idle_s = self._gate.idle_timeout_s(StationId(link.station_id))
                if now_s - link.last_frame_s > idle_s:
                    _log.warning("link.silent", station_id=link.station_id)
                    link.close_soon(PROTOCOL_ERROR, "silent for too long")


def _heard(link: Link) -> None:
    link.last_frame_s = asyncio.get_running_loop().time()


def _port_of(server: Server) -> int:
    for listening in server.sockets:
        return int(listening.getsockname()[1])
    raise StartupError("the OCPP port closed while starting")


def _remote_of(connection: ServerConnection) -> str:
    address = connection.remote_address
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "local"


def _one(headers: Headers, name: str) -> str | None:
    """A header that may legally come once; repeated ones are joined."""
    values = headers.get_all(name)
    return ", ".join(values) if values else None
