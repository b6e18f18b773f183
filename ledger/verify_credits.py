"""The verifier's look at corrections: credits of a settled session, and decisions.

Credits only ever lower what a driver pays. A receipt may leave out one that was made
after it; those it has must be in the log, belong to this settlement, carry the keys
that follow from it, and add up to no more than was settled. On chain the contract
counts them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from ledger import record
from ledger.errors import BundleError
from ledger.receipt import LeafProof, Receipt
from ledger.record import Record

Proven: TypeAlias = tuple[LeafProof, Record]
BY_HAND: Final = "operator"
"""Context of a register that an operator stated: no meter is behind it."""


def check_credits(receipt: Receipt, settlement: Proven, found: Sequence[Proven]) -> str:
    """Hold the credits of a receipt against its settlement.

    Raises:
        BundleError: One does not fit; the text says which, and why.
    """
    leaf, settled = settlement
    facts = settled.body
    key = bytes.fromhex(str(facts["session_key"]))
    total = 0
    for ordinal, (credit, one) in enumerate(found, start=1):
        body = one.body
        expected: Mapping[str, object] = {
            "ordinal": ordinal,
            "session_key": facts["session_key"],
            "credit_key": record.credit_key(key, ordinal).hex(),
            "corrects_leaf_index": leaf.index,
            "currency": facts["currency"],
        }
        for name, value in expected.items():
            if body[name] != value:
                raise BundleError(f"credit {ordinal} has another {name}")
        if credit.index <= leaf.index:
            raise BundleError(f"credit {ordinal} stands before what it corrects")
        amount = body["amount_minor"]
        assert isinstance(amount, int), "the record's shape was checked"
        if amount == 0:
            raise BundleError(f"credit {ordinal} credits nothing")
        total += amount
    amount_minor = facts["amount_minor"]
    assert isinstance(amount_minor, int), "the record's shape was checked"
    if total > amount_minor:
        raise BundleError(
            f"credits of {total} minor units exceed the {amount_minor} settled"
        )
    known = [one.leaf_index for one in receipt.credit_txs]
    if known != [credit.index for credit, _ in found]:
        raise BundleError("the receipt tells of other credits than it proves")
    count = "1 credit" if len(found) == 1 else f"{len(found)} credits"
    return (
        f"{count} of {total} minor units of {facts['currency']}:"
        f" {amount_minor - total} of {amount_minor} stay"
    )


def check_decision(settlement: Proven, decision: Proven) -> str:
    """Hold an operator's decision on a held bill against what was settled then.

    Raises:
        BundleError: It says something else than the settlement.
    """
    leaf, settled = settlement
    said, body = decision[0], decision[1].body
    if said.index >= leaf.index:
        raise BundleError("the decision stands after what it decides")
    after = body.get("after")
    if not isinstance(after, dict):
        raise BundleError("the decision does not say what was settled")
    for name in (
        "register_start_milliwh",
        "register_end_milliwh",
        "energy_milliwh",
        "amount_minor",
        "currency",
    ):
        if after.get(name) != settled.body[name]:
            raise BundleError(f"an operator decided on another {name}")
    reason = str(body["reason"])[:200] or "no reason given"
    return f"{body['decision']} by an operator: {reason}"


def by_hand(readings: Sequence[Proven], bill: Mapping[str, object]) -> str | None:
    """Name the registers of a bill that only an operator stated; ``None``: neither."""
    read = {
        one.body["register_milliwh"]
        for _, one in readings
        if one.body.get("context") != BY_HAND
    }
    stated = {
        one.body["register_milliwh"]
        for _, one in readings
        if one.body.get("context") == BY_HAND
    }
    names = [
        name
        for name in ("start", "end")
        if bill.get(f"register_{name}_milliwh") in stated - read
    ]
    return " and ".join(names) or None
