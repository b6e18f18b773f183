"""A journal with tariffs and a log, and sessions to settle."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.bus import Bus
from gateway.config import Regime
from gateway.domain.ids import SessionId, StationId
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import Tariff
from gateway.services.judging import Terms
from gateway.services.sealing import LogSealer, install_ledger
from gateway.services.settlement import Settlement
from gateway.store import money
from gateway.store.queries import Queries
from gateway.store.sqlite import Hooks, Store
from tests.support.journal import (
    accept,
    at,
    ended,
    entry,
    open_store,
    register,
    started,
    updated,
)


def day_night(day: str = "0.42", night: str = "0.29") -> Tariff:
    """Night from 14:30 in Berlin, half an hour after the journal's noon in UTC."""
    return parse_tariff(
        {
            "id": "T",
            "elements": [
                {
                    "price_components": [{"type": "ENERGY", "price": night}],
                    "restrictions": {"start_time": "14:30", "end_time": "06:00"},
                },
                {"price_components": [{"type": "ENERGY", "price": day}]},
            ],
        },
        currency="EUR",
        timezone="Europe/Berlin",
    )


class SteppedClock:
    """A site clock that tests move."""

    speed = 1.0

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def real_s(self, site_s: float) -> float:
        return site_s


@dataclass
class Till:
    """Everything that turns sessions into bills."""

    store: Store
    queries: Queries
    bus: Bus
    clock: SteppedClock
    settlement: Settlement
    terms: Terms

    async def session(
        self,
        number: int = 0,
        *,
        wh: int = 12_000,
        minutes: float = 60,
        end_wh: int | None = None,
    ) -> SessionId:
        """One session of an hour, sampled every quarter, ended."""
        offset = number * 120.0
        wire_id = f"tx{number}"
        begun = await self.store.append_and_wait(
            entry(started(offset, wire_id=wire_id, wh=1000), ours=False)
        )
        for quarter in range(1, 4):
            when = offset + minutes * quarter / 4
            sample = register(when, 1000 + wh * quarter // 4)
            await self.store.append_and_wait(
                entry(updated(when, wire_id=wire_id, readings=(sample,)), ours=False)
            )
        last = 1000 + wh if end_wh is None else end_wh
        await self.store.append_and_wait(
            entry(ended(offset + minutes, wire_id=wire_id, wh=last), ours=False)
        )
        assert begun.session is not None
        return begun.session.session_id


def tariff_of(_station_id: StationId) -> str | None:
    return "T"


def no_tariff(_station_id: StationId) -> str | None:
    return None


@asynccontextmanager
async def open_till(
    path: Path,
    *,
    regime: Regime = Regime.STANDARD,
    has_tariff: bool = True,
    bus: Bus | None = None,
) -> AsyncIterator[Till]:
    """A store with the ledger's tables and one tariff."""
    chooses = tariff_of if has_tariff else no_tariff
    hooks = Hooks(judge=accept, sealer=LogSealer(tariff_id_of=chooses))
    async with open_store(path, hooks) as (store, queries):
        clock = SteppedClock(at(600))
        await store.writer.run(install_ledger)
        await store.writer.run(
            lambda conn: money.load_config_tariffs(conn, [day_night()], at(-60))
        )
        bus = bus or Bus()
        terms = Terms(
            regime=regime, tariff_id_of=chooses, rating=lambda _station, _evse: 22_000.0
        )
        settlement = Settlement(
            writer=store.writer, queries=queries, bus=bus, clock=clock, terms=terms
        )
        yield Till(
            store=store,
            queries=queries,
            bus=bus,
            clock=clock,
            settlement=settlement,
            terms=terms,
        )
