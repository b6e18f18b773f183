"""The verifier's question to a chain: which invoices did a transaction record?"""

from __future__ import annotations

from collections.abc import Mapping
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
        The event ``InvoicesRecorded``; of a netted window ``WindowNetted`` with the
        event ``UserNetted`` of the row.

    Raises:
        BundleError: It recorded no such window.
    """
    if not proof.holds(leaf_hash):
        raise BundleError("its leaf is not among the invoices of that transaction")
    binding, address = artifact("Settlement"), named.settlement_contract
    if proof.user is not None:
        windows = binding.events("WindowNetted", address, found.logs)
        for row in binding.events("UserNetted", address, found.logs):
            if (row["sessionsRoot"], row["user"]) != (proof.root, proof.user):
                continue
            for window in windows:
                if window["fromLeaf"] == row["fromLeaf"]:
                    return {**window, **row}
        raise BundleError("that transaction netted other sessions, or for another")
    for event in binding.events("InvoicesRecorded", address, found.logs):
        if event["invoicesRoot"] == proof.root:
            return event
    raise BundleError("that transaction recorded other invoices")


def check_netted(
    window: dict[str, Any], proof: InvoiceProof, bill: Mapping[str, object]
) -> str:
    """Hold a bill against the row of a netted window that its session is in.

    A row of one session says what that cost; one of several is a sum, which who has
    the receipts of all can add up.

    Returns:
        What the row says.

    Raises:
        BundleError: It is of another currency, or of another amount or energy.
    """
    if window["currency"] != str(bill.get("currency")).encode(errors="replace"):
        raise BundleError("it was netted in another currency")
    energy, amount = window["energyMilliWh"], window["amountMinor"]
    if proof.size == 1 and energy != bill.get("energy_milliwh"):
        raise BundleError("it was netted with another energy")
    if proof.size == 1 and amount != bill.get("amount_minor"):
        raise BundleError("it was netted with another amount")
    flex = window["flexMilliWh"]
    told = "without flexibility"
    if flex:
        told = f"with {flex} mWh of flexibility to {proof.user}"
    return f"a row of {amount} minor units for {proof.user}, {told}"


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
