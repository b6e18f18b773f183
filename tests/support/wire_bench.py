"""Frames through the real link, adapters, ingest and SQLite, with a socket of memory.

Every frame is judged by what it made: the answers that left, the rows that every table
gained, and how many rows were written at all.
"""

import asyncio
import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.bus import Bus
from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.rpc import Endpoint
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.server.link import Link
from gateway.services.ingest import Ingest, StationContext
from gateway.store.sqlite import Hooks, Store
from gateway.store.writer import Writer
from tests.support.journal import accept
from tests.support.quirk_desk import HandClock

ADAPTERS: dict[str, Adapter] = {"1.6": V16(), "2.0.1": V201()}
REFUSED = "refused_frame"


class MemorySocket:
    """A transport whose other end is a test."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.is_held = False

    def send(self, frame: bytes) -> None:
        """Keep what leaves."""
        self.sent.append(frame)

    def close(self, code: int, reason: str) -> None:
        """Keep why it closed."""
        self.closed = self.closed or (code, reason)

    def hold(self) -> None:
        """The link wants no more for now."""
        self.is_held = True

    def release(self) -> None:
        """The link goes on."""
        self.is_held = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What one frame led to.

    Attributes:
        answers: Frames that left, decoded.
        grown: Rows that each table gained, where it gained any.
        n_written: Rows inserted, changed and deleted, in all tables.
    """

    answers: list[Any]
    grown: dict[str, int]
    n_written: int

    @property
    def only_refused(self) -> bool:
        """Whether the refused frame is all that was written."""
        return self.grown == {REFUSED: 1} and self.n_written == 1


class Bench:
    """Speaks frame by frame for one station per version. Not for a running loop."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._writer = Writer(folder / "wattproof.sqlite3")
        self.clock = HandClock()
        # Two seconds a look: no connection ever fills its share of refused frames.
        seconds = itertools.count(0, 2)
        self.ingest = Ingest(
            log=Store(self._writer, Hooks(judge=accept)),
            jobs=self._writer,
            bus=Bus(),
            clock=self.clock,
            loop_time=lambda: float(next(seconds)),
        )
        self._links: dict[str, tuple[Link, MemorySocket]] = {}
        self._ids = itertools.count(1)

    def open(self) -> None:
        """Start the writer and connect a station per version."""
        self._runner.run(self._open())

    def close(self) -> None:
        """Disconnect and close the store."""
        self._runner.run(self._close())
        self._writer.close()

    def say(self, version: str, raw: bytes | str) -> Heard:
        """One frame, until all that follows from it has happened."""
        return self._runner.run(self._say(version, raw))

    def call(self, version: str, action: str, payload: object) -> Heard:
        """A CALL under a new id."""
        message_id = f"c{next(self._ids)}"
        return self.say(version, json.dumps([2, message_id, action, payload]))

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read from the database."""

        async def read() -> list[tuple[Any, ...]]:
            return await self._writer.run(
                lambda conn: conn.execute(sql, values).fetchall()
            )

        return self._runner.run(read())

    def is_up(self, version: str) -> bool:
        """Whether the station's connection lives."""
        link, socket = self._links[version]
        return link.is_open and socket.closed is None

    def sent(self, version: str) -> list[bytes]:
        """The bytes that left after the latest frame."""
        return list(self._links[version][1].sent)

    def link(self, version: str) -> Link:
        """The station's connection."""
        return self._links[version][0]

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._writer.start(loop)
        for version, adapter in ADAPTERS.items():
            station = StationContext(
                station_id=StationId(f"CP-{version}"),
                adapter=adapter,
                is_accepted=True,
            )
            socket = MemorySocket()
            link = Link(
                station_id=station.station_id,
                adapter=adapter,
                transport=socket,
                endpoint=Endpoint(map("ours-{}".format, itertools.count(1)).__next__),
                sink=self.ingest.sink(station),
                clock=self.clock,
                remote="127.0.0.1",
                epoch=1,
            )
            self._links[version] = (link, socket)

    async def _close(self) -> None:
        for link, _ in self._links.values():
            link.lost()

    async def _say(self, version: str, raw: bytes | str) -> Heard:
        link, socket = self._links[version]
        rows, written = await self._writer.run(_count)
        socket.sent.clear()
        data = raw.encode(errors="surrogatepass") if isinstance(raw, str) else raw
        link.take(data)
        await _turns()
        await self._writer.run(_count)  # a failed fact is refused in a job of its own
        await _turns()
        now_rows, now_written = await self._writer.run(_count)
        await _turns()
        return Heard(
            answers=[json.loads(frame) for frame in socket.sent],
            grown={
                table: count - rows[table]
                for table, count in now_rows.items()
                if count != rows[table]
            },
            n_written=now_written - written,
        )


@contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    """A bench, closed at the end."""
    with asyncio.Runner() as runner:
        bench = Bench(folder, runner)
        bench.open()
        try:
            yield bench
        finally:
            bench.close()


async def _turns() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def _count(conn: sqlite3.Connection) -> tuple[dict[str, int], int]:
    tables = [
        row[0]
        for row in conn.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite_%'"
        )
    ]
    parts = [f"SELECT '{table}', count(*) FROM {table}" for table in tables]  # noqa: S608 - names of our own schema
    rows = dict(conn.execute(" UNION ALL ".join(parts)).fetchall())
    return rows, conn.total_changes
