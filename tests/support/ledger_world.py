"""A site's ledger with a simulated chain, and what must hold of it at every moment.

Two processes share a database and take turns by the lease. Each can be killed at any
boundary (before and after each commit, before each question to the node and each
broadcast), or sleep there past its lease.
"""

import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from ledger import log, merkle, record
from ledger.credit_queue import CreditRow, queue_credit
from ledger.errors import LedgerError, SignerUnavailableError
from ledger.invoice_queue import note_settlement_leaf
from ledger.outbox import SettlementRow
from ledger.ports import Signers
from ledger.runner import RunnerSettings
from ledger.settle import (
    Asset,
    AssetKind,
    AssetStatus,
    SettlementWay,
    asset_id,
    asset_json,
)
from ledger.sqlite_queues import queue_asset, queue_settlement
from ledger.sqlite_store import SqliteStore, Transactor, append_leaf, transaction
from ledger.worker import AnchorWorker, StepSummary, WorkerSettings
from tests.support.ledger_site import START, fixed_signers, open_database
from tests.support.sim_chain import GWEI, SimChain, SimSigner
from tests.support.sim_contracts import SimTx

T = TypeVar("T")

FEE_CAP_WEI: Final = 500 * GWEI
LASTING_BASE_FEE_WEI: Final = 120 * GWEI
"""Base fee of the end of every history: what was signed before pays too little."""
CALM_ROUNDS: Final = 120
BUMP_S: Final = 60.0
LEASE_S: Final = 120.0


_AT: Final = "2026-03-02T17:00:00Z"
_BODIES: Final[dict[str, dict[str, object]]] = {
    "status": {"subject": "CP-1", "occurred_at": _AT},
    "session_start": {
        "session_id": "s",
        "station_id": "CP-1",
        "evse_id": 1,
        "started_at": _AT,
    },
}


