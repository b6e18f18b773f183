"""What the ledger needs of a chain and of the database, in its own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ledger.outbox import Fees
from ledger.sqlite_store import SqliteStore

T = TypeVar("T")


class Transact(Protocol):
    """Runs work in one database transaction and returns after its commit.

    The gateway may run it in its writer; `ledger.sqlite_store.Transactor` is the plain
    form. The work must not keep the store.
    """

    def __call__(self, work: Callable[[SqliteStore], T]) -> T:
        """Run the work; commit, or roll back and raise what it raised."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainIdentity:
    """Which chain this is: two chains may share an id, never a genesis block."""

    chain_id: int
    genesis_hash: bytes

    @property
    def key(self) -> str:
        """Return the identity as the text that rows carry."""
        return f"{self.chain_id}:0x{self.genesis_hash.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One event as a contract emitted it; topics are 32 bytes each."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction in its block."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    contract_address: str | None
    logs: tuple[LogEntry, ...]


class Chain(Protocol):
    """An EVM chain, blocking; addresses are lower-case hex with prefix.

    Every method raises `ChainUnavailableError` when the node does not answer in time
    and `ChainNonsenseError` when the answer cannot come from an EVM node.
    """

    @property
    def self_witnessed(self) -> bool:
        """Say whether the operator alone keeps this chain."""
        ...

    def identity(self) -> ChainIdentity:
        """Return chain id and genesis hash."""
        ...

    def latest_block(self) -> int:
        """Return the number of the newest block."""
        ...

    def final_block(self) -> int:
        """Return the newest block that counts as final; -1 for none."""
        ...

    def nonce(self, address: str, *, block: int | None = None) -> int:
        """Return how many transactions of an address are mined."""
        ...

    def code(self, address: str) -> bytes:
        """Return the code at an address, empty for none."""
        ...

    def call(self, to: str, calldata: bytes) -> bytes:
        """Call a view on the newest block.

        Raises:
            ContractRevertedError: The contract said no.
        """
        ...

    def gas_limit(self, sender: str, to: str | None, calldata: bytes) -> int:
        """Return a gas limit that suffices, after trying the transaction.

        Raises:
            ContractRevertedError: The transaction would revert.
        """
        ...

    def fees(self) -> Fees:
        """Return fees that get a transaction mined soon."""
        ...

    def send_raw(self, raw: bytes) -> None:
        """Broadcast; what the node knows already counts as sent.

        Raises:
            TransactionRefusedError: The node did not take it.
        """
        ...

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return the receipt, ``None`` while the transaction is in no block."""
        ...


class Signer(Protocol):
    """A key that signs transactions."""

    @property
    def address(self) -> str:
        """Return the address in lower-case hex with prefix."""
        ...

    def sign(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: str | None,
        calldata: bytes,
        gas_limit: int,
        fees: Fees,
    ) -> tuple[bytes, bytes]:
        """Return the raw transaction and its hash; the same input gives the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who shall have which role, by address; whoever keeps their keys.

    Attributes:
        publisher: Who publishes releases of the optimizer; ``None``: not our business.
    """

    anchorer: str
    settler: str
    registrar: str
    publisher: str | None
    pauser: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """The separate keys of an operator, one per role.

    Attributes:
        admin: Deploys and grants; ``None`` where that is done elsewhere.
        pauser: Address that may stop the contracts; its key is not needed here.
    """

    admin: Signer | None
    anchorer: Signer
    settler: Signer
    registrar: Signer
    pauser: str

    def all(self) -> Sequence[Signer]:
        """Return those that sign."""
        working = (self.anchorer, self.settler, self.registrar)
        return working if self.admin is None else (self.admin, *working)

    def holders(self) -> Holders:
        """Return who shall have the roles; the admin also publishes."""
        return Holders(
            anchorer=self.anchorer.address,
            settler=self.settler.address,
            registrar=self.registrar.address,
            publisher=None if self.admin is None else self.admin.address,
            pauser=self.pauser,
        )
