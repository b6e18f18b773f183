r"""The outbox: transactions as rows, their states, and the only legal moves.

::

    sealed --> signed --> sent --> mined --> final
       \         |        |  ^       |
        \--> failed <-----+  +-------+  (reorganisation: sent again, same bytes)

A row is *sealed* in the database transaction that decides on the work. It is *signed*
once its nonce and raw bytes are committed, and only then may it be broadcast, so that a
crash at any point leaves either nothing or bytes that can be sent again. Nonces come
from this table only. A higher fee is a new attempt at the same nonce. A signed row
fails only where it can never do its work any more (`ledger.lost_keys`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

from ledger.errors import OutboxError


class State(Enum):
    """Where a transaction stands."""

    SEALED = "sealed"
    SIGNED = "signed"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"
    FAILED = "failed"


class Purpose(Enum):
    """What a transaction is for; unique together with its key."""

    DEPLOY = "deploy"
    GRANT = "grant"
    REVOKE = "revoke"
    ANCHOR = "anchor"
    SETTLE = "settle"
    CREDIT = "credit"
    REGISTER = "register"
    PUBLISH = "publish"
    ESCROW = "escrow"
    FILL = "fill"


LEGAL_MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.SEALED: frozenset({State.SIGNED, State.FAILED}),
    State.SIGNED: frozenset({State.SENT, State.FAILED}),
    State.SENT: frozenset({State.MINED, State.FAILED}),
    State.MINED: frozenset({State.FINAL, State.SENT}),
    State.FINAL: frozenset(),
    State.FAILED: frozenset(),
}
WAITING: Final = frozenset({State.SEALED, State.SIGNED, State.SENT})

FEE_BUMP_PERMILLE: Final = 125
"""Nodes refuse a replacement below +10 %; 12.5 % keeps clear of their rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """EIP-1559 fees, in wei per gas.

    Attributes:
        is_legacy: The chain knows a gas price only, which is ``max_fee_wei``; rows do
            not keep it, since the chain says it anew for each signature.
    """

    max_fee_wei: int
    priority_fee_wei: int
    is_legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed form of a transaction; a fee bump adds another at the same nonce."""

    raw: bytes
    tx_hash: bytes
    fees: Fees
    signed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TxDraft:
    """Work to be done on chain, before it has a nonce.

    Attributes:
        chain: `ledger.ports.ChainIdentity.key` of the chain it is meant for.
        purpose: What it is for.
        purpose_key: Idempotency key: one unfailed row per chain, purpose and key.
        sender: Address in lower-case hex with prefix.
        to: Address called, ``None`` to create a contract.
        calldata: What is called, or the creation code.
        facts: Small JSON facts for the reader of the row.
        nonce: Given only for a filler of a nonce gap.
    """

    chain: str
    purpose: Purpose
    purpose_key: str
    sender: str
    to: str | None
    calldata: bytes
    facts: Mapping[str, object]
    nonce: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxTx:
    """A row of the outbox; the draft and what became of it."""

    tx_id: int
    draft: TxDraft
    state: State
    created_at: datetime
    nonce: int | None
    gas_limit: int | None
    attempts: tuple[Attempt, ...]
    tx_hash: bytes | None
    block_number: int | None
    block_hash: bytes | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredHead:
    """A head of the log that stands in a block."""

    size: int
    root: bytes
    tx_hash: bytes
    block_number: int
    is_final: bool
    anchored_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A contract at its address."""

    name: str
    address: str
    code_sha256: bytes
    tx_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRow:
    """One session for ``Settlement.settleBatch``.

    Attributes:
        session_key: 32 bytes, `ledger.record.session_key`.
        start_leaf_index: Index of the session-start leaf.
        leaf_hash: RFC 9162 leaf hash of the settlement leaf's commitment.
        energy_milliwh: Billed energy, 0 to 2**64 - 1.
        amount_minor: Billed amount, 0 to 2**64 - 1.
        currency: ISO 4217, three capital letters.
        flex_milliwh: Accepted flexibility.
        flex_to: Receiver's address, ``None`` for none.
    """

    session_key: bytes
    start_leaf_index: int
    leaf_hash: bytes
    energy_milliwh: int
    amount_minor: int
    currency: str
    flex_milliwh: int = 0
    flex_to: str | None = None


class OutboxStore(Protocol):
    """What the outbox needs of a store; runs inside the caller's transaction."""

    def seal(self, draft: TxDraft, now: datetime) -> int:
        """Add a sealed row and return its id; refuse a second unfailed one."""
        ...

    def tx(self, tx_id: int) -> OutboxTx:
        """Return a row with all its attempts."""
        ...

    def find(self, chain: str, purpose: Purpose, purpose_key: str) -> OutboxTx | None:
        """Return the unfailed row with that idempotency key."""
        ...

    def open_txs(self, chain: str) -> Sequence[OutboxTx]:
        """Return rows that are neither final nor failed, by sender and nonce."""
        ...

    def max_nonce(self, chain: str, sender: str) -> int | None:
        """Return the highest nonce ever given to that sender, failed rows included."""
        ...

    def put_signed(
        self, tx_id: int, *, nonce: int, gas_limit: int, attempt: Attempt
    ) -> None:
        """Move sealed to signed, with the nonce and the first attempt."""
        ...

    def put_attempt(self, tx_id: int, attempt: Attempt) -> None:
        """Keep a further attempt at the same nonce."""
        ...

    def move(self, tx_id: int, state: State, *, error: str | None = None) -> None:
        """Make a legal move; refuse any other."""
        ...

    def put_mined(
        self, tx_id: int, *, tx_hash: bytes, block_number: int, block_hash: bytes
    ) -> None:
        """Move sent to mined, or note that the block of a mined row changed."""
        ...


def check_move(tx_id: int, old: State, new: State) -> None:
    """Refuse a move that the state machine does not know.

    Raises:
        OutboxError: There is no such move.
    """
    if new not in LEGAL_MOVES[old]:
        raise OutboxError(
            f"transaction {tx_id} cannot move from {old.value} to {new.value}"
        )


def bumped(old: Fees, suggested: Fees, *, cap_wei: int) -> Fees | None:
    """Return fees that replace a stuck transaction, ``None`` when the cap forbids it.

    Both fees rise by at least 12.5 %, rounded up, and to what the chain suggests now.
    """
    factor = 1000 + FEE_BUMP_PERMILLE
    max_fee = max(-(-old.max_fee_wei * factor // 1000), suggested.max_fee_wei)
    tip = max(-(-old.priority_fee_wei * factor // 1000), suggested.priority_fee_wei)
    if max_fee > cap_wei:
        return None
    return Fees(
        max_fee_wei=max_fee,
        priority_fee_wei=min(tip, max_fee),
        is_legacy=suggested.is_legacy,
    )


def next_nonce(*, chain_nonce: int, max_nonce: int | None) -> int:
    """Return the nonce of the next transaction of a sender.

    The table knows what is in flight; the chain knows more only if the key was used
    elsewhere or an old backup of the table was restored.
    """
    return chain_nonce if max_nonce is None else max(chain_nonce, max_nonce + 1)
