"""Any chain with a pool, an outage, or a reorganisation in front of it."""

from typing import Any

from ledger.errors import ChainUnavailableError, Refusal, TransactionRefusedError
from ledger.outbox import Fees
from ledger.ports import Chain, Receipt


class MoodyChain:
    """A chain in front of which a pool, an outage, a reorg can be put."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.down = False
        self.holding = False
        self.hears_nothing = False
        self.pool: list[bytes] = []
        self.hidden: set[bytes] = set()
        self.final_depth: int | None = None
        self.fee_wei: int | None = None
        self.refusal: Refusal | None = None
        self.seen: list[bytes] = []

    def mine(self) -> None:
        """Mine the newest of what waits, as a pool with replacements does."""
        if self.pool:
            self.chain.send_raw(self.pool[-1])
            self.pool.clear()

    def send_raw(self, raw: bytes) -> None:
        self._wake()
        self.seen.append(raw)
        if self.refusal is not None:
            raise TransactionRefusedError(self.refusal, "as told")
        if self.hears_nothing:
            return
        if self.holding:
            self.pool.append(raw)
            return
        self.hidden.clear()
        self.chain.send_raw(raw)  # a node may say that the nonce is used: by this one

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        self._wake()
        return None if tx_hash in self.hidden else self.chain.receipt(tx_hash)

    def nonce(self, address: str, *, block: int | None = None) -> int:
        self._wake()
        return self.chain.nonce(address, block=block) - len(self.hidden)

    def final_block(self) -> int:
        self._wake()
        if self.final_depth is None:
            return self.chain.final_block()
        return self.chain.latest_block() - self.final_depth

    def fees(self) -> Fees:
        if self.fee_wei is not None:
            return Fees(max_fee_wei=self.fee_wei, priority_fee_wei=1)
        return self.chain.fees()

    def _wake(self) -> None:
        if self.down:
            raise ChainUnavailableError("nobody answers")

    def __getattr__(self, name: str) -> Any:
        self._wake()
        return getattr(self.chain, name)
