"""Sessions that wait for a window netted per user, and those that must settle proven.

A window that is netted has one row, and one Merkle root, for each user. The leaf hashes
of all rows stand in the order of the rows; the facts of the transaction say how many
belong to whom.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.credit_queue import RECORDED_ELSEWHERE, CreditRow
from ledger.flex_queue import flex_of_credit
from ledger.invoice_queue import OpenStart, SqliteInvoices
from ledger.outbox import OutboxTx, SettlementRow

FORGOTTEN_WINDOW: Final = (
    "its session is in a window on chain, and this database forgot what came after"
)
"""Why credits are set aside after an old backup was put back."""

_WAITS: Final = "tx_id IS NULL AND refused IS NULL"
_NO_FLEX_WAIT: Final = "session_key NOT IN (SELECT session_key FROM flex_wait)"
_IS_NETTED: Final = "json_extract(t.facts, '$.netted') IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class NettedCredit:
    """A credit whose session stands in a window that was netted.

    Attributes:
        row: The credit.
        flex_milliwh: Flexibility that it takes back.
        user: Whose row of the window its session is in.
        currency: Of its session.
        tx_id: The transaction of the window.
    """

    row: CreditRow
    flex_milliwh: int
    user: str
    currency: str
    tx_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a leaf stands under a root of a window.

    Attributes:
        user: Whose row it is in; ``None`` in a window of invoices.
        index: Of the leaf under its root.
        hashes: Of all leaves under that root, in order.
    """

    user: str | None
    index: int
    hashes: tuple[bytes, ...]


