"""The embedded chain: py-evm over one SQLite file, for sites without a node.

A real EVM with real contracts, mined by the operator: a local notebook. It proves
order and content to the operator and nothing to third parties, so the verifier calls
it *self-witnessed*. Every transaction gets a block of its own, at once, and every block
is final. One fsynced SQLite transaction per block makes the file survive a ``kill -9``
and a power cut: a block that was reported once never goes away.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from eth._utils.address import generate_contract_address
from eth.abc import BlockHeaderAPI, ComputationAPI, VirtualMachineAPI
from eth.chains.base import MiningChain
from eth.constants import (
    BLANK_ROOT_HASH,
    CREATE_CONTRACT_ADDRESS,
    POST_MERGE_DIFFICULTY,
    POST_MERGE_MIX_HASH,
    POST_MERGE_NONCE,
    ZERO_ADDRESS,
)
from eth.db.atomic import AtomicDB
from eth.db.backends.base import BaseDB
from eth.exceptions import (
    CanonicalHeadNotFound,
    HeaderNotFound,
    TransactionNotFound,
)
from eth.typing import AccountDetails
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.shanghai.withdrawals import Withdrawal
from eth_typing import Address, BlockNumber, Hash32
from eth_utils.exceptions import ValidationError
from typing_extensions import override

from ledger.clock import Clock
from ledger.errors import (
    ChainNonsenseError,
    ChainUnavailableError,
    ContractRevertedError,
    Refusal,
    TransactionRefusedError,
)
from ledger.outbox import Fees
from ledger.ports import ChainIdentity, LogEntry, Receipt

# py-evm and py_ecc raise the recursion limit of the whole process to 100 000, for call
# depths that our contracts never reach. Deep hostile JSON would then overflow the stack
# of the gateway instead of raising an error, so CPython's default comes back.
RECURSION_LIMIT: Final = 1000
sys.setrecursionlimit(RECURSION_LIMIT)

DEFAULT_CHAIN_ID: Final = 928_873
BLOCK_GAS_LIMIT: Final = 30_000_000
TX_GAS_LIMIT: Final = BLOCK_GAS_LIMIT // 2
"""Gas is free here; half a block is ample for the largest deployment."""
GENESIS_BALANCE_WEI: Final = 10**30
FUNDS_GWEI: Final = 10**18
"""What a key that came later gets; a withdrawal holds 64 bits."""
TIP_WEI: Final = 1

_TABLES: Final = frozenset({"node", "meta"})
_DDL: Final = """
CREATE TABLE IF NOT EXISTS node (key BLOB PRIMARY KEY, value BLOB NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class _SqliteDb(BaseDB):
    """The key-value store that py-evm wants, on one table.

    Read-only stores keep what the EVM writes while it answers a call in memory.
    """

    def __init__(self, conn: sqlite3.Connection, *, read_only: bool) -> None:
        self._conn = conn
        self._overlay: dict[bytes, bytes] | None = {} if read_only else None

    @override
    def __getitem__(self, key: bytes) -> bytes:
        if self._overlay is not None and key in self._overlay:
            return self._overlay[key]
        row = self._conn.execute(
            "SELECT value FROM node WHERE key = ?", (bytes(key),)
        ).fetchone()
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    @override
    def __setitem__(self, key: bytes, value: bytes) -> None:
        if self._overlay is not None:
            self._overlay[key] = value
            return
        self._conn.execute(
            "INSERT OR REPLACE INTO node VALUES (?, ?)", (bytes(key), bytes(value))
        )

    @override
    def __delitem__(self, key: bytes) -> None:
        if self._overlay is not None:
            self._overlay.pop(key, None)
            return
        self._conn.execute("DELETE FROM node WHERE key = ?", (bytes(key),))

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True


class _NotebookChain(MiningChain):
    """A Prague chain from its first block, with a constant gas limit."""

    vm_configuration = ((BlockNumber(0), PragueVM),)

    @override
    def create_header_from_parent(
        self, parent_header: BlockHeaderAPI, **header_params: Any
    ) -> BlockHeaderAPI:
        """Keep the gas limit of the parent."""
        return super().create_header_from_parent(
            parent_header, **{**header_params, "gas_limit": parent_header.gas_limit}
        )


class EmbeddedChain:
    """One chain file; satisfies `ledger.ports.Chain`. Safe to share between threads."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        chain: MiningChain,
        *,
        clock: Clock | None,
    ) -> None:
        """Use `create_or_open` or `open_read_only`."""
        self._conn = conn
        self._chain = chain
        self._clock = clock
        self._lock = threading.RLock()

    @classmethod
    def create_or_open(
        cls,
        path: Path,
        *,
        clock: Clock,
        funded: Sequence[str],
        chain_id: int = DEFAULT_CHAIN_ID,
    ) -> EmbeddedChain:
        """Open a chain file, or make one with a genesis block.

        Args:
            path: The file; WAL files appear beside it.
            clock: The site clock: block times follow it and never run backwards.
            funded: Addresses that shall own gas: from the genesis block on, or, where
                a key came later, from a block that credits them (EIP-4895).
            chain_id: For a new chain; an existing file keeps its own.

        Raises:
            ChainNonsenseError: The file is something else.
        """
        cls._check_file(path)
        conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            conn.execute("PRAGMA busy_timeout = 5000")
            conn.execute("PRAGMA journal_mode = WAL")
            conn.execute("PRAGMA synchronous = FULL")
            conn.executescript(_DDL)
            conn.execute("BEGIN IMMEDIATE")
            kind = _chain_type(_meta_chain_id(conn) or chain_id)
            database = AtomicDB(_SqliteDb(conn, read_only=False))
            if _meta_chain_id(conn) is None:
                start_s = int(clock.now().timestamp())
                kind.from_genesis(
                    database, _genesis(start_s), {_raw(a): _account() for a in funded}
                )
                conn.execute(
                    "INSERT INTO meta VALUES ('chain_id', ?)", (str(kind.chain_id),)
                )
            conn.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            conn.close()
            raise ChainNonsenseError(f"{path}: {error}") from error
        chain = cls(conn, kind(database), clock=clock)
        try:
            chain._fund(funded, clock)
        except BaseException:
            conn.close()
            raise
        return chain

    @classmethod
    def _check_file(cls, path: Path) -> None:
        """Look before anything is written: a file of others stays as it is.

        One that was cut off before its genesis block has our tables, or none.
        """
        if not path.exists() or path.stat().st_size == 0:
            return
        try:
            with closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            ) as conn:
                query = "SELECT name FROM sqlite_master WHERE type = 'table'"
                tables = {row[0] for row in conn.execute(query)}
                if tables - _TABLES:
                    raise ChainNonsenseError(f"{path}: a database of something else")
                is_begun = "meta" in tables and _meta_chain_id(conn) is not None
        except sqlite3.DatabaseError as error:
            raise ChainNonsenseError(f"{path}: {error}") from error
        if is_begun:
            cls.open_read_only(path).close()

    @classmethod
    def open_read_only(cls, path: Path) -> EmbeddedChain:
        """Open a chain file without changing it, also while a gateway writes it.

        Raises:
            ChainUnavailableError: There is no such file.
            ChainNonsenseError: The file is something else.
        """
        if not path.is_file():
            raise ChainUnavailableError(f"{path}: no such file")
        # Without WAL files nobody has the database open, and "immutable" keeps SQLite
        # from creating them; with WAL files they must be read.
        in_use = path.with_name(path.name + "-wal").exists()
        mode = "mode=ro" if in_use else "mode=ro&immutable=1"
        conn: sqlite3.Connection | None = None
        try:
            conn = sqlite3.connect(
                f"{path.absolute().as_uri()}?{mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            chain_id = _meta_chain_id(conn)
            if chain_id is None:
                raise ChainNonsenseError(f"{path}: no chain inside")
            database = AtomicDB(_SqliteDb(conn, read_only=True))
            chain = _chain_type(chain_id)(database)
            chain.get_canonical_head()
            return cls(conn, chain, clock=None)
        except (
            sqlite3.DatabaseError,
            CanonicalHeadNotFound,
            HeaderNotFound,
            ValueError,
        ) as error:
            if conn is not None:
                conn.close()
            raise ChainNonsenseError(f"{path}: not an embedded chain") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._conn.close()

    @property
    def self_witnessed(self) -> bool:
        """Return ``True``: the operator alone keeps this file."""
        return True

    def identity(self) -> ChainIdentity:
        """Return chain id and genesis hash."""
        with self._lock:
            genesis = self._chain.get_canonical_block_header_by_number(BlockNumber(0))
            return ChainIdentity(
                chain_id=self._chain.chain_id, genesis_hash=bytes(genesis.hash)
            )

    def latest_block(self) -> int:
        """Return the number of the newest block."""
        with self._lock:
            return int(self._chain.get_canonical_head().block_number)

    def final_block(self) -> int:
        """Return the newest block: nobody can reorganise but the operator."""
        return self.latest_block()

    def block_timestamp_s(self, number: int) -> int:
        """Return the Unix time of a block."""
        with self._lock:
            header = self._chain.get_canonical_block_header_by_number(
                BlockNumber(number)
            )
            return int(header.timestamp)

    def nonce(self, address: str, *, block: int | None = None) -> int:
        """Return the number of mined transactions of an address."""
        del block  # every block is final, so the newest answers for all
        with self._lock:
            return int(self._vm().state.get_nonce(_raw(address)))

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        with self._lock:
            return bytes(self._vm().state.get_code(_raw(address)))

    def call(self, to: str, calldata: bytes) -> bytes:
        """Call a view on the newest block."""
        with self._lock:
            return bytes(self._execute(ZERO_ADDRESS, _raw(to), calldata).output)

    def gas_limit(self, sender: str, to: str | None, calldata: bytes) -> int:
        """Try the transaction; return half a block."""
        with self._lock:
            self._execute(_raw(sender), None if to is None else _raw(to), calldata)
            return TX_GAS_LIMIT

    def fees(self) -> Fees:
        """Return fees that the next block accepts."""
        with self._lock:
            base_fee_wei = self._pending_header().base_fee_per_gas or 0
            return Fees(
                max_fee_wei=2 * base_fee_wei + TIP_WEI, priority_fee_wei=TIP_WEI
            )

    def send_raw(self, raw: bytes) -> None:
        """Mine a transaction in a block of its own; a mined one is success."""
        with self._lock:
            if self._clock is None:
                raise ChainUnavailableError("the chain file is open for reading only")
            self._conn.execute("BEGIN IMMEDIATE")
            try:
                self._mine(raw, self._clock)
            except BaseException:
                self._conn.execute("ROLLBACK")
                raise
            self._conn.execute("COMMIT")

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return a receipt through the chain's own index."""
        with self._lock:
            try:
                number, index = self._chain.chaindb.get_transaction_index(
                    Hash32(tx_hash)
                )
            except TransactionNotFound:
                return None
            header = self._chain.get_canonical_block_header_by_number(number)
            vm = self._chain.get_vm_class(header)
            found = self._chain.chaindb.get_receipt_by_index(
                number, index, vm.get_receipt_builder()
            )
            tx = self._chain.get_canonical_transaction_by_index(number, index)
            created = None
            if tx.to == CREATE_CONTRACT_ADDRESS:
                created = _text(generate_contract_address(tx.sender, tx.nonce))
            return Receipt(
                tx_hash=tx_hash,
                block_number=int(number),
                block_hash=bytes(header.hash),
                succeeded=found.state_root == b"\x01",
                contract_address=created,
                logs=tuple(
                    LogEntry(
                        address=_text(log.address),
                        topics=tuple(int(t).to_bytes(32, "big") for t in log.topics),
                        data=bytes(log.data),
                    )
                    for log in found.logs
                ),
            )

    def _fund(self, funded: Sequence[str], clock: Clock) -> None:
        """Credit those that own nothing; gas is free here, but the EVM counts it."""
        with self._lock:
            state = self._vm().state
            poor = [one for one in funded if not state.get_balance(_raw(one))]
            if not poor:
                return
            self._conn.execute("BEGIN IMMEDIATE")
            try:
                self._begin_block(clock)
                self._chain.mine_all(
                    [],
                    withdrawals=[
                        Withdrawal(0, 0, _raw(one), FUNDS_GWEI) for one in poor
                    ],
                    blob_gas_used=0,
                )
            except BaseException:
                self._conn.execute("ROLLBACK")
                raise
            self._conn.execute("COMMIT")

    def _begin_block(self, clock: Clock) -> None:
        header = self._pending_header()
        parent = self._chain.get_canonical_head()
        now_s = max(int(clock.now().timestamp()), parent.timestamp + 1)
        self._chain.header = header.copy(timestamp=now_s)

    def _mine(self, raw: bytes, clock: Clock) -> None:
        self._begin_block(clock)
        vm = self._chain.get_vm()
        try:
            tx = vm.get_transaction_builder().decode(raw)
            if self.receipt(bytes(tx.hash)) is not None:
                return
            if tx.chain_id != self._chain.chain_id:  # py-evm does not look
                raise TransactionRefusedError(
                    Refusal.OTHER, f"signed for chain {tx.chain_id}"
                )
            expected = vm.state.get_nonce(tx.sender)
            if tx.nonce != expected:
                low = tx.nonce < expected
                reason = Refusal.NONCE_TOO_LOW if low else Refusal.NONCE_TOO_HIGH
                raise TransactionRefusedError(reason, f"{tx.nonce}, not {expected}")
            self._chain.apply_transaction(tx)
        except ValidationError as error:
            raise TransactionRefusedError(Refusal.OTHER, str(error)[:200]) from error
        self._chain.mine_block(blob_gas_used=0)

    def _execute(
        self, sender: Address, to: Address | None, calldata: bytes
    ) -> ComputationAPI:
        vm = self._vm()
        creates = to is None
        target = CREATE_CONTRACT_ADDRESS if to is None else to
        computation = vm.execute_bytecode(
            origin=sender,
            gas_price=0,
            gas=TX_GAS_LIMIT,
            to=ZERO_ADDRESS if creates else target,
            sender=sender,
            value=0,
            data=b"" if creates else calldata,
            code=calldata if creates else vm.state.get_code(target),
        )
        if computation.is_error:
            raise ContractRevertedError(bytes(computation.output))
        return computation

    def _vm(self) -> VirtualMachineAPI:
        return self._chain.get_vm(self._pending_header())

    def _pending_header(self) -> BlockHeaderAPI:
        """Build on the head in the file, whoever wrote it."""
        return self._chain.create_header_from_parent(self._chain.get_canonical_head())


def _chain_type(chain_id: int) -> type[_NotebookChain]:
    return type("NotebookChain", (_NotebookChain,), {"chain_id": chain_id})


def _meta_chain_id(conn: sqlite3.Connection) -> int | None:
    row = conn.execute("SELECT value FROM meta WHERE name = 'chain_id'").fetchone()
    return None if row is None else int(row[0])


def _genesis(timestamp_s: int) -> dict[str, Any]:
    return {
        "coinbase": ZERO_ADDRESS,
        "difficulty": POST_MERGE_DIFFICULTY,
        "extra_data": b"wattproof notebook",
        "gas_limit": BLOCK_GAS_LIMIT,
        "mix_hash": POST_MERGE_MIX_HASH,
        "nonce": POST_MERGE_NONCE,
        "receipt_root": BLANK_ROOT_HASH,
        "timestamp": timestamp_s,
        "transaction_root": BLANK_ROOT_HASH,
    }


def _account() -> AccountDetails:
    return {"balance": GENESIS_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}


def _raw(address: str) -> Address:
    return Address(bytes.fromhex(address.removeprefix("0x")))


def _text(address: bytes) -> str:
    return "0x" + address.hex()
