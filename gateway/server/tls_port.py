"""The TLS port's files in use: read at the start, read again when they change."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.config.tls import TlsConfig
from gateway.errors import ConfigError, StartupError
from gateway.server import tls

LOOK_S: Final = 10.0
"""Real seconds between two looks whether a file has changed."""

_log = structlog.get_logger()

Serve = Callable[[socket.socket, ssl.SSLContext], Awaitable[asyncio.Server]]


class TlsPort:
    """One listening socket, served with the certificates as they are now.

    New certificates get a new server on the same socket: connections that are up stay,
    and no handshake is lost in between.
    """

    def __init__(
        self, *, config: TlsConfig, bound: socket.socket, serve: Serve, clock: Clock
    ) -> None:
        self._config = config
        self._bound = bound
        self._serve = serve
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._seen: object = None
        self._turn = asyncio.Lock()
        self._is_closed = False

    @property
    def number(self) -> int:
        """The TCP port."""
        return int(self._bound.getsockname()[1])

    async def open(self) -> None:
        """Serve.

        Raises:
            ConfigError: A file cannot be used.
            StartupError: The socket cannot be listened on.
        """
        self._seen = tls.fingerprint(self._config)
        for warning in tls.check(self._config, self._clock.now()):
            _log.warning("tls.warning", text=warning)
        context = tls.context_of(self._config)
        old, server = self._server, await self._serve(self._bound.dup(), context)
        if self._is_closed:  # meanwhile
            server.close()
            return
        self._server = server
        if old is not None:
            old.close()

    async def reload(self) -> None:
        """Read the files again; what cannot be used changes nothing."""
        try:
            async with self._turn:  # or of two servers, one would be left behind
                await self.open()
        except (ConfigError, StartupError, OSError) as error:
            _log.error("tls.not_reloaded", why=str(error))
        else:
            _log.info("tls.reloaded")

    async def watch(self) -> None:
        """Reload whenever a file changes, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                seen = tls.fingerprint(self._config)
            except OSError as error:  # being replaced: look again
                _log.warning("tls.file_missing", why=str(error))
                continue
            if seen != self._seen:
                await self.reload()

    def close(self) -> None:
        """Take no more connections."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
            self._server = None
        self._bound.close()
