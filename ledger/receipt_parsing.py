"""Read receipts that anybody may have written: their shape, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ledger import record
from ledger.errors import BundleError, RecordError
from ledger.receipt import (
    FORMAT,
    FORMAT_SIGNED,
    BundleChain,
    BundleHead,
    BundleTx,
    CreditTx,
    LeafProof,
    Receipt,
    SessionFacts,
)

MAX_BUNDLE_BYTES: Final = 32 * 2**20
MAX_LEAVES: Final = 100_000
MAX_PATH: Final = 64


_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TX_HASH: Final = re.compile(r"0x[0-9a-f]{64}")
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
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
    try:
        value = record.parse_json(data, max_bytes=MAX_BUNDLE_BYTES)
    except RecordError as error:
        raise BundleError(f"not a receipt: {error}") from None
    told = value.pop("credits", []) if isinstance(value, dict) else []
    top = _members(value, "receipt", _TOP)
    if top["format"] not in (FORMAT, FORMAT_SIGNED):  # no set: it may be a list
        raise BundleError(
            f"not a receipt: format must be {FORMAT!r} or {FORMAT_SIGNED!r}"
        )
    session = _members(top["session"], "session", _SESSION)
    head = _members(top["head"], "head", ("size", "root", "tx_hash", "block"))
    leaves = top["leaves"]
    if not isinstance(leaves, list) or len(leaves) > MAX_LEAVES:
        raise BundleError(f"leaves must be a list of at most {MAX_LEAVES}")
    receipt = Receipt(
        session=SessionFacts(
            session_id=_str(session, "session_id"),
            session_key=_hex(session["session_key"], _HASH, "session_key"),
            station_id=_str(session, "station_id"),
            evse_id=_count(session, "evse_id"),
            started_at=_str(session, "started_at"),
            ended_at=_str(session, "ended_at"),
        ),
        bill=_object(top["bill"], "bill"),
        tariff=_object(top["tariff"], "tariff"),
        leaves=tuple(_leaf_proof(leaf) for leaf in leaves),
        head=BundleHead(
            size=_count(head, "size"),
            root=_hex(head["root"], _HASH, "root"),
            tx_hash=None
            if head["tx_hash"] is None
            else _hex(head["tx_hash"], _TX_HASH, "tx_hash"),
            block=None if head["block"] is None else _count(head, "block"),
        ),
        chain=None if top["chain"] is None else _bundle_chain(top["chain"]),
        settlement_tx=None
        if top["settlement_tx"] is None
        else _bundle_tx(top["settlement_tx"]),
        credit_txs=_credit_txs(told),
    )
    if top["format"] != (FORMAT if receipt.version == 1 else FORMAT_SIGNED):
        raise BundleError("not a receipt: its leaves are not of this format")
    return receipt


def _leaf_proof(value: object) -> LeafProof:
    leaf = _members(value, "leaf", ("index", "kind", "salt", "record", "inclusion"))
    path = leaf["inclusion"]
    if not isinstance(path, list) or len(path) > MAX_PATH:
        raise BundleError(f"inclusion must be a list of at most {MAX_PATH} hashes")
    return LeafProof(
        index=_count(leaf, "index"),
        kind=_str(leaf, "kind"),
        salt=_hex(leaf["salt"], _HASH, "salt"),
        record=_str(leaf, "record").encode("utf-8", "surrogatepass"),
        inclusion=tuple(_hex(item, _HASH, "inclusion") for item in path),
    )


def _bundle_chain(value: object) -> BundleChain:
    chain = _members(value, "chain", _CHAIN)
    anchor, settlement = chain["anchor_contract"], chain["settlement_contract"]
    return BundleChain(
        chain_id=_count(chain, "chain_id"),
        genesis_hash=_hex(chain["genesis_hash"], _TX_HASH, "genesis_hash"),
        anchor_contract="0x" + _hex(anchor, _ADDRESS, "anchor_contract").hex(),
        settlement_contract="0x"
        + _hex(settlement, _ADDRESS, "settlement_contract").hex(),
    )


def _bundle_tx(value: object) -> BundleTx:
    tx = _members(value, "settlement_tx", ("tx_hash", "block"))
    return BundleTx(
        tx_hash=_hex(tx["tx_hash"], _TX_HASH, "tx_hash"), block=_count(tx, "block")
    )


def _credit_txs(value: object) -> tuple[CreditTx, ...]:
    if not isinstance(value, list) or len(value) > MAX_LEAVES:
        raise BundleError(f"credits must be a list of at most {MAX_LEAVES}")
    rows = [_members(one, "credit", ("leaf_index", "tx")) for one in value]
    return tuple(
        CreditTx(
            leaf_index=_count(row, "leaf_index"),
            tx=None if row["tx"] is None else _bundle_tx(row["tx"]),
        )
        for row in rows
    )


def _object(value: object, name: str) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise BundleError(f"{name} must be an object")


def _members(value: object, name: str, expected: Sequence[str]) -> Mapping[str, object]:
    found = _object(value, name)
    for key in expected:
        if key not in found:
            raise BundleError(f"{name} lacks {key!r}")
    for key in found:
        if key not in expected:
            raise BundleError(f"{name} has the unknown member {key[:40]!r}")
    return found


def _str(row: Mapping[str, object], name: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return value
    raise BundleError(f"{name} must be text")


def _count(row: Mapping[str, object], name: str) -> int:
    value = row[name]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise BundleError(f"{name} must be an integer >= 0")


def _hex(value: object, pattern: re.Pattern[str], name: str) -> bytes:
    if isinstance(value, str) and pattern.fullmatch(value):
        return bytes.fromhex(value.removeprefix("0x"))
    raise BundleError(f"{name} must be lower-case hex of the right length")
