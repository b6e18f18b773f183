"""Credits: leaves that correct a settled session in the driver's favour.

A settled bill is never edited. What it was too high by becomes a credit: a record in
the log beside the settlement, and a row of its own on the chain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger import merkle, record
from ledger.contracts import artifact
from ledger.credit_queue import CreditRow, queue_credit
from ledger.errors import ContractRevertedError, RecordError
from ledger.flex_queue import flex_of_credit, queue_flex_credit
from ledger.outbox import Purpose, SettlementRow, TxDraft
from ledger.settle import settlement_values
from ledger.sqlite_store import Leaf, SqliteStore, append_leaf

MAX_AT_ONCE: Final = 25
"""Credits sealed in one round, each in a transaction of its own."""

_WAITS: Final = frozenset({"SettlementSessionUnknown", "SettlementWindowDiffers"})
"""The settlement fell out of its block: the credit waits for it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredit:
    """A credit in the log.

    Attributes:
        ordinal: 1 for the first credit of its session.
        credit_key: Names it on chain.
    """

    leaf_index: int
    ordinal: int
    credit_key: bytes


def seal_credit(
    conn: sqlite3.Connection,
    *,
    session_id: str,
    amount_minor: int,
    reason: str,
    sealed_at: str,
    more: Mapping[str, object] | None = None,
    flex_milliwh: int = 0,
) -> SealedCredit:
    """Append the leaf of a credit and queue it for the chain.

    Runs in the caller's transaction.

    Args:
        conn: The writer's connection.
        session_id: A settled session; the subject of its leaves.
        amount_minor: What the driver gets back, in minor units of its currency.
        reason: For the driver and the books.
        sealed_at: RFC 3339 time.
        more: Further members of the record, such as corrected registers.
        flex_milliwh: Flexibility that it takes back from the driver.

    Raises:
        RecordError: The session is not settled, a leaf of it was erased, or its
            credits would exceed what it was charged.
    """
    store = SqliteStore(conn)
    leaves = store.leaves_of(session_id)
    settled, facts = _settlement(session_id, leaves)
    session_key = bytes.fromhex(str(facts["session_key"]))
    ordinal = 1 + sum(leaf.kind == "credit" for leaf in leaves)
    key = record.credit_key(session_key, ordinal)
    taken = {"flex_milliwh": flex_milliwh} if flex_milliwh else {}
    body: dict[str, object] = {
        **(more or {}),
        **taken,
        "session_id": session_id,
        "session_key": session_key.hex(),
        "credit_key": key.hex(),
        "ordinal": ordinal,
        "corrects_leaf_index": settled.leaf_index,
        "amount_minor": amount_minor,
        "currency": facts["currency"],
        "reason": reason,
        "credited_at": sealed_at,
    }
    data = record.canonical("credit", body)
    index = append_leaf(conn, "credit", session_id, data, None, sealed_at)
    (committed,) = store.commitments(index, index + 1)
    queue_credit(
        conn,
        CreditRow(
            session_key=session_key,
            credit_key=key,
            leaf_hash=merkle.leaf_hash(committed),
            amount_minor=amount_minor,
        ),
    )
    if flex_milliwh:
        queue_flex_credit(
            conn, credit_key=key, session_key=session_key, flex_milliwh=flex_milliwh
        )
    return SealedCredit(leaf_index=index, ordinal=ordinal, credit_key=key)


def credit_calldata(
    row: CreditRow, settled: SettlementRow | None = None, flex_milliwh: int = 0
) -> bytes:
    """Return the call of ``recordCredit`` with a row, or of ``recordFlexCredit``.

    Args:
        row: The credit.
        settled: What its session was settled with, if it takes flexibility back.
        flex_milliwh: How much of it.
    """
    credit = (row.session_key, row.credit_key, row.leaf_hash, row.amount_minor)
    binding = artifact("Settlement")
    if settled is None or not flex_milliwh:
        return binding.calldata("recordCredit", credit)
    return binding.calldata(
        "recordFlexCredit", settlement_values(settled), credit, flex_milliwh
    )


def seal_waiting(
    store: SqliteStore,
    *,
    chain: str,
    sender: str,
    to: str,
    now: datetime,
    takes_flex: bool,
) -> bool:
    """Seal a transaction for each credit that can travel; say whether there was one.

    Args:
        store: In the worker's transaction.
        chain: Key of the chain in use.
        sender: Address of the settler.
        to: Address of the Settlement contract.
        now: Site time.
        takes_flex: The contract can take flexibility back.
    """
    rows = store.waiting_credits(chain, MAX_AT_ONCE)
    for row in rows:
        flex_milliwh = flex_of_credit(store.conn, row.credit_key) if takes_flex else 0
        settled = store.settlement(row.session_key)
        draft = TxDraft(
            chain=chain,
            purpose=Purpose.CREDIT,
            purpose_key=row.credit_key.hex(),
            sender=sender,
            to=to,
            calldata=credit_calldata(row, settled, flex_milliwh),
            facts={"amount_minor": row.amount_minor, "flex_milliwh": flex_milliwh},
        )
        store.assign_credit(row.credit_key, store.seal(draft, now))
    return bool(rows)


def is_refused(error: ContractRevertedError | None) -> bool:
    """Say whether the contract refused the credit itself, and always will."""
    if error is None or error.name in _WAITS:
        return False
    return error.name.startswith("Settlement")


def _settlement(
    session_id: str, leaves: Sequence[Leaf]
) -> tuple[Leaf, Mapping[str, object]]:
    settled = next((leaf for leaf in leaves if leaf.kind == "settlement"), None)
    if settled is None:
        raise RecordError(f"session {session_id} is not settled")
    if settled.record is None:
        raise RecordError(f"the settlement leaf of session {session_id} was erased")
    return settled, record.parse(settled.record).body
