"""Reads: one function per question, on read-only connections of their own.

A reader sees every commit that precedes its question, so a record is visible as soon
as the station has its answer.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite

from gateway.domain.ids import StationId
from gateway.domain.session import Session
from gateway.errors import StoreError
from gateway.store import sessions as session_rows
from gateway.store.reading_trail import OF_SESSION
from gateway.store.records import (
    DeviceVariable,
    EvseStatus,
    IdTokenRecord,
    Knock,
    Notification,
    Orphan,
    ReadingRecord,
    RefusedFrame,
    Reservation,
    SessionRequest,
    StationDeviation,
    StationRecord,
    read,
)
from gateway.store.times import to_text

T = TypeVar("T")

READERS: Final = 4
DEFAULT_LIMIT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions; ``None`` means any."""

    station_id: str | None = None
    evse_id: int | None = None
    id_token: str | None = None
    is_open: bool | None = None
    verdict: str | None = None
    started_before: datetime | None = None


class Queries:
    """A small pool of read-only connections, and the questions asked of it."""

    def __init__(self, path: Path, *, readers: int = READERS) -> None:
        self._path = path
        self._readers = readers
        self._idle: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._all: list[aiosqlite.Connection] = []

    async def open(self) -> None:
        """Open the readers; the writer must have created the file."""
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        for _ in range(self._readers):
            conn = await aiosqlite.connect(
                uri, uri=True, isolation_level=None, cached_statements=256
            )
            await conn.execute("PRAGMA query_only = ON")
            await conn.execute("PRAGMA busy_timeout = 2000")
            self._all.append(conn)
            self._idle.put_nowait(conn)

    async def close(self) -> None:
        """Close the readers."""
        for conn in self._all:
            await conn.close()
        self._all.clear()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[aiosqlite.Connection]:
        """A read-only connection; for the queries of other modules."""
        conn = await self._idle.get()
        try:
            yield conn
        finally:
            self._idle.put_nowait(conn)

    async def rows(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one SELECT.

        Raises:
            StoreError: The database cannot be read now.
        """
        async with self.reader() as conn:
            try:
                found = await conn.execute_fetchall(sql, tuple(values))
            except aiosqlite.OperationalError as error:
                raise StoreError(f"cannot read the store: {error}") from error
        return [tuple(row) for row in found]

    def read_now(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run reads over one snapshot, in the calling thread; for a few quick rows.

        Raises:
            StoreError: The database cannot be read now.
        """
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            conn = sqlite3.connect(uri, uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the store: {error}") from error
        try:
            conn.execute("PRAGMA busy_timeout = 2000")
            conn.execute("BEGIN")
            return work(conn)
        except sqlite3.OperationalError as error:
            raise StoreError(f"cannot read the store: {error}") from error
        finally:
            conn.close()

    async def stations(self) -> list[StationRecord]:
        """All registered stations, by id."""
        rows = await self.rows(f"{StationRecord.SELECT} ORDER BY station_id")
        return [read(StationRecord, row) for row in rows]

    async def station(self, station_id: str) -> StationRecord | None:
        """One station, by its exact id."""
        rows = await self.rows(
            f"{StationRecord.SELECT} WHERE station_id = ?", (station_id,)
        )
        return read(StationRecord, rows[0]) if rows else None

    async def sessions(
        self, which: SessionFilter | None = None, *, limit: int = DEFAULT_LIMIT
    ) -> list[Session]:
        """Sessions, newest first."""
        asked = which or SessionFilter()
        wanted: list[tuple[str, object]] = []
        if asked.station_id is not None:
            wanted.append(("station_id = ?", asked.station_id))
        if asked.evse_id is not None:
            wanted.append(("evse_id = ?", asked.evse_id))
        if asked.id_token is not None:
            wanted.append(("token_key = ?", asked.id_token.casefold()))
        if asked.is_open is not None:
            wanted.append(("phase = ?", "running" if asked.is_open else "ended"))
        if asked.verdict is not None:
            wanted.append(("verdict = ?", asked.verdict))
        if asked.started_before is not None:
            wanted.append(("started_at < ?", to_text(asked.started_before)))
        where = " AND ".join(clause for clause, _ in wanted) or "1"
        rows = await self.rows(
            f"SELECT {session_rows.COLUMNS} FROM session WHERE {where}"  # noqa: S608 - constant clauses; values are bound
            " ORDER BY started_at DESC, session_id LIMIT ?",
            (*(value for _, value in wanted), limit),
        )
        return [session_rows.from_row(row) for row in rows]

    async def session(self, session_id: str) -> Session | None:
        """One session."""
        return await self._session("session_id = ?", session_id)

    async def session_by_wire_id(
        self, station_id: StationId, transaction_id: str
    ) -> Session | None:
        """The latest session of a station under a wire id."""
        return await self._session(
            "station_id = ? AND transaction_id = ? ORDER BY started_at DESC LIMIT 1",
            station_id,
            transaction_id,
        )

    async def open_sessions(self, station_id: str | None = None) -> list[Session]:
        """All running sessions, of all stations or one."""
        rows = await self.rows(
            f"SELECT {session_rows.COLUMNS} FROM session WHERE phase = 'running'"  # noqa: S608 - constant columns
            " AND (?1 IS NULL OR station_id = ?1) ORDER BY station_id, evse_id",
            (station_id,),
        )
        return [session_rows.from_row(row) for row in rows]

    async def readings(self, session_id: str) -> list[ReadingRecord]:
        """The samples of a session, in the order of the station's time."""
        rows = await self.rows(
            f"{ReadingRecord.SELECT} {OF_SESSION} ORDER BY sampled_at, reading_id",
            (session_id,),
        )
        return [read(ReadingRecord, row) for row in rows]

    async def id_tokens(self, *, limit: int = 1000) -> list[IdTokenRecord]:
        """Known tokens."""
        rows = await self.rows(
            f"{IdTokenRecord.SELECT} ORDER BY token_key, kind LIMIT ?", (limit,)
        )
        return [read(IdTokenRecord, row) for row in rows]

    async def id_token(self, value: str, kind: str = "") -> IdTokenRecord | None:
        """One token; compares without case. ``kind`` empty: any type."""
        rows = await self.rows(
            f"{IdTokenRecord.SELECT} WHERE token_key = ?"
            " AND (?2 = '' OR kind IN (?2, '')) ORDER BY kind = ?2 DESC LIMIT 1",
            (value.casefold(), kind),
        )
        return read(IdTokenRecord, rows[0]) if rows else None

    async def reservations(self, station_id: str | None = None) -> list[Reservation]:
        """Reservations, newest first."""
        rows = await self.rows(
            f"{Reservation.SELECT} WHERE ?1 IS NULL OR station_id = ?1"
            " ORDER BY created_at DESC, reservation_id DESC",
            (station_id,),
        )
        return [read(Reservation, row) for row in rows]

    async def reservation(
        self, reservation_id: int, station_id: str | None = None
    ) -> Reservation | None:
        """The latest reservation with this id."""
        rows = await self.rows(
            f"{Reservation.SELECT} WHERE reservation_id = ?1"
            " AND (?2 IS NULL OR station_id = ?2) ORDER BY created_at DESC LIMIT 1",
            (reservation_id, station_id),
        )
        return read(Reservation, rows[0]) if rows else None

    async def knocking(self) -> list[Knock]:
        """Unknown stations that were refused, latest first."""
        rows = await self.rows(f"{Knock.SELECT} ORDER BY last_seen_at DESC LIMIT 1000")
        return [read(Knock, row) for row in rows]

    async def refused_frames(
        self, station_id: str | None = None, *, limit: int = DEFAULT_LIMIT
    ) -> list[RefusedFrame]:
        """Frames that were answered with an error, latest first."""
        rows = await self.rows(
            f"{RefusedFrame.SELECT} WHERE ?1 IS NULL OR station_id = ?1"
            " ORDER BY frame_id DESC LIMIT ?2",
            (station_id, limit),
        )
        return [read(RefusedFrame, row) for row in rows]

    async def deviations(
        self, station_id: str, *, limit: int = DEFAULT_LIMIT
    ) -> list[StationDeviation]:
        """Where a station departed from the specification, latest first."""
        rows = await self.rows(
            "SELECT offset, action, received_at, deviations FROM frame"
            " WHERE station_id = ? AND deviations IS NOT NULL"
            " ORDER BY offset DESC LIMIT ?",
            (station_id, limit),
        )
        return [
            StationDeviation(
                offset=offset,
                action=action,
                received_at=datetime.fromisoformat(received_at),
                kind=found["kind"],
                path=found["path"],
                detail=found["detail"],
            )
            for offset, action, received_at, text in rows
            for found in json.loads(text)
        ]

    async def orphans(
        self, station_id: str | None = None, *, limit: int = DEFAULT_LIMIT
    ) -> list[Orphan]:
        """Facts about unknown transactions, latest first."""
        rows = await self.rows(
            f"{Orphan.SELECT} WHERE ?1 IS NULL OR station_id = ?1"
            " ORDER BY orphan_id DESC LIMIT ?2",
            (station_id, limit),
        )
        return [read(Orphan, row) for row in rows]

    async def evse_statuses(self, station_id: str | None = None) -> list[EvseStatus]:
        """Latest state of each connector."""
        rows = await self.rows(
            f"{EvseStatus.SELECT} WHERE ?1 IS NULL OR station_id = ?1"
            " ORDER BY station_id, evse_id, connector_id",
            (station_id,),
        )
        return [read(EvseStatus, row) for row in rows]

    async def notifications(
        self,
        station_id: str | None = None,
        topic: str | None = None,
        *,
        limit: int = DEFAULT_LIMIT,
    ) -> list[Notification]:
        """Notices of stations, latest first."""
        rows = await self.rows(
            f"{Notification.SELECT} WHERE (?1 IS NULL OR station_id = ?1)"
            " AND (?2 IS NULL OR topic = ?2) ORDER BY notification_id DESC LIMIT ?3",
            (station_id, topic, limit),
        )
        return [read(Notification, row) for row in rows]

    async def device_variables(self, station_id: str) -> list[DeviceVariable]:
        """What a station reported of its device model."""
        rows = await self.rows(
            f"{DeviceVariable.SELECT} WHERE station_id = ?"
            " ORDER BY component, variable, attribute",
            (station_id,),
        )
        return [read(DeviceVariable, row) for row in rows]

    async def session_request(self, session_id: str) -> SessionRequest | None:
        """What was asked for a session."""
        rows = await self.rows(
            f"{SessionRequest.SELECT} WHERE session_id = ?", (session_id,)
        )
        return read(SessionRequest, rows[0]) if rows else None

    async def latest_received_at(self) -> datetime | None:
        """Site time of the newest entry: where a scaled clock resumes."""
        rows = await self.rows(
            "SELECT received_at FROM frame ORDER BY offset DESC LIMIT 1"
        )
        return datetime.fromisoformat(rows[0][0]) if rows else None

    async def _session(self, where: str, *values: object) -> Session | None:
        rows = await self.rows(
            f"SELECT {session_rows.COLUMNS} FROM session WHERE {where}",  # noqa: S608 - constant clauses; values are bound
            values,
        )
        return session_rows.from_row(rows[0]) if rows else None
