"""Who may connect: unknown stations are refused and shown, never served.

The answer to an unknown id and to a wrong password is the same and costs the same, so
that ids cannot be guessed one by one.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import structlog

from gateway.clock import Clock
from gateway.config.secrets import MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES
from gateway.domain.connection import PLAIN, TLS_CERTIFICATE, ConnectionSecurity
from gateway.domain.ids import StationId
from gateway.services.credentials import Pepper
from gateway.services.stations import StationDirectory
from gateway.store.stations import StationRow

MAX_FAILURES: Final = 10
FAILURE_WINDOW_S: Final = 60.0
MAX_TRACKED: Final = 10_000
MIN_IDLE_S: Final = 90.0
IDLE_HEARTBEATS: Final = 3

Vet: TypeAlias = Callable[[StationId, bytes], Awaitable[str | None]]

_log = structlog.get_logger()


class Presented(Protocol):
    """Basic credentials as read from the header."""

    @property
    def user(self) -> str:
        """User name: must be the station's id."""
        ...

    @property
    def password(self) -> bytes:
        """The secret, any bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """What the configuration says about coming in."""

    allow_unauthenticated: bool
    auto_accept_stations: bool
    heartbeat_interval_s: int
    organization: str | None = None
    strict: bool = False


class Admission:
    """Decides about each connection attempt. Loop thread only.

    Args:
        vet: Why a client certificate (DER) that fits its station does not let it in,
            e.g. because it is revoked; ``None``: it does.
    """

    def __init__(
        self,
        *,
        rules: AdmissionRules,
        directory: StationDirectory,
        pepper: Pepper,
        clock: Clock,
        monotonic: Callable[[], float],
        vet: Vet | None = None,
    ) -> None:
        self._rules = rules
        self._directory = directory
        self._pepper = pepper
        self._clock = clock
        self._monotonic = monotonic
        self._vet = vet
        self._failures: dict[tuple[str, str], deque[float]] = {}

    async def admit(
        self,
        station_id: StationId,
        credentials: Presented | None,
        remote: str,
        security: ConnectionSecurity = PLAIN,
    ) -> StationId | None:
        """The registered id of a station that may come in, else ``None``."""
        entry = self._directory.find(station_id)
        if entry is None:
            return await self._stranger(station_id, credentials, remote)
        too_low = _too_low(entry, security)
        if too_low is not None:
            self._refuse(station_id, remote, too_low)
            return None
        if security.profile == TLS_CERTIFICATE:
            reason = _certificate_problem(entry, security, self._rules.organization)
            der = security.client_certificate
            if reason is None and self._vet is not None and der is not None:
                reason = await self._vet(entry.station_id, der)
            return await self._decided(entry, station_id, remote, security, reason)
        if self._rules.allow_unauthenticated and credentials is None:
            return entry.station_id
        reason = None
        if credentials is None:
            reason = _no_password(security)
        elif credentials.user.casefold() != entry.station_id.casefold():
            reason = "user name is not the station's id"
        elif entry.password_hash is None:
            reason = "no password is registered for it"
        elif not await self._directory.is_password(entry, credentials.password):
            reason = "wrong password"
        return await self._decided(entry, station_id, remote, security, reason)

    async def _decided(
        self,
        entry: StationRow,
        asked: StationId,
        remote: str,
        security: ConnectionSecurity,
        reason: str | None,
    ) -> StationId | None:
        if reason is not None:
            self._refuse(asked, remote, reason)
            return None
        self._failures.pop(_key(asked, remote), None)
        if asked != entry.station_id:
            _log.info("station.other_case", station_id=entry.station_id, asked=asked)
        await self._directory.note_profile(entry.station_id, security.profile)
        return entry.station_id

    def knocked(self, station_id: str, remote: str, reason: str) -> None:
        """Remember a refused attempt for the cockpit."""
        _log.warning(
            "station.knocked", station_id=station_id, remote=remote, why=reason
        )
        self._directory.note_knock(station_id, remote, reason)

    def entered(self, station_id: StationId, version: str) -> None:
        """Whoever is in knocks no more, and has said which version it speaks."""
        self._directory.forget_knocks(station_id)
        self._directory.note_version(station_id, version)

    def is_throttled(self, station_id: str, remote: str) -> bool:
        """Whether this sender failed too often of late under this id."""
        failures = self._failures.get(_key(station_id, remote))
        if failures is None:
            return False
        cutoff_s = self._monotonic() - FAILURE_WINDOW_S
        while failures and failures[0] < cutoff_s:
            failures.popleft()
        return len(failures) >= MAX_FAILURES

    def idle_timeout_s(self, _station_id: StationId) -> float:
        """Real seconds of silence after which a connection counts as half-open."""
        interval_s = self._clock.real_s(self._rules.heartbeat_interval_s)
        return max(MIN_IDLE_S, IDLE_HEARTBEATS * interval_s)

    def assumed_version(self, station_id: StationId) -> str | None:
        """The OCPP version of a station that offers none; ``None``: it must."""
        station = self._directory.site.station(station_id)
        return None if station is None else station.assume_version

    def pinned_version(self, station_id: StationId) -> str | None:
        """The only OCPP version that a station may speak; ``None``: any."""
        station = self._directory.site.station(station_id)
        return None if station is None else station.pin_version

    def is_strict(self, station_id: StationId) -> bool:
        """Whether nothing against the specification is tolerated of a station."""
        station = self._directory.site.station(station_id)
        own = None if station is None else station.strict
        return self._rules.strict if own is None else own

    def compression(self, station_id: StationId) -> bool | None:
        """Whether a station is offered compression; ``None``: as the port does."""
        station = self._directory.site.station(station_id)
        return None if station is None else station.compression

    async def _stranger(
        self, station_id: StationId, credentials: Presented | None, remote: str
    ) -> StationId | None:
        presented = b"" if credentials is None else credentials.password
        self._pepper.waste_time(presented)
        may_adopt = (
            self._rules.auto_accept_stations
            and credentials is not None
            and credentials.user.casefold() == station_id.casefold()
            and MIN_PASSWORD_BYTES <= len(presented) <= MAX_PASSWORD_BYTES
        )
        if not may_adopt:
            self._refuse(station_id, remote, "not registered")
            return None
        stored = self._pepper.hash_password(station_id, presented)
        await self._directory.adopt(station_id, stored)
        _log.warning("station.adopted", station_id=station_id, remote=remote)
        return station_id

    def _refuse(self, station_id: StationId, remote: str, reason: str) -> None:
        key = _key(station_id, remote)
        if key not in self._failures and len(self._failures) >= MAX_TRACKED:
            self._failures.pop(next(iter(self._failures)))
        failures = self._failures.setdefault(key, deque(maxlen=MAX_FAILURES))
        failures.append(self._monotonic())
        self.knocked(station_id, remote, reason)


def _no_password(security: ConnectionSecurity) -> str:
    reason = "no password presented"
    if security.is_legacy:
        reason += ": the legacy TLS port takes no client certificates"
    return reason


def _too_low(entry: StationRow, security: ConnectionSecurity) -> str | None:
    """Why a connection is not secure enough for its station (A05.FR.09)."""
    if security.profile >= entry.security_profile:
        return None
    reason = (
        f"security profile {security.profile}: the lowest accepted is"
        f" {entry.security_profile}"
    )
    if security.is_legacy:
        reason += ", and the legacy TLS port offers profile 2 only"
    return reason


def _certificate_problem(
    entry: StationRow, security: ConnectionSecurity, organization: str | None
) -> str | None:
    """Why a client certificate is not its station's (A00.FR.403 to FR.405).

    Its chain and dates were checked by the TLS handshake already.
    """
    if security.client_flaw is not None:
        return f"its certificate {security.client_flaw}"
    name = security.client_name
    own = {entry.station_id.casefold(), (entry.serial or entry.station_id).casefold()}
    if name is None or name.casefold() not in own:
        return f"certificate of {name!r}: neither its id nor its serial number"
    if organization not in {None, security.client_organization}:
        return f"certificate of organization {security.client_organization!r}"
    return None


def _key(station_id: str, remote: str) -> tuple[str, str]:
    """The sender's address without its port, and the id it asks for."""
    return remote.rpartition(":")[0] or remote, station_id.casefold()
