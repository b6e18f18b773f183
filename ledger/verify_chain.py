"""The verifier's questions to a chain: is it that chain, that head, that settlement?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.chain import JsonRpcChain
from ledger.check_names import PAYMENT
from ledger.contracts import artifact, code_sha256, recognized
from ledger.embedded import EmbeddedChain
from ledger.errors import (
    ArtifactError,
    BundleError,
    ChainError,
    ChainUnavailableError,
)
from ledger.ports import Chain
from ledger.ports import Receipt as TxReceipt
from ledger.published import PublishedContracts
from ledger.receipt import BundleChain, BundleHead, BundleTx, Receipt
from ledger.verdicts import Check, Verdict
from ledger.verify_credit_chain import check_recorded, content_of
from ledger.verify_credits import Proven
from ledger.verify_invoices import check_closed, check_netted, check_window
from ledger.verify_payment import check_payment

SETTLED: Final = "settlement-on-chain"
CREDITS: Final = "credits-on-chain"
_MAX_WORD: Final = (1 << 256) - 1
_CURRENCY_BYTES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledLeaf:
    """The settlement leaf, as the contract must have heard of it."""

    leaf_hash: bytes
    start_leaf_index: int
    credits: tuple[Proven, ...] = ()


def check_chain(
    receipt: Receipt,
    named: BundleChain,
    settled: SettledLeaf | None,
    *,
    names: Sequence[str],
    rpc_url: str | None,
    chain_path: Path | None,
    published: PublishedContracts | None = None,
) -> list[Check]:
    """Ask a chain about a receipt.

    A chain that does not answer, or answers nonsense, leaves everything unchecked; one
    that is another chain, or contradicts, makes it false.

    Args:
        receipt: The receipt.
        named: The chain that it names.
        settled: ``None`` where its records do not hold.
        names: Of the checks to make.
        rpc_url: Node to ask.
        chain_path: File to ask instead.
        published: The contracts, if the verifier knows them.
    """
    return ask(
        lambda chain: _checks(
            receipt, named, settled, chain, names=names, published=published
        ),
        names,
        rpc_url=rpc_url,
        chain_path=chain_path,
    )


def ask(
    question: Callable[[Chain], list[Check]],
    names: Sequence[str],
    *,
    rpc_url: str | None,
    chain_path: Path | None,
) -> list[Check]:
    """Ask a chain; one that does not answer leaves all the names unchecked."""
    try:
        if chain_path is not None:
            with closing(EmbeddedChain.open_read_only(chain_path)) as embedded:
                return question(embedded)
        assert rpc_url is not None, "the caller gives one of the two"
        with closing(JsonRpcChain(rpc_url)) as rpc:
            return question(rpc)
    except ChainUnavailableError as error:
        reason = f"the chain does not answer: {error}"
    except (ChainError, ArtifactError) as error:
        reason = f"the chain cannot be asked: {error}"
    return [Check.open(name, reason) for name in names]


def _checks(
    receipt: Receipt,
    named: BundleChain,
    settled: SettledLeaf | None,
    chain: Chain,
    *,
    names: Sequence[str],
    published: PublishedContracts | None,
) -> list[Check]:
    good = Verdict.SELF_WITNESSED if chain.self_witnessed else Verdict.TRUE
    found = [check_identity(chain, named.chain_id, named.genesis_hash, good)]
    if found[0].verdict is Verdict.FALSE:
        return [*found, *_not_judged(names[1:], "that is another chain")]
    found.append(_check_code(named, chain, good, published))
    if found[1].verdict is Verdict.FALSE:
        return [*found, *_not_judged(names[2:], "those are other contracts")]
    found.append(check_anchored(receipt.head, named.anchor_contract, chain, good))
    if settled is None:
        return [*found, *_not_judged(names[3:], "the records do not hold")]
    found.append(_check_settled(receipt, named, settled, chain, good))
    if CREDITS in names:
        found.append(_check_credits(receipt, named, settled, chain, good))
    if PAYMENT in names:
        assert published is not None, "asked only of published contracts"
        found.append(check_payment(receipt, named, published, chain, good))
    return found


def _not_judged(names: Sequence[str], why: str) -> list[Check]:
    return [Check.not_judged(name, why) for name in names]


def check_identity(
    chain: Chain, chain_id: int, genesis_hash: bytes, good: Verdict
) -> Check:
    """Check that the chain that was asked is the one that is named."""
    identity = chain.identity()
    if identity.chain_id != chain_id:
        return Check.false("chain", f"another chain: id {identity.chain_id}")
    if identity.genesis_hash != genesis_hash:
        return Check.false("chain", "another chain: its genesis block differs")
    witness = (
        "the operator's own file: independence cannot be checked"
        if chain.self_witnessed
        else "asked over RPC"
    )
    reason = f"chain {chain_id}, with its genesis block; {witness}"
    return Check(name="chain", verdict=good, reason=reason)


def _check_code(
    named: BundleChain,
    chain: Chain,
    good: Verdict,
    published: PublishedContracts | None,
) -> Check:
    for name, address in (
        ("StatusAnchor", named.anchor_contract),
        ("Settlement", named.settlement_contract),
    ):
        code = chain.code(address)
        if recognized(name, code) is None:
            return Check.false("code", f"the code at {address} is not {name}")
        known = None if published is None else published.contracts.get(name)
        if known is not None and code_sha256(code) != known.code_sha256:
            return Check.false(
                "code", f"the code at {address} is not what is published"
            )
    whose = "known" if published is None else "known and published"
    reason = f"StatusAnchor and Settlement have {whose} code at their addresses"
    return Check(name="code", verdict=good, reason=reason)


def check_anchored(
    head: BundleHead, anchor_contract: str, chain: Chain, good: Verdict
) -> Check:
    """Check that a head stands in the block of a chain that it names."""
    if head.tx_hash is None or head.block is None:
        return Check.open("head", "not anchored yet")
    found = _mined(chain, BundleTx(tx_hash=head.tx_hash, block=head.block))
    if isinstance(found, str):
        return Check.false("head", found)
    events = artifact("StatusAnchor").events(
        "HeadAnchored", anchor_contract, found.logs
    )
    if not any(e["size"] == head.size and e["root"] == head.root for e in events):
        return Check.false("head", "that transaction anchored another head")
    depth = chain.latest_block() - found.block_number
    blocks = "1 block" if depth == 1 else f"{depth} blocks"
    return Check(
        name="head",
        verdict=good,
        reason=f"anchored in block {found.block_number}, {blocks} deep",
    )


def _check_settled(
    receipt: Receipt,
    named: BundleChain,
    settled: SettledLeaf,
    chain: Chain,
    good: Verdict,
) -> Check:
    name = SETTLED
    if receipt.settlement_tx is None:
        return Check.open(name, "not settled on chain yet")
    found = _mined(chain, receipt.settlement_tx)
    if isinstance(found, str):
        return Check.false(name, found)
    proof = receipt.settlement_tx.invoice
    if proof is not None:
        try:
            window = check_window(proof, settled.leaf_hash, named, found)
            check_closed(window, settled.start_leaf_index, named, chain)
            told = "without flexibility"
            if proof.user is not None:
                told = f"in {check_netted(window, proof, receipt.bill)}"
        except BundleError as error:
            return Check.false(name, str(error))
        return Check(
            name=name,
            verdict=good,
            reason=f"invoice {proof.index + 1} of {proof.size} recorded in block"
            f" {found.block_number}, {told}, and its session is closed",
        )
    expected = {
        "sessionKey": receipt.session.session_key,
        "startLeafIndex": settled.start_leaf_index,
        "leafHash": settled.leaf_hash,
        "energyMilliWh": receipt.bill.get("energy_milliwh"),
        "amountMinor": receipt.bill.get("amount_minor"),
        "currency": str(receipt.bill.get("currency")).encode(errors="replace"),
    }
    events = artifact("Settlement").events(
        "SessionSettled", named.settlement_contract, found.logs
    )
    same = [e for e in events if e["sessionKey"] == expected["sessionKey"]]
    if not same:
        return _settled_before(tuple(expected.values()), found, named, chain, good)
    for key, value in expected.items():
        if same[0][key] != value:
            return Check.false(name, f"settled on chain with another {key}")
    awarded = artifact("Settlement").events(
        "FlexAwarded", named.settlement_contract, found.logs
    )
    flex = [e for e in awarded if e["sessionKey"] == expected["sessionKey"]]
    told = "without flexibility"
    if flex:
        told = (
            f"with {flex[0]['flexMilliWh']} mWh of flexibility to {flex[0]['flexTo']}"
        )
    return Check(
        name=name,
        verdict=good,
        reason=f"settled in block {found.block_number}, {told}",
    )


def _settled_before(
    row: Sequence[object],
    found: TxReceipt,
    named: BundleChain,
    chain: Chain,
    good: Verdict,
) -> Check:
    """Judge a settlement that was sent again after an old backup was put back.

    Its event tells only which session the contract knew already, so the contract is
    asked what it holds; flexibility is a part of that, and no part of a receipt.

    Args:
        row: Key, start leaf, leaf hash, energy, amount and currency of the session.
        found: What became of the transaction.
        named: The contracts.
        chain: To ask.
        good: The verdict of a check that holds.
    """
    binding = artifact("Settlement")
    events = binding.events("SettlementRepeated", named.settlement_contract, found.logs)
    key = row[0]
    if not any(e["sessionKey"] == key for e in events) or not _fits(row):
        return Check.false(SETTLED, "that transaction did not settle this session")
    data = chain.call(
        named.settlement_contract, binding.calldata("settledContent", key)
    )
    (content,) = binding.result("settledContent", data)
    members = [value for value in row if isinstance(value, bytes | int)]
    if content != content_of([*members, 0, 0]):
        return Check.open(
            SETTLED, "settled before that transaction, otherwise or with flexibility"
        )
    return Check(
        name=SETTLED,
        verdict=good,
        reason=f"settled before block {found.block_number}, where it was sent again,"
        " without flexibility",
    )


def _fits(row: Sequence[object]) -> bool:
    *hashed, currency = row
    return (
        isinstance(currency, bytes)
        and len(currency) == _CURRENCY_BYTES
        and all(
            isinstance(value, bytes)
            or (isinstance(value, int) and 0 <= value <= _MAX_WORD)
            for value in hashed
        )
    )


def _check_credits(
    receipt: Receipt,
    named: BundleChain,
    settled: SettledLeaf,
    chain: Chain,
    good: Verdict,
) -> Check:
    if [told.leaf_index for told in receipt.credit_txs] != [
        leaf.index for leaf, _ in settled.credits
    ]:
        return Check.false(CREDITS, "the receipt tells of other credits than it proves")
    try:
        found = check_recorded(receipt, settled.credits, named, chain, _mined)
    except BundleError as error:
        return Check.false(CREDITS, str(error))
    if found is None:
        return Check.open(CREDITS, "a credit is not on chain yet")
    return Check(name=CREDITS, verdict=good, reason=found)


def _mined(chain: Chain, tx: BundleTx) -> TxReceipt | str:
    """Return the receipt of a transaction, or what is wrong with it."""
    found = chain.receipt(tx.tx_hash)
    if found is None:
        return "the transaction is not on this chain"
    if not found.succeeded:
        return "the transaction failed"
    if found.block_number != tx.block:
        return f"the transaction is in block {found.block_number}, not {tx.block}"
    return found
