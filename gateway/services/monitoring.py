"""Variable monitors of stations and the events they cause (2.0.1, N)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.ocpp.adapter import Command
from gateway.services import variable_words as words
from gateway.services.asking import Said, ask, send
from gateway.services.reports import Reports, checked, component_variable
from gateway.services.splitting import chunks
from gateway.services.variables import Exchange
from gateway.store.monitors import EVENTS, MONITORS
from gateway.store.queries import Queries
from gateway.store.reports import Kind

SET: Final = "SetVariableMonitoring"
CLEAR: Final = "ClearVariableMonitoring"
REPORT: Final = "GetMonitoringReport"


class Monitoring:
    """Sets, clears and lists monitors; lists events."""

    def __init__(self, *, reports: Reports, queries: Queries) -> None:
        self._reports = reports
        self._queries = queries

    async def set(
        self, exchange: Exchange, items: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Set monitors, in as many messages as the station needs (N04).

        Raises:
            RequestError: 422 an item is not valid.
        """
        wire = [_monitor(one, index) for index, one in enumerate(items)]
        limits = await self._reports.limits(exchange.station_id, SET)
        answers: list[dict[str, Any]] = []
        parts = chunks(wire, limits, lambda part: {"setMonitoringData": list(part)})
        commands = [
            Command(action=SET, payload={"setMonitoringData": list(part)})
            for part in parts
        ]
        for command in commands:
            await checked(exchange, command)
        for part, command in zip(parts, commands, strict=True):
            answers += _results(part, await send(exchange, command))
        return answers

    async def clear(
        self, exchange: Exchange, ids: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Clear monitors by id, in as many messages as the station needs (N06)."""
        limits = await self._reports.limits(exchange.station_id, CLEAR)
        unique = list(dict.fromkeys(ids))
        answers = []
        for part in chunks(unique, limits, lambda part: {"id": list(part)}):
            said = await ask(exchange, CLEAR, {"id": list(part)})
            results = words.objects((said.answer or {}).get("clearMonitoringResult"))
            by_id = {str(one.get("id")): one.get("status") for one in results}
            answers += [
                {
                    "monitor_id": one,
                    "outcome": said.outcome,
                    "status": by_id.get(str(one), said.status),
                }
                for one in part
            ]
        return answers

    async def refresh(self, exchange: Exchange) -> dict[str, Any]:
        """Ask for all monitors and wait for the report (N02)."""
        sent, state = await self._reports.wait(exchange, Kind.MONITORS, REPORT, {})
        return {
            "request_id": sent.request_id,
            "outcome": sent.outcome,
            "status": sent.status,
            "state": state,
            "monitors": await self.stored(exchange.station_id),
        }

    async def stored(self, station_id: StationId) -> list[dict[str, Any]]:
        """Monitors as far as is known, by id."""
        rows = await self._queries.rows(MONITORS, (station_id,))
        return [
            {
                "monitor_id": row[0],
                "component": row[1],
                "variable": row[2],
                "type": row[3],
                "value": row[4],
                "severity": row[5],
                "transaction": bool(row[6]),
                **msgspec.json.decode(row[7]),
                "updated_at": row[8],
            }
            for row in rows
        ]

    async def events(
        self, station_id: StationId, *, alarms_only: bool, limit: int
    ) -> list[dict[str, Any]]:
        """Events, the newest first; severity is that of their monitor, if known."""
        rows = await self._queries.rows(EVENTS, (station_id, int(alarms_only), limit))
        return [
            {
                "number": row[0],
                "event_id": row[1],
                "occurred_at": row[2],
                "received_at": row[3],
                "trigger": row[4],
                "type": row[5],
                "component": row[6],
                "variable": row[7],
                "value": row[8],
                "monitor_id": row[9],
                "severity": row[10],
                "alarm": bool(row[11]),
                "cleared": bool(row[12]),
                "cleared_at": row[13],
                "detail": msgspec.json.decode(row[14]),
            }
            for row in rows
        ]


def _monitor(raw: Mapping[str, Any], index: int) -> dict[str, Any]:
    try:
        place = component_variable(raw)
    except ValueError as error:
        raise RequestError(422, "bad_item", f"items[{index}]: {error}") from error
    return {**raw, **place}


def _results(part: Sequence[dict[str, Any]], said: Said) -> list[dict[str, Any]]:
    """Answers in the order asked; stations may answer in any (N04.FR.01)."""
    waiting = words.objects((said.answer or {}).get("setMonitoringResult"))
    found = []
    for item in part:
        one = next(
            (
                result
                for result in waiting
                if words.identity(result) == words.identity(item)
                and result.get("type") == item.get("type")
                and item.get("id") in {None, result.get("id")}
            ),
            None,
        )
        if one is not None:
            waiting.remove(one)
        found.append(
            {
                "component": item["component"],
                "variable": item["variable"],
                "type": item.get("type"),
                "outcome": said.outcome,
                "status": said.status if one is None else one.get("status"),
                "monitor_id": None if one is None else one.get("id"),
            }
        )
    return found
