"""The verifier's question to a chain: does it know these credits, and no fewer?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    recorded = in_windows = 0
    for (leaf, one), told in zip(found, receipt.credit_txs, strict=True):
        if told.tx is None:
            continue
        ordinal = one.body["ordinal"]
        looked = mined(chain, told.tx)
        if isinstance(looked, str):
            raise BundleError(f"credit {ordinal}: {looked}")
        if told.tx.invoice is not None:
            check_window(told.tx.invoice, leaf.leaf_hash, named, looked)
            in_windows += _amount_of(one)
            continue
        expected = {
            "sessionKey": receipt.session.session_key,
            "creditKey": bytes.fromhex(str(one.body["credit_key"])),
            "leafHash": leaf.leaf_hash,
            "amountMinor": one.body["amount_minor"],
        }
        events = binding.events(
            "CreditRecorded", named.settlement_contract, looked.logs
        )
        if not any(
            all(event[name] == value for name, value in expected.items())
            for event in events
        ):
            raise BundleError(f"credit {ordinal}: that transaction recorded another")
        recorded += _amount_of(one)
    data = chain.call(
        named.settlement_contract,
        binding.calldata("settledAmounts", receipt.session.session_key),
    )
    _amount, credited = binding.result("settledAmounts", data)
    if credited < recorded:
        raise BundleError(f"the contract counts credits of {credited}, not {recorded}")
    if any(told.tx is None for told in receipt.credit_txs):
        return None
    later = credited - recorded
    more = f"; {later} more were credited since" if later else ""
    return f"credits of {recorded + in_windows} minor units are recorded{more}"


def _amount_of(credit: Record) -> int:
    amount = credit.body["amount_minor"]
    assert isinstance(amount, int), "the record's shape was checked"
    return amount
