"""What a receipt says of where its credits stand on the chain."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import merkle, record
from ledger.sqlite_store import Leaf, SqliteStore
from ledger.tx_receipt import tx_json


def credit_txs_json(
    store: SqliteStore, leaves: Sequence[Leaf], chain: str | None
) -> list[dict[str, object]]:
    """Return what a receipt says of where its credits stand on a chain.

    Args:
        store: The store, in a transaction or on a reader of one snapshot.
        leaves: Those of the receipt.
        chain: Key of the chain that the receipt names; ``None`` for none.

    Raises:
        RecordError: A record is not one.
    """
    found: list[dict[str, object]] = []
    for leaf in leaves:
        if leaf.kind != "credit" or leaf.record is None:
            continue
        body = record.parse(leaf.record).body
        tx = store.credit_tx(bytes.fromhex(str(body["credit_key"])))
        stands = tx is not None and tx.draft.chain == chain
        leaf_hash = merkle.leaf_hash(leaf.commitment)
        found.append(
            {
                "leaf_index": leaf.leaf_index,
                "tx": tx_json(store, tx if stands else None, leaf_hash),
            }
        )
    return found
