"""The verifier's question to a chain: does it know these credits, and no fewer?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_utils.crypto import keccak

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
            row = _check_against_row(receipt, (leaf, one), named, chain, looked)
            against_rows += _amount_of(one)
            if _credited_of_row(row, named, chain) < against_rows:
                raise BundleError("the contract counts less credit of its row")
        else:
            _check_alone(receipt, (leaf, one), named, chain, looked)
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
    receipt: Receipt,
    credit: Proven,
    named: BundleChain,
    chain: Chain,
    looked: TxReceipt,
) -> None:
    """Find the credit of a session that settled alone."""
    leaf, one = credit
    expected = {
        "sessionKey": receipt.session.session_key,
        "creditKey": bytes.fromhex(str(one.body["credit_key"])),
        "leafHash": leaf.leaf_hash,
        "amountMinor": one.body["amount_minor"],
    }
    if _find("CreditRecorded", expected, named, looked) is not None:
        return
    values = list(expected.values())
    if flex := one.body.get("flex_milliwh"):
        values.append(flex)
    keys = {key: expected[key] for key in ("sessionKey", "creditKey")}
    if _find("CreditRepeated", keys, named, looked) is None or not _is_known(
        one, values, named, chain
    ):
        raise _another(one)


def _check_against_row(
    receipt: Receipt,
    credit: Proven,
    named: BundleChain,
    chain: Chain,
    looked: TxReceipt,
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
    row = _find("NettedCreditRecorded", expected, named, looked)
    if row is not None:
        return row
    keys = {key: expected[key] for key in ("user", "creditKey")}
    row = _find("NettedCreditRepeated", keys, named, looked)
    flex = one.body.get("flex_milliwh", 0)
    if row is None or not _is_known(
        one, [row["fromLeaf"], *expected.values(), flex], named, chain
    ):
        raise _another(one)
    return row


def _find(
    name: str,
    expected: Mapping[str, object],
    named: BundleChain,
    looked: TxReceipt,
) -> Mapping[str, Any] | None:
    events = artifact("Settlement").events(name, named.settlement_contract, looked.logs)
    for event in events:
        if all(event[key] == value for key, value in expected.items()):
            return event
    return None


def _another(one: Record) -> BundleError:
    ordinal = one.body["ordinal"]
    return BundleError(f"credit {ordinal}: that transaction recorded another")


def _is_known(
    one: Record, row: Sequence[Any], named: BundleChain, chain: Chain
) -> bool:
    """Say whether the contract holds a credit with exactly this row.

    A credit that was sent again is skipped, and its event tells only its key.

    Args:
        one: The credit.
        row: What the contract hashed, in its order.
        named: The contracts.
        chain: To ask.
    """
    binding = artifact("Settlement")
    key = bytes.fromhex(str(one.body["credit_key"]))
    data = chain.call(named.settlement_contract, binding.calldata("creditContent", key))
    (content,) = binding.result("creditContent", data)
    return bool(content == content_of(row))


def content_of(row: Sequence[bytes | str | int]) -> bytes:
    """Return what the contract keeps of a row: Keccak-256 of its ABI encoding.

    Args:
        row: Members of fixed size, integers of 0 and more.
    """
    return keccak(b"".join(_word(value) for value in row))


def _word(value: bytes | str | int) -> bytes:
    """Return a value of fixed size as the ABI encodes it."""
    if isinstance(value, bytes):
        return value.ljust(32, b"\0")
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x")).rjust(32, b"\0")
    return int(value).to_bytes(32, "big")


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