class SqliteNetted(SqliteInvoices):
    """What netted windows are made of, beside those of invoices."""

    def open_starts_netted(
        self, first: int, end: int, limit: int
    ) -> Sequence[OpenStart]:
        """Return starts of sessions that a netted window may not close, in log order.

        That is all but those that wait for one and may go into it, were recorded in a
        window, are settled alone for good, or were refused.
        """
        rows = self.conn.execute(
            "SELECT o.leaf_index, o.sealed_at FROM start_leaf AS o"  # noqa: S608  # constant clauses
            " WHERE o.leaf_index >= ?1 AND o.leaf_index < ?2 AND NOT EXISTS ("
            "  SELECT 1 FROM settlement_queue AS s LEFT JOIN outbox_tx USING (tx_id)"
            "  LEFT JOIN settlement_leaf AS n USING (session_key)"
            "  WHERE s.start_leaf_index = o.leaf_index AND (s.refused IS NOT NULL"
            f"   OR (s.tx_id IS NULL AND s.{_NO_FLEX_WAIT}"
            "    AND coalesce(n.leaf_index, -1) < ?2) OR state = 'final'"
            "   OR EXISTS (SELECT 1 FROM invoice_leaf AS i WHERE i.tx_id = s.tx_id)))"
            " ORDER BY o.leaf_index LIMIT ?3",
            (first, end, limit),
        )
        return [
            OpenStart(
                leaf_index=row[0],
                sealed_at=datetime.fromisoformat(row[1]),
                is_expected=True,
            )
            for row in rows
        ]

    def waiting_netted(
        self, first: int, end: int, covered: int, limit: int
    ) -> Sequence[SettlementRow]:
        """Return sessions for netted windows that no transaction carries, by start.

        Args:
            first: Least start leaf.
            end: The start leaf after the last.
            covered: Leaves before which the settlement stands.
            limit: At most so many.
        """
        return self._settlements(
            "LEFT JOIN settlement_leaf USING (session_key)"
            f" WHERE {_WAITS} AND {_NO_FLEX_WAIT}"
            " AND start_leaf_index >= ? AND start_leaf_index < ?"
            " AND coalesce(leaf_index, -1) < ?"
            " ORDER BY start_leaf_index LIMIT ?",
            first,
            end,
            covered,
            limit,
        )

    def start_sealed_at(self, start_leaf_index: int) -> datetime | None:
        """Return when a start leaf was sealed; ``None`` if it was not looked at."""
        row = self.conn.execute(
            "SELECT sealed_at FROM start_leaf WHERE leaf_index = ?", (start_leaf_index,)
        ).fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    def is_short_of_head(self, chain: str) -> bool:
        """Say whether a session that could settle stands beyond a chain's head."""
        row = self.conn.execute(
            "SELECT 1 FROM settlement_queue LEFT JOIN settlement_leaf"  # noqa: S608  # constant clauses
            f" USING (session_key) WHERE {_WAITS} AND {_NO_FLEX_WAIT}"
            " AND max(start_leaf_index, coalesce(leaf_index, -1)) >= ? LIMIT 1",
            (self.final_head_size(chain),),
        ).fetchone()
        return row is not None

    def user_of(self, row: SettlementRow) -> str | None:
        """Return the address of a session's driver, as its sealed settlement says.

        ``None`` for none, and where the record was erased.
        """
        if row.flex_to is not None:
            return row.flex_to.lower()
        found = self.conn.execute(
            "SELECT record FROM leaf JOIN settlement_leaf USING (leaf_index)"
            " WHERE session_key = ?",
            (row.session_key,),
        ).fetchone()
        if found is None or found[0] is None:
            return None
        address = json.loads(found[0]).get("flex_to")
        return None if address is None else str(address).lower()

    def newest_window_end(self, chain: str) -> int:
        """Return where the newest window that this database knows of ended."""
        return self._count_of(
            "SELECT coalesce(max(json_extract(facts, '$.to_leaf')), 0) FROM outbox_tx"
            " WHERE chain = ? AND purpose = 'settle' AND state IN ('mined', 'final')",
            chain,
        )

    def forget_credits(self, *, of_netted: bool, of_lost: bool) -> int:
        """Set credits aside that a window may hold which this database forgot.

        Args:
            of_netted: Those of sessions whose own window is known.
            of_lost: Those of sessions whose own window is not.
        """
        return self.conn.execute(
            "UPDATE credit_queue SET refused = ? WHERE tx_id IS NULL"  # noqa: S608  # constant clauses
            " AND refused IS NULL AND session_key IN ("
            "  SELECT s.session_key FROM settlement_queue AS s"
            "  LEFT JOIN outbox_tx AS t ON t.tx_id = s.tx_id"
            f"  WHERE (? AND s.refused = ?) OR (? AND {_IS_NETTED}))",
            (FORGOTTEN_WINDOW, of_lost, RECORDED_ELSEWHERE, of_netted),
        ).rowcount

    def netted_credits(self, chain: str, limit: int) -> Sequence[NettedCredit]:
        """Return credits without a transaction whose session was netted on a chain."""
        rows = self.conn.execute(
            "SELECT c.credit_key, c.session_key, c.leaf_hash, c.amount_minor,"  # noqa: S608  # constant clauses
            " s.leaf_hash, s.currency, s.tx_id"
            " FROM credit_queue AS c JOIN settlement_queue AS s USING (session_key)"
            " JOIN outbox_tx AS t ON t.tx_id = s.tx_id"
            " WHERE c.tx_id IS NULL AND c.refused IS NULL AND t.chain = ?"
            f" AND t.state IN ('mined', 'final') AND {_IS_NETTED}"
            " ORDER BY s.start_leaf_index, c.credit_key LIMIT ?",
            (chain, limit),
        ).fetchall()
        found: list[NettedCredit] = []
        for row in rows:
            place = self.standing(self.tx(row[6]), row[4])
            assert place is not None, "a session in a window stands in it"
            assert place.user is not None, "a netted window has users"
            found.append(
                NettedCredit(
                    row=CreditRow(
                        credit_key=row[0],
                        session_key=row[1],
                        leaf_hash=row[2],
                        amount_minor=row[3],
                    ),
                    flex_milliwh=flex_of_credit(self.conn, row[0]),
                    user=place.user,
                    currency=row[5],
                    tx_id=row[6],
                )
            )
        return found

    def standing(self, tx: OutboxTx, leaf_hash: bytes) -> Standing | None:
        """Return where a leaf stands in the window of a transaction, if it does."""
        hashes = tuple(self.invoices(tx.tx_id))
        if leaf_hash not in hashes:
            return None
        users = tx.draft.facts.get("netted")
        if not isinstance(users, list):
            return Standing(user=None, index=hashes.index(leaf_hash), hashes=hashes)
        first = 0
        for user, count in users:
            mine = hashes[first : first + count]
            if leaf_hash in mine:
                return Standing(user=user, index=mine.index(leaf_hash), hashes=mine)
            first += count
        return None

    def waiting_proven(
        self, covered: int, limit: int
    ) -> Sequence[tuple[SettlementRow, int]]:
        """Return sessions whose settlement a head covers, with its leaf, oldest first.

        Args:
            covered: Leaves under that head.
            limit: At most so many.
        """
        rows = self._settlements(
            "JOIN settlement_leaf USING (session_key)"
            f" WHERE {_WAITS} AND {_NO_FLEX_WAIT} AND leaf_index < ?"
            " ORDER BY start_leaf_index LIMIT ?",
            covered,
            limit,
        )
        leaf_of = "SELECT leaf_index FROM settlement_leaf WHERE session_key = ?"
        return [
            (row, int(self.conn.execute(leaf_of, (row.session_key,)).fetchone()[0]))
            for row in rows
        ]

    def _count_of(self, query: str, value: str) -> int:
        return int(self.conn.execute(query, (value,)).fetchone()[0])
