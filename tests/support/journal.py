"""Builders for journal entries, and a store on a temporary file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from sqlite3 import Connection

from gateway.domain.events import (
    CURRENT,
    POWER,
    REGISTER,
    Event,
    Reading,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
)
from gateway.domain.ids import EvseRef, IdToken, StationId
from gateway.store.entry import Entry, TokenDecision, TokenQuestion
from gateway.store.queries import Queries
from gateway.store.sqlite import Hooks, Store
from gateway.store.writer import Writer
from tests.support.ready_database import place_database

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CP1 = StationId("CP1")
CP2 = StationId("CP2")


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def accept(_conn: Connection, _question: TokenQuestion) -> TokenDecision:
    """Every token is welcome."""
    return TokenDecision(status="accepted")


@asynccontextmanager
async def open_store(
    path: Path, hooks: Hooks | None = None
) -> AsyncIterator[tuple[Store, Queries]]:
    """A store and its readers, closed at the end."""
    writer = Writer(place_database(path / "wattproof.sqlite3"))
    writer.start(asyncio.get_running_loop())
    queries = Queries(writer.path, readers=1)
    try:
        await queries.open()
        yield Store(writer, hooks or Hooks(judge=accept)), queries
    finally:
        await queries.close()
        writer.close()


def register(minutes: float, wh: int, context: str = "Sample.Periodic") -> Reading:
    """A register sample."""
    return Reading(
        sampled_at=at(minutes),
        measurand=REGISTER,
        value=Decimal(wh),
        context=context,
    )


def eight_readings(minutes: float, wh: int) -> tuple[Reading, ...]:
    """What a three-phase station samples."""
    moment = at(minutes)
    return (
        register(minutes, wh),
        Reading(sampled_at=moment, measurand=POWER, value=Decimal(11000)),
        *(
            Reading(
                sampled_at=moment, measurand=CURRENT, value=Decimal(16), phase=phase
            )
            for phase in ("L1", "L2", "L3")
        ),
        *(
            Reading(
                sampled_at=moment,
                measurand="Voltage",
                value=Decimal("230.1"),
                phase=f"{phase}-N",
            )
            for phase in ("L1", "L2", "L3")
        ),
    )


def entry(*events: Event, ours: bool = True, message_id: str = "m1") -> Entry:
    """One message with these facts."""
    first = events[0]
    station_id = (
        first.evse.station_id
        if isinstance(first, SessionStarted)
        else getattr(first, "station_id", CP1)
    )
    return Entry(
        station_id=station_id,
        message_id=message_id,
        action=type(first).__name__,
        raw=b"[2]",
        payload=repr(first).encode(),
        events=events,
        received_at=first.received_at,
        is_ours=ours,
    )


def started(
    minutes: float = 0,
    *,
    station: StationId = CP1,
    evse: int = 1,
    wire_id: str | None = None,
    wh: int | None = 1000,
    token: str | None = "DRIVER",  # noqa: S107 - a public identifier
    sequence: int | None = None,
    received: float | None = None,
    readings: tuple[Reading, ...] = (),
) -> SessionStarted:
    """A start; 1.6 unless it has a wire id."""
    return SessionStarted(
        evse=EvseRef(
            station_id=station,
            evse_id=evse,
            connector_id=evse if wire_id is None else 1,
        ),
        occurred_at=at(minutes),
        received_at=at(minutes + 0.01 if received is None else received),
        transaction_id=wire_id,
        id_token=None if token is None else IdToken(value=token),
        register_milliwh=None if wh is None else wh * 1000,
        sequence=sequence,
        readings=readings,
    )


def updated(
    minutes: float,
    *,
    wire_id: str | None,
    station: StationId = CP1,
    evse: int | None = 1,
    readings: tuple[Reading, ...] = (),
    sequence: int | None = None,
    received: float | None = None,
) -> SessionUpdated:
    """Samples of a transaction."""
    return SessionUpdated(
        station_id=station,
        evse=None if evse is None else EvseRef(station_id=station, evse_id=evse),
        occurred_at=at(minutes),
        received_at=at(minutes + 0.01 if received is None else received),
        transaction_id=wire_id,
        readings=readings,
        sequence=sequence,
    )


def ended(
    minutes: float,
    *,
    wire_id: str,
    wh: int | None,
    station: StationId = CP1,
    reason: str | None = "Local",
    sequence: int | None = None,
    token: str | None = None,
    received: float | None = None,
    readings: tuple[Reading, ...] = (),
) -> SessionEnded:
    """An end."""
    return SessionEnded(
        station_id=station,
        evse=None,
        occurred_at=at(minutes),
        received_at=at(minutes + 0.01 if received is None else received),
        transaction_id=wire_id,
        register_milliwh=None if wh is None else wh * 1000,
        stop_reason=reason,
        sequence=sequence,
        id_token=None if token is None else IdToken(value=token),
        readings=readings,
    )
