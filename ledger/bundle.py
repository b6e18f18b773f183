"""Receipts: what a driver takes away, and how the gateway gathers it.

A receipt is a JSON object with exactly these members::

    {"format": "wattproof-receipt/1",
     "session": {"session_id", "session_key", "station_id", "evse_id",
                 "started_at", "ended_at"},
     "bill": {...},                     see `ledger.pricing`
     "tariff": {...},                   the snapshot that the bill was made with
     "leaves": [{"index", "kind", "salt", "record", "inclusion": [...]}, ...],
     "head": {"size", "root", "tx_hash" or null, "block" or null},
     "chain": {"chain_id", "genesis_hash", "anchor_contract",
               "settlement_contract"} or null,
     "settlement_tx": {"tx_hash", "block"} or null,
     "credits": [{"leaf_index", "tx": {"tx_hash", "block"} or null}, ...]}

``leaves`` holds the session_start leaf, every meter leaf of the session that the
settlement counts, an operator's decision on its held bill if there was one, the
settlement leaf, and its credits, in log order; in version 2 also every signed_meter
leaf that the settlement counts, and the meter_key leaf that it names. ``credits`` says
where those stand on the chain; a receipt without any lacks it. ``record`` is the
canonical text, ``inclusion`` the audit path in the log of ``head.size`` leaves. Hashes,
salts and keys are lower-case hex without prefix; addresses and transaction hashes carry
``0x``. Members not listed are refused, so that nothing unproven travels along.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import log, merkle, record
from ledger.credit_receipt import credit_txs_json
from ledger.errors import BundleError, RecordError
from ledger.outbox import SettlementRow
from ledger.signed_claim import SIGNED_KINDS, SignedClaim
from ledger.sqlite_queues import queue_settlement
from ledger.sqlite_store import Leaf, SqliteStore, append_leaf

FORMAT: Final = "wattproof-receipt/1"
FORMAT_SIGNED: Final = "wattproof-receipt/2"
"""Of sessions that rest on signed data, which older verifiers cannot read."""
COUNTED: Final = frozenset({"meter", "decision", "signed_meter"})
"""Leaves of a session that stand before its settlement."""
MAX_BUNDLE_BYTES: Final = 32 * 2**20
MAX_LEAVES: Final = 100_000
MAX_PATH: Final = 64

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TX_HASH: Final = re.compile(r"0x[0-9a-f]{64}")
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafProof:
    """One leaf with all that is needed to find it in the log."""

    index: int
    kind: str
    salt: bytes
    record: bytes
    inclusion: tuple[bytes, ...]

    @property
    def leaf_hash(self) -> bytes:
        """Return the RFC 9162 leaf hash of the commitment."""
        return merkle.leaf_hash(record.commitment(self.salt, self.record))


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHead:
    """The head that all paths lead to, and where it was anchored."""

    size: int
    root: bytes
    tx_hash: bytes | None
    block: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleChain:
    """Which contracts on which chain; addresses in lower-case hex."""

    chain_id: int
    genesis_hash: bytes
    anchor_contract: str
    settlement_contract: str

    @property
    def key(self) -> str:
        """Return what rows call this chain; as `ledger.ports.ChainIdentity.key`."""
        return f"{self.chain_id}:0x{self.genesis_hash.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleTx:
    """A transaction and its block."""

    tx_hash: bytes
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTx:
    """Where a credit stands on the chain; ``tx`` is ``None`` while it does not."""

    leaf_index: int
    tx: BundleTx | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What the receipt says of its session; every member is bound by a leaf."""

    session_id: str
    session_key: bytes
    station_id: str
    evse_id: int
    started_at: str
    ended_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt whose shape was checked, and nothing else."""

    session: SessionFacts
    bill: Mapping[str, object]
    tariff: Mapping[str, object]
    leaves: tuple[LeafProof, ...]
    head: BundleHead
    chain: BundleChain | None
    settlement_tx: BundleTx | None
    credit_txs: tuple[CreditTx, ...] = ()

    @property
    def version(self) -> int:
        """Return 2 where leaves with signed data may be in it, else 1."""
        return 2 if any(leaf.kind in SIGNED_KINDS for leaf in self.leaves) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """The ``meter`` leaves of a session, up to some leaf of the log.

    Attributes:
        tree: Over them, in log order.
        newest: The last one's index; -1 if there is none.
    """

    tree: merkle.CompactRange
    newest: int


def metered(
    conn: sqlite3.Connection, session_id: str, readings: Iterable[int] = ()
) -> Metered:
    """Gather what a settlement counts; on any connection, before it is sealed.

    Args:
        conn: In a transaction.
        session_id: Subject of leaves.
        readings: Leaves of the session's readings that have no subject.
    """
    leaves = SqliteStore(conn).commitments_of("meter", session_id, readings)
    return Metered(
        tree=merkle.compact([merkle.leaf_hash(committed) for _, committed in leaves]),
        newest=leaves[-1][0] if leaves else -1,
    )


def seal_settlement(
    conn: sqlite3.Connection,
    *,
    session_id: str,
    bill: Mapping[str, Any],
    ended_at: str,
    sealed_at: str,
    readings: Iterable[int] = (),
    counted: Metered | None = None,
    bill_sha256: str | None = None,
    flex_milliwh: int = 0,
    flex_to: str | None = None,
    signed: SignedClaim | None = None,
) -> int:
    """Append the settlement leaf of a session and queue it for the chain.

    Runs in the caller's transaction. The session's leaves are those that carry the
    session id as their subject, and ``readings``: one ``session_start`` leaf and its
    ``meter`` leaves, among them one for every register that the bill rests on; and its
    ``signed_meter`` leaves where it rests on signed data.

    Args:
        conn: The writer's connection.
        session_id: Subject of the leaves.
        bill: The bill; see `ledger.pricing`.
        ended_at: RFC 3339 time.
        sealed_at: RFC 3339 time of this leaf.
        readings: Leaves of the session's readings that have no subject.
        counted: Instead of ``readings``, what `metered` gathered of them; leaves with
            the session as their subject may have come since.
        bill_sha256: Of the bill, if the caller has it.
        flex_milliwh: Accepted flexibility.
        flex_to: Receiver's address.
        signed: What the session's signed data prove; ``None`` says nothing of it.

    Returns:
        The index of the settlement leaf.

    Raises:
        RecordError: There is no start leaf, or the session is settled already.
    """
    store = SqliteStore(conn)
    leaves = store.leaves_of(session_id)
    starts = [leaf for leaf in leaves if leaf.kind == "session_start"]
    if not starts:
        raise RecordError(f"session {session_id} has no start leaf")
    if any(leaf.kind == "settlement" for leaf in leaves):
        raise RecordError(f"session {session_id} is settled already")
    start = starts[0]
    if start.salt is None or start.record is None:
        raise RecordError(f"the start leaf of session {session_id} was erased")
    if counted is None:
        counted = metered(conn, session_id, readings)
    tree = counted.tree
    for leaf in leaves:
        if leaf.kind == "meter" and leaf.leaf_index > counted.newest:
            tree = tree.append(merkle.leaf_hash(leaf.commitment))
    key = record.session_key(start.salt, start.leaf_index)
    body: dict[str, object] = {
        "session_id": session_id,
        "session_key": key.hex(),
        "start_leaf_index": start.leaf_index,
        "readings_count": tree.size,
        "readings_root": tree.root().hex(),
        "register_start_milliwh": bill["register_start_milliwh"],
        "register_end_milliwh": bill["register_end_milliwh"],
        "energy_milliwh": bill["energy_milliwh"],
        "amount_minor": bill["amount_minor"],
        "currency": bill["currency"],
        "tariff_sha256": bill["tariff_sha256"],
        "bill_sha256": bill_sha256 or record.sha256_json(bill),
        "started_at": record.parse(start.record).body["started_at"],
        "ended_at": ended_at,
    }
    if signed is not None:
        proofs = [leaf for leaf in leaves if leaf.kind == "signed_meter"]
        body |= signed.members([merkle.leaf_hash(one.commitment) for one in proofs])
    data = record.canonical("settlement", body)
    index = append_leaf(conn, "settlement", session_id, data, None, sealed_at)
    (committed,) = store.commitments(index, index + 1)
    queue_settlement(
        conn,
        SettlementRow(
            session_key=key,
            start_leaf_index=start.leaf_index,
            leaf_hash=merkle.leaf_hash(committed),
            energy_milliwh=bill["energy_milliwh"],
            amount_minor=bill["amount_minor"],
            currency=bill["currency"],
            flex_milliwh=flex_milliwh,
            flex_to=flex_to,
        ),
    )
    return index


def build_receipt(
    store: SqliteStore,
    *,
    session_id: str,
    bill: Mapping[str, object],
    tariff: Mapping[str, object],
    chain: BundleChain | None,
    readings: Iterable[int] = (),
) -> dict[str, object]:
    """Gather the receipt of a settled session, ready for ``json.dumps``.

    The head is the first anchored one that covers the settlement leaf; while there is
    none it is the head of now, without a transaction.

    Args:
        store: The store, in a transaction or on a reader of one snapshot.
        session_id: The session.
        bill: The bill that `seal_settlement` was given.
        tariff: The snapshot whose hash the bill names.
        chain: `ledger.worker.AnchorWorker.bundle_chain`.
        readings: As `seal_settlement` was given.

    Raises:
        BundleError: The session is not settled, or a leaf was erased.
    """
    leaves = store.leaves_of(session_id, readings)
    settled = next((leaf for leaf in leaves if leaf.kind == "settlement"), None)
    if settled is None or settled.record is None:
        raise BundleError(f"session {session_id} is not settled")
    facts = record.parse(settled.record).body
    chosen = [
        leaf
        for leaf in leaves
        if leaf.leaf_index == facts["start_leaf_index"]
        or leaf.leaf_index == settled.leaf_index
        or (leaf.kind in COUNTED and leaf.leaf_index < settled.leaf_index)
        or leaf.kind == "credit"
    ]
    n_metered = sum(leaf.kind == "meter" for leaf in chosen)
    start = next((leaf for leaf in chosen if leaf.kind == "session_start"), None)
    if start is None or start.record is None or n_metered != facts["readings_count"]:
        raise BundleError(f"leaves of session {session_id} were erased")
    n_signed = sum(leaf.kind == "signed_meter" for leaf in chosen)
    if n_signed != facts.get("signed_count", 0):
        raise BundleError(f"leaves of session {session_id} were erased")
    key_index = facts.get("meter_key_leaf_index")
    key = store.leaf(key_index) if isinstance(key_index, int) else None
    if key is not None:
        chosen = sorted([*chosen, key], key=lambda leaf: leaf.leaf_index)
    begun = record.parse(start.record).body
    covering = max(leaf.leaf_index for leaf in chosen) + 1
    anchored = (
        None if chain is None else store.anchored_head(chain.key, covering=covering)
    )
    head = log.head(store, None if anchored is None else anchored.size)
    tx = None if chain is None else store.settlement_tx(_key(facts))
    if chain is not None and tx is not None and tx.draft.chain != chain.key:
        tx = None  # settled on the chain that was used before this one
    told = credit_txs_json(store, chosen, None if chain is None else chain.key)
    credit_txs = {"credits": told} if told else {}
    return {
        **credit_txs,
        "format": FORMAT if key is None else FORMAT_SIGNED,
        "session": {
            "session_id": session_id,
            "session_key": facts["session_key"],
            "station_id": begun["station_id"],
            "evse_id": begun["evse_id"],
            "started_at": facts["started_at"],
            "ended_at": facts["ended_at"],
        },
        "bill": dict(bill),
        "tariff": dict(tariff),
        "leaves": [_leaf_json(store, leaf, head.size) for leaf in chosen],
        "head": {
            "size": head.size,
            "root": head.root.hex(),
            "tx_hash": None if anchored is None else _prefixed(anchored.tx_hash),
            "block": None if anchored is None else anchored.block_number,
        },
        "chain": None if chain is None else _chain_json(chain),
        "settlement_tx": None
        if tx is None or tx.tx_hash is None
        else {"tx_hash": _prefixed(tx.tx_hash), "block": tx.block_number},
    }


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


def _leaf_json(store: SqliteStore, leaf: Leaf, size: int) -> dict[str, object]:
    if leaf.salt is None or leaf.record is None:
        raise BundleError(f"leaf {leaf.leaf_index} was erased")
    path = log.inclusion_proof(store, leaf.leaf_index, size)
    return {
        "index": leaf.leaf_index,
        "kind": leaf.kind,
        "salt": leaf.salt.hex(),
        "record": leaf.record.decode(),
        "inclusion": [item.hex() for item in path],
    }


def _chain_json(chain: BundleChain) -> dict[str, object]:
    return {
        "chain_id": chain.chain_id,
        "genesis_hash": _prefixed(chain.genesis_hash),
        "anchor_contract": chain.anchor_contract,
        "settlement_contract": chain.settlement_contract,
    }


def _key(facts: Mapping[str, object]) -> bytes:
    return bytes.fromhex(str(facts["session_key"]))


def _prefixed(data: bytes) -> str:
    return "0x" + data.hex()


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
