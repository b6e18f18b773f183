"""What a receipt says of a transaction, and of a leaf's place in what it recorded."""

from __future__ import annotations

from ledger import merkle
from ledger.outbox import OutboxTx
from ledger.sqlite_store import SqliteStore


def tx_json(
    store: SqliteStore, tx: OutboxTx | None, leaf_hash: bytes
) -> dict[str, object] | None:
    """Return what a receipt says of the transaction of a settlement or a credit.

    Args:
        store: The store, in a transaction or on a reader of one snapshot.
        tx: ``None`` while it is in no block of the chain that the receipt names.
        leaf_hash: RFC 9162 leaf hash of the settlement's leaf, or of the credit's.
    """
    if tx is None or tx.tx_hash is None:
        return None
    found: dict[str, object] = {
        "tx_hash": "0x" + tx.tx_hash.hex(),
        "block": tx.block_number,
    }
    place = store.standing(tx, leaf_hash)
    if place is None:
        return found
    index, hashes = place.index, place.hashes

    def node(level: int, at: int) -> bytes:
        return merkle.root(hashes[at << level : (at + 1) << level])

    path = merkle.inclusion_proof(index, len(hashes), node)
    found["invoice"] = {
        "root": merkle.root(hashes).hex(),
        "index": index,
        "size": len(hashes),
        "inclusion": [item.hex() for item in path],
        **({} if place.user is None else {"user": place.user}),
    }
    return found
