"""What answers of stations make true of their settings, monitors, displays, networks.

An observer of `gateway.services.station_calls`: it hears of every answered call, by
whatever route it was sent.
"""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from gateway.ocpp.device_words import ACCEPTED
from gateway.services.station_calls import Exchange
from gateway.services.variable_words import identity, objects
from gateway.store import device_model, displays, monitors, networks
from gateway.store.jobs import Job
from gateway.store.writer import Writer

GONE: Final = frozenset({"Accepted", "NotFound", "Unknown"})
"""Answers to a clearing after which the station has it no longer."""

Body: TypeAlias = Mapping[str, Any]
Record: TypeAlias = Callable[[sqlite3.Connection, str, Body, Body, datetime], None]


class DeviceRecords:
    """Keeps records in step with what stations answer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def observe(self, exchange: Exchange) -> None:
        """Record what an answer makes true."""
        record = _RECORDS.get(exchange.command.action)
        if record is not None:
            await self._writer.run(_job(record, exchange))


def _job(record: Record, exchange: Exchange) -> Job[None]:
    def job(conn: sqlite3.Connection) -> None:
        record(
            conn,
            exchange.station_id,
            exchange.command.payload,
            exchange.answer,
            exchange.answered_at,
        )

    return job


def _values_read(
    conn: sqlite3.Connection, station_id: str, _asked: Body, said: Body, now: datetime
) -> None:
    results = objects(said.get("getVariableResult"))
    device_model.set_values(conn, station_id, results, now)


def _keys_read(
    conn: sqlite3.Connection, station_id: str, asked: Body, said: Body, now: datetime
) -> None:
    is_whole = not asked.get("key")
    device_model.put_keys(conn, station_id, said, now, is_whole=is_whole)


def _monitors_set(
    conn: sqlite3.Connection, station_id: str, asked: Body, said: Body, now: datetime
) -> None:
    """Results carry the ids; they come in any order (2.0.1, N04.FR.01)."""
    waiting = list(asked["setMonitoringData"])
    for result in objects(said.get("setMonitoringResult")):
        one = next((item for item in waiting if _is_of(item, result)), None)
        if one is None:
            continue
        waiting.remove(one)
        monitor_id = result.get("id", one.get("id"))
        if result.get("status") == ACCEPTED and monitor_id is not None:
            monitors.put_monitor(conn, station_id, {**one, "id": monitor_id}, now)


def _is_of(item: Body, result: Body) -> bool:
    same_id = item.get("id") is None or item["id"] == result.get("id")
    return (
        same_id
        and identity(item) == identity(result)
        and (item["type"], item["severity"])
        == (result.get("type"), result.get("severity"))
    )


def _monitors_cleared(
    conn: sqlite3.Connection, station_id: str, _asked: Body, said: Body, _now: datetime
) -> None:
    results = objects(said.get("clearMonitoringResult"))
    gone = [
        one["id"]
        for one in results
        if str(one.get("status")) in GONE and isinstance(one.get("id"), int)
    ]
    monitors.drop_monitors(conn, station_id, gone)


def _message_set(
    conn: sqlite3.Connection, station_id: str, asked: Body, said: Body, now: datetime
) -> None:
    if said.get("status") == ACCEPTED:
        displays.put_message(conn, station_id, asked["message"], now)


def _message_cleared(
    conn: sqlite3.Connection, station_id: str, asked: Body, said: Body, _now: datetime
) -> None:
    if str(said.get("status")) in GONE:
        displays.drop_message(conn, station_id, asked["id"])


def _network_set(
    conn: sqlite3.Connection, station_id: str, asked: Body, said: Body, now: datetime
) -> None:
    networks.put_profile(conn, station_id, asked, str(said.get("status")), now)


_RECORDS: Final[Mapping[str, Record]] = MappingProxyType(
    {
        "ClearDisplayMessage": _message_cleared,
        "ClearVariableMonitoring": _monitors_cleared,
        "GetConfiguration": _keys_read,
        "GetVariables": _values_read,
        "SetDisplayMessage": _message_set,
        "SetNetworkProfile": _network_set,
        "SetVariableMonitoring": _monitors_set,
    }
)
