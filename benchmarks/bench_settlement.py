"""Settling one session: how long others wait for it, by the number of its samples.

Sessions of 10 s samples are stored as a station would have sent them, sealed, and
settled on a real database: by a tariff of energy only, one that prices time as well,
and one that depends on power. For each, the time that the writer was held, the rest
(reading and pricing, in a thread), and what telling its running cost takes.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from benchmarks import harness
from gateway.bus import Bus
from gateway.config import Regime
from gateway.domain.events import SessionEnded, SessionStarted
from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId
from gateway.domain.metering import Sample
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import Tariff
from gateway.services.billing import cost_so_far
from gateway.services.judging import Terms
from gateway.services.running_costs import read_cost
from gateway.services.sealing import LogSealer, install_ledger
from gateway.services.settlement import Settlement
from gateway.store import money, reading_trail, readings
from gateway.store.entry import Entry, StoredReading, TokenDecision
from gateway.store.queries import Queries
from gateway.store.reading_trail import TrailEnd
from gateway.store.sqlite import Hooks, Store
from gateway.store.writer import Writer

BEGAN: Final = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
EVERY: Final = timedelta(seconds=10)
SAMPLES: Final = (10, 1_000, 10_000)
STATION: Final = StationId("CP1")
ENERGY: Final = {"type": "ENERGY", "price": "0.40"}
TARIFFS: Final[dict[str, list[dict[str, Any]]]] = {
    "energy": [
        {
            "price_components": [{"type": "ENERGY", "price": "0.29"}],
            "restrictions": {"start_time": "22:00", "end_time": "06:00"},
        },
        {"price_components": [ENERGY]},
    ],
    "time": [
        {
            "price_components": [
                ENERGY,
                {"type": "TIME", "price": "1.00"},
                {"type": "PARKING_TIME", "price": "5.00"},
            ]
        }
    ],
    "power": [
        {
            "price_components": [{"type": "ENERGY", "price": "0.50"}],
            "restrictions": {"min_power": 11},
        },
        {"price_components": [ENERGY]},
    ],
}


class TimedWriter(Writer):
    """Notes how long each job holds the writer."""

    held_s: list[float]

    @override
    async def run(self, job: Callable[[Any], Any]) -> Any:
        """Run a job and note its time."""

        def timed(conn: Any) -> Any:  # noqa: ANN401 - of any job
            started_s = time.perf_counter()
            try:
                return job(conn)
            finally:
                self.held_s.append(time.perf_counter() - started_s)

        return await super().run(timed)


def main() -> None:
    """Parse the options, measure, print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="sessions of each kind")
    options = parser.parse_args()
    counts = SAMPLES[:2] if options.quick else SAMPLES
    rounds = 1 if options.quick else options.rounds
    runs: dict[str, Any] = {}
    for name, elements in TARIFFS.items():
        tariff = parse_tariff(
            {"id": "T", "elements": elements}, currency="EUR", timezone="Europe/Berlin"
        )
        for n_sample in counts:
            with tempfile.TemporaryDirectory() as folder:
                found = asyncio.run(_measure(Path(folder), tariff, n_sample, rounds))
            runs[f"{name}, {n_sample:,} samples"] = found
            harness.say(f"{name}, {n_sample:,} samples: {found}")
    harness.finish({"machine": harness.machine(), "runs": runs}, options.json)


