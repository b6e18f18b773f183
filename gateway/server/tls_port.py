"""The TLS port: its files as they are now, and the handshakes of who comes.

Connections are accepted here and given to the event loop one by one: its own servers
drop a failed handshake without a word, and whose it was is what an operator needs.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.config.tls import TlsConfig
from gateway.errors import ConfigError
from gateway.ports import OCPP_LEGACY_TLS, OCPP_TLS, listen
from gateway.server import tls
from gateway.server.websocket import CLOSE_TIMEOUT_S, OPEN_TIMEOUT_S

LOOK_S: Final = 10.0
"""Real seconds between two looks whether a file has changed."""
CHECK_AGAIN: Final = timedelta(days=1)
"""Between two looks at the ends of certificates that stay the same."""
PAUSE_S: Final = 1.0
"""Real seconds to wait when the system has no connection to give."""
REFUSALS_PER_MINUTE: Final = 60
REFUSALS_PER_HOST: Final = 10
"""Of those: one noisy host must not hide the others."""

_log = structlog.get_logger()


class TlsPort:
    """One listening socket, served with the certificates as they are now.

    New certificates count for handshakes from then on: connections that are up stay,
    and no handshake is lost in between.

    Args:
        config: The files.
        bound: The socket; closed by `run`.
        make: Makes the protocol of a connection whose handshake is done.
        has_room: Whether one more may try.
        clock: The time that X.509 counts in.
        is_legacy: Takes old TLS; what is odd about the files the main port tells.
    """

    def __init__(
        self,
        *,
        config: TlsConfig,
        bound: socket.socket,
        make: Callable[[], asyncio.Protocol],
        has_room: Callable[[], bool],
        clock: Clock,
        is_legacy: bool = False,
    ) -> None:
        self._config = config
        self._bound = bound
        self._make = make
        self._has_room = has_room
        self._clock = clock
        self._is_legacy = is_legacy
        self._context: ssl.SSLContext
        self._checked_at: datetime
        self._seen: object = None
        self.n_trying = 0
        self._refusals = Refusals()

    @property
    def number(self) -> int:
        """The TCP port."""
        return int(self._bound.getsockname()[1])

    def open(self, backlog: int) -> None:
        """Read the files and listen; `run` serves.

        Raises:
            ConfigError: A file cannot be used.
            StartupError: The socket cannot be listened on.
        """
        self._read()
        self._bound.setblocking(False)
        listen(self._bound, backlog, OCPP_LEGACY_TLS if self._is_legacy else OCPP_TLS)

    def reload(self) -> None:
        """Read the files again; what cannot be used changes nothing."""
        try:
            self._read()
        except (ConfigError, OSError) as error:
            _log.error("tls.not_reloaded", port=self.number, why=str(error))
        else:
            _log.info("tls.reloaded", port=self.number)

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
                self.reload()
            elif self._clock.now() - self._checked_at >= CHECK_AGAIN:
                self._check_again()

    async def run(self) -> None:
        """Take connections until cancelled; handshakes under way end with it."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    try:
                        taken, address = await loop.sock_accept(self._bound)
                    except OSError as error:
                        if not isinstance(error, ConnectionAbortedError):
                            _log.error("tls.not_accepting", why=str(error))
                            await asyncio.sleep(PAUSE_S)
                        continue
                    if self._has_room():
                        self.n_trying += 1
                        group.create_task(self._shake_hands(taken, address))
                    else:
                        taken.close()
                    await asyncio.sleep(0)  # others have their turn in a storm
        finally:
            self._bound.close()

    def _read(self) -> None:
        self._seen = tls.fingerprint(self._config)
        self._tell(self._clock.now())
        self._context = tls.context_of(self._config, is_legacy=self._is_legacy)

    def _check_again(self) -> None:
        """Say what has come near its end while nothing else happened."""
        try:
            self._tell(self._clock.now())
        except (ConfigError, OSError) as error:
            _log.error("tls.warning", text=str(error))

    def _tell(self, now: datetime) -> None:
        self._checked_at = now
        if self._is_legacy:
            return
        for warning in tls.check(self._config, now):
            _log.warning("tls.warning", text=warning)

    async def _shake_hands(
        self, taken: socket.socket, address: tuple[str, int]
    ) -> None:
        host, port = address[:2]
        why, certificate = None, None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                taken,
                ssl=self._context,
                ssl_handshake_timeout=OPEN_TIMEOUT_S,
                ssl_shutdown_timeout=CLOSE_TIMEOUT_S,
            )
        except ssl.SSLError as error:
            why = error.reason or str(error)
            certificate = getattr(error, "verify_message", None)
        except ConnectionAbortedError:
            why = "the handshake took too long"
        except OSError as error:  # gone before: also whoever only looks for open ports
            _log.debug("tls.left", remote=f"{host}:{port}", why=str(error))
        except Exception:  # noqa: BLE001 - the outer edge: one handshake never takes others down
            _log.exception("tls.failed", remote=f"{host}:{port}")
        finally:
            self.n_trying -= 1
        if why is not None and self._refusals.may_tell(host):
            _log.warning(
                "security.tls_refused",
                remote=f"{host}:{port}",
                port=self.number,
                why=why,
                certificate=certificate,
            )


class Refusals:
    """Rations what is told of failed handshakes (A00.FR.408)."""

    def __init__(self) -> None:
        self._minute = -1
        self._of_host: Counter[str] = Counter()
        self._n_told = 0
        self._n_kept = 0

    def may_tell(self, host: str) -> bool:
        """Whether one more is told; the number of others is, in the next minute."""
        minute = int(asyncio.get_running_loop().time() // 60)
        if minute != self._minute:
            if self._n_kept:
                _log.warning("security.tls_refusals_left_out", count=self._n_kept)
            self._minute, self._n_told, self._n_kept = minute, 0, 0
            self._of_host.clear()
        if (
            self._n_told >= REFUSALS_PER_MINUTE
            or self._of_host[host] >= REFUSALS_PER_HOST
        ):
            self._n_kept += 1
            return False
        self._n_told += 1
        self._of_host[host] += 1
        return True
