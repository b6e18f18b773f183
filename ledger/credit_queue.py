"""Credits that wait for the chain: the queue of `Settlement.recordCredit`.

A credit waits until the session it belongs to is settled on the chain in use: the
contract refuses it before. From then on it travels like a settlement, in a transaction
of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from ledger.errors import RecordError
from ledger.outbox import OutboxTx
from ledger.sqlite_queues import MAX_SQLITE_INT, SqliteQueues

SETTLED_ELSEWHERE: Final = "settled on chain already, and this database forgot where"
RECORDED_ELSEWHERE: Final = "in a window on chain, and this database forgot in which"
"""Why sessions are set aside that an old backup of the database does not know of."""

CREDIT_DDL: Final = """
CREATE TABLE IF NOT EXISTS credit_queue (
    credit_key BLOB PRIMARY KEY,
    session_key BLOB NOT NULL,
    leaf_hash BLOB NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    tx_id INTEGER,
    refused TEXT
);
CREATE INDEX IF NOT EXISTS credit_by_session ON credit_queue (session_key);
CREATE INDEX IF NOT EXISTS credit_waiting ON credit_queue (credit_key)
    WHERE tx_id IS NULL AND refused IS NULL;
CREATE INDEX IF NOT EXISTS credit_by_tx ON credit_queue (tx_id);
"""

_CREDIT: Final = "credit_key, session_key, leaf_hash, amount_minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditRow:
    """One credit for ``Settlement.recordCredit``.

    Attributes:
        session_key: 32 bytes, key of the settled session.
        credit_key: 32 bytes, `ledger.record.credit_key`.
        leaf_hash: RFC 9162 leaf hash of the credit leaf's commitment.
        amount_minor: What the driver gets back, 1 to 2**63 - 1.
    """

    session_key: bytes
    credit_key: bytes
    leaf_hash: bytes
    amount_minor: int


def queue_credit(conn: sqlite3.Connection | sqlite3.Cursor, row: CreditRow) -> bool:
    """Queue a credit, in the transaction that appends its leaf.

    Returns:
        ``False`` when the very same row is queued already; nothing changes then.

    Raises:
        RecordError: The amount is not positive, the session is not queued for
            settlement, its credits would exceed what it was charged, or the key is
            queued with other content.
    """
    if not 0 < row.amount_minor <= MAX_SQLITE_INT:
        raise RecordError(f"not an amount to credit: {row.amount_minor}")
    values = (row.credit_key, row.session_key, row.leaf_hash, row.amount_minor)
    known = conn.execute(
        f"SELECT {_CREDIT} FROM credit_queue WHERE credit_key = ?",  # noqa: S608  # constant columns
        (row.credit_key,),
    ).fetchone()
    if known is not None:
        if tuple(known) == values:
            return False
        raise RecordError("the credit is queued with other content")
    left = left_minor(conn, row.session_key)
    if row.amount_minor > left:
        raise RecordError(f"a credit of {row.amount_minor} exceeds the {left} left")
    conn.execute(
        f"INSERT INTO credit_queue ({_CREDIT}) VALUES (?, ?, ?, ?)",  # noqa: S608  # constant columns
        values,
    )
    return True


def left_minor(conn: sqlite3.Connection | sqlite3.Cursor, session_key: bytes) -> int:
    """Return what can still be credited to a session, in minor units.

    Raises:
        RecordError: The session is not queued for settlement.
    """
    settled = conn.execute(
        "SELECT amount_minor FROM settlement_queue WHERE session_key = ?",
        (session_key,),
    ).fetchone()
    if settled is None:
        raise RecordError("a session that is not settled has no credits")
    (credited,) = conn.execute(
        "SELECT coalesce(sum(amount_minor), 0) FROM credit_queue WHERE session_key = ?",
        (session_key,),
    ).fetchone()
    return int(settled[0]) - int(credited)


class SqliteCredits(SqliteQueues):
    """The queue of credits, beside the other queues."""

    def waiting_credits(self, chain: str, limit: int) -> Sequence[CreditRow]:
        """Return credits without a transaction whose session settled on a chain alone.

        Those of sessions in windows travel in windows too. In the order of their
        leaves' sessions; those of one session in any order, as their sum is bounded.
        """
        rows = self.conn.execute(
            "SELECT c.credit_key, c.session_key, c.leaf_hash, c.amount_minor"
            " FROM credit_queue AS c JOIN settlement_queue AS s USING (session_key)"
            " LEFT JOIN outbox_tx AS t ON t.tx_id = s.tx_id"
            " WHERE c.tx_id IS NULL AND c.refused IS NULL"
            " AND (s.refused = ? OR (t.chain = ? AND t.state IN ('mined', 'final')"
            "  AND NOT EXISTS ("
            "   SELECT 1 FROM invoice_leaf AS i WHERE i.tx_id = s.tx_id)))"
            " ORDER BY s.start_leaf_index, c.credit_key LIMIT ?",
            (SETTLED_ELSEWHERE, chain, limit),
        )
        return [
            CreditRow(
                credit_key=row[0],
                session_key=row[1],
                leaf_hash=row[2],
                amount_minor=row[3],
            )
            for row in rows
        ]

    def assign_credit(self, credit_key: bytes, tx_id: int) -> None:
        """Say which transaction carries a credit."""
        self.conn.execute(
            "UPDATE credit_queue SET tx_id = ? WHERE credit_key = ?",
            (tx_id, credit_key),
        )

    def refuse_credit(self, credit_key: bytes, reason: str) -> None:
        """Take a credit out of the queue for good; an operator must look at it."""
        self.conn.execute(
            "UPDATE credit_queue SET refused = ?, tx_id = NULL WHERE credit_key = ?",
            (reason, credit_key),
        )

    def credit_counts(self) -> tuple[int, int, int]:
        """Return how many credits wait or travel, stand in a block, were refused."""
        recorded = self._count(
            "SELECT count(*) FROM credit_queue JOIN outbox_tx USING (tx_id)"
            " WHERE state IN ('mined', 'final')"
        )
        queued = self._count("SELECT count(*) FROM credit_queue WHERE refused IS NULL")
        refused = self._count(
            "SELECT count(*) FROM credit_queue WHERE refused IS NOT NULL"
        )
        return queued - recorded, recorded, refused

    def credit_tx(self, credit_key: bytes) -> OutboxTx | None:
        """Return the mined transaction that recorded a credit."""
        row = self.conn.execute(
            "SELECT tx_id FROM credit_queue JOIN outbox_tx USING (tx_id)"
            " WHERE credit_key = ? AND state IN ('mined', 'final')",
            (credit_key,),
        ).fetchone()
        return None if row is None else self.tx(int(row[0]))

    @override
    def release_work(self, tx_id: int) -> None:
        """Give the rows of a failed transaction back to their queues."""
        super().release_work(tx_id)
        self.conn.execute(
            "UPDATE credit_queue SET tx_id = NULL WHERE tx_id = ?", (tx_id,)
        )

    @override
    def leave_other_chains(self, chain: str) -> None:
        """Give back what another chain carries; a recorded credit stays there."""
        super().leave_other_chains(chain)
        self.conn.execute(
            "UPDATE credit_queue SET tx_id = NULL WHERE tx_id IN"
            " (SELECT tx_id FROM outbox_tx WHERE chain <> ?"
            " AND state IN ('sealed', 'signed', 'sent'))",
            (chain,),
        )
