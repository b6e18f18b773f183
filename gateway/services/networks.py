"""Network profiles of stations, and upgrades of their security profile (A05, B09, B10).

An upgrade is a small state: ``started``, ``profile_set``, ``selected``, ``resetting``,
then ``done`` when the station has come in with the higher profile, or ``failed``: a
step was refused, or the station did not come in so by the deadline. Both ends are
audited. From ``done`` on no lower profile is accepted.
"""

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec
import structlog

from gateway.bus import Bus, Lagged, LinkChanged
from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.ocpp.adapter import SecurityUpgrade
from gateway.services.asking import ask, send
from gateway.services.reports import checked
from gateway.services.station_calls import Exchange as AnsweredCall
from gateway.services.stations import StationDirectory
from gateway.services.upgrade_checks import NEEDS_CLIENT, UpgradeChecks
from gateway.services.variable_words import objects
from gateway.services.variables import Exchange
from gateway.store import networks as rows
from gateway.store.api_tokens import audit
from gateway.store.queries import Queries
from gateway.store.times import optional_time, to_text
from gateway.store.writer import Writer

_GOOD: Final = frozenset({"Accepted", "RebootRequired", "Scheduled"})
_OVER: Final = frozenset({"done", "failed"})
_PRIORITY: Final = (
    "SELECT value FROM device_variable WHERE station_id = ?"
    " AND component = 'OCPPCommCtrlr' AND variable = 'NetworkConfigurationPriority'"
    " AND attribute = 'Actual'"
)
_OPEN: Final = (
    "SELECT station_id, target, started_at FROM security_upgrade"
    " WHERE state NOT IN ('done', 'failed')"
)

_log = structlog.get_logger()


class Networks:
    """Sets network profiles and runs upgrades; run it as a task.

    Args:
        checks: What a station needs before an upgrade.
        complete_within: Site time that an upgrade may take, from when it was asked for.
    """

    def __init__(
        self,
        *,
        directory: StationDirectory,
        queries: Queries,
        writer: Writer,
        bus: Bus,
        clock: Clock,
        checks: UpgradeChecks,
        complete_within: timedelta,
    ) -> None:
        self._directory = directory
        self._queries = queries
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._checks = checks
        self._complete_within = complete_within

    async def run(self) -> None:
        """Follow upgrades to their end, for ever."""
        with self._bus.subscribe("upgrades", of=(LinkChanged,)) as subscription:
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
        """How far the station's last upgrade is, and when it is given up.

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
        known = dict(zip(names, found[0], strict=True))
        started_at = optional_time(known["started_at"])
        assert started_at is not None, "the column is not null"
        complete_by = to_text(started_at + self._complete_within)
        return {**known, "complete_by": complete_by}

    async def check(
        self, exchange: Exchange, profile: int, url: str, *, is_forced: bool = False
    ) -> None:
        """Refuse an upgrade that makes no sense, or that cannot succeed.

        Args:
            exchange: The station.
            profile: The wanted one.
            url: Where it is sent; empty if that is set at the station.
            is_forced: Do not ask whether certificates are known to be there.

        Raises:
            RequestError: 409 it has the profile, or something is missing.
        """
        entry = self._directory.require(exchange.station_id)
        if profile <= entry.security_profile:
            raise RequestError(
                409,
                "not_higher",
                f"{exchange.station_id} has security profile {entry.security_profile}",
            )
        await self._checks.check(exchange, profile, url, is_forced=is_forced)

    async def upgrade(
        self, exchange: Exchange, asked: SecurityUpgrade
    ) -> dict[str, Any]:
        """Bring a station to a higher security profile (A05); `check` first.

        Args:
            exchange: The station.
            asked: The profile, and how it is reached.

        Raises:
            RequestError: 409 a step must not go out; 422 not valid for its version.
        """
        station_id = exchange.station_id
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
                await self._end(station_id, "failed", problem)
                return await self.upgrade_of(station_id)
            needs_reboot = status == "RebootRequired"
            await self._note(
                station_id,
                state,
                "the station must be restarted" if needs_reboot else None,
            )
        return await self.upgrade_of(station_id)

    async def sweep(self) -> None:
        """Give up upgrades whose stations have not followed in time."""
        for station_id, target, started in await self._queries.rows(_OPEN):
            await self._give_up_if_old(station_id, target, started)

    async def _came_back(self, station_id: StationId) -> None:
        """A station has a new connection: perhaps with the profile that was wanted."""
        entry = self._directory.find(station_id)
        found = await self._queries.rows(rows.UPGRADE, (station_id,))
        if entry is None or not found or found[0][3] in _OVER:
            return
        target, state, started = found[0][0], found[0][3], found[0][5]
        if entry.security_profile >= target:
            await self._end(station_id, "done", None)
        elif (
            not await self._give_up_if_old(station_id, target, started)
            and state == "resetting"
        ):
            await self._note(station_id, state, "it came back with a lower profile")

    async def _resume(self) -> None:
        """Expect what was under way when the gateway stopped; give up what is old."""
        for station_id, target, started in await self._queries.rows(_OPEN):
            if not await self._give_up_if_old(station_id, target, started):
                self._directory.expect_profile(station_id, target)
                await self._came_back(station_id)

    async def _give_up_if_old(
        self, station_id: StationId, target: int, started: str
    ) -> bool:
        """Whether an upgrade that the station did not follow is given up."""
        started_at = optional_time(started)
        assert started_at is not None, "the column is not null"
        deadline = started_at + self._complete_within
        if self._clock.now() <= deadline:
            return False
        self._directory.expect_profile(station_id, None)
        await self._end(
            station_id,
            "failed",
            f"it did not come in with security profile {target} by {to_text(deadline)}",
        )
        return True

    async def _end(
        self, station_id: StationId, state: str, problem: str | None
    ) -> None:
        """Note and audit the end of an upgrade, once."""
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> int | None:
            if not rows.note_upgrade(conn, station_id, state, now, problem):
                return None
            ((target, *_),) = conn.execute(rows.UPGRADE, (station_id,))
            audit(
                conn,
                at=now,
                actor="system",
                action=f"security_upgrade.{state}",
                subject=f"station/{station_id}",
                detail={"security_profile": target, "problem": problem},
            )
            return int(target)

        target = await self._writer.run(job)
        if target is None:
            return
        if state == "done":
            _log.info("upgrade.done", station_id=station_id, profile=target)
        else:
            _log.warning(
                "upgrade.failed", station_id=station_id, profile=target, why=problem
            )

    async def _note(
        self, station_id: StationId, state: str, problem: str | None
    ) -> None:
        now = self._clock.now()

        def job(conn: sqlite3.Connection) -> None:
            rows.note_upgrade(conn, station_id, state, now, problem)

        await self._writer.run(job)
