"""A site with a log, an embedded chain and one settled session, for ledger tests."""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ledger import record
from ledger.bundle import build_receipt, seal_settlement
from ledger.credits import SealedCredit, seal_credit
from ledger.embedded import EmbeddedChain
from ledger.keys import LocalSigner
from ledger.ports import Chain, Signers, Transact
from ledger.settle import SettlementWay
from ledger.sqlite_store import DDL, SqliteStore, Transactor, append_leaf, transaction
from ledger.worker import AnchorWorker, WorkerSettings

START = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


@dataclass
class SteppedClock:
    """A site clock that tests move."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at


PAUSER: Final = LocalSigner(bytes([7]) * 31 + bytes([5]))


ADMIN: Final = LocalSigner(bytes([7]) * 31 + bytes([1]))


def fixed_signers() -> Signers:
    """Keys of tests only; distinct per role."""
    keys = [LocalSigner(bytes([7]) * 31 + bytes([number])) for number in range(1, 5)]
    return Signers(
        admin=keys[0],
        anchorer=keys[1],
        settler=keys[2],
        registrar=keys[3],
        pauser=PAUSER.address,
    )


def open_database(path: Path | str = ":memory:") -> sqlite3.Connection:
    """A ledger database in autocommit mode."""
    is_new = not Path(path).exists()
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    if is_new:
        conn.executescript(DDL)
    return conn


TARIFF: dict[str, Any] = {
    "tariff_id": "day-night",
    "currency": "EUR",
    "minor_digits": 2,
    "timezone": "Europe/Berlin",
    "elements": [
        {
            "price_micro_per_kwh": 390_000,
            "start_time": "06:00",
            "end_time": "20:00",
            "day_of_week": [],
        },
        {
            "price_micro_per_kwh": 290_000,
            "start_time": None,
            "end_time": None,
            "day_of_week": [],
        },
    ],
}


def utc_text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def bill_of(registers: list[tuple[datetime, int]]) -> dict[str, Any]:
    """The bill of two parts, split at 19:00 UTC (20:00 in Berlin), where one reads."""
    edge = datetime(2026, 3, 2, 19, 0, tzinfo=UTC)
    at_edge = next(value for at, value in registers if at == edge)
    (first_at, first), (last_at, last) = registers[0], registers[-1]
    parts = [
        (first_at, edge, at_edge - first, 390_000),
        (edge, last_at, last - at_edge, 290_000),
    ]
    exact = sum(energy * price for _, _, energy, price in parts)
    return {
        "currency": "EUR",
        "minor_digits": 2,
        "parts": [
            {
                "from": utc_text(begin),
                "to": utc_text(end),
                "energy_milliwh": energy,
                "price_micro_per_kwh": price,
            }
            for begin, end, energy, price in parts
        ],
        "energy_milliwh": last - first,
        "amount_minor": round(exact / 10**10),
        "tariff_id": TARIFF["tariff_id"],
        "tariff_sha256": record.sha256_json(TARIFF),
        "register_start_milliwh": first,
        "register_end_milliwh": last,
    }


_REGISTERS: Final = [
    (START + timedelta(minutes=30 * step), 5_000_000 + 3_333_333 * step)
    for step in range(7)
]


@dataclass
class Site:
    """Everything that a gateway would wire."""

    folder: Path
    conn: sqlite3.Connection
    chain: Chain
    clock: SteppedClock
    signers: Signers
    worker: AnchorWorker
    bills: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add_noise(self, count: int) -> None:
        with transaction(self.conn):
            for _ in range(count):
                body: dict[str, object] = {
                    "subject": "CP-1",
                    "occurred_at": utc_text(self.clock.at),
                }
                self.leaf("status", "CP-1", body)

    def leaf(self, kind: str, subject: str, body: dict[str, object]) -> int:
        data = record.canonical(kind, body)
        sealed_at = utc_text(self.clock.at)
        return append_leaf(self.conn, kind, subject, data, os.urandom(32), sealed_at)

    def add_session(self, session_id: str, promised: str | None = None) -> int:
        """A session of three hours with a reading every half hour, settled.

        Its start may say which tariff was promised, by its hash.
        """
        self.begin(session_id, promised)
        return self.settle(session_id)

    def begin(self, session_id: str, promised: str | None = None) -> None:
        """The start of a session."""
        start_body: dict[str, object] = {
            "session_id": session_id,
            "station_id": "CP-1",
            "evse_id": 1,
            "started_at": utc_text(START),
            "register_start_milliwh": _REGISTERS[0][1],
        }
        if promised is not None:
            start_body["tariff_sha256"] = promised
        with transaction(self.conn):
            self.leaf("session_start", session_id, start_body)

    def settle(self, session_id: str, flex_to: str | None = None) -> int:
        """The readings of a session that began, and its settlement."""
        for at, register in _REGISTERS[1:]:
            self.add_noise(2)
            body: dict[str, object] = {
                "session_id": session_id,
                "station_id": "CP-1",
                "evse_id": 1,
                "occurred_at": utc_text(at),
                "received_at": utc_text(at),
                "register_milliwh": register,
            }
            with transaction(self.conn):
                self.leaf("meter", session_id, body)
        self.bills[session_id] = bill_of(_REGISTERS)
        with transaction(self.conn):
            return seal_settlement(
                self.conn,
                session_id=session_id,
                bill=self.bills[session_id],
                ended_at=utc_text(_REGISTERS[-1][0]),
                sealed_at=utc_text(self.clock.at),
                flex_to=flex_to,
            )

    def add_credit(
        self, session_id: str, amount_minor: int, reason: str = "a wrong register"
    ) -> SealedCredit:
        """Credit a settled session."""
        with transaction(self.conn):
            return seal_credit(
                self.conn,
                session_id=session_id,
                amount_minor=amount_minor,
                reason=reason,
                sealed_at=utc_text(self.clock.at),
            )

    def receipt(self, session_id: str) -> dict[str, Any]:
        return build_receipt(
            SqliteStore(self.conn),
            session_id=session_id,
            bill=self.bills[session_id],
            tariff=TARIFF,
            chain=self.worker.bundle_chain,
        )


def embedded_chain(
    folder: Path, clock: SteppedClock, also: Sequence[str] = ()
) -> EmbeddedChain:
    return EmbeddedChain.create_or_open(
        folder / "chain.db",
        clock=clock,
        funded=[*(signer.address for signer in fixed_signers().all()), *also],
    )


def make_site(
    folder: Path,
    *,
    chain: Chain | None = None,
    transact: Transact | None = None,
    clock: SteppedClock | None = None,
    settings: WorkerSettings | None = None,
    way: SettlementWay = SettlementWay.BATCH,
    signers: Signers | None = None,
) -> Site:
    """Open (again) the site whose files are in a folder."""
    clock = clock or SteppedClock()
    conn = open_database(folder / "gateway.db")
    chain = chain or embedded_chain(folder, clock)
    signers = signers or fixed_signers()
    worker = AnchorWorker(
        chain=chain,
        transact=transact or Transactor(conn),
        signers=signers,
        settings=settings or WorkerSettings(way=way),
    )
    return Site(
        folder=folder,
        conn=conn,
        chain=chain,
        clock=clock,
        signers=signers,
        worker=worker,
    )
