"""The OCPP port: handshake, authentication, one link per connection, graceful stop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog
from websockets.extensions.base import ServerExtensionFactory
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request

from gateway.clock import Clock
from gateway.config.tls import TlsConfig
from gateway.domain.connection import ConnectionSecurity
from gateway.domain.ids import StationId
from gateway.errors import ConfigError, StartupError
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.rpc import Endpoint
from gateway.ports import OCPP, OCPP_LEGACY_TLS, OCPP_TLS, bind, listen
from gateway.server.handshake import Admitted, Gate, Handshake, Knock, Refusal
from gateway.server.handshake import come_later as busy
from gateway.server.link import FrameSink, Link
from gateway.server.outbox import Outbox
from gateway.server.pressure import Pressure
from gateway.server.reconnects import Reconnects
from gateway.server.registry import Links
from gateway.server.tls import legacy_warnings, security_of
from gateway.server.tls_port import TlsPort
from gateway.server.websocket import PROTOCOL_ERROR, WebSocket

BACKLOG: Final = 4096
"""Handshakes the kernel holds for us: a site that comes back at once must not meet a
full queue, where each lost attempt costs a station seconds."""
RECEIVE_BUFFER_BYTES: Final = 65_536
"""Of each connection, in the kernel: bounds what one may have us read in one turn."""
MAX_OPENING: Final = 8192
"""Connections without a finished handshake; further ones are dropped."""
SWEEP_S: Final = 15.0
"""Real seconds between two looks for half-open connections. No pings are sent for that:
some models never answer one and would be cut off for it."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerOptions:
    """How the port behaves.

    Attributes:
        host: Address to bind.
        port: TCP port; 0 picks one.
        max_frame_bytes: Larger frames close the connection (1009).
        compression: Offer permessage-deflate; costs memory and CPU per connection.
        tls: A second port, with TLS, and perhaps a third, with old TLS.
    """

    host: str
    port: int
    max_frame_bytes: int
    compression: bool
    tls: TlsConfig | None = None


