"""The station registry in memory: one answer for the port, the API and the plans.

The database holds the registry; this directory mirrors it so that a connection attempt
costs no query. Stations of the configuration and of the API end up in the same `Site`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from gateway.bus import Bus, FactCommitted, SettingChanged
from gateway.clock import Clock
from gateway.config import Config, station_from_json, station_to_json
from gateway.domain import site_check
from gateway.domain.events import StationBooted
from gateway.domain.ids import StationId
from gateway.domain.topology import Site, Station
from gateway.errors import ConfigError, RequestError
from gateway.services.credentials import Pepper
from gateway.store import stations as rows
from gateway.store.stations import StationRow
from gateway.store.writer import Job

T = TypeVar("T")

REGISTRATIONS = ("Accepted", "Pending", "Rejected")
MIN_PROFILE, MAX_PROFILE = 1, 3
_NOT_WIRING = ("password", "security_profile", "registration", "items_per_message")


class JobRunner(Protocol):
    """The store's writer."""

    async def run(self, job: Job[T]) -> T:
        """Run a job in a group commit and wait for the fsync."""
        ...

    def submit_with(
        self, job: Job[T], on_done: Callable[[T | None, BaseException | None], None]
    ) -> None:
        """Run a job; the callback gets its end."""
        ...


class StationDirectory:
    """Who is registered, and the site they make up. Loop thread only."""

    def __init__(
        self, *, site: Site, writer: JobRunner, pepper: Pepper, bus: Bus, clock: Clock
    ) -> None:
        self._writer = writer
        self._pepper = pepper
        self._bus = bus
        self._clock = clock
        self._site = site
        self._entries: dict[StationId, StationRow] = {}
        self._folded: dict[str, list[StationId]] = {}

    @property
    def site(self) -> Site:
        """The site as it is wired now; frozen, so keep no copy of it for long."""
        return self._site

    async def start(self, config: Config, passwords: Mapping[StationId, bytes]) -> None:
        """Bring the configuration's stations into the registry and load it.

        A password of the configuration replaces the stored one only if it differs,
        so a rotated secret has to be rotated in the file as well.
        """
        for station in config.site.stations:
            await self._writer.run(_upsert_job(station, "config"))
        loaded = await self._writer.run(rows.load)
        self._replace(loaded)
        for station_id, password in passwords.items():
            entry = self._entries[station_id]
            if entry.password_hash is None or not self._pepper.matches(
                station_id, password, entry.password_hash
            ):
                await self.set_password(station_id, password)
        for entry in self._entries.values():
            if entry.source != "config" and entry.definition:
                self._site = self._site.with_station(
                    station_from_json(
                        entry.station_id,
                        entry.definition,
                        known=None,
                        site=self._site,
                    )
                )

    def find(self, station_id: str) -> StationRow | None:
        """A station by exact id, or by the one id that differs only in case."""
        exact = self._entries.get(StationId(station_id))
        if exact is not None:
            return exact
        alike = self._folded.get(station_id.casefold(), [])
        return self._entries[alike[0]] if len(alike) == 1 else None

    def all(self) -> tuple[StationRow, ...]:
        """Every registered station, by id."""
        return tuple(self._entries[key] for key in sorted(self._entries))

    def require(self, station_id: str) -> StationRow:
        """A station, or the API's 404.

        Raises:
            RequestError: No such station.
        """
        entry = self.find(station_id)
        if entry is None:
            raise RequestError(404, "unknown_station", f"no station {station_id!r}")
        return entry

    async def put(
        self, station_id: StationId, body: Mapping[str, Any], *, is_admin: bool
    ) -> StationRow:
        """Register or change a station; members left out keep their value.

        Raises:
            RequestError: A member is wrong (422), the site would not hold (409), or
                the security profile would be lowered by someone who may not (403).
        """
        known = self._entries.get(station_id)
        self._check_members(body, known, is_admin=is_admin)
        wiring = {key: value for key, value in body.items() if key not in _NOT_WIRING}
        station = self._wired(station_id, wiring)
        source = "api" if known is None else known.source
        await self._writer.run(_upsert_job(station, source))
        if "password" in body:
            await self.set_password(station_id, str(body["password"]).encode())
        if "registration" in body:
            registration = str(body["registration"])
            await self._writer.run(
                lambda conn: rows.set_registration(conn, station_id, registration)
            )
        if "security_profile" in body:
            profile = int(body["security_profile"])
            await self._writer.run(
                lambda conn: rows.set_security_profile(conn, station_id, profile)
            )
        await self._writer.run(lambda conn: rows.forget_knock(conn, station_id))
        self._site = self._site.with_station(station)
        await self.reload()
        self._changed(station_id)
        return self._entries[station_id]

    async def delete(self, station_id: StationId) -> None:
        """Forget a station.

        Raises:
            RequestError: Unknown (404), or part of the configuration (409).
        """
        entry = self.require(station_id)
        if entry.source == "config":
            raise RequestError(
                409,
                "from_config",
                f"{station_id} is set in config.toml: remove it there",
            )
        await self._writer.run(lambda conn: rows.delete(conn, station_id))
        self._site = self._site.without_station(station_id)
        await self.reload()
        self._changed(station_id)

    async def adopt(self, station_id: StationId, password_hash: str) -> None:
        """Register a stranger with the password it presented."""

        def job(conn: Any) -> None:  # noqa: ANN401 - a sqlite3 connection
            rows.upsert(
                conn,
                station_id,
                source="adopted",
                definition={},
                cabinet_id=None,
                managed=True,
            )
            rows.set_password_hash(conn, station_id, password_hash)
            rows.forget_knock(conn, station_id)

        await self._writer.run(job)
        await self.reload()
        self._changed(station_id)

    async def set_password(self, station_id: StationId, password: bytes) -> None:
        """Store a station's new credential (hashed)."""
        stored = self._pepper.hash_password(station_id, password)
        await self._writer.run(
            lambda conn: rows.set_password_hash(conn, station_id, stored)
        )
        self._remember(replace(self._entries[station_id], password_hash=stored))

    def note_knock(self, station_id: str, remote: str, reason: str) -> None:
        """Keep a refused attempt; never waits."""
        at = self._clock.now()
        self._writer.submit_with(
            lambda conn: rows.add_knock(conn, station_id, remote, reason, at),
            _ignore_outcome,
        )

    def on_boot(self, fact: FactCommitted, accepted_at: datetime | None) -> None:
        """Mirror what a committed boot said about the station."""
        event = fact.event
        if isinstance(event, StationBooted) and event.station_id in self._entries:
            entry = self._entries[event.station_id]
            self._remember(
                replace(
                    entry,
                    vendor=event.vendor,
                    model=event.model,
                    serial=event.serial,
                    firmware=event.firmware,
                    booted_at=event.received_at,
                    accepted_at=entry.accepted_at or accepted_at,
                )
            )

    async def reload(self) -> None:
        """Read the registry again."""
        self._replace(await self._writer.run(rows.load))

    def _wired(self, station_id: StationId, wiring: Mapping[str, Any]) -> Station:
        try:
            station = station_from_json(
                station_id,
                wiring,
                known=self._site.station(station_id),
                site=self._site,
            )
        except ConfigError as error:
            raise RequestError(422, "bad_station", str(error)) from error
        problems = site_check.problems(self._site.with_station(station))
        if problems:
            raise RequestError(409, "site_would_not_hold", problems[0].text)
        return station

    def _check_members(
        self, body: Mapping[str, Any], known: StationRow | None, *, is_admin: bool
    ) -> None:
        if body.get("registration", "Accepted") not in REGISTRATIONS:
            raise RequestError(
                422, "bad_registration", f"registration: one of {REGISTRATIONS}"
            )
        password = body.get("password", "x" * 8)
        if not isinstance(password, str) or not 8 <= len(password.encode()) <= 64:  # noqa: PLR2004 - bytes, see credentials
            raise RequestError(422, "bad_password", "password: 8 to 64 bytes of text")
        profile = body.get("security_profile", MIN_PROFILE)
        if not isinstance(profile, int) or not MIN_PROFILE <= profile <= MAX_PROFILE:
            raise RequestError(422, "bad_security_profile", "security_profile: 1 to 3")
        lowered = (
            known is not None
            and "security_profile" in body
            and profile < known.security_profile
        )
        if lowered and not is_admin:
            raise RequestError(
                403, "admin_only", "only an admin lowers a security profile"
            )

    def _remember(self, entry: StationRow) -> None:
        self._entries[entry.station_id] = entry

    def _replace(self, loaded: tuple[StationRow, ...]) -> None:
        self._entries = {entry.station_id: entry for entry in loaded}
        self._folded = {}
        for station_id in self._entries:
            self._folded.setdefault(station_id.casefold(), []).append(station_id)

    def _changed(self, station_id: StationId) -> None:
        self._bus.publish(
            SettingChanged(subject=f"station/{station_id}", at=self._clock.now())
        )


def _upsert_job(station: Station, source: str) -> Job[None]:
    definition = {} if source == "config" else station_to_json(station)

    def job(conn: Any) -> None:  # noqa: ANN401 - a sqlite3 connection
        rows.upsert(
            conn,
            station.id,
            source=source,
            definition=definition,
            cabinet_id=station.cabinet_id,
            managed=station.managed,
        )

    return job


def _ignore_outcome(_result: object, _error: BaseException | None) -> None:
    """A knock that could not be written is in the log all the same."""
