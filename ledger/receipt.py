"""Receipts: what a driver takes away, as types.

A receipt is a JSON object with exactly these members::

    {"format": "wattproof-receipt/1",
     "session": {"session_id", "session_key", "station_id", "evse_id",
                 "started_at", "ended_at"},
     "bill": {...},                     see `ledger.pricing`
     "tariff": {...},                   the snapshot that the bill was made with
     "leaves": [{"index", "kind", "salt", "record", "commitment",
                 "inclusion": [...]}, ...],
     "head": {"size", "root", "tx_hash" or null, "block" or null},
     "chain": {"chain_id", "genesis_hash", "anchor_contract",
               "settlement_contract"} or null,
     "settlement_tx": {"tx_hash", "block"} or null,
     "credits": [{"leaf_index", "tx": {"tx_hash", "block"} or null}, ...]}

A transaction that recorded a window of invoices also has
``"invoice": {"root", "index", "size", "inclusion"}``: where the settlement's leaf, or
the credit's, stands under its root. Where the window was netted, that is the root of
one row, and the member has ``"user"``, the address of the row.

``leaves`` holds the session_start leaf, every meter leaf of the session that the
settlement counts, an operator's decision on its held bill if there was one, the
settlement leaf, and its credits, in log order; in version 2 also every signed_meter
leaf that the settlement counts, and the meter_key leaf that it names. ``credits`` says
where those stand on the chain; a receipt without any lacks it. ``record`` is the
canonical text, ``commitment`` what salt and record come to, and the path begins at (in
receipts of earlier versions it is missing, and follows from them), ``inclusion`` the
audit path in the log of ``head.size`` leaves. Hashes, salts and keys are lower-case hex
without prefix; addresses and transaction hashes carry ``0x``. Members not listed are
refused, so that nothing unproven travels along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger import merkle, record
from ledger.signed_claim import SIGNED_KINDS

FORMAT: Final = "wattproof-receipt/1"
FORMAT_SIGNED: Final = "wattproof-receipt/2"
"""Of sessions that rest on signed data, which older verifiers cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafProof:
    """One leaf with all that is needed to find it in the log.

    Attributes:
        stated: The commitment, as the file has it; ``None`` in files of earlier
            versions, which leave it to their reader.
    """

    index: int
    kind: str
    salt: bytes
    record: bytes
    inclusion: tuple[bytes, ...]
    stated: bytes | None = None

    @property
    def commitment(self) -> bytes:
        """Return what salt and record commit to, whatever the file states."""
        return record.commitment(self.salt, self.record)

    @property
    def leaf_hash(self) -> bytes:
        """Return the RFC 9162 leaf hash of the commitment."""
        return merkle.leaf_hash(self.commitment)

    def is_as_stated(self) -> bool:
        """Say whether salt and record give the commitment that is stated, if any."""
        return self.stated in (None, self.commitment)

    def is_under(self, head: BundleHead) -> bool:
        """Say whether the stated commitment, else that of the record, is in the log."""
        stated = self.stated
        return merkle.verify_inclusion(
            leaf=self.leaf_hash if stated is None else merkle.leaf_hash(stated),
            index=self.index,
            size=head.size,
            proof=self.inclusion,
            head=head.root,
        )


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
class InvoiceProof:
    """Where a leaf stands among the invoices of a window.

    Attributes:
        root: That the transaction recorded; over leaf hashes of the log.
        index: Of the leaf among them.
        size: Their number.
        inclusion: Audit path, as in the log.
        user: Whose row of a netted window has that root, an address in lower-case hex;
            ``None`` where the window has one root.
    """

    root: bytes
    index: int
    size: int
    inclusion: tuple[bytes, ...]
    user: str | None = None

    def holds(self, leaf_hash: bytes) -> bool:
        """Say whether a leaf is under the root."""
        return merkle.verify_inclusion(
            leaf=leaf_hash,
            index=self.index,
            size=self.size,
            proof=self.inclusion,
            head=self.root,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleTx:
    """A transaction and its block.

    Attributes:
        invoice: ``None`` where it recorded the session, or the credit, alone.
    """

    tx_hash: bytes
    block: int
    invoice: InvoiceProof | None = None


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
