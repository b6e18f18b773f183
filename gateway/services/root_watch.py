"""By which root each station last trusted our server certificate.

A station that comes in over TLS has validated the certificate it was shown, so the root
above that is one it holds. Before the certificate is replaced by one of another root,
these are the stations to be asked whether they hold the new one.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.bus import Bus, LinkChanged, Notice
from gateway.clock import Clock
from gateway.config.tls import TlsConfig
from gateway.domain.ids import StationId
from gateway.errors import StoreError
from gateway.services.certificate_intake import UNREADABLE
from gateway.services.server_names import server_chain
from gateway.store import roots as rows
from gateway.store.writer import Writer

AGAIN: Final = timedelta(hours=1)
"""A station that comes back by the same root sooner is not written anew."""

_log = structlog.get_logger()


class RootWatch:
    """Notes roots as stations come in; run it as a task.

    Args:
        tls: The TLS port.
        bus: Tells who comes.
        connection: What the live link of a station uses (``server.registry``).
        writer: Keeps it.
        clock: The time to note.
    """

    def __init__(
        self,
        *,
        tls: TlsConfig,
        bus: Bus,
        connection: Callable[[StationId], Mapping[str, Any] | None],
        writer: Writer,
        clock: Clock,
    ) -> None:
        self._tls = tls
        self._bus = bus
        self._connection = connection
        self._writer = writer
        self._clock = clock
        self._noted: dict[StationId, tuple[tuple[str, ...], datetime]] = {}

    async def run(self) -> None:
        """Note, for ever."""
        with self._bus.subscribe(
            "roots", wants=_is_entry, of=(LinkChanged,)
        ) as subscription:
            async for notice in subscription:
                if isinstance(notice, LinkChanged):
                    await self._note(notice.station_id)

    async def _note(self, station_id: StationId) -> None:
        used = self._connection(station_id)
        if used is None or used["tls_version"] is None:
            return
        now = self._clock.now()
        try:
            roots = await asyncio.to_thread(roots_of, self._tls, str(used["cipher"]))
            known = self._noted.get(station_id)
            if known is not None and known[0] == roots and now - known[1] < AGAIN:
                return
            await self._writer.run(lambda conn: rows.put(conn, station_id, roots, now))
        except (OSError, *UNREADABLE, StoreError) as error:
            _log.warning("root.not_noted", station_id=station_id, why=str(error))
        else:
            self._noted[station_id] = (roots, now)


def roots_of(tls: TlsConfig, cipher: str) -> tuple[str, ...]:
    """Names of the roots of the certificates that a connection may have been shown.

    Args:
        tls: The TLS port; its files as they are now.
        cipher: OpenSSL's name of the suite; those of TLS 1.3 tell no kind of key.

    Raises:
        OSError: A file cannot be read.
        ValueError: It is no certificate.
    """
    found: dict[bool, str] = {}
    for files in tls.certificates:
        chain = server_chain(files)
        is_ec = isinstance(chain[0].public_key(), ec.EllipticCurvePublicKey)
        found[is_ec] = chain[-1].issuer.rfc4514_string()
    if not cipher.startswith("TLS_") and len(found) > 1:
        return (found["ECDSA" in cipher],)
    return tuple(sorted(set(found.values())))


def _is_entry(notice: Notice) -> bool:
    return isinstance(notice, LinkChanged) and notice.is_online
