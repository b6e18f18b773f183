"""The station registry in memory: one answer for the port, the API and the plans.

The database holds the registry; this directory mirrors it so that a connection attempt
costs no query. Stations of the configuration and of the API end up in the same `Site`.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog

from gateway.bus import Bus, FactCommitted, SettingChanged
from gateway.clock import Clock
from gateway.config import Config, station_from_json, station_to_json
from gateway.domain import publicity, site_check
from gateway.domain.events import StationBooted
from gateway.domain.ids import StationId
from gateway.domain.topology import Site, Station
from gateway.errors import ConfigError, RequestError, StoreError
from gateway.services.credentials import Pepper
from gateway.services.station_members import NOT_WIRING, check_members
from gateway.store import stations as rows
from gateway.store.jobs import Job
from gateway.store.stations import StationRow, StationSettings

T = TypeVar("T")


_log = structlog.get_logger()


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
        self._configured: frozenset[StationId] = frozenset()
        self._entries: dict[StationId, StationRow] = {}
        self._folded: dict[str, list[StationId]] = {}
        self._upgrades: dict[StationId, int] = {}
        self._knocking: dict[str, None] = {}
        """Folded ids with refused attempts, the first of them first."""

    @property
    def site(self) -> Site:
        """The site as it is wired now; frozen, so keep no copy of it for long."""
        return self._site

    async def start(self, config: Config, passwords: Mapping[StationId, bytes]) -> None:
        """Bring the configuration's stations into the registry and load it.

        A station whose wiring the API changed stays as the API left it; one that left
        the configuration goes, unless the API owns it. A password of the configuration
        counts when it is new there: a secret rotated since then stays.
        """
        configured = {station.id: station for station in config.site.stations}
        self._configured = frozenset(configured)
        known = {row.station_id: row for row in await self._writer.run(rows.load)}
        for station_id, station in configured.items():
            if station_id not in known or known[station_id].source != "api":
                await self._writer.run(_upsert_job(station, "config"))
        gone = await self._writer.run(
            lambda conn: rows.delete_unconfigured(conn, configured)
        )
        for station_id in gone:
            _log.warning("station.left_configuration", station_id=station_id)
        await self.reload()
        known_knocks = await self._writer.run(rows.knocks)
        self._knocking = {one.station_id.casefold(): None for one in known_knocks}
        for station_id, password in passwords.items():
            await self._take_configured(self._entries[station_id], password)
        for entry in self._entries.values():
            if entry.source != "config" and entry.definition:
                self._add_stored(entry)

    def _add_stored(self, entry: StationRow) -> None:
        """Add a station of the API to the site; one that no longer fits stays out."""
        try:
            station = station_from_json(
                entry.station_id, entry.definition, known=None, site=self._site
            )
        except ConfigError as error:
            _log.error("station.left_out", station_id=entry.station_id, why=str(error))
            return
        site = self._site.with_station(station)
        problems = site_check.problems(site)
        if problems:
            _log.error(
                "station.left_out", station_id=entry.station_id, why=problems[0].text
            )
            return
        self._site = site

    async def _take_configured(self, entry: StationRow, password: bytes) -> None:
        station_id, last = entry.station_id, entry.configured_hash
        if last is not None and self._pepper.matches(station_id, password, last):
            return
        stored = self._pepper.hash_password(station_id, password)
        await self._writer.run(
            lambda conn: rows.take_configured(conn, station_id, stored)
        )
        self._remember(
            replace(
                entry,
                password_hash=stored,
                configured_hash=stored,
                pending_hash=None,
                previous_hash=None,
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
        known = self.find(station_id)
        if known is not None:
            station_id = known.station_id
        check_members(body, known, is_admin=is_admin)
        wiring = {key: value for key, value in body.items() if key not in NOT_WIRING}
        station = self._wired(station_id, wiring)
        source = "api" if known is None else known.source
        if wiring and source == "config":
            source = "api"  # from now on the API's word counts, also after a restart
        password = body.get("password")
        settings = StationSettings(
            password_hash=None
            if password is None
            else self._pepper.hash_password(station_id, str(password).encode()),
            registration=body.get("registration"),
            security_profile=body.get("security_profile"),
            items_per_message=body.get("items_per_message"),
        )

        def job(conn: sqlite3.Connection) -> None:
            _upsert_job(station, source)(conn)
            rows.change(conn, station_id, settings)
            rows.forget_knock(conn, station_id)

        await self._writer.run(job)
        if wiring or known is None:
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
        if entry.station_id in self._configured:
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

        def job(conn: sqlite3.Connection) -> None:
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
        """Store a station's new credential (hashed); nothing if it is gone.

        The one it used last opens the door until it has used the new one.
        """
        stored = self._pepper.hash_password(station_id, password)
        entry = self._entries.get(station_id)
        last = None
        if entry is not None:
            last = entry.previous_hash or entry.password_hash

        def job(conn: sqlite3.Connection) -> None:
            rows.set_password_hash(conn, station_id, stored)
            rows.set_previous_hash(conn, station_id, last)

        await self._writer.run(job)
        if entry is not None:
            self._remember(
                replace(
                    self._entries[station_id],
                    password_hash=stored,
                    pending_hash=None,
                    previous_hash=last,
                )
            )

    async def set_pending(self, station_id: StationId, password: bytes | None) -> None:
        """Accept a second credential until one of both is settled; ``None``: no more.

        For a secret that is being set at the station: if its answer is lost, the
        station may come back with either.
        """
        stored = (
            None
            if password is None
            else self._pepper.hash_password(station_id, password)
        )
        await self._put_pending(station_id, stored)

    async def _put_pending(self, station_id: StationId, stored: str | None) -> None:
        await self._writer.run(
            lambda conn: rows.set_pending_hash(conn, station_id, stored)
        )
        entry = self._entries.get(station_id)
        if entry is not None:
            self._remember(replace(entry, pending_hash=stored))

    async def set_password_late(self, station_id: StationId, password: bytes) -> None:
        """Store a credential that a station took though nobody waited any more.

        Unlike `set_password` it leaves another one pending: that was sent later.
        """
        entry = self._entries.get(station_id)
        pending = None if entry is None else entry.pending_hash
        await self.set_password(station_id, password)
        if pending is None or self._pepper.matches(station_id, password, pending):
            return
        await self._put_pending(station_id, pending)

    async def drop_pending(self, station_id: StationId, password: bytes) -> None:
        """The station has refused this pending credential; another one stays."""
        entry = self._entries.get(station_id)
        pending = None if entry is None else entry.pending_hash
        if pending is not None and self._pepper.matches(station_id, password, pending):
            await self._put_pending(station_id, None)

    async def is_password(self, entry: StationRow, presented: bytes) -> bool:
        """Whether a credential opens the door; a new one that does ends the old."""
        station_id = entry.station_id
        if self._opens(station_id, presented, entry.password_hash):
            await self._note_form(entry, presented)
            if entry.previous_hash is not None:
                await self._forget_previous(station_id)
            return True
        if self._opens(station_id, presented, entry.previous_hash):
            return True
        pending = entry.pending_hash
        if pending is None or not self._opens(station_id, presented, pending):
            return False
        try:
            await self._writer.run(
                lambda conn: rows.set_password_hash(conn, station_id, pending)
            )
        except StoreError as error:  # it is stored as pending: enough to come in
            _log.warning("password.not_settled", station_id=station_id, why=str(error))
        else:
            self._remember(
                replace(
                    entry,
                    password_hash=pending,
                    pending_hash=None,
                    previous_hash=None,
                )
            )
        return True

    def _opens(
        self, station_id: StationId, presented: bytes, stored: str | None
    ) -> bool:
        return stored is not None and self._pepper.matches(
            station_id, presented, stored
        )

    async def _note_form(self, entry: StationRow, presented: bytes) -> None:
        """Remember of a station that it presents its password in the other form."""
        station_id, stored = entry.station_id, entry.password_hash
        assert stored is not None, "it opened the door"
        is_as_set = self._pepper.is_as_set(station_id, presented, stored)
        form = rows.AS_STORED if is_as_set else rows.OTHER_FORM
        if form == (entry.password_form or rows.AS_STORED):
            return
        try:
            await self._writer.run(
                lambda conn: rows.set_password_form(conn, station_id, form)
            )
        except StoreError as error:  # the next connection tells again
            _log.warning("password.not_settled", station_id=station_id, why=str(error))
        else:
            self._remember(replace(self._entries[station_id], password_form=form))

    async def note_restart_needed(self, station_id: StationId) -> None:
        """Remember that a station must restart before a setting counts.

        Raises:
            StoreError: It could not be kept.
        """
        entry = self._entries.get(station_id)
        if entry is None or entry.restart_needed_at is not None:
            return
        now = self._clock.now()
        await self._writer.run(
            lambda conn: rows.set_restart_needed(conn, station_id, now)
        )
        entry = self._entries.get(station_id)
        if entry is not None:
            self._remember(replace(entry, restart_needed_at=now))

    async def _forget_previous(self, station_id: StationId) -> None:
        try:
            await self._writer.run(
                lambda conn: rows.set_previous_hash(conn, station_id, None)
            )
        except StoreError as error:  # the next connection settles it
            _log.warning("password.not_settled", station_id=station_id, why=str(error))
        else:
            entry = self._entries[station_id]
            self._remember(replace(entry, previous_hash=None))

    def expect_profile(self, station_id: StationId, profile: int | None) -> None:
        """An upgrade to a security profile is under way; ``None``: no more.

        Kept in memory: who runs the upgrade says so again after a restart.
        """
        if profile is None:
            self._upgrades.pop(station_id, None)
        else:
            self._upgrades[station_id] = profile

    async def note_profile(self, station_id: StationId, profile: int) -> None:
        """A station has come in with a profile: ends an upgrade that it completes.

        From then on no lower profile is accepted (A05.FR.09).
        """
        expected, entry = self._upgrades.get(station_id), self._entries.get(station_id)
        if expected is None or entry is None or profile < expected:
            return
        if expected > entry.security_profile:
            settings = StationSettings(security_profile=expected)
            await self._writer.run(lambda conn: rows.change(conn, station_id, settings))
            self._remember(
                replace(self._entries[station_id], security_profile=expected)
            )
            _log.warning("station.profile_raised", station_id=station_id, to=expected)
            self._changed(station_id)
        self._upgrades.pop(station_id, None)

    def note_knock(self, station_id: str, remote: str, reason: str) -> None:
        """Keep a refused attempt; never waits."""
        at = self._clock.now()
        self._knocking[station_id.casefold()] = None
        while len(self._knocking) > rows.MAX_KNOCKING:
            self._knocking.pop(next(iter(self._knocking)))
        self._submit(lambda conn: rows.add_knock(conn, station_id, remote, reason, at))

    def forget_knocks(self, station_id: StationId) -> None:
        """A station is in: its refused attempts are history; never waits.

        An id that differs only in case is another station's if one is registered so.
        """
        folded = station_id.casefold()
        if folded not in self._knocking:
            return
        is_only = len(self._folded.get(folded, ())) <= 1
        if is_only:
            del self._knocking[folded]
        self._submit(
            lambda conn: rows.forget_knock(conn, station_id, in_any_case=is_only)
        )

    def note_version(self, station_id: StationId, version: str) -> None:
        """Keep what a station speaks, for when it is not here; never waits."""
        entry = self._entries.get(station_id)
        if entry is None or entry.ocpp_version == version:
            return
        self._remember(replace(entry, ocpp_version=version))
        self._submit(lambda conn: rows.set_version(conn, station_id, version))

    def _submit(self, job: Job[None]) -> None:
        """Have something written that no connection waits for, or fails with."""
        try:
            self._writer.submit_with(job, _ignore_outcome)
        except StoreError as error:
            _log.warning("station.not_noted", why=str(error))

    def on_boot(self, fact: FactCommitted, accepted_at: datetime | None) -> None:
        """Mirror what a committed boot said about the station."""
        event = fact.event
        if isinstance(event, StationBooted) and event.station_id in self._entries:
            entry = self._entries[event.station_id]
            since = entry.accepted_at or accepted_at
            self._remember(
                replace(
                    entry,
                    vendor=event.vendor,
                    model=event.model,
                    serial=event.serial,
                    firmware=event.firmware,
                    booted_at=event.received_at,
                    restart_needed_at=(
                        entry.restart_needed_at if event.is_asked else None
                    ),
                    accepted_at=since if entry.registration == "Accepted" else None,
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
        cabinets = {cabinet.id for cabinet in self._site.cabinets}
        if station.cabinet_id is not None and station.cabinet_id not in cabinets:
            raise RequestError(
                422, "unknown_cabinet", f"cabinet_id: no cabinet {station.cabinet_id!r}"
            )
        site = self._site.with_station(station)
        problems = site_check.problems(site)
        if problems:
            raise RequestError(409, "site_would_not_hold", problems[0].text)
        for problem in publicity.problems(site):
            if problem.part_id.rpartition("/")[0] == station_id:
                raise RequestError(422, "bad_station", f"public: {problem.text}")
        return station

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

    def job(conn: sqlite3.Connection) -> None:
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
    """What could not be written is in the log, or comes with the next connection."""
