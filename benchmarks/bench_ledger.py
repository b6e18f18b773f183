"""The ledger: sealing, proofs, receipts and their verification, and a day on a chain.

Times are CPU seconds of this process, the best of some rounds. Costs are gas as
``npm run gas`` measured it times the prices given; execution only.
"""

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from benchmarks.ledger_costs import Day, eur, gas_by_way, snapshot
from ledger import log, merkle, record
from ledger.bundle import build_receipt, seal_settlement
from ledger.ecdsa import CURVES, is_signed
from ledger.sqlite_store import DDL, NewLeaf, SqliteStore, append_leaves, transaction
from ledger.verify import Verdict, verify

BEGAN: Final = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
EVERY: Final = timedelta(seconds=10)
SIZES: Final = (1_000, 10_000, 100_000)
READINGS: Final = (10, 100, 1_000)
PRICES_GWEI: Final = (0.005, 0.02, 0.1, 1.0, 10.0)
HASH_BYTES: Final = merkle.HASH_BYTES
STEP_MILLIWH: Final = 30_000
PRICE: Final = 400_000


def main() -> None:
    """Parse the options, measure, print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of everything timed")
    parser.add_argument("--chargers", type=int, default=100)
    parser.add_argument("--sessions", type=float, default=1, help="per charger and day")
    parser.add_argument("--anchors", type=int, default=96, help="per day")
    parser.add_argument("--eur-per-eth", type=float, default=3_000.0)
    parser.add_argument("--gwei", type=float, nargs="+", default=PRICES_GWEI)
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    found = {
        "machine": harness.machine(),
        "sealing": _sealing(rounds, SIZES[0] if options.quick else SIZES[1]),
        "proofs": {
            f"{size:,} leaves": _proofs(size)
            for size in (SIZES[:1] if options.quick else SIZES)
        },
        "receipts": {
            f"{count:,} readings": _receipt(rounds, count)
            for count in (READINGS[:2] if options.quick else READINGS)
        },
        "signatures, ms each": _signatures(rounds),
        "day": _day(options),
    }
    harness.finish(found, options.json)


def _sealing(rounds: int, count: int) -> dict[str, float]:
    """Leaves a second on a database on disk, in transactions as writers make them."""
    found: dict[str, float] = {}
    for together in (1, 10, 100):
        seconds = min(_filled_s(count, together) for _ in range(rounds))
        found[f"{together} a transaction, leaves/s"] = round(count / seconds)
    with closing(_database(":memory:")) as conn:
        _fill(conn, count, 100)
        took_s = _cpu_s(partial(_extend, SqliteStore(conn)))
    found["inner nodes of the tree, leaves/s"] = round(count / took_s)
    harness.say(f"sealing: {found}")
    return found


def _filled_s(count: int, together: int) -> float:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(_database(Path(folder) / "log.sqlite3")) as conn,
    ):
        return _cpu_s(partial(_fill, conn, count, together))


def _proofs(size: int) -> dict[str, float]:
    """Proofs of a log: how long, and how long they take."""
    with closing(_database(":memory:")) as conn:
        _fill(conn, size, 1_000)
        store = SqliteStore(conn)
        _extend(store)
        head = log.head(store)
        places = range(0, size, max(1, size // 500))
        longest = max(len(log.inclusion_proof(store, one, size)) for one in places)
        check = partial(
            merkle.verify_inclusion,
            leaf=merkle.leaf_hash(store.commitments(0, 1)[0]),
            index=0,
            size=size,
            proof=log.inclusion_proof(store, 0, size),
            head=head.root,
        )
        assert check(), "the proof is right"
        made_s = _cpu_s(partial(log.inclusion_proof, store, size // 3, size), 100)
        growth = log.consistency_proof(store, size - 100, size)
        found = {
            "inclusion_hashes": longest,
            "inclusion_bytes": HASH_BYTES * longest,
            "made_us": round(1e6 * made_s, 1),
            "checked_us": round(1e6 * _cpu_s(check, 500), 1),
            "bytes_that_100_leaves_were_added": HASH_BYTES * len(growth),
        }
    harness.say(f"proofs in {size:,} leaves: {found}")
    return found


def _receipt(rounds: int, n_reading: int) -> dict[str, float]:
    """The receipt of a session, in a log of 10,000 leaves of others."""
    with closing(_database(":memory:")) as conn:
        _fill(conn, SIZES[1], 1_000)
        bill, tariff = _session(conn, n_reading)
        store = SqliteStore(conn)
        _extend(store)
        make = partial(
            build_receipt,
            store,
            session_id="s-1",
            bill=bill,
            tariff=tariff,
            chain=None,
        )
        data = json.dumps(make()).encode()
        made_s = min(_cpu_s(make) for _ in range(rounds))
    assert verify(data).verdict is Verdict.UNCHECKED, "nothing is false"
    check = partial(verify, data)
    found = {
        "bytes": len(data),
        "made_ms": round(1e3 * made_s, 2),
        "verified_ms": round(1e3 * min(_cpu_s(check) for _ in range(rounds)), 2),
    }
    harness.say(f"receipt of {n_reading:,} readings: {found}")
    return found


def _signatures(rounds: int) -> dict[str, float]:
    """Checking one signature of a meter; a wrong one takes as long."""
    found = {}
    for name, curve in CURVES.items():
        numbers = curve.order // 3, curve.order // 5
        check = partial(is_signed, b"", numbers, curve.base, curve)
        found[name] = round(1e3 * min(_cpu_s(check) for _ in range(rounds)), 1)
    return found


def _day(options: argparse.Namespace) -> dict[str, Any]:
    """Gas and cost of a day, per charger."""
    gas = snapshot()
    found: dict[str, Any] = {
        "chargers": options.chargers,
        "sessions": round(options.chargers * options.sessions),
        "anchors": options.anchors,
        "eur_per_eth": options.eur_per_eth,
    }
    for is_public in (False, True):
        day = Day(
            anchors=options.anchors,
            sessions=found["sessions"],
            is_status_public=is_public,
        )
        for way, total in gas_by_way(day, gas).items():
            costs = {"gas": float(total)}
            for gwei in options.gwei:
                cost = eur(total, price_gwei=gwei, eur_per_eth=options.eur_per_eth)
                each = float(f"{cost / options.chargers:.2g}")
                costs[f"eur_per_charger_day_at_{gwei:g}_gwei"] = each
            found[way + (", status of 100 assets" if is_public else "")] = costs
    return found


def _database(path: Path | str) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {DDL}")
    return conn


def _fill(conn: sqlite3.Connection, count: int, together: int) -> None:
    """Seal readings of no session, some in each transaction."""
    for first in range(0, count, together):
        with transaction(conn):
            indexes = range(first, min(first + together, count))
            leaves = [_reading(None, index, STEP_MILLIWH * index) for index in indexes]
            append_leaves(conn, "meter", leaves)


def _reading(session_id: str | None, index: int, register: int) -> NewLeaf:
    moment = _text(BEGAN + index * EVERY)
    body = {
        "session_id": session_id,
        "station_id": "CP-1",
        "evse_id": 1,
        "occurred_at": moment,
        "received_at": moment,
        "register_milliwh": register,
        "context": "Sample.Periodic",
    }
    return session_id or "", record.canonical("meter", body), moment


def _session(conn: sqlite3.Connection, n_reading: int) -> tuple[Any, Any]:
    """Seal a session; its bill and tariff."""
    ended = _text(BEGAN + (n_reading - 1) * EVERY)
    tariff = {
        "tariff_id": "flat",
        "currency": "EUR",
        "minor_digits": 2,
        "timezone": "Europe/Berlin",
        "elements": [{"price_micro_per_kwh": PRICE}],
    }
    energy = STEP_MILLIWH * (n_reading - 1)
    part: dict[str, object] = {
        "from": _text(BEGAN),
        "to": ended,
        "energy_milliwh": energy,
        "price_micro_per_kwh": PRICE,
    }
    bill = {
        "currency": "EUR",
        "minor_digits": 2,
        "parts": [part],
        "energy_milliwh": energy,
        "amount_minor": round(energy * PRICE / 10**10),
        "tariff_id": "flat",
        "tariff_sha256": record.sha256_json(tariff),
        "register_start_milliwh": 0,
        "register_end_milliwh": energy,
    }
    start = {
        "session_id": "s-1",
        "station_id": "CP-1",
        "evse_id": 1,
        "started_at": _text(BEGAN),
    }
    with transaction(conn):
        data = record.canonical("session_start", start)
        append_leaves(conn, "session_start", [("s-1", data, _text(BEGAN))])
        readings = [_reading("s-1", i, STEP_MILLIWH * i) for i in range(n_reading)]
        append_leaves(conn, "meter", readings)
        seal_settlement(
            conn, session_id="s-1", bill=bill, ended_at=ended, sealed_at=ended
        )
    return bill, tariff


def _extend(store: SqliteStore) -> None:
    """Store all inner nodes that are whole."""
    while log.extend_nodes(store):
        pass


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _cpu_s(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of some work, each time."""
    began_s = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began_s) / times


if __name__ == "__main__":
    main()