async def _measure(
    folder: Path, tariff: Tariff, n_sample: int, rounds: int
) -> dict[str, float]:
    """Medians over some sessions of equal length, in ms."""
    writer = TimedWriter(folder / "bench.sqlite3")
    writer.held_s = []
    writer.start(asyncio.get_running_loop())
    queries = Queries(writer.path)
    await queries.open()
    try:
        await writer.run(install_ledger)
        await writer.run(
            lambda conn: money.put_tariff(conn, tariff, source="api", now=BEGAN)
        )
        sealer = LogSealer(tariff_id_of=lambda _: "T")
        store = Store(writer, Hooks(judge=_accept, sealer=sealer))
        terms = Terms(
            regime=Regime.STANDARD,
            tariff_id_of=lambda _: "T",
            rating=lambda _station, _evse: 22_000.0,
        )
        settlement = Settlement(
            writer=writer, queries=queries, bus=Bus(), clock=_Clock(), terms=terms
        )
        held, whole, shown, told = [], [], [], []
        for number in range(rounds):
            session_id = await _session(store, sealer, number, n_sample)
            started_s = time.perf_counter()
            session = await queries.session(session_id)
            assert session is not None, "it was stored"
            queries.read_now(partial(cost_so_far, session=session))
            shown.append(time.perf_counter() - started_s)
            started_s = time.perf_counter()
            queries.read_now(partial(read_cost, session_id=session_id))
            told.append(time.perf_counter() - started_s)
            writer.held_s.clear()
            started_s = time.perf_counter()
            row = await settlement.settle(session_id)
            whole.append(time.perf_counter() - started_s)
            assert row is not None, "it ended"
            assert row.status == "settled", row.reasons
            held.append(max(writer.held_s))
    finally:
        await queries.close()
        writer.close()
    return {
        "writer_ms": _ms(held),
        "whole_ms": _ms(whole),
        "cost_so_far_ms": _ms(shown),
        "first_running_cost_ms": _ms(told),
    }


async def _session(
    store: Store, sealer: LogSealer, number: int, n_sample: int
) -> SessionId:
    """An ended session: 7.4 to 14 kW in turns, a pause, and its samples sealed."""
    begins = BEGAN + number * timedelta(days=2)
    place = EvseRef(station_id=STATION, evse_id=1, connector_id=1)
    token = IdToken(value="DRIVER")
    start = SessionStarted(
        evse=place,
        occurred_at=begins,
        received_at=begins,
        transaction_id=f"tx{number}",
        id_token=token,
        register_milliwh=number * 10**9,
    )
    receipt = await store.append_and_wait(_entry(start))
    assert receipt.session is not None, "it began"
    session_id = receipt.session.session_id
    stored = []
    register = number * 10**9
    for index in range(1, n_sample + 1):
        is_paused = n_sample * 3 // 4 < index
        register += 0 if is_paused else 20_555 + index * 7_919 % 18_333
        sample = Sample(
            sampled_at=begins + index * EVERY,
            context="Sample.Periodic",
            register_milliwh=register,
            power_w=None,
            current_a=None,
            soc_percent=None,
            others=(),
        )
        one = StoredReading(
            session_id=session_id,
            station_id=STATION,
            evse_id=1,
            received_at=sample.sampled_at,
            sample=sample,
        )
        stored.append(one)

    def insert(conn: Any) -> None:  # noqa: ANN401 - the writer's connection
        first = sealer.metered(conn, stored)
        offset = receipt.offset
        found = [(one, session_id, offset) for one in stored]
        last_ids = readings.insert_new(conn, found, first)
        end = TrailEnd(last_ids[session_id], is_listed=0)
        reading_trail.extend(conn, session_id, end)

    await store.writer.run(insert)
    ends = begins + (n_sample + 1) * EVERY
    end = SessionEnded(
        station_id=STATION,
        occurred_at=ends,
        received_at=ends,
        transaction_id=f"tx{number}",
        evse=place,
        register_milliwh=register,
        stop_reason="Local",
    )
    await store.append_and_wait(_entry(end))
    return session_id


def _entry(event: SessionStarted | SessionEnded) -> Entry:
    return Entry(
        station_id=STATION,
        message_id=f"{type(event).__name__}-{event.transaction_id}",
        action=type(event).__name__,
        raw=b"[2]",
        payload=repr(event).encode(),
        events=(event,),
        received_at=event.received_at,
        is_ours=False,
    )


def _accept(_conn: object, _question: object) -> TokenDecision:
    return TokenDecision(status="accepted")


def _ms(times_s: list[float]) -> float:
    return round(1_000 * statistics.median(times_s), 2)


class _Clock:
    """Stands still: nothing here depends on it."""

    speed = 1.0

    def now(self) -> datetime:
        """After all sessions."""
        return BEGAN + timedelta(days=60)

    def real_s(self, site_s: float) -> float:
        """As is."""
        return site_s


if __name__ == "__main__":
    main()
