"""Seal settlements and gather the receipts that prove them; see `ledger.receipt`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger import log, merkle, record
from ledger.credit_receipt import credit_txs_json
from ledger.errors import BundleError, RecordError
from ledger.flex_queue import await_flex
from ledger.invoice_queue import note_settlement_leaf
from ledger.outbox import SettlementRow
from ledger.receipt import FORMAT, FORMAT_SIGNED, BundleChain
from ledger.signed_claim import SignedClaim
from ledger.sqlite_queues import queue_settlement
from ledger.sqlite_store import Leaf, SqliteStore, append_leaf
from ledger.tx_receipt import tx_json

COUNTED: Final = frozenset({"meter", "decision", "signed_meter"})
"""Leaves of a session that stand before its settlement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """The ``meter`` leaves of a session, up to some leaf of the log.

    Attributes:
        tree: Over them, in log order.
        newest: The last one's index; -1 if there is none.
    """

    tree: merkle.CompactRange
    newest: int


def metered(
    conn: sqlite3.Connection, session_id: str, readings: Iterable[int] = ()
) -> Metered:
    """Gather what a settlement counts; on any connection, before it is sealed.

    Args:
        conn: In a transaction.
        session_id: Subject of leaves.
        readings: Leaves of the session's readings that have no subject.
    """
    leaves = SqliteStore(conn).commitments_of("meter", session_id, readings)
    return Metered(
        tree=merkle.compact([merkle.leaf_hash(committed) for _, committed in leaves]),
        newest=leaves[-1][0] if leaves else -1,
    )


def seal_settlement(
    conn: sqlite3.Connection,
    *,
    session_id: str,
    bill: Mapping[str, Any],
    ended_at: str,
    sealed_at: str,
    readings: Iterable[int] = (),
    counted: Metered | None = None,
    bill_sha256: str | None = None,
    flex_milliwh: int = 0,
    flex_to: str | None = None,
    signed: SignedClaim | None = None,
) -> int:
    """Append the settlement leaf of a session and queue it for the chain.

    Runs in the caller's transaction. The session's leaves are those that carry the
    session id as their subject, and ``readings``: one ``session_start`` leaf and its
    ``meter`` leaves, among them one for every register that the bill rests on; and its
    ``signed_meter`` leaves where it rests on signed data.

    Args:
        conn: The writer's connection.
        session_id: Subject of the leaves.
        bill: The bill; see `ledger.pricing`.
        ended_at: RFC 3339 time.
        sealed_at: RFC 3339 time of this leaf.
        readings: Leaves of the session's readings that have no subject.
        counted: Instead of ``readings``, what `metered` gathered of them; leaves with
            the session as their subject may have come since.
        bill_sha256: Of the bill, if the caller has it.
        flex_milliwh: Accepted flexibility; 0 with a receiver: the settlement waits
            for `ledger.flex_queue.settle_flex`.
        flex_to: Receiver's address.
        signed: What the session's signed data prove; ``None`` says nothing of it.

    Returns:
        The index of the settlement leaf.

    Raises:
        RecordError: There is no start leaf, or the session is settled already.
    """
    store = SqliteStore(conn)
    leaves = store.leaves_of(session_id)
    starts = [leaf for leaf in leaves if leaf.kind == "session_start"]
    if not starts:
        raise RecordError(f"session {session_id} has no start leaf")
    if any(leaf.kind == "settlement" for leaf in leaves):
        raise RecordError(f"session {session_id} is settled already")
    start = starts[0]
    if start.salt is None or start.record is None:
        raise RecordError(f"the start leaf of session {session_id} was erased")
    if counted is None:
        counted = metered(conn, session_id, readings)
    tree = counted.tree
    for leaf in leaves:
        if leaf.kind == "meter" and leaf.leaf_index > counted.newest:
            tree = tree.append(merkle.leaf_hash(leaf.commitment))
    key = record.session_key(start.salt, start.leaf_index)
    body: dict[str, object] = {
        "session_id": session_id,
        "session_key": key.hex(),
        "start_leaf_index": start.leaf_index,
        "readings_count": tree.size,
        "readings_root": tree.root().hex(),
        "register_start_milliwh": bill["register_start_milliwh"],
        "register_end_milliwh": bill["register_end_milliwh"],
        "energy_milliwh": bill["energy_milliwh"],
        "amount_minor": bill["amount_minor"],
        "currency": bill["currency"],
        "tariff_sha256": bill["tariff_sha256"],
        "bill_sha256": bill_sha256 or record.sha256_json(bill),
        "started_at": record.parse(start.record).body["started_at"],
        "ended_at": ended_at,
    }
    if flex_to is not None:
        body["flex_to"] = flex_to
    if signed is not None:
        proofs = [leaf for leaf in leaves if leaf.kind == "signed_meter"]
        body |= signed.members([merkle.leaf_hash(one.commitment) for one in proofs])
    data = record.canonical("settlement", body)
    index = append_leaf(conn, "settlement", session_id, data, None, sealed_at)
    (committed,) = store.commitments(index, index + 1)
    queue_settlement(
        conn,
        SettlementRow(
            session_key=key,
            start_leaf_index=start.leaf_index,
            leaf_hash=merkle.leaf_hash(committed),
            energy_milliwh=bill["energy_milliwh"],
            amount_minor=bill["amount_minor"],
            currency=bill["currency"],
            flex_milliwh=flex_milliwh,
            flex_to=flex_to,
        ),
    )
    note_settlement_leaf(conn, key, index)
    if flex_to is not None and not flex_milliwh:
        await_flex(conn, key)
    return index


