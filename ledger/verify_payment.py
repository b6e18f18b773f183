"""The verifier's question to a chain: what was paid for a session out of the escrow?"""

from __future__ import annotations

from ledger.check_names import PAYMENT
from ledger.contracts import Artifact, artifact, code_sha256, recognized
from ledger.ports import Chain
from ledger.published import PublishedContracts
from ledger.receipt import BundleChain, Receipt
from ledger.verdicts import Check, Verdict


def check_payment(
    receipt: Receipt,
    named: BundleChain,
    published: PublishedContracts,
    chain: Chain,
    good: Verdict,
) -> Check:
    """Hold what the operator was paid for a session against what it cost.

    A session that was not paid so is postpaid: nothing is claimed of it.
    """
    known, payee = published.contracts["Escrow"], published.payee
    code = chain.code(known.address)
    if recognized("Escrow", code) is None or code_sha256(code) != known.code_sha256:
        return Check.false(PAYMENT, f"the code at {known.address} is not the Escrow")
    escrow, key = artifact("Escrow"), receipt.session.session_key
    settlement = _asked(chain, known.address, escrow, "settlement")[0]
    if str(settlement).lower() != named.settlement_contract:
        return Check.false(PAYMENT, "the escrow pays what another contract settles")
    (paid,) = _asked(chain, known.address, escrow, "paidFor", key, payee)
    if not paid:
        reason = "nothing was paid out of the escrow: postpaid"
        return Check.open(PAYMENT, reason, is_claimed=False)
    (units,) = _asked(chain, known.address, escrow, "unitsPerMinor")
    amount, credited = _asked(
        chain, named.settlement_contract, artifact("Settlement"), "settledAmounts", key
    )
    if amount != receipt.bill.get("amount_minor") or paid > amount * units:
        return Check.false(PAYMENT, f"{paid} units were paid, more than it cost")
    due = (amount - credited) * units
    more = f"; {paid - due} of them were credited since" if paid > due else ""
    return Check(
        name=PAYMENT,
        verdict=good,
        reason=f"{paid} of {due} units were paid to {payee} out of the escrow{more}",
    )


def _asked(
    chain: Chain, address: str, binding: Artifact, function: str, *arguments: object
) -> tuple[int, ...]:
    data = chain.call(address, binding.calldata(function, *arguments))
    return binding.result(function, data)
