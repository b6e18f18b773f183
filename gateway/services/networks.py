"""Network profiles of stations, and upgrades of their security profile (A05, B09, B10).

An upgrade is a small state: ``started``, ``profile_set``, ``selected``, ``resetting``,
then ``done`` when the station has come in with the higher profile, or ``failed``. From
``done`` on no lower profile is accepted.
"""

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec
import structlog

from gateway.bus import Bus, Lagged, LinkChanged, is_link
from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.ocpp.adapter import SecurityUpgrade
from gateway.services.asking import ask, send
from gateway.services.reports import checked
from gateway.services.station_calls import Exchange as AnsweredCall
from gateway.services.stations import StationDirectory
from gateway.services.variable_words import objects
from gateway.services.variables import Exchange
from gateway.store import networks as rows
from gateway.store.queries import Queries
from gateway.store.times import optional_time, to_text
from gateway.store.writer import Writer

NEEDS_CLIENT: Final = 3
"""The security profile with client certificates."""
COME_BACK: Final = timedelta(hours=24)
"""Site time for a station to come back with the higher profile."""
_GOOD: Final = frozenset({"Accepted", "RebootRequired", "Scheduled"})
_OVER: Final = frozenset({"done", "failed"})
_PRIORITY: Final = (
    "SELECT value FROM device_variable WHERE station_id = ?"
    " AND component = 'OCPPCommCtrlr' AND variable = 'NetworkConfigurationPriority'"
    " AND attribute = 'Actual'"
)
_CLIENT: Final = (
    "SELECT 1 FROM issued_certificate WHERE station_id = ? AND status = 'installed'"
    " AND use = 'ChargingStationCertificate' AND not_after > ?"
)
_ROOTS: Final = (
    "SELECT (SELECT count(*) FROM certificate_listing WHERE station_id = ?1 AND kind IN"
    " ('CSMSRootCertificate', 'CentralSystemRootCertificate')),"
    " (SELECT count(*) FROM listed_certificate WHERE station_id = ?1 AND kind IN"
    " ('CSMSRootCertificate', 'CentralSystemRootCertificate'))"
)
_OPEN: Final = (
    "SELECT station_id, target, updated_at FROM security_upgrade"
    " WHERE state NOT IN ('done', 'failed')"
)

_log = structlog.get_logger()


