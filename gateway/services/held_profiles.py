"""Charging profiles that stations hold, and limits they have from others."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.domain.ids import StationId
from gateway.services.asking import ask
from gateway.services.reports import Reports
from gateway.services.variables import Exchange
from gateway.store.held_profiles import LIMITS, PROFILES
from gateway.store.queries import Queries
from gateway.store.reports import Kind

COMPOSITE_S: Final = 86_400
"""Length of the schedules that 1.6 stations are asked for."""


class HeldProfiles:
    """Asks what stations hold."""

    def __init__(self, *, reports: Reports, queries: Queries) -> None:
        self._reports = reports
        self._queries = queries

    async def ask(self, exchange: Exchange, evse_ids: Sequence[int]) -> dict[str, Any]:
        """Have the profiles reported (2.0.1, K09), or the composite schedules (1.6).

        Args:
            exchange: The station.
            evse_ids: Connectors to ask about in 1.6, which cannot list profiles.
        """
        if not exchange.adapter.base_reports:
            return {"composite": [await self._composite(exchange, n) for n in evse_ids]}
        sent, state = await self._reports.wait(
            exchange, Kind.PROFILES, "GetChargingProfiles", {"chargingProfile": {}}
        )
        return {
            "request_id": sent.request_id,
            "outcome": sent.outcome,
            "status": sent.status,
            "state": state,
            **await self.stored(exchange.station_id),
        }

    async def stored(self, station_id: StationId) -> dict[str, Any]:
        """Profiles as last reported, and limits that others set."""
        profiles = await self._queries.rows(PROFILES, (station_id,))
        limits = await self._queries.rows(LIMITS, (station_id,))
        return {
            "profiles": [
                {
                    "evse_id": row[0],
                    "source": row[1],
                    "profile": msgspec.json.decode(row[2]),
                    "reported_at": row[3],
                }
                for row in profiles
            ],
            "external_limits": [
                {
                    "evse_id": row[0],
                    "source": row[1],
                    "limit": msgspec.json.decode(row[2]),
                    "notified_at": row[3],
                    "cleared_at": row[4],
                }
                for row in limits
            ],
        }

    async def _composite(self, exchange: Exchange, evse_id: int) -> dict[str, Any]:
        command = exchange.adapter.encode_composite(evse_id, COMPOSITE_S)
        said = await ask(exchange, command.action, command.payload)
        answer = dict(said.answer or {})
        answer.pop("status", None)
        return {"evse_id": evse_id, **said.as_json(), "schedule": answer or None}
