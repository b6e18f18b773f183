"""Stations that must restart before a setting counts, and restarts that people order.

A station that answers RebootRequired is never restarted unasked: it is marked until its
next boot, and an operator may have it restarted while nobody charges there.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog

from gateway.domain.ids import StationId
from gateway.errors import RequestError, StoreError
from gateway.ocpp.effects import needs_restart
from gateway.services.station_calls import Exchange
from gateway.services.stations import StationDirectory
from gateway.store.queries import Queries

RESET: Final = "Reset"
"""The action in both versions."""
_KIND: Final = MappingProxyType({"1.6": "Soft", "2.0.1": "OnIdle"})

_log = structlog.get_logger()


class Restarts:
    """Marks stations."""

    def __init__(self, directory: StationDirectory) -> None:
        self._directory = directory

    async def observe(self, exchange: Exchange) -> None:
        """Take the answer to a call that somebody asked for."""
        await self.answered(exchange.station_id, exchange.answer)

    async def answered(
        self, station_id: StationId, answer: Mapping[str, object]
    ) -> None:
        """Mark a station that says it has to restart; one lost mark costs no call."""
        if not needs_restart(answer):
            return
        try:
            await self._directory.note_restart_needed(station_id)
        except StoreError as error:
            _log.warning("restart.not_noted", station_id=station_id, why=str(error))
        else:
            _log.info("restart.needed", station_id=station_id)


async def idle_reset(
    queries: Queries, station_id: StationId, version: str | None
) -> dict[str, object]:
    """The payload of a Reset for a station at which nobody charges.

    Args:
        queries: For its sessions.
        station_id: Of the station.
        version: What it speaks; ``None``: it never connected.

    Raises:
        RequestError: 409 a session runs there, or its version is not known.
    """
    if version is None:
        raise RequestError(409, "unknown_version", f"{station_id} never connected")
    running = await queries.open_sessions(station_id)
    if running:
        named = ", ".join(sorted(one.session_id for one in running))
        raise RequestError(409, "not_idle", f"sessions run there: {named}")
    return {"type": _KIND[version]}
