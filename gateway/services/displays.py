"""Messages on the displays of stations (2.0.1, O)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.domain.ids import StationId
from gateway.services.asking import ask
from gateway.services.reports import Reports
from gateway.services.variables import Exchange
from gateway.store.displays import MESSAGES
from gateway.store.queries import Queries
from gateway.store.reports import Kind

NUMBERS: Final = "display_message"
"""Name of the counter that ids of messages are drawn from."""


class Displays:
    """Shows, lists and clears messages."""

    def __init__(self, *, reports: Reports, queries: Queries) -> None:
        self._reports = reports
        self._queries = queries

    async def show(
        self, exchange: Exchange, message: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Show a message (O01, O02); one with a known id replaces it (O06)."""
        number = message.get("id")
        if number is None:
            number = await self._reports.number(NUMBERS)
        payload = {"message": {**message, "id": number}}
        said = await ask(exchange, "SetDisplayMessage", payload)
        return {"message_id": number, **said.as_json()}

    async def clear(self, exchange: Exchange, message_id: int) -> dict[str, Any]:
        """Clear a message (O05)."""
        said = await ask(exchange, "ClearDisplayMessage", {"id": message_id})
        return {"message_id": message_id, **said.as_json()}

    async def refresh(self, exchange: Exchange) -> dict[str, Any]:
        """Ask for all messages and wait for them (O03)."""
        sent, state = await self._reports.wait(
            exchange, Kind.DISPLAYS, "GetDisplayMessages", {}
        )
        return {
            "request_id": sent.request_id,
            "outcome": sent.outcome,
            "status": sent.status,
            "state": state,
            "messages": await self.stored(exchange.station_id),
        }

    async def stored(self, station_id: StationId) -> list[dict[str, Any]]:
        """Messages as far as is known; those of ended transactions are gone."""
        rows = await self._queries.rows(MESSAGES, (station_id,))
        return [
            {"message": msgspec.json.decode(body), "updated_at": updated_at}
            for body, updated_at in rows
        ]
