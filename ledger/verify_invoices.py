"""The verifier's question to a chain: which invoices did a transaction record?"""

from __future__ import annotations

from typing import Any

from ledger.contracts import Artifact, artifact, recognized
from ledger.errors import BundleError
from ledger.ports import Chain
from ledger.ports import Receipt as TxReceipt
from ledger.receipt import BundleChain, InvoiceProof


def check_window(
    proof: InvoiceProof,
    leaf_hash: bytes,
    named: BundleChain,
    found: TxReceipt,
) -> dict[str, Any]:
    """Find the window that a transaction recorded, with a leaf among its invoices.

    Args:
        proof: Of the leaf.
        leaf_hash: Of the settlement, or of a credit.
        named: The contracts.
        found: The transaction's receipt.

    Returns:
        The event ``InvoicesRecorded``.

    Raises:
        BundleError: It recorded no such window.
    """
    if not proof.holds(leaf_hash):
        raise BundleError("its leaf is not among the invoices of that transaction")
    events = artifact("Settlement").events(
        "InvoicesRecorded", named.settlement_contract, found.logs
    )
    for event in events:
        if event["invoicesRoot"] == proof.root:
            return event
    raise BundleError("that transaction recorded other invoices")


def check_closed(
    window: dict[str, Any], start_leaf_index: int, named: BundleChain, chain: Chain
) -> None:
    """Hold a session's start against its window, and against settlement elsewhere.

    Raises:
        BundleError: The window does not span it, or it can settle or did settle again.
    """
    if start_leaf_index >= window["toLeaf"]:
        raise BundleError("its session starts after the window that recorded it")
    binding = recognized("Settlement", chain.code(named.settlement_contract))
    if binding is None:
        raise BundleError("the contract is not Settlement")
    if _asked(binding, "isStartLeafSettled", start_leaf_index, named, chain):
        raise BundleError("its session was settled a second time, alone")
    if not _asked(binding, "isStartLeafClosed", start_leaf_index, named, chain):
        raise BundleError("its session is open on chain: it could settle again")


def _asked(
    binding: Artifact,
    function: str,
    start_leaf_index: int,
    named: BundleChain,
    chain: Chain,
) -> bool:
    data = chain.call(
        named.settlement_contract, binding.calldata(function, start_leaf_index)
    )
    (answer,) = binding.result(function, data)
    return bool(answer)
