"""A simulated chain for ledger tests: blocks, a pool, reorganisations, moody answers.

It satisfies `ledger.ports.Chain`, keeps everything in memory and runs models of the
contracts that do what their Solidity does with heads, sessions, credits and assets.
Transactions are JSON, signed by nobody: what is tested here is the outbox.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from eth_abi.abi import encode as abi_encode

from ledger.contracts import artifact
from ledger.errors import (
    ChainUnavailableError,
    ContractRevertedError,
    Refusal,
    TransactionRefusedError,
)
from ledger.outbox import Fees
from ledger.ports import ChainIdentity, Receipt
from tests.support.sim_contracts import (
    SimTx,
    Slots,
    called,
    closed_before,
    created,
    execute,
    has_role,
    is_closed,
    is_settled,
    minter,
    tx_from,
)

GWEI: Final = 10**9
TIP_WEI: Final = GWEI
GAS_USED: Final = 80_000
GAS_LIMIT: Final = 100_000
REPLACE_PERMILLE: Final = 1100
"""What geth asks of a replacement: a tenth more of both fees."""


def tx_of(raw: bytes) -> SimTx:
    fields = json.loads(raw)
    return SimTx(**{**fields, "calldata": bytes.fromhex(fields["calldata"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block with the state after it."""

    block_hash: bytes
    base_fee_wei: int
    at_s: float
    done: tuple[tuple[SimTx, bool], ...]
    slots: Slots = field(repr=False)


@dataclass(slots=True)
class SimSigner:
    """Signs by naming itself; `on_sign` sees every transaction that it signs."""

    address: str
    on_sign: Callable[[SimTx], None] = lambda _tx: None

    def sign(
        self,
        *,
        chain_id: int,  # noqa: ARG002  # part of the port
        nonce: int,
        to: str | None,
        calldata: bytes,
        gas_limit: int,
        fees: Fees,
    ) -> tuple[bytes, bytes]:
        tx = SimTx(
            sender=self.address,
            nonce=nonce,
            to=to,
            calldata=calldata,
            gas_limit=gas_limit,
            max_fee_wei=fees.max_fee_wei,
            tip_wei=fees.priority_fee_wei,
        )
        self.on_sign(tx)
        return tx.raw, tx.tx_hash