class CrashError(BaseException):
    """The process is gone; no handler may catch it."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass(slots=True)
class Process:
    """One installation of the worker.

    Attributes:
        fuse: Boundaries until something happens; ``None`` for an untroubled step.
        event: What happens there.
    """

    name: str
    worker: AnchorWorker
    fuse: int | None = None
    event: str = ""
    is_within: bool = False


@dataclass(slots=True)
class Backup:
    """A copy of the database, and how many facts it knows."""

    conn: sqlite3.Connection
    n_facts: int


@dataclass
class World:
    """A site, its chain, its time and its bad luck.

    Attributes:
        with_backups: Old backups are put back.
        with_strangers: Somebody else uses the keys.
        with_signer_faults: The keys are at a service that fails at times.
        daily_fees_wei: What the transactions of a day may cost, ``None`` for no limit.
        forgives_errors: A step that raises is a crash and no violation: the outbox's
            own refusals are a second line; what they hide shall be seen otherwise.
        way: How sessions are settled.
        silent: Addresses that the service does not sign for at the moment.
    """

    seed: int
    with_backups: bool = True
    with_strangers: bool = True
    with_signer_faults: bool = False
    daily_fees_wei: int | None = None
    forgives_errors: bool = False
    silent: set[str] = field(default_factory=set)
    way: SettlementWay = SettlementWay.BATCH
    now: datetime = START
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"ledger chaos {self.seed}")  # noqa: S311  # a seeded world
        self.chain = SimChain()
        self.chain.refuses_cheap = self.rng.random() < 0.5
        self.chain.now_s = self.elapsed_s
        self.chain.on_call = self._on_call
        self.chain.on_send = self._on_send
        self.conn = open_database()
        self.facts: list[Callable[[], None]] = []
        self.n_leaves = 0
        self.sessions: list[bytes] = []
        self.starts: list[int] = []
        self.unsettled: list[int] = []
        self.recorded: dict[bytes, tuple[bytes, ...]] = {}
        self.credits: list[bytes] = []
        self.assets: list[bytes] = []
        self.backups: list[Backup] = []
        self.signed: dict[bytes, SimTx] = {}
        self.roots: dict[tuple[str | None, int], bytes] = {}
        self.is_used_by_others = False
        self.was_restored = False
        self.running: Process | None = None
        self.checked_final: set[int] = set()
        self.runner_settings = RunnerSettings(
            bump_after_s=BUMP_S,
            fee_cap_wei=FEE_CAP_WEI,
            daily_fees_wei=self.daily_fees_wei,
            lease_s=LEASE_S,
        )
        self.patience_s = self.rng.choice((0.0, 600.0))
        self.signers = self._signers()
        self.processes = [self._process("north"), self._process("south")]

    def elapsed_s(self) -> float:
        """Return the time since the beginning, in site seconds."""
        return (self.now - START).total_seconds()

    # Facts of the site.

    def happen(self, fact: Callable[[], None]) -> None:
        """Let a fact be stored, now and again after a backup was put back."""
        self.facts.append(fact)
        with transaction(self.conn):
            fact()

    def add_leaves(self, count: int) -> None:
        first = self.n_leaves
        self.n_leaves += count
        self.happen(lambda: self._put_leaves(first, count))

    def add_session(self, *, settles: bool = True) -> None:
        """Begin a session; it is settled now, or in some later moment."""
        number = len(self.starts)
        start_leaf_index = self.n_leaves
        self.starts.append(start_leaf_index)
        self.n_leaves += 1
        self.happen(lambda: self._put_leaves(start_leaf_index, 1, "session_start"))
        self.unsettled.append(number)
        if settles:
            self.settle_some()

    def settle_some(self) -> None:
        """Settle one of the sessions that run, if one does."""
        if not self.unsettled:
            return
        number = self.unsettled.pop(self.rng.randrange(len(self.unsettled)))
        key = hashlib.sha256(b"session %d" % number).digest()
        self.sessions.append(key)
        index = self.n_leaves
        self.n_leaves += 1
        has_flex = self.rng.random() < 0.2  # these settle alone

        def fact() -> None:
            self._put_leaves(index, 1)
            (committed,) = SqliteStore(self.conn).commitments(index, index + 1)
            row = SettlementRow(
                session_key=key,
                start_leaf_index=self.starts[number],
                leaf_hash=merkle.leaf_hash(committed),
                energy_milliwh=1_000_000 + number,
                amount_minor=500 + number,
                currency="EUR",
                flex_milliwh=5_000 if has_flex else 0,
                flex_to="0x" + "d7" * 20 if has_flex else None,
            )
            queue_settlement(self.conn, row)
            note_settlement_leaf(self.conn, key, index)

        self.happen(fact)

    def add_credit(self) -> None:
        if not self.sessions:
            return
        session_key = self.rng.choice(self.sessions)
        key = hashlib.sha256(b"credit %d" % len(self.credits)).digest()
        self.credits.append(key)
        row = CreditRow(
            session_key=session_key,
            credit_key=key,
            leaf_hash=hashlib.sha256(key).digest(),
            amount_minor=1,
        )
        self.happen(lambda: _stored(queue_credit(self.conn, row)))

    def add_asset(self) -> None:
        identifier = asset_id("site", AssetKind.CABINET, f"c{len(self.assets)}")
        self.assets.append(identifier)
        asset = Asset(
            asset_id=identifier,
            kind=AssetKind.CABINET,
            status=AssetStatus.IN_SERVICE,
            is_public=True,
        )
        self.happen(lambda: queue_asset(self.conn, asset_json(asset)))

    def _put_leaves(self, first: int, count: int, kind: str = "status") -> None:
        for index in range(first, first + count):
            data = record.canonical(kind, _BODIES[kind])
            salt = hashlib.sha256(b"salt %d" % index).digest()
            found = append_leaf(
                self.conn, kind, "CP-1", data, salt, self.now.isoformat()
            )
            assert found == index, "facts come in their order"

    # Processes.

    def step(
        self, process: Process, *, event: str = "", fuse: int | None = None
    ) -> StepSummary | None:
        """Let a process make a step; ``None`` when it died in it."""
        process.event = event
        process.fuse = self.rng.randrange(1, 40) if event and not fuse else fuse
        outer, self.running = self.running, process
        process.is_within = True
        self.counts["steps"] += 1
        try:
            summary = process.worker.step(self.now)
        except CrashError:
            self.counts["crashes"] += 1
            self.restart(process)
            return None
        except (LedgerError, sqlite3.Error, KeyError) as error:
            if self.forgives_errors:
                self.counts["steps that raised"] += 1
                self.restart(process)
                return None
            raise ViolationError(f"a step raised {error!r}") from error
        finally:
            self.running = outer
            process.is_within = False
            process.fuse = None
        self.counts[summary.state.value] += 1
        self.check_always()
        return summary

    def restart(self, process: Process) -> None:
        """Start a process anew: it knows what the database knows."""
        process.worker = self._worker(process.name)

    def _process(self, name: str) -> Process:
        return Process(name=name, worker=self._worker(name))

    def _worker(self, name: str) -> AnchorWorker:
        return AnchorWorker(
            chain=self.chain,
            transact=self.transact,
            signers=self.signers,
            settings=WorkerSettings(
                anchor_interval_s=300,
                hold_s=60,
                way=self.way,
                patience_s=self.patience_s,
                runner=self.runner_settings,
            ),
            holder=name,
        )

    def transact(self, work: Callable[[SqliteStore], T]) -> T:
        """Run database work between two boundaries."""
        self._boundary()
        result = Transactor(self.conn)(work)
        self._boundary()
        return result

    def _boundary(self) -> None:
        process = self.running
        if process is None or process.fuse is None:
            return
        process.fuse -= 1
        if process.fuse > 0:
            return
        process.fuse = None
        if process.event == "crash":
            raise CrashError
        self._sleep_past_lease(process)

    def _sleep_past_lease(self, process: Process) -> None:
        """Stop here while the other process takes the lease over and works."""
        self.counts["sleeps past the lease"] += 1
        self.now += timedelta(seconds=LEASE_S + 1)
        for other in self.processes:
            if not other.is_within:
                self.step(other)
        self.chain.mine()
        self.running = process

    def _signers(self) -> Signers:
        names = ("admin", "anchorer", "settler", "registrar")
        made = {
            name: SimSigner(
                address="0x" + hashlib.sha256(name.encode()).hexdigest()[:40],
                on_sign=self.on_sign,
            )
            for name in names
        }
        return replace(
            fixed_signers(),
            admin=made["admin"],
            anchorer=made["anchorer"],
            settler=made["settler"],
            registrar=made["registrar"],
        )

    # What is seen at once.

    def _on_call(self) -> None:
        if self.conn.in_transaction:
            raise ViolationError("the node is asked while the database is held")
        self._boundary()

    def on_sign(self, tx: SimTx) -> None:
        if tx.sender in self.silent:
            self.counts["signatures that failed"] += 1
            raise SignerUnavailableError(f"the signer of {tx.sender} does not answer")
        if tx.max_fee_wei > FEE_CAP_WEI:
            raise ViolationError(f"signed {tx.max_fee_wei} wei per gas, above the cap")
        self._check_nonces(tx)
        self.signed[tx.tx_hash] = tx
        keys = self.conn.execute(
            "SELECT session_key FROM settlement_queue JOIN outbox_tx USING (tx_id)"
            " WHERE calldata = ? UNION ALL"
            " SELECT credit_key FROM credit_queue JOIN outbox_tx USING (tx_id)"
            " WHERE calldata = ?",
            (tx.calldata, tx.calldata),
        )
        self.recorded.setdefault(tx.calldata, tuple(row[0] for row in keys))
        self.counts["signatures"] += 1

    def _check_nonces(self, tx: SimTx) -> None:
        """A piece of work has one nonce, and a nonce one piece of work."""
        rows = self.conn.execute(
            "SELECT tx_id, nonce, to_address IS ? AND calldata = ? FROM outbox_tx"
            " WHERE sender = ? AND nonce IS NOT NULL"
            " AND state NOT IN ('sealed', 'failed')",
            (tx.to, tx.calldata, tx.sender),
        )
        for tx_id, nonce, is_same_work in rows:
            if is_same_work and tx.calldata and nonce != tx.nonce:
                raise ViolationError(f"{tx_id} has nonce {nonce}, signed is {tx.nonce}")
            if not is_same_work and nonce == tx.nonce:
                raise ViolationError(f"nonce {nonce} of {tx_id} is signed for others")

    def _on_send(self, tx: SimTx) -> None:
        found = self.conn.execute(
            "SELECT 1 FROM outbox_attempt WHERE tx_hash = ?", (tx.tx_hash,)
        ).fetchone()
        if found is None:
            raise ViolationError("a broadcast of bytes that were not stored before")
        self.counts["broadcasts"] += 1

    def check_always(self) -> None:
        """Check what holds at every moment: roots, heads, what is final."""
        for address, size, root in self.heads():
            if size <= log.head(SqliteStore(self.conn)).size:
                local = log.head(SqliteStore(self.conn), size).root
                if size and local != root:
                    raise ViolationError(f"the head {size} at {address} is not ours")
        finals = self.conn.execute(
            "SELECT tx_id, tx_hash, block_number FROM outbox_tx WHERE state = 'final'"
        ).fetchall()
        for tx_id, tx_hash, _number in finals:
            if tx_id in self.checked_final:
                continue
            receipt = self.chain.find(tx_hash)
            deepest = len(self.chain.blocks) - 1 - self.chain.final_depth
            if receipt is None or receipt.block_number > deepest:
                raise ViolationError(f"transaction {tx_id} is called final and is not")
            self.checked_final.add(tx_id)
        rows = self.conn.execute(
            "SELECT chain, json_extract(facts, '$.size'),"
            " json_extract(facts, '$.root') FROM outbox_tx"
            " WHERE purpose = 'anchor' AND nonce IS NOT NULL"
        )
        for _chain, size, root in rows:
            if self.roots.setdefault(("log", size), root) != root:
                raise ViolationError(f"two roots were signed for {size} leaves")

    def heads(self) -> list[tuple[str, int, bytes]]:
        return [
            (key[1], *value)
            for key, value in self.chain.tip.items()
            if key[0] == "head"
        ]

    def is_deployed(self) -> bool:
        """Say whether the contracts stand for good."""
        (count,) = self.conn.execute(
            "SELECT count(*) FROM outbox_tx WHERE purpose = 'grant' AND state = 'final'"
        ).fetchone()
        return int(count) >= 5  # one for each role

    # Peace.

    def deploy(self) -> None:
        """Get the contracts onto the chain in peace."""
        for _ in range(CALM_ROUNDS):
            self.now += timedelta(seconds=5)
            self.step(self.processes[0])
            self.chain.mine()
            if self.is_deployed():
                return
        raise ViolationError("the contracts were never deployed")


def _stored(_is_new: bool) -> None:
    return None
