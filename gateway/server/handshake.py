"""What a handshake request is answered with: who may come in, speaking what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, Protocol
from zlib import crc32

import structlog
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol

from gateway.domain.connection import ConnectionSecurity
from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter
from gateway.server.auth import (
    BadCredentialsError,
    Credentials,
    parse_basic,
    station_id_of,
)
from gateway.server.reconnects import RETRY_AFTER_S, Reconnects

SPREAD_S: Final = 20
"""Stations that are asked to come later are spread over so many seconds."""

_log = structlog.get_logger()


class Gate(Protocol):
    """Who may come in (``services.admission``)."""

    async def admit(
        self,
        station_id: StationId,
        credentials: Credentials | None,
        remote: str,
        security: ConnectionSecurity,
    ) -> StationId | None:
        """The station's registered id, or ``None`` when it is refused."""
        ...

    def knocked(self, station_id: str, remote: str, reason: str) -> None:
        """Remember a refused attempt for the cockpit."""
        ...

    def entered(self, station_id: StationId, version: str) -> None:
        """Remember that a station is connected, and in which OCPP version."""
        ...

    def is_throttled(self, station_id: str, remote: str) -> bool:
        """Whether this sender failed too often of late."""
        ...

    def idle_timeout_s(self, station_id: StationId) -> float:
        """Real seconds of silence after which a connection counts as half-open."""
        ...

    def assumed_version(self, station_id: StationId) -> str | None:
        """The OCPP version of a station that offers none; ``None``: it must."""
        ...

    def pinned_version(self, station_id: StationId) -> str | None:
        """The only OCPP version that a station may speak; ``None``: any."""
        ...

    def is_strict(self, station_id: StationId) -> bool:
        """Whether nothing against the specification is tolerated of a station."""
        ...

    def compression(self, station_id: StationId) -> bool | None:
        """Whether a station is offered compression; ``None``: as the port does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An HTTP error."""

    status: HTTPStatus
    text: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A station that may come in.

    Attributes:
        adapter: What it speaks; ``None``: nothing that is spoken here: the handshake is
            completed without a subprotocol, then closed (OCPP-J 3.3).
        subprotocol: For the response; ``None`` where the station offered none.
        complaint: Why there is no adapter, for the station.
        compression: Whether it is offered; ``None``: as the port does.
    """

    station_id: StationId
    adapter: Adapter | None
    subprotocol: str | None
    complaint: str = ""
    compression: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """A request, and where it came from."""

    path: str
    headers: Headers
    remote: str
    security: ConnectionSecurity


_UNAUTHORIZED: Final = Refusal(
    status=HTTPStatus.UNAUTHORIZED,
    text="not authorized\n",
    headers=(("WWW-Authenticate", 'Basic realm="ocpp"'),),
)


class Handshake:
    """Decides about handshake requests. Loop thread only."""

    def __init__(
        self,
        *,
        gate: Gate,
        adapters: Mapping[str, Adapter],
        strict_adapters: Mapping[str, Adapter],
        reconnects: Reconnects,
        kept_out_s: Callable[[StationId], int] = lambda _: 0,
    ) -> None:
        self._gate = gate
        self._adapters = adapters
        self._strict_adapters = strict_adapters
        self._reconnects = reconnects
        self._kept_out_s = kept_out_s

    async def decide(self, knock: Knock, now_s: float) -> Refusal | Admitted:
        """Decide about one request.

        Who is not authenticated learns nothing of a station, not even how it would
        have to speak.
        """
        station_id, remote = station_id_of(knock.path), knock.remote
        if station_id is None:
            return Refusal(
                status=HTTPStatus.NOT_FOUND,
                text="no station id: connect to /ocpp/{station_id}\n",
            )
        if self._gate.is_throttled(station_id, remote):
            return Refusal(
                status=HTTPStatus.TOO_MANY_REQUESTS, text="too many failed attempts\n"
            )
        try:
            credentials = parse_basic(_one(knock.headers, "Authorization"))
        except BadCredentialsError as error:
            self._gate.knocked(station_id, remote, f"unreadable credentials: {error}")
            return _UNAUTHORIZED
        admitted = await self._gate.admit(
            station_id, credentials, remote, knock.security
        )
        if admitted is None:
            return _UNAUTHORIZED
        kept_out_s = self._kept_out_s(admitted)
        if kept_out_s:
            return Refusal(
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                text="kept out by its obedience test\n",
                headers=(("Retry-After", str(kept_out_s)),),
            )
        if not self._reconnects.may_connect(admitted, now_s):
            _log.warning("station.flapping", station_id=admitted, remote=remote)
            return Refusal(
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                text="too many connections: wait\n",
                headers=(("Retry-After", str(RETRY_AFTER_S)),),
            )
        return self._as_registered(self._agree(admitted, knock))

    def _as_registered(self, agreed: Refusal | Admitted) -> Refusal | Admitted:
        """What its operator settled for one station beside its version."""
        if isinstance(agreed, Refusal) or agreed.adapter is None:
            return agreed
        adapter, station_id = agreed.adapter, agreed.station_id
        if self._gate.is_strict(station_id):
            adapter = self._strict_adapters[adapter.subprotocol]
        compression = self._gate.compression(station_id)
        return replace(agreed, adapter=adapter, compression=compression)

    def _agree(self, station_id: StationId, knock: Knock) -> Refusal | Admitted:
        """Agree on a version: the station's first choice spoken here (OCPP-J 3.1.2)."""
        offered = _offered(knock.headers)
        pinned = self._gate.pinned_version(station_id)
        served = {
            name: adapter
            for name, adapter in self._adapters.items()
            if adapter.takes_old_tls or not knock.security.is_legacy
        }
        spoken = {
            name: adapter
            for name, adapter in served.items()
            if pinned in {None, adapter.version}
        }
        if not offered:
            return self._assume(station_id, knock.remote, served)
        for name in offered:
            if name in spoken:
                return Admitted(
                    station_id=station_id, adapter=spoken[name], subprotocol=name
                )
        reason = (
            "offered no OCPP version we speak"
            if pinned is None
            else f"is pinned to OCPP {pinned} and offered {', '.join(offered)[:80]}"
        )
        complaint = f"speak {' or '.join(spoken)}"
        too_new = [name for name in offered if name in self._adapters.keys() - served]
        if too_new:
            complaint = (
                f"{too_new[0]} needs TLS 1.2 or later: come to our main TLS port"
            )
            reason = (
                f"offered {too_new[0]} at the legacy TLS port: its security profiles"
                " need TLS 1.2 or later, at ocpp.tls.port"
            )
        self._gate.knocked(station_id, knock.remote, reason)
        return Admitted(
            station_id=station_id, adapter=None, subprotocol=None, complaint=complaint
        )

    def _assume(
        self, station_id: StationId, remote: str, served: Mapping[str, Adapter]
    ) -> Refusal | Admitted:
        assumed = self._gate.assumed_version(station_id)
        for adapter in served.values():
            if adapter.version == assumed:
                return Admitted(
                    station_id=station_id, adapter=adapter, subprotocol=None
                )
        self._gate.knocked(station_id, remote, "offered no subprotocol")
        return Refusal(
            status=HTTPStatus.BAD_REQUEST,
            text=f"no subprotocol offered: ask for {' or '.join(served)}\n",
        )


def come_later(path: str) -> Refusal:
    """Ask a station to come when there is less to do, each at another time."""
    wait_s = 5 + crc32(path.encode(errors="replace")) % SPREAD_S
    return Refusal(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        text="busy: come later\n",
        headers=(("Retry-After", str(wait_s)),),
    )


def _one(headers: Headers, name: str) -> str | None:
    """A header that may legally come once; repeated ones are joined."""
    values = headers.get_all(name)
    return ", ".join(values) if values else None


def _offered(headers: Headers) -> Sequence[str]:
    """Subprotocols in the station's order; what cannot be read counts as none."""
    try:
        return [
            name
            for value in headers.get_all("Sec-WebSocket-Protocol")
            for name in parse_subprotocol(value)
        ]
    except InvalidHeader:
        return []