class Networks:
    """Sets network profiles and runs upgrades; run it as a task."""

    def __init__(
        self,
        *,
        directory: StationDirectory,
        queries: Queries,
        writer: Writer,
        bus: Bus,
        clock: Clock,
        has_tls: bool,
    ) -> None:
        self._directory = directory
        self._queries = queries
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._has_tls = has_tls

    async def run(self) -> None:
        """Follow upgrades to their end, for ever."""
        with self._bus.subscribe(
            "upgrades", wants=is_link, of=(LinkChanged,)
        ) as subscription:
            await self._resume()
            async for notice in subscription:
                match notice:
                    case LinkChanged(station_id=station_id, is_online=True):
                        await self._came_back(station_id)
                    case Lagged():
                        await self._resume()
                    case _:
                        pass

    async def observe(self, exchange: AnsweredCall) -> None:
        """Take an upgrade that is asked for in the wire's own words for one of ours."""
        asked = exchange.adapter.upgrade_asked(exchange.command)
        status = str(exchange.answer.get("status"))
        entry = self._directory.find(exchange.station_id)
        if asked is None or entry is None or status not in _GOOD:
            return
        if asked.profile <= entry.security_profile or asked.profile > NEEDS_CLIENT:
            return
        station_id, now = exchange.station_id, exchange.answered_at
        known = await self._queries.rows(rows.UPGRADE, (station_id,))
        if known and known[0][0] == asked.profile and known[0][3] not in _OVER:
            return

        def job(conn: sqlite3.Connection) -> None:
            rows.start_upgrade(
                conn,
                station_id,
                target=asked.profile,
                slot=asked.slot or None,
                url=asked.url or None,
                now=now,
            )
            rows.note_upgrade(conn, station_id, "profile_set", now)

        await self._writer.run(job)
        self._directory.expect_profile(station_id, asked.profile)

    async def set_profile(
        self, exchange: Exchange, slot: int, data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Set a network profile (B09)."""
        payload = {"configurationSlot": slot, "connectionData": dict(data)}
        said = await ask(exchange, "SetNetworkProfile", payload)
        return {"slot": slot, **said.as_json()}

    async def stored(self, station_id: StationId) -> list[dict[str, Any]]:
        """Profiles that were set, by slot; passwords are not kept."""
        return [
            {
                "slot": row[0],
                "url": row[1],
                "security_profile": row[2],
                "connection": msgspec.json.decode(row[3]),
                "status": row[4],
                "set_at": row[5],
            }
            for row in await self._queries.rows(rows.PROFILES, (station_id,))
        ]

    async def upgrade_of(self, station_id: StationId) -> dict[str, Any]:
        """How far the station's last upgrade is.

        Raises:
            RequestError: 404 there was none.
        """
        found = await self._queries.rows(rows.UPGRADE, (station_id,))
        if not found:
            raise RequestError(404, "no_upgrade", "no upgrade was asked for")
        names = (
            "security_profile",
            "slot",
            "url",
            "state",
            "problem",
            "started_at",
            "updated_at",
        )
        return dict(zip(names, found[0], strict=True))

    async def upgrade(
        self, exchange: Exchange, asked: SecurityUpgrade, *, is_forced: bool = False
    ) -> dict[str, Any]:
        """Bring a station to a higher security profile (A05).

        Args:
            exchange: The station.
            asked: The profile, and how it is reached.
            is_forced: Do not ask whether certificates are known to be there.

        Raises:
            RequestError: 409 something is missing; 422 not valid for its version.
        """
        station_id = exchange.station_id
        await self._check(station_id, asked.profile, is_forced=is_forced)
        priority = await self._queries.rows(_PRIORITY, (station_id,))
        known = str(priority[0][0] or "") if priority else ""
        steps = exchange.adapter.encode_upgrade(asked, known_slots=known)
        for _, command in steps:
            await checked(exchange, command)
        now = self._clock.now()
        await self._writer.run(
            lambda conn: rows.start_upgrade(
                conn,
                station_id,
                target=asked.profile,
                slot=asked.slot,
                url=asked.url,
                now=now,
            )
        )
        self._directory.expect_profile(station_id, asked.profile)
        for state, command in steps:
            said = await send(exchange, command)
            results = objects((said.answer or {}).get("setVariableResult")) or [{}]
            attribute = results[0].get("attributeStatus")
            status = said.status or (None if attribute is None else str(attribute))
            if said.outcome == "disconnected" and state == "resetting":
                status = "Accepted"  # gone over it, as it should
            elif said.outcome != "result" or status not in _GOOD:
                self._directory.expect_profile(station_id, None)
                problem = f"{command.action}: {status or said.outcome}"
                await self._note(station_id, "failed", problem)
                return await self.upgrade_of(station_id)
            needs_reboot = status == "RebootRequired"
            await self._note(
                station_id,
                state,
                "the station must be restarted" if needs_reboot else None,
            )
        return await self.upgrade_of(station_id)

    async def _check(
        self, station_id: StationId, profile: int, *, is_forced: bool
    ) -> None:
        entry = self._directory.require(station_id)
        if profile <= entry.security_profile:
            raise RequestError(
                409,
                "not_higher",
                f"{station_id} has security profile {entry.security_profile}",
            )
        if not self._has_tls:
            raise RequestError(
                409, "no_tls_port", "ocpp.tls is not configured: no TLS port"
            )
        if is_forced:
            return
        now = to_text(self._clock.now())
        if profile == NEEDS_CLIENT and not await self._queries.rows(
            _CLIENT, (station_id, now)
        ):
            raise RequestError(
                409,
                "no_client_certificate",
                "no valid client certificate of it is known: renew it first",
            )
        ((n_listing, n_root),) = await self._queries.rows(_ROOTS, (station_id,))
        if n_listing and not n_root:
            raise RequestError(
                409,
                "no_root_certificate",
                "it holds no root for our certificate: install one first",
            )

    async def _came_back(self, station_id: StationId) -> None:
        """A station has a new connection: perhaps with the profile that was wanted."""
        entry = self._directory.find(station_id)
        found = await self._queries.rows(rows.UPGRADE, (station_id,))
        if entry is None or not found or found[0][3] in _OVER:
            return
        if entry.security_profile >= found[0][0]:
            await self._note(station_id, "done", None)
            _log.info(
                "upgrade.done", station_id=station_id, profile=entry.security_profile
            )
        else:
            await self._give_up_if_old(station_id, found[0][6])

    async def _resume(self) -> None:
        """Expect what was under way when the gateway stopped; give up what is old."""
        for station_id, target, updated in await self._queries.rows(_OPEN):
            if not await self._give_up_if_old(station_id, updated):
                self._directory.expect_profile(station_id, target)
                await self._came_back(station_id)

    async def _give_up_if_old(self, station_id: StationId, updated: str) -> bool:
        """Whether an upgrade that the station did not follow is given up."""
        updated_at = optional_time(updated)
        if updated_at is None or self._clock.now() - updated_at <= COME_BACK:
            return False
        self._directory.expect_profile(station_id, None)
        await self._note(station_id, "failed", "it did not come back with it")
        return True

    async def _note(
        self, station_id: StationId, state: str, problem: str | None
    ) -> None:
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> None:
            rows.note_upgrade(conn, station_id, state, now, problem)

        await self._writer.run(job)
