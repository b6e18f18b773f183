"""The verifier's look at invoices: is a leaf under the root that a window recorded?"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import BundleError
from ledger.receipt import Receipt
from ledger.verify_credits import Proven


def has_invoices(receipt: Receipt) -> bool:
    """Say whether the receipt claims that a window recorded any part of it."""
    told = (receipt.settlement_tx, *(one.tx for one in receipt.credit_txs))
    return any(tx is not None and tx.invoice is not None for tx in told)


def check_invoices(
    receipt: Receipt, settlement: Proven, credited: Sequence[Proven]
) -> str:
    """Hold the leaves of settlement and credits against the roots of their windows.

    Whether these roots are on the chain is asked of the chain.

    Raises:
        BundleError: One is not under its root.
    """
    leaf, settled = settlement
    leaves = {one.index: one.leaf_hash for one, _ in credited}
    told = [(one.tx, leaves.get(one.leaf_index)) for one in receipt.credit_txs]
    told.append((receipt.settlement_tx, leaf.leaf_hash))
    for tx, leaf_hash in told:
        if tx is None or tx.invoice is None:
            continue
        if leaf_hash is None or not tx.invoice.holds(leaf_hash):
            raise BundleError("a leaf is not among the invoices of its transaction")
    tx = receipt.settlement_tx
    if tx is None or tx.invoice is None:
        return "its credits are among the invoices of their windows"
    proof, facts = tx.invoice, settled.body
    driver = facts.get("flex_to")
    whom = driver.lower() if isinstance(driver, str) else driver
    if proof.user is not None and whom not in (None, proof.user):
        raise BundleError("it was netted for another address than its driver's")
    whose = "" if proof.user is None else f", netted for {proof.user}"
    return (
        f"{facts['amount_minor']} minor units of {facts['currency']} are invoice"
        f" {proof.index + 1} of {proof.size} under {proof.root.hex()[:16]}{whose}"
    )
