"""Receipts and proofs on request: read from one snapshot, checked by anyone."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.domain.ids import SessionId
from gateway.errors import RequestError, StoreError
from gateway.services import plan_bundle, signed_download
from gateway.services.anchoring import AnchorState
from gateway.services.bill_view import corrections_of
from gateway.store import api_tokens, money, readings, signed
from gateway.store.times import to_text
from ledger import log
from ledger.bundle import build_receipt
from ledger.cabinet_proof import build_history
from ledger.errors import BundleError
from ledger.receipt import BundleChain
from ledger.sqlite_store import Leaf, SqliteStore

T = TypeVar("T")


class KnowsChain(Protocol):
    """Knows which chain the heads are on, as `Anchoring` does."""

    @property
    def bundle_chain(self) -> BundleChain | None:
        """What receipts say of the chain; ``None`` without one."""
        ...

    @property
    def state(self) -> AnchorState:
        """Where the evidence stands."""
        ...


class Receipts:
    """Builds receipts and proofs in a thread, over a reader of its own.

    Args:
        database: The database file.
        anchoring: Knows which chain the heads are on.
    """

    def __init__(self, *, database: Path, anchoring: KnowsChain) -> None:
        self._database = database
        self._anchoring = anchoring

    async def receipt(self, session_id: SessionId) -> dict[str, object]:
        """The receipt of a settled session, ready for JSON; it verifies offline.

        Raises:
            RequestError: 404 unknown session; 409 not settled (yet), or erased.
        """
        return await asyncio.to_thread(
            self._read, lambda conn: self._receipt(conn, session_id)
        )

    async def signed_xml(self, session_id: SessionId) -> str:
        """The signed records of a session, for the transparency software.

        Raises:
            RequestError: 404 there are none.
        """
        return await asyncio.to_thread(
            self._read, lambda conn: signed_download.signed_xml(conn, session_id)
        )

    async def leaf(self, leaf_index: int) -> dict[str, object]:
        """One leaf with its proof in the newest anchored head that covers it.

        Raises:
            RequestError: 404 there is no such leaf.
        """
        return await asyncio.to_thread(
            self._read, lambda conn: self._leaf(conn, leaf_index)
        )

    async def cabinet(self, cabinet_id: str, *, first: int) -> dict[str, object]:
        """A cabinet's history from a leaf on, ready for JSON; it verifies alone.

        It is proven in the newest anchored head, without one in that of the whole log.
        """
        return await asyncio.to_thread(
            self._read, lambda conn: self._cabinet(conn, cabinet_id, first)
        )

    async def plan(self, plan_id: int) -> dict[str, object]:
        """A stored plan, ready for JSON; it verifies offline.

        Raises:
            RequestError: 404 unknown plan; 409 of an older version.
        """
        return await asyncio.to_thread(
            self._read, lambda conn: plan_bundle.whole(conn, plan_id, self._leaf)
        )

    async def plan_row(self, plan_id: int, session_id: str) -> dict[str, object]:
        """One session's row of a stored plan, ready for JSON; it verifies offline.

        Raises:
            RequestError: 404 unknown plan, or without this session; 409 of an older
                version.
        """
        return await asyncio.to_thread(
            self._read,
            lambda conn: plan_bundle.of_session(
                conn, plan_id, SessionId(session_id), self._leaf
            ),
        )

    async def newest_plan_row(self, session_id: SessionId) -> dict[str, object]:
        """A session's row of the newest plan with it, ready for JSON.

        Raises:
            RequestError: 404 it is in no plan yet; 409 that is of an older version.
        """
        return await asyncio.to_thread(
            self._read,
            lambda conn: plan_bundle.newest_of(conn, session_id, self._leaf),
        )

    async def bill(self, session_id: SessionId) -> dict[str, object]:
        """The bill of a session with its state: ``held``, ``settled``, ``on_chain``.

        Raises:
            RequestError: 404 no bill yet.
        """
        return await asyncio.to_thread(self._read, lambda conn: _bill(conn, session_id))

    async def ledger(self) -> dict[str, object]:
        """Head, backlog, last anchor and contracts."""
        state = self._anchoring.state
        chain = self._anchoring.bundle_chain
        leaves = await asyncio.to_thread(
            self._read, lambda conn: SqliteStore(conn).leaf_count()
        )
        return {
            **asdict(state),
            "leaf_count": leaves,
            "backlog": max(0, leaves - state.anchored_size),
            "chain": None
            if chain is None
            else {**asdict(chain), "genesis_hash": "0x" + chain.genesis_hash.hex()},
        }

    async def audit(self, *, limit: int, before: int | None) -> list[dict[str, object]]:
        """What operators did, latest first."""
        entries = await asyncio.to_thread(
            self._read,
            lambda conn: api_tokens.audit_entries(conn, limit=limit, before=before),
        )
        return [{**asdict(entry), "at": to_text(entry.at)} for entry in entries]

    def document(
        self, conn: sqlite3.Connection, leaf: Leaf
    ) -> dict[str, object] | None:
        """What proves a plan or a settlement beyond its record; ``None``: nothing."""
        try:
            if leaf.kind == "settlement":
                return self._receipt(conn, SessionId(leaf.subject))
            if leaf.kind == "plan":
                plan_id = json.loads(leaf.record or b"{}").get("plan_id", "")
                number = int(plan_id) if plan_id.isdecimal() else -1
                return plan_bundle.whole(conn, number, self._leaf)
        except RequestError:
            return None  # of an older version, or not kept
        return None

    def _receipt(
        self, conn: sqlite3.Connection, session_id: SessionId
    ) -> dict[str, object]:
        bill = money.find_bill(conn, session_id)
        if bill is None:
            known = conn.execute(
                "SELECT 1 FROM session WHERE session_id = ?", (session_id,)
            ).fetchone()
            if known is None:
                raise RequestError(404, "unknown_session", "no such session")
            raise RequestError(409, "not_settled", "the session is not judged yet")
        tariff = money.promised_tariff(conn, session_id)
        if bill.status != "settled" or bill.document is None or tariff is None:
            reasons = ", ".join((bill.verdict, *bill.reasons))
            raise RequestError(
                409,
                "waived" if bill.status == "waived" else "held",
                f"the bill is {bill.status}: {reasons}",
            )
        try:
            return build_receipt(
                SqliteStore(conn),
                session_id=session_id,
                bill=bill.document,
                tariff=tariff.snapshot(),
                chain=self._anchoring.bundle_chain,
                readings=readings.leaves_of(conn, session_id),
            )
        except BundleError as error:
            raise RequestError(409, "no_receipt", str(error)) from error

    def _cabinet(
        self, conn: sqlite3.Connection, cabinet_id: str, first: int
    ) -> dict[str, object]:
        store = SqliteStore(conn)
        chain = self._anchoring.bundle_chain
        anchored = None if chain is None else store.anchored_head(chain.key)
        size = store.leaf_count() if anchored is None else anchored.size
        return build_history(store, cabinet_id, size=size, first=first)

    def _leaf(self, conn: sqlite3.Connection, leaf_index: int) -> dict[str, object]:
        store = SqliteStore(conn)
        leaf = store.leaf(leaf_index) if 0 <= leaf_index < 2**63 else None
        if leaf is None:
            raise RequestError(404, "unknown_leaf", "no such leaf")
        chain = self._anchoring.bundle_chain
        anchored = None
        if chain is not None:
            anchored = store.anchored_head(chain.key, covering=leaf_index + 1)
        head = log.head(store, None if anchored is None else anchored.size)
        path = log.inclusion_proof(store, leaf_index, head.size)
        return {
            "leaf_index": leaf.leaf_index,
            "kind": leaf.kind,
            "commitment": leaf.commitment.hex(),
            "salt": None if leaf.salt is None else leaf.salt.hex(),
            "record": None if leaf.record is None else leaf.record.decode(),
            "sealed_at": leaf.sealed_at,
            "inclusion": [step.hex() for step in path],
            "head": {
                "size": head.size,
                "root": head.root.hex(),
                "tx_hash": None if anchored is None else "0x" + anchored.tx_hash.hex(),
                "block": None if anchored is None else anchored.block_number,
            },
        }

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run reads over one snapshot of the database, in the calling thread.

        Raises:
            StoreError: It cannot be read now.
        """
        return self._read(work)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run reads over one snapshot of the database.

        Raises:
            StoreError: It cannot be read now.
        """
        uri = f"{self._database.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as conn:
                conn.execute("PRAGMA busy_timeout = 5000")
                conn.execute("BEGIN")
                return work(conn)
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the store: {error}") from error


def _bill(conn: sqlite3.Connection, session_id: SessionId) -> dict[str, object]:
    row = money.find_bill(conn, session_id)
    if row is None:
        raise RequestError(404, "no_bill", "the session has no bill yet")
    on_chain = conn.execute(
        "SELECT 1 FROM settlement_queue JOIN outbox_tx USING (tx_id)"
        " JOIN bill USING (session_key)"
        " WHERE bill.session_id = ? AND state IN ('mined', 'final')",
        (session_id,),
    ).fetchone()
    found = signed.of_bill(conn, session_id, row.document)
    document: dict[str, object] = {} if row.document is None else dict(row.document)
    return {
        **document,
        "session_id": session_id,
        "state": "on_chain" if on_chain is not None else row.status,
        "verdict": row.verdict,
        "reasons": list(row.reasons),
        "meter_signature": "unsigned" if found is None else found.finding.verdict.value,
        "decided_at": to_text(row.decided_at),
        **corrections_of(conn, row),
    }
