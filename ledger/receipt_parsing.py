"""Read receipts that anybody may have written: their shape, and nothing else."""

from __future__ import annotations

from typing import Final

from ledger.errors import BundleError
from ledger.receipt import (
    FORMAT,
    FORMAT_SIGNED,
    BundleChain,
    BundleHead,
    BundleTx,
    CreditTx,
    InvoiceProof,
    LeafProof,
    Receipt,
    SessionFacts,
)
from ledger.strict_json import (
    ADDRESS,
    HASH,
    PREFIXED_HASH,
    as_list,
    as_object,
    count,
    hexed,
    members,
    parse,
    text,
)

MAX_BUNDLE_BYTES: Final = 32 * 2**20
MAX_LEAVES: Final = 100_000
MAX_PATH: Final = 64

_TOP: Final = (
    "format",
    "session",
    "bill",
    "tariff",
    "leaves",
    "head",
    "chain",
    "settlement_tx",
)
_SESSION: Final = (
    "session_id",
    "session_key",
    "station_id",
    "evse_id",
    "started_at",
    "ended_at",
)
_CHAIN: Final = ("chain_id", "genesis_hash", "anchor_contract", "settlement_contract")


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt, checking its shape and nothing else.

    Raises:
        BundleError: It is not one; the message is one clear line.
    """
    found = parse(data, "a receipt", MAX_BUNDLE_BYTES)
    top = members(found, "receipt", _TOP, ("credits",))
    if top["format"] not in (FORMAT, FORMAT_SIGNED):  # no set: it may be a list
        raise BundleError(
            f"not a receipt: format must be {FORMAT!r} or {FORMAT_SIGNED!r}"
        )
    session = members(top["session"], "session", _SESSION)
    leaves = as_list(top["leaves"], "leaves", MAX_LEAVES)
    receipt = Receipt(
        session=SessionFacts(
            session_id=text(session, "session_id"),
            session_key=hexed(session["session_key"], HASH, "session_key"),
            station_id=text(session, "station_id"),
            evse_id=count(session, "evse_id"),
            started_at=text(session, "started_at"),
            ended_at=text(session, "ended_at"),
        ),
        bill=as_object(top["bill"], "bill"),
        tariff=as_object(top["tariff"], "tariff"),
        leaves=tuple(leaf_proof(leaf) for leaf in leaves),
        head=bundle_head(top["head"]),
        chain=None if top["chain"] is None else _bundle_chain(top["chain"]),
        settlement_tx=None
        if top["settlement_tx"] is None
        else _bundle_tx(top["settlement_tx"]),
        credit_txs=_credit_txs(top.get("credits", [])),
    )
    if top["format"] != (FORMAT if receipt.version == 1 else FORMAT_SIGNED):
        raise BundleError("not a receipt: its leaves are not of this format")
    return receipt


def leaf_proof(value: object) -> LeafProof:
    """Read a leaf with its way to a head.

    Raises:
        BundleError: It is none.
    """
    required = ("index", "kind", "salt", "record", "inclusion")
    leaf = members(value, "leaf", required, ("commitment",))
    stated = None
    if "commitment" in leaf:
        stated = hexed(leaf["commitment"], HASH, "commitment")
    return LeafProof(
        index=count(leaf, "index"),
        kind=text(leaf, "kind"),
        salt=hexed(leaf["salt"], HASH, "salt"),
        record=text(leaf, "record").encode("utf-8", "surrogatepass"),
        inclusion=_path(leaf["inclusion"]),
        stated=stated,
    )


def bundle_head(value: object) -> BundleHead:
    """Read a head and where it is said to be anchored.

    Raises:
        BundleError: It is none.
    """
    head = members(value, "head", ("size", "root", "tx_hash", "block"))
    tx_hash, block = head["tx_hash"], head["block"]
    return BundleHead(
        size=count(head, "size"),
        root=hexed(head["root"], HASH, "root"),
        tx_hash=None if tx_hash is None else hexed(tx_hash, PREFIXED_HASH, "tx_hash"),
        block=None if block is None else count(head, "block"),
    )


def _bundle_chain(value: object) -> BundleChain:
    chain = members(value, "chain", _CHAIN)
    anchor, settlement = chain["anchor_contract"], chain["settlement_contract"]
    return BundleChain(
        chain_id=count(chain, "chain_id"),
        genesis_hash=hexed(chain["genesis_hash"], PREFIXED_HASH, "genesis_hash"),
        anchor_contract="0x" + hexed(anchor, ADDRESS, "anchor_contract").hex(),
        settlement_contract="0x"
        + hexed(settlement, ADDRESS, "settlement_contract").hex(),
    )


def _bundle_tx(value: object) -> BundleTx:
    tx = dict(as_object(value, "settlement_tx"))
    invoice = tx.pop("invoice", None)
    members(tx, "settlement_tx", ("tx_hash", "block"))
    return BundleTx(
        tx_hash=hexed(tx["tx_hash"], PREFIXED_HASH, "tx_hash"),
        block=count(tx, "block"),
        invoice=None if invoice is None else _invoice(invoice),
    )


def _invoice(value: object) -> InvoiceProof:
    proof = members(value, "invoice", ("root", "index", "size", "inclusion"), ("user",))
    user = proof.get("user")
    return InvoiceProof(
        root=hexed(proof["root"], HASH, "root"),
        index=count(proof, "index"),
        size=count(proof, "size"),
        inclusion=_path(proof["inclusion"]),
        user=None if user is None else "0x" + hexed(user, ADDRESS, "user").hex(),
    )


def _path(value: object) -> tuple[bytes, ...]:
    path = as_list(value, "inclusion", MAX_PATH)
    return tuple(hexed(item, HASH, "inclusion") for item in path)


def _credit_txs(value: object) -> tuple[CreditTx, ...]:
    if not isinstance(value, list) or len(value) > MAX_LEAVES:
        raise BundleError(f"credits must be a list of at most {MAX_LEAVES}")
    rows = [members(one, "credit", ("leaf_index", "tx")) for one in value]
    return tuple(
        CreditTx(
            leaf_index=count(row, "leaf_index"),
            tx=None if row["tx"] is None else _bundle_tx(row["tx"]),
        )
        for row in rows
    )