class Listener:
    """Accepts stations and looks after their links; a `host.Host`."""

    def __init__(
        self,
        *,
        options: ListenerOptions,
        adapters: Mapping[str, Adapter],
        strict_adapters: Mapping[str, Adapter],
        gate: Gate,
        links: Links,
        clock: Clock,
        make_endpoint: Callable[[], Endpoint],
        make_sink: Callable[[StationId, Adapter, str], FrameSink],
        is_shut: Callable[[], bool] = bool,
    ) -> None:
        self.max_frame_bytes = options.max_frame_bytes
        self.extensions: Sequence[ServerExtensionFactory] = (
            (ServerPerMessageDeflateFactory(),) if options.compression else ()
        )
        self.outbox = Outbox(asyncio.get_running_loop().call_soon)
        self._options = options
        self._gate = gate
        self._links = links
        self._clock = clock
        self._make_endpoint = make_endpoint
        self._make_sink = make_sink
        self._is_shut = is_shut
        self._reconnects = Reconnects()
        self._pressure = Pressure()
        self._handshake = Handshake(
            gate=gate,
            adapters=adapters,
            strict_adapters=strict_adapters,
            reconnects=self._reconnects,
            kept_out_s=links.kept_out_s,
        )
        self._sockets: set[WebSocket] = set()
        self._opening: set[WebSocket] = set()
        self._group: asyncio.TaskGroup | None = None
        self._all_left = asyncio.Event()
        self._tls: TlsPort | None = None
        self._legacy: TlsPort | None = None

    @property
    def tls_port(self) -> int | None:
        """The TLS port's number while it is open."""
        return None if self._tls is None else self._tls.number

    @property
    def legacy_port(self) -> int | None:
        """The number of the port for old TLS while it is open."""
        return None if self._legacy is None else self._legacy.number

    @asynccontextmanager
    async def listening(
        self,
        bound: socket.socket | None = None,
        tls: socket.socket | None = None,
        legacy: socket.socket | None = None,
    ) -> AsyncIterator[int]:
        """Accept connections within the block; yields the bound port.

        Args:
            bound: A socket that is bound already, instead of host and port.
            tls: The same for the TLS port.
            legacy: The same for the port for old TLS.

        Raises:
            StartupError: The port is in use or may not be bound, or a file of the TLS
                port cannot be used.
        """
        async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
            self._group = group
            for work, name in (
                (self._sweep, "listener.sweep"),
                (self._pressure.measure, "listener.pressure"),
            ):
                stack.callback(group.create_task(work(), name=name).cancel)
            stack.push_async_callback(self._stop)
            options = self._options
            if options.tls is not None:
                own = tls or bind(options.host, options.tls.port, OCPP_TLS)
                stack.callback(own.close)
                self._tls = self._serve_tls(own, options.tls, stack)
                if options.tls.legacy_port is not None:
                    old = legacy or bind(
                        options.host, options.tls.legacy_port, OCPP_LEGACY_TLS
                    )
                    stack.callback(old.close)
                    self._legacy = self._serve_tls(
                        old, options.tls, stack, is_legacy=True
                    )
                    for text in legacy_warnings(options.tls):
                        _log.warning(
                            "tls.legacy_port", port=self.legacy_port, text=text
                        )
            server = await self._open(bound or bind(options.host, options.port, OCPP))
            stack.callback(server.close)
            yield _port_of(server)

    def reload_tls(self) -> None:
        """Read the TLS ports' files again, as on SIGHUP."""
        for port in (self._tls, self._legacy):
            if port is not None and self._group is not None:
                port.reload()

    async def _open(self, bound: socket.socket) -> asyncio.Server:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listen(bound, BACKLOG, OCPP)
        return await asyncio.get_running_loop().create_server(
            lambda: WebSocket(self), sock=bound, backlog=BACKLOG
        )

    def _serve_tls(
        self,
        bound: socket.socket,
        config: TlsConfig,
        stack: AsyncExitStack,
        *,
        is_legacy: bool = False,
    ) -> TlsPort:
        """Open a TLS port and serve it until ``stack`` ends."""
        assert self._group is not None
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        port = TlsPort(
            config=config,
            bound=bound,
            make=lambda: WebSocket(self),
            has_room=self._has_room,
            clock=self._clock,
            is_legacy=is_legacy,
        )
        try:
            port.open(BACKLOG)
        except (ConfigError, OSError) as error:  # checked before: changed since
            raise StartupError(str(error)) from error
        name = "listener.tls.legacy" if is_legacy else "listener.tls"
        for work, what in ((port.watch, f"{name}.watch"), (port.run, name)):
            task = self._group.create_task(work(), name=what)
            stack.push_async_callback(asyncio.wait, [task])
            stack.callback(task.cancel)
        return port

    def _has_room(self) -> bool:
        """Whether one more TLS handshake may begin, whichever port it is at."""
        ports = (self._tls, self._legacy)
        n_trying = sum(port.n_trying for port in ports if port is not None)
        return len(self._opening) + n_trying < MAX_OPENING

    async def _stop(self) -> None:
        """Close every connection politely, and wait until all are gone."""
        self._group = None
        for opening in tuple(self._opening):
            opening.abort()
        self._links.close_all("the central system is stopping")
        while self._sockets:
            self._all_left.clear()
            await self._all_left.wait()

    # What connections say; see `host.Host`.

    def arrived(self, socket: WebSocket) -> bool:
        """Note a connection; too many without a handshake are not served."""
        self._sockets.add(socket)
        if self._group is None or len(self._opening) >= MAX_OPENING:
            return False
        self._opening.add(socket)
        return True

    def knock(self, socket: WebSocket, request: Request) -> None:
        """Answer a handshake request."""
        now_s = asyncio.get_running_loop().time()
        if self._group is None:
            socket.abort()
        elif not self._is_shut() and self._pressure.may_enter(now_s):
            self._group.create_task(self._answer(socket, request))
        else:
            _refuse(socket, busy(request.path))

    def left(self, socket: WebSocket) -> None:
        """Forget a connection."""
        self._sockets.discard(socket)
        self._opening.discard(socket)
        if not self._sockets:
            self._all_left.set()

    async def _answer(self, socket: WebSocket, request: Request) -> None:
        try:
            knock = Knock(
                path=request.path,
                headers=request.headers,
                remote=socket.remote,
                security=self._security_of(socket),
            )
            now_s = asyncio.get_running_loop().time()
            decided = await self._handshake.decide(knock, now_s)
            if socket not in self._opening:
                return  # gone meanwhile
            if isinstance(decided, Refusal):
                _refuse(socket, decided)
            else:
                self._let_in(socket, request, decided, knock)
        except Exception:  # noqa: BLE001 - the outer edge: one handshake never takes others down
            _log.exception("handshake.failed", remote=socket.remote)
            socket.abort()

    def _security_of(self, socket: WebSocket) -> ConnectionSecurity:
        port = socket.local_port
        is_legacy = port is not None and port == self.legacy_port
        return security_of(socket.ssl_object, port=port, is_legacy=is_legacy)

    def _let_in(
        self, socket: WebSocket, request: Request, admitted: Admitted, knock: Knock
    ) -> None:
        if admitted.compression is not None:
            socket.offer((ServerPerMessageDeflateFactory(),) * admitted.compression)
        if not socket.accept(request, admitted.subprotocol):
            return
        self._opening.discard(socket)
        adapter, station_id = admitted.adapter, admitted.station_id
        if adapter is None:
            socket.close(PROTOCOL_ERROR, admitted.complaint)
            return
        log = _log.bind(station_id=station_id, ocpp_version=adapter.version)

        def lost(link: Link) -> None:
            self._links.detach(link)
            log.info(
                "link.closed",
                remote=link.remote,
                close_code=socket.close_code,
                duration_s=round(
                    (self._clock.now() - link.opened_at).total_seconds(), 1
                ),
                frames_in=link.counters.frames_in,
                frames_out=link.counters.frames_out,
                orphan_answers=link.counters.orphan_answers,
            )

        link = Link(
            station_id=station_id,
            adapter=adapter,
            transport=socket,
            endpoint=self._make_endpoint(),
            sink=self._make_sink(station_id, adapter, knock.remote),
            clock=self._clock,
            remote=knock.remote,
            epoch=self._links.next_epoch(),
            security=knock.security,
            on_lost=lost,
        )
        log.info("link.opened", remote=link.remote, profile=knock.security.profile)
        if knock.security.is_old_tls:
            _log.warning(
                "link.old_tls",
                station_id=station_id,
                remote=link.remote,
                tls_version=knock.security.tls_version,
                port=knock.security.port,
            )
        self._links.attach(link)
        self._gate.entered(station_id, adapter.version)
        socket.start(link)

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


def _refuse(socket: WebSocket, refusal: Refusal) -> None:
    socket.refuse(HTTPStatus(refusal.status), refusal.text, refusal.headers)


def _port_of(server: asyncio.Server) -> int:
    for listening in server.sockets:
        return int(listening.getsockname()[1])
    raise StartupError("the OCPP port closed while starting")
