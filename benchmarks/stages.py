"""Where the time of a meter value goes, stage by stage, in one process.

100 sessions send the messages of `ocpp_load.py` through the real link, adapter, ingest
and SQLite, with neither sockets nor threads: every stage runs for all stations before
the next begins, so that a quiet moment shows in its minimum. Not counted: framing, the
system calls, the hand-over between threads, and what the bus tells services.
Usage: ``python -m benchmarks.stages [1.6 | 2.0.1]``.
"""

import asyncio
import gc
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

from benchmarks import harness, ocpp_load
from gateway.bus import Bus
from gateway.clock import SystemClock
from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Adapter
from gateway.ocpp.rpc import Endpoint
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.server.link import Link
from gateway.services.ingest import Ingest, StationContext
from gateway.services.sealing import LogSealer, install_ledger
from gateway.store.entry import Entry, TokenDecision, TokenQuestion
from gateway.store.in_order import Batch
from gateway.store.schema import open_database
from gateway.store.sqlite import Appended, AppendJob, Hooks

N_STATION: Final = 100
N_ROUND: Final = 40
T = TypeVar("T")


class Taken:
    """An event log and a transport that only keep what they are given."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.waiting: list[Appended] = []

    def append(self, entry: Entry, on_done: Appended) -> None:
        """Keep a message until it is stored by hand."""
        self.entries.append(entry)
        self.waiting.append(on_done)

    def empty(self) -> tuple[list[Entry], list[Appended]]:
        """What was kept since the last time."""
        kept = self.entries, self.waiting
        self.entries, self.waiting = [], []
        return kept

    def send(self, frame: bytes) -> None:
        """Drop an answer."""

    def close(self, code: int, reason: str) -> None:
        """Nothing is open."""

    def hold(self) -> None:
        """Nothing is read."""

    def release(self) -> None:
        """Nothing is read."""


class Stages:
    """Microseconds per message of each stage, round by round."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}

    def run(self, name: str, work: Callable[[], T]) -> T:
        """Do the work of one stage for every station."""
        started_s = time.perf_counter()
        result = work()
        spent_us = (time.perf_counter() - started_s) * 1e6 / N_STATION
        self.found.setdefault(name, []).append(spent_us)
        return result


def accept(_conn: sqlite3.Connection, _question: TokenQuestion) -> TokenDecision:
    """Every token may charge."""
    return TokenDecision(status="accepted")


async def measure(version: str, folder: Path) -> Stages:
    """Run all rounds."""
    adapter: Adapter = V16() if version == "1.6" else V201()
    taken, clock, stages = Taken(), SystemClock(), Stages()
    ingest = Ingest(
        log=taken,
        jobs=None,  # type: ignore[arg-type]  # nothing is refused here
        bus=Bus(),
        clock=clock,
        loop_time=asyncio.get_running_loop().time,
    )
    site = SimpleNamespace(
        a=SimpleNamespace(
            prefix="CP",
            id_width=5,
            protocol=version,
            sampled_values=8,
            id_tag="TAG",
            tags=1,
        ),
        epoch=1,
    )
    generator: Any = ocpp_load  # it has no types
    stations: list[Any] = [generator.Station(site, i) for i in range(N_STATION)]
    links = [
        Link(
            station_id=station.id,
            adapter=adapter,
            transport=taken,
            endpoint=Endpoint(lambda: "unused"),
            sink=ingest.sink(
                StationContext(
                    station_id=StationId(station.id), adapter=adapter, is_accepted=True
                )
            ),
            clock=clock,
            remote="local",
            epoch=1,
        )
        for station in stations
    ]
    hooks = Hooks(judge=accept, sealer=LogSealer(tariff_id_of=lambda _: None))
    conn = open_database(folder / "stages.sqlite3")
    install_ledger(conn)
    ids, began_at = itertools.count(), clock.now() - timedelta(hours=1)

    def message(station: Any, action: str) -> bytes:  # noqa: ANN401 - the generator has no types
        wire = ocpp_load.WIRE.get(action, action)
        payload = getattr(station, action)()
        return f'[2,"m{next(ids)}","{wire}",{payload}]'.encode()

    def say_all(action: str) -> list[bytes]:
        moment = began_at + timedelta(seconds=next(ids))
        text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        ocpp_load._ts[:] = [text, float("inf")]  # noqa: SLF001 - its clock stands still for a round
        return [message(station, action) for station in stations]

    def hear(raws: list[bytes]) -> None:
        for link, raw in zip(links, raws, strict=True):
            link.take(raw)

    def store(entries: list[Entry]) -> list[Any]:
        conn.execute("BEGIN IMMEDIATE")
        jobs = [AppendJob(entry, hooks) for entry in entries]
        receipts = list(AppendJob.run_all(conn, jobs))
        conn.execute("COMMIT")
        return receipts

    hear(say_all("StartTransaction" if version == "1.6" else "TxStarted"))
    receipts = store(taken.empty()[0])
    if version == "1.6":
        for station, receipt in zip(stations, receipts, strict=True):
            station.txid = receipt.transaction_number
    action = "MeterValues" if version == "1.6" else "TxUpdated"
    hear(say_all(action))
    store(taken.empty()[0])  # from now on the writer remembers the sessions
    for _ in range(N_ROUND):
        raws = say_all(action)
        stages.run("frame to entry", lambda raws=raws: hear(raws))  # type: ignore[misc]  # a default binds it
        entries, waiting = taken.empty()
        conn.execute("BEGIN IMMEDIATE")
        batch = Batch(conn, hooks.sealer)
        told = stages.run(
            "fold",
            lambda e=entries, b=batch: [b.take(one) for one in e],  # type: ignore[misc]  # defaults bind them
        )
        stages.run("rows and leaves", batch.flush)
        stages.run("commit", lambda: conn.execute("COMMIT"))
        stages.run(
            "receipt to answer",
            lambda w=waiting, t=told: [  # type: ignore[misc]  # defaults bind them
                done(receipt, None) for done, receipt in zip(w, t, strict=True)
            ],
        )
    conn.close()
    return stages


def main() -> None:
    """Measure and print."""
    version = sys.argv[1] if len(sys.argv) > 1 else "1.6"
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="wattproof-bench-") as folder:
        stages = asyncio.run(measure(version, Path(folder)))
    harness.finish(
        {
            "machine": harness.machine(),
            "us_per_msg": {
                name: {
                    "min": round(min(found), 1),
                    "median": round(statistics.median(found), 1),
                }
                for name, found in stages.found.items()
            },
            "sum_of_minima": round(sum(map(min, stages.found.values())), 1),
        },
        None,
    )


if __name__ == "__main__":
    main()
