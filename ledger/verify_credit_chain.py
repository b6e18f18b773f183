"""The verifier's question to a chain: does it know these credits, and no fewer?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ledger.contracts import artifact
from ledger.errors import BundleError
from ledger.ports import Chain
from ledger.ports import Receipt as TxReceipt
from ledger.receipt import BundleChain, BundleTx, Receipt
from ledger.record import Record
from ledger.verify_credits import Proven
from ledger.verify_invoices import check_window


def check_recorded(
    receipt: Receipt,
    found: Sequence[Proven],
    named: BundleChain,
    chain: Chain,
    mined: Callable[[Chain, BundleTx], TxReceipt | str],
) -> str | None:
    """Hold each credit against the event of its transaction.

    Args:
        receipt: The receipt.
        found: Its credits, checked by `check_credits`.
        named: The contracts.
        chain: That was asked.
        mined: Looks a transaction up, or says what is wrong with it.

    Returns:
        What was found; ``None`` while a credit is in no block yet.

    Raises:
        BundleError: A credit is not on this chain as the receipt says.
    """
    binding = artifact("Settlement")
    alone = in_windows = against_rows = 0
    for (leaf, one), told in zip(found, receipt.credit_txs, strict=True):
        if told.tx is None:
            continue
        looked = mined(chain, told.tx)
        if isinstance(looked, str):
            raise BundleError(f"credit {one.body['ordinal']}: {looked}")
        if told.tx.invoice is not None:
            check_window(told.tx.invoice, leaf.leaf_hash, named, looked)
            in_windows += _amount_of(one)
        elif _is_netted(receipt):
            row = _check_against_row(receipt, (leaf, one), named, looked)
            against_rows += _amount_of(one)
            if _credited_of_row(row, named, chain) < against_rows:
                raise BundleError("the contract counts less credit of its row")
        else:
            _check_alone(receipt, (leaf, one), named, looked)
            alone += _amount_of(one)
    data = chain.call(
        named.settlement_contract,
        binding.calldata("settledAmounts", receipt.session.session_key),
    )
    _amount, credited = binding.result("settledAmounts", data)
    if credited < alone:
        raise BundleError(f"the contract counts credits of {credited}, not {alone}")
    if any(told.tx is None for told in receipt.credit_txs):
        return None
    later = credited - alone
    more = f"; {later} more were credited since" if later else ""
    total = alone + in_windows + against_rows
    return f"credits of {total} minor units are recorded{more}"


def _is_netted(receipt: Receipt) -> bool:
    tx = receipt.settlement_tx
    return tx is not None and tx.invoice is not None and tx.invoice.user is not None


def _check_alone(
    receipt: Receipt, credit: Proven, named: BundleChain, looked: TxReceipt
) -> None:
    """Find the credit of a session that settled alone."""
    leaf, one = credit
    expected = {
        "sessionKey": receipt.session.session_key,
        "creditKey": bytes.fromhex(str(one.body["credit_key"])),
        "leafHash": leaf.leaf_hash,
        "amountMinor": one.body["amount_minor"],
    }
    _find("CreditRecorded", expected, one, named, looked)


def _check_against_row(
    receipt: Receipt, credit: Proven, named: BundleChain, looked: TxReceipt
) -> Mapping[str, Any]:
    """Find the credit against the row of a window that its session is in."""
    leaf, one = credit
    assert receipt.settlement_tx is not None, "its session was netted"
    assert receipt.settlement_tx.invoice is not None, "its session was netted"
    expected = {
        "user": receipt.settlement_tx.invoice.user,
        "creditKey": bytes.fromhex(str(one.body["credit_key"])),
        "leafHash": leaf.leaf_hash,
        "amountMinor": one.body["amount_minor"],
    }
    return _find("NettedCreditRecorded", expected, one, named, looked)


def _find(
    name: str,
    expected: Mapping[str, object],
    one: Record,
    named: BundleChain,
    looked: TxReceipt,
) -> Mapping[str, Any]:
    events = artifact("Settlement").events(name, named.settlement_contract, looked.logs)
    for event in events:
        if all(event[key] == value for key, value in expected.items()):
            return event
    ordinal = one.body["ordinal"]
    raise BundleError(f"credit {ordinal}: that transaction recorded another")


def _credited_of_row(row: Mapping[str, Any], named: BundleChain, chain: Chain) -> int:
    binding = artifact("Settlement")
    data = chain.call(
        named.settlement_contract,
        binding.calldata("nettedCredits", row["fromLeaf"], row["user"]),
    )
    credited, _flex = binding.result("nettedCredits", data)
    return int(credited)


def _amount_of(credit: Record) -> int:
    amount = credit.body["amount_minor"]
    assert isinstance(amount, int), "the record's shape was checked"
    return amount
