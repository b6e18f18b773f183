"""Invoices that wait for the chain: sessions and credits under one root of a window.

A window of the log spans start leaves. Its transaction carries one Merkle root over the
leaf hashes of the settlements (and credits) that it records, and nothing else of them;
the hashes stay here, so that each driver can be given a proof.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from typing_extensions import override

from ledger.credit_queue import RECORDED_ELSEWHERE, CreditRow, SqliteCredits
from ledger.outbox import SettlementRow

INVOICE_DDL: Final = """
CREATE TABLE IF NOT EXISTS invoice_leaf (
    tx_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    PRIMARY KEY (tx_id, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settlement_leaf (
    session_key BLOB PRIMARY KEY,
    leaf_index INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS start_leaf (
    leaf_index INTEGER PRIMARY KEY,
    sealed_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS start_leaf_scan (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    scanned INTEGER NOT NULL
);
INSERT OR IGNORE INTO start_leaf_scan (id, scanned) VALUES (1, 0);
"""

SCAN_LEAVES: Final = 20_000
"""Leaves looked at in one transaction: some milliseconds of the writer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStart:
    """The start of a session that no transaction settles for good.

    Attributes:
        leaf_index: Of its start leaf.
        sealed_at: When that was sealed.
        is_expected: A window will record it; others settle alone.
    """

    leaf_index: int
    sealed_at: datetime
    is_expected: bool


def note_settlement_leaf(
    conn: sqlite3.Connection | sqlite3.Cursor, session_key: bytes, leaf_index: int
) -> None:
    """Note where the settlement of a queued session stands in the log.

    A window takes it once a head covers that, so that a session on chain has a receipt
    without gaps. Sessions that earlier versions queued have no note.
    """
    conn.execute(
        "INSERT OR IGNORE INTO settlement_leaf VALUES (?, ?)", (session_key, leaf_index)
    )


class SqliteInvoices(SqliteCredits):
    """What windows are made of, beside the queues."""

    def scan_starts(self) -> int:
        """Note the start leaves among the next leaves; return how many were seen.

        Finding them by their kind would cost an index over the whole log.
        """
        scanned = self.scanned_leaves()
        end = min(
            scanned + SCAN_LEAVES,
            self._count("SELECT coalesce(max(leaf_index) + 1, 0) FROM leaf"),
        )
        if end <= scanned:
            return 0
        self.conn.execute(
            "INSERT INTO start_leaf SELECT leaf_index, sealed_at FROM leaf"
            " WHERE leaf_index >= ? AND leaf_index < ? AND kind = 'session_start'",
            (scanned, end),
        )
        self.conn.execute("UPDATE start_leaf_scan SET scanned = ?", (end,))
        return end - scanned

    def scanned_leaves(self) -> int:
        """Return how many leaves were looked at."""
        return self._count("SELECT scanned FROM start_leaf_scan")

    def open_starts(self, first: int, end: int, limit: int) -> Sequence[OpenStart]:
        """Return starts of sessions that no window may close, in log order.

        That is all but those that wait for a window and may go into it, were recorded
        in one, are settled alone for good, or were refused.
        """
        rows = self.conn.execute(
            "SELECT o.leaf_index, o.sealed_at, NOT EXISTS ("
            "  SELECT 1 FROM settlement_queue AS s"
            "  WHERE s.start_leaf_index = o.leaf_index AND s.flex_to IS NOT NULL)"
            " FROM start_leaf AS o"
            " WHERE o.leaf_index >= ?1 AND o.leaf_index < ?2 AND NOT EXISTS ("
            "  SELECT 1 FROM settlement_queue AS s LEFT JOIN outbox_tx USING (tx_id)"
            "  LEFT JOIN settlement_leaf AS n USING (session_key)"
            "  WHERE s.start_leaf_index = o.leaf_index AND (s.refused IS NOT NULL"
            "   OR (s.tx_id IS NULL AND s.flex_to IS NULL"
            "    AND coalesce(n.leaf_index, -1) < ?2) OR state = 'final'"
            "   OR EXISTS (SELECT 1 FROM invoice_leaf AS i WHERE i.tx_id = s.tx_id)))"
            " ORDER BY o.leaf_index LIMIT ?3",
            (first, end, limit),
        )
        return [
            OpenStart(
                leaf_index=row[0],
                sealed_at=datetime.fromisoformat(row[1]),
                is_expected=bool(row[2]),
            )
            for row in rows
        ]

    def waiting_invoices(
        self, first: int, end: int, covered: int, limit: int
    ) -> Sequence[SettlementRow]:
        """Return sessions for windows that no transaction carries, by start leaf.

        Args:
            first: Least start leaf.
            end: The start leaf after the last.
            covered: Leaves before which the settlement stands.
            limit: At most so many.
        """
        return self._settlements(
            "LEFT JOIN settlement_leaf USING (session_key)"
            " WHERE tx_id IS NULL AND refused IS NULL AND flex_to IS NULL"
            " AND start_leaf_index >= ? AND start_leaf_index < ?"
            " AND coalesce(leaf_index, -1) < ?"
            " ORDER BY start_leaf_index LIMIT ?",
            first,
            end,
            covered,
            limit,
        )

    def final_head_size(self, chain: str) -> int:
        """Return how many leaves the newest final head of a chain covers."""
        row = self.conn.execute(
            "SELECT coalesce(max(size), 0) FROM anchored_head"
            " WHERE chain = ? AND is_final",
            (chain,),
        ).fetchone()
        return int(row[0])

    def is_beyond_head(self, chain: str) -> bool:
        """Say whether a session waits for a window that a chain's head is short of."""
        row = self.conn.execute(
            "SELECT 1 FROM settlement_queue LEFT JOIN settlement_leaf"
            " USING (session_key) WHERE tx_id IS NULL AND refused IS NULL"
            " AND flex_to IS NULL AND max(start_leaf_index, coalesce(leaf_index, -1))"
            " >= ? LIMIT 1",
            (self.final_head_size(chain),),
        ).fetchone()
        return row is not None

    def window_credits(
        self, chain: str, recorded_now: Sequence[bytes], limit: int
    ) -> Sequence[CreditRow]:
        """Return credits that a window can carry: their session is in one.

        That was of invoices: those of a netted one change a sum (`ledger.netted`).
        After an old backup was put back a credit may be recorded a second time; its
        key and its leaf are the same, so it counts once.

        Args:
            chain: Key of the chain in use.
            recorded_now: Keys of the sessions of the window itself.
            limit: At most so many.
        """
        rows = self.conn.execute(
            "SELECT c.credit_key, c.session_key, c.leaf_hash, c.amount_minor,"
            " s.refused IS ? OR (t.state IN ('mined', 'final') AND t.chain = ?"
            "  AND json_extract(t.facts, '$.netted') IS NULL"
            "  AND EXISTS (SELECT 1 FROM invoice_leaf AS i WHERE i.tx_id = s.tx_id))"
            " FROM credit_queue AS c JOIN settlement_queue AS s USING (session_key)"
            " LEFT JOIN outbox_tx AS t ON t.tx_id = s.tx_id"
            " WHERE c.tx_id IS NULL AND c.refused IS NULL"
            " ORDER BY s.start_leaf_index, c.credit_key",
            (RECORDED_ELSEWHERE, chain),
        )
        now = set(recorded_now)
        found: list[CreditRow] = []
        for credit_key, session_key, leaf_hash, amount_minor, is_recorded in rows:
            if len(found) < limit and (is_recorded or session_key in now):
                found.append(
                    CreditRow(
                        credit_key=credit_key,
                        session_key=session_key,
                        leaf_hash=leaf_hash,
                        amount_minor=amount_minor,
                    )
                )
        return found

    def put_invoices(self, tx_id: int, leaf_hashes: Sequence[bytes]) -> None:
        """Keep what the root of a window is made of, in its order."""
        self.conn.executemany(
            "INSERT INTO invoice_leaf VALUES (?, ?, ?)",
            [(tx_id, position, one) for position, one in enumerate(leaf_hashes)],
        )

    def invoices(self, tx_id: int) -> Sequence[bytes]:
        """Return the leaf hashes under the root of a window; none for other rows."""
        rows = self.conn.execute(
            "SELECT leaf_hash FROM invoice_leaf WHERE tx_id = ? ORDER BY position",
            (tx_id,),
        )
        return [row[0] for row in rows]

    def settlement_of_start(self, start_leaf_index: int) -> bytes | None:
        """Return the key of the session that is queued with a start leaf."""
        row = self.conn.execute(
            "SELECT session_key FROM settlement_queue WHERE start_leaf_index = ?",
            (start_leaf_index,),
        ).fetchone()
        return None if row is None else bytes(row[0])

    @override
    def release_work(self, tx_id: int) -> None:
        """Give the rows of a failed transaction back to their queues."""
        super().release_work(tx_id)
        self.conn.execute("DELETE FROM invoice_leaf WHERE tx_id = ?", (tx_id,))