def build_receipt(
    store: SqliteStore,
    *,
    session_id: str,
    bill: Mapping[str, object],
    tariff: Mapping[str, object],
    chain: BundleChain | None,
    readings: Iterable[int] = (),
) -> dict[str, object]:
    """Gather the receipt of a settled session, ready for ``json.dumps``.

    The head is the first anchored one that covers the settlement leaf; while there is
    none it is the head of now, without a transaction.

    Args:
        store: The store, in a transaction or on a reader of one snapshot.
        session_id: The session.
        bill: The bill that `seal_settlement` was given.
        tariff: The snapshot whose hash the bill names.
        chain: `ledger.worker.AnchorWorker.bundle_chain`.
        readings: As `seal_settlement` was given.

    Raises:
        BundleError: The session is not settled, or a leaf was erased.
    """
    leaves = store.leaves_of(session_id, readings)
    settled = next((leaf for leaf in leaves if leaf.kind == "settlement"), None)
    if settled is None or settled.record is None:
        raise BundleError(f"session {session_id} is not settled")
    facts = record.parse(settled.record).body
    chosen = [
        leaf
        for leaf in leaves
        if leaf.leaf_index == facts["start_leaf_index"]
        or leaf.leaf_index == settled.leaf_index
        or (leaf.kind in COUNTED and leaf.leaf_index < settled.leaf_index)
        or leaf.kind == "credit"
    ]
    n_metered = sum(leaf.kind == "meter" for leaf in chosen)
    start = next((leaf for leaf in chosen if leaf.kind == "session_start"), None)
    if start is None or start.record is None or n_metered != facts["readings_count"]:
        raise BundleError(f"leaves of session {session_id} were erased")
    n_signed = sum(leaf.kind == "signed_meter" for leaf in chosen)
    if n_signed != facts.get("signed_count", 0):
        raise BundleError(f"leaves of session {session_id} were erased")
    key_index = facts.get("meter_key_leaf_index")
    key = store.leaf(key_index) if isinstance(key_index, int) else None
    if key is not None:
        chosen = sorted([*chosen, key], key=lambda leaf: leaf.leaf_index)
    begun = record.parse(start.record).body
    covering = max(leaf.leaf_index for leaf in chosen) + 1
    anchored = (
        None if chain is None else store.anchored_head(chain.key, covering=covering)
    )
    head = log.head(store, None if anchored is None else anchored.size)
    tx = None if chain is None else store.settlement_tx(_key(facts))
    if chain is not None and tx is not None and tx.draft.chain != chain.key:
        tx = None  # settled on the chain that was used before this one
    told = credit_txs_json(store, chosen, None if chain is None else chain.key)
    credit_txs = {"credits": told} if told else {}
    return {
        **credit_txs,
        "format": FORMAT if key is None else FORMAT_SIGNED,
        "session": {
            "session_id": session_id,
            "session_key": facts["session_key"],
            "station_id": begun["station_id"],
            "evse_id": begun["evse_id"],
            "started_at": facts["started_at"],
            "ended_at": facts["ended_at"],
        },
        "bill": dict(bill),
        "tariff": dict(tariff),
        "leaves": [_leaf_json(store, leaf, head.size) for leaf in chosen],
        "head": {
            "size": head.size,
            "root": head.root.hex(),
            "tx_hash": None if anchored is None else _prefixed(anchored.tx_hash),
            "block": None if anchored is None else anchored.block_number,
        },
        "chain": None if chain is None else _chain_json(chain),
        "settlement_tx": tx_json(store, tx, merkle.leaf_hash(settled.commitment)),
    }


def _leaf_json(store: SqliteStore, leaf: Leaf, size: int) -> dict[str, object]:
    if leaf.salt is None or leaf.record is None:
        raise BundleError(f"leaf {leaf.leaf_index} was erased")
    path = log.inclusion_proof(store, leaf.leaf_index, size)
    return {
        "index": leaf.leaf_index,
        "kind": leaf.kind,
        "salt": leaf.salt.hex(),
        "record": leaf.record.decode(),
        "commitment": leaf.commitment.hex(),
        "inclusion": [item.hex() for item in path],
    }


def _chain_json(chain: BundleChain) -> dict[str, object]:
    return {
        "chain_id": chain.chain_id,
        "genesis_hash": _prefixed(chain.genesis_hash),
        "anchor_contract": chain.anchor_contract,
        "settlement_contract": chain.settlement_contract,
    }


def _key(facts: Mapping[str, object]) -> bytes:
    return bytes.fromhex(str(facts["session_key"]))


def _prefixed(data: bytes) -> str:
    return "0x" + data.hex()