class SimChain:
    """One chain and the one node in front of it.

    Attributes:
        final_depth: Blocks on top that make a block final; reorganisations are shorter.
        base_fee_wei: Of the next block.
        refuses_cheap: Refuse what pays less than the base fee (anvil), else let it wait
            in the pool (geth).
        is_down: Nothing is answered.
        lose_answers: So many of the next broadcasts are taken, and their answers lost.
        lose_requests: So many of the next broadcasts do not arrive.
        on_call: Called before anything is answered; may raise.
        on_send: Sees each transaction that is broadcast, taken or not.
    """

    def __init__(self, *, final_depth: int = 6) -> None:
        self.final_depth = final_depth
        self.base_fee_wei = 10 * GWEI
        self.refuses_cheap = False
        self.is_down = False
        self.lose_answers = 0
        self.lose_requests = 0
        self.now_s: Callable[[], float] = lambda: 0.0
        self.on_call: Callable[[], None] = lambda: None
        self.on_send: Callable[[SimTx], None] = lambda _tx: None
        self.pool: dict[tuple[str, int], SimTx] = {}
        self.made = 0
        self.blocks: list[Block] = []
        self._append([])

    # What the ledger asks.

    @property
    def self_witnessed(self) -> bool:
        return False

    def identity(self) -> ChainIdentity:
        self._answer()
        return ChainIdentity(chain_id=7, genesis_hash=self.blocks[0].block_hash)

    def latest_block(self) -> int:
        self._answer()
        return len(self.blocks) - 1

    def final_block(self) -> int:
        self._answer()
        return max(len(self.blocks) - 1 - self.final_depth, -1)

    def nonce(self, address: str, *, block: int | None = None) -> int:
        self._answer()
        number = len(self.blocks) - 1 if block is None else max(block, 0)
        return self.nonce_at(self.blocks[number].slots, address)

    def code(self, address: str) -> bytes:
        self._answer()
        name = self.tip.get(("code", address))
        return b"" if name is None else artifact(name).runtime_code

    def call(self, to: str, calldata: bytes) -> bytes:
        self._answer()
        name, function, arguments = called(self.tip, to, calldata)
        if (name, function) == ("StatusAnchor", "head"):
            size, root = self.tip.get(("head", to), (0, bytes(32)))
            return abi_encode(["uint64", "bytes32", "uint64"], (size, root, 0))
        if function == "hasRole":
            return abi_encode(["bool"], (has_role(self.tip, to, *arguments),))
        if function == "closedBefore":
            return abi_encode(["uint64"], (closed_before(self.tip, to),))
        if function in ("isStartLeafClosed", "isStartLeafSettled"):
            asked = is_closed if function == "isStartLeafClosed" else is_settled
            return abi_encode(["bool"], (asked(self.tip, to, arguments[0]),))
        if function == "creditContent":
            known = ("credit", to, arguments[0].hex()) in self.tip
            return bytes(31) + bytes([known])
        if function == "minter":
            return abi_encode(["address"], (minter(self.tip, to),))
        raise AssertionError(f"no model of {name}.{function}")

    def gas_limit(self, sender: str, to: str | None, calldata: bytes) -> int:
        self._answer()
        execute(dict(self.tip), tx_from(sender, to, calldata))
        return GAS_LIMIT

    def fees(self) -> Fees:
        self._answer()
        return Fees(
            max_fee_wei=2 * self.base_fee_wei + TIP_WEI, priority_fee_wei=TIP_WEI
        )

    def send_raw(self, raw: bytes) -> None:
        self._answer()
        tx = tx_of(raw)
        self.on_send(tx)
        if self.lose_requests:
            self.lose_requests -= 1
            raise ChainUnavailableError("the request was lost")
        self.take(tx)
        if self.lose_answers:
            self.lose_answers -= 1
            raise ChainUnavailableError("the answer was lost")

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        self._answer()
        return self.find(tx_hash)

    # What a world does to it.

    @property
    def tip(self) -> Slots:
        return self.blocks[-1].slots

    @staticmethod
    def nonce_at(slots: Slots, address: str) -> int:
        return int(slots.get(("nonce", address), 0))

    def find(self, tx_hash: bytes) -> Receipt | None:
        for number in range(len(self.blocks) - 1, -1, -1):
            for tx, succeeded in self.blocks[number].done:
                if tx.tx_hash == tx_hash:
                    return Receipt(
                        tx_hash=tx_hash,
                        block_number=number,
                        block_hash=self.blocks[number].block_hash,
                        succeeded=succeeded,
                        contract_address=created(tx) if tx.to is None else None,
                        logs=(),
                    )
        return None

    def take(self, tx: SimTx) -> None:
        """Let a transaction into the pool as geth would."""
        if tx.nonce < self.nonce_at(self.tip, tx.sender):
            raise TransactionRefusedError(Refusal.NONCE_TOO_LOW, "nonce too low")
        if self.refuses_cheap and tx.max_fee_wei < self.base_fee_wei:
            raise TransactionRefusedError(Refusal.UNDERPRICED, "below the base fee")
        old = self.pool.get((tx.sender, tx.nonce))
        if old is not None and old != tx:
            for was, is_now in (
                (old.max_fee_wei, tx.max_fee_wei),
                (old.tip_wei, tx.tip_wei),
            ):
                if is_now * 1000 < was * REPLACE_PERMILLE:
                    raise TransactionRefusedError(Refusal.UNDERPRICED, "replacement")
        self.pool[tx.sender, tx.nonce] = tx

    def mine(self, *, limit: int = 100) -> None:
        """Mine what pays enough, in the order of nonces."""
        taken: list[SimTx] = []
        nonces: dict[str, int] = {}
        for (sender, nonce), tx in sorted(self.pool.items()):
            due = nonces.setdefault(sender, self.nonce_at(self.tip, sender))
            pays = tx.max_fee_wei >= self.base_fee_wei + min(tx.tip_wei, TIP_WEI)
            if nonce == due and pays and len(taken) < limit:
                taken.append(tx)
                nonces[sender] += 1
        self._append(taken)
        for key in list(self.pool):
            if key[1] < self.nonce_at(self.tip, key[0]):
                del self.pool[key]

    def put_in_block(self, tx: SimTx) -> None:
        """Mine exactly this transaction, wherever it came from."""
        self._append([tx])
        self.pool.pop((tx.sender, tx.nonce), None)

    def reorganise(self, depth: int, keep: Callable[[SimTx], bool]) -> None:
        """Replace the newest blocks by one more of empty ones.

        What they held goes back to the pool, or is forgotten.
        """
        gone = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        for block in gone:
            for tx, _succeeded in block.done:
                if keep(tx):
                    self.pool.setdefault((tx.sender, tx.nonce), tx)
        for _ in range(depth + 1):
            self._append([])

    def _answer(self) -> None:
        self.on_call()
        if self.is_down:
            raise ChainUnavailableError("nobody answers")

    def _append(self, taken: list[SimTx]) -> None:
        slots = dict(self.tip) if self.blocks else {}
        done: list[tuple[SimTx, bool]] = []
        for tx in taken:
            slots["nonce", tx.sender] = tx.nonce + 1
            after = dict(slots)
            try:
                execute(after, tx)
            except ContractRevertedError:
                done.append((tx, False))
            else:
                slots = after
                done.append((tx, True))
        self.made += 1
        block_hash = hashlib.sha256(b"block %d" % self.made).digest()
        self.blocks.append(
            Block(
                block_hash=block_hash,
                base_fee_wei=self.base_fee_wei,
                at_s=self.now_s(),
                done=tuple(done),
                slots=slots,
            )
        )
