"""Frames of a station through the real adapter, ingest and SQLite, without sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from gateway.bus import Bus, FactCommitted, Subscription
from gateway.domain.ids import StationId
from gateway.ocpp import frames
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.services.ingest import Ingest, StationContext
from gateway.store.queries import Queries
from gateway.store.sqlite import Hooks
from tests.support.journal import accept, open_store

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class HandClock:
    """Site time that stands still until it is moved."""

    speed = 1.0

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        """The time that was set."""
        return self.at

    def real_s(self, site_s: float) -> float:
        """Unscaled."""
        return site_s


@dataclass
class Desk:
    """Where a test speaks for stations."""

    ingest: Ingest
    queries: Queries
    clock: HandClock
    heard: Subscription
    _ids: "count[int]" = field(default_factory=lambda: count(1))
    _stations: dict[str, StationContext] = field(default_factory=dict)

    def connect(self, station: str, adapter: Adapter) -> None:
        """A station, accepted before, comes online."""
        self._stations[station] = StationContext(
            station_id=StationId(station), adapter=adapter, is_accepted=True
        )

    async def ask(
        self,
        station: str,
        action: str,
        payload: dict[str, Any],
        *,
        message_id: str | None = None,
    ) -> dict[str, Any]:
        """Send one CALL, with a new id by default; the payload of its CALLRESULT."""
        answers: asyncio.Queue[list[Any]] = asyncio.Queue()
        message_id = message_id or f"m{next(self._ids)}"
        raw = json.dumps([2, message_id, action, payload]).encode()
        call = frames.Call(message_id, action, json.dumps(payload).encode())
        self.ingest.sink(self._stations[station]).handle(
            call,
            lambda frame: answers.put_nowait(json.loads(frame)),
            raw,
            self.clock.now(),
        )
        answer = await asyncio.wait_for(answers.get(), 30)
        assert answer[:2] == [3, call.message_id], answer
        payload_back: dict[str, Any] = answer[2]
        return payload_back

    async def start(self, station: str = "CP16", **changes: Any) -> int:
        """StartTransaction at noon with 1 kWh on connector 1; its number."""
        payload = {
            "connectorId": 1,
            "idTag": "DRIVER",
            "meterStart": 1000,
            "timestamp": wire(0),
            **changes,
        }
        answer = await self.ask(station, "StartTransaction", payload)
        number: int = answer["transactionId"]
        return number

    async def stop(
        self,
        number: int,
        *,
        minutes: float = 60,
        wh: float = 3000,
        station: str = "CP16",
        **more: Any,
    ) -> dict[str, Any]:
        """StopTransaction."""
        payload = {
            "transactionId": number,
            "meterStop": wh,
            "timestamp": wire(minutes),
            **more,
        }
        return await self.ask(station, "StopTransaction", payload)

    async def meter(
        self,
        minutes: float,
        wh: float,
        *,
        number: int | None = None,
        connector: int = 1,
        station: str = "CP16",
        **sampled: Any,
    ) -> None:
        """MeterValues with one register."""
        payload: dict[str, Any] = {
            "connectorId": connector,
            "meterValue": [
                {
                    "timestamp": wire(minutes),
                    "sampledValue": [{"value": str(wh), **sampled}],
                }
            ],
        }
        if number is not None:
            payload["transactionId"] = number
        await self.ask(station, "MeterValues", payload)

    def facts(self) -> list[FactCommitted]:
        """What the bus was told since the last look."""
        return [one for one in self.heard.drain() if isinstance(one, FactCommitted)]


def wire(minutes: float) -> str:
    """So many minutes after noon, as a station writes it."""
    text = (NOON + timedelta(minutes=minutes)).isoformat()
    return text.replace("+00:00", "Z")


@asynccontextmanager
async def open_desk(path: Path) -> AsyncIterator[Desk]:
    """A desk with ``CP16``, ``OTHER`` (both 1.6) and ``CP201`` online at 14:00."""
    clock, bus = HandClock(), Bus()
    clock.at = NOON + timedelta(hours=2)
    async with open_store(path, Hooks(judge=accept)) as (store, queries):
        ingest = Ingest(
            log=store,
            jobs=store.writer,
            bus=bus,
            clock=clock,
            loop_time=asyncio.get_running_loop().time,
        )
        with bus.subscribe("desk") as heard:
            desk = Desk(ingest, queries, clock, heard)
            desk.connect("CP16", V16())
            desk.connect("OTHER", V16())
            desk.connect("CP201", V201())
            yield desk
