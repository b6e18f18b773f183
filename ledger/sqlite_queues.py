"""What waits for the chain and what stands on it: queues, heads, contracts, lease."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from ledger.errors import LeaseLostError, RecordError
from ledger.outbox import AnchoredHead, Deployed, OutboxTx, SettlementRow
from ledger.sqlite_outbox import SqliteOutbox

QUEUE_DDL: Final = """
CREATE TABLE anchored_head (
    chain TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    tx_id INTEGER NOT NULL REFERENCES outbox_tx (tx_id),
    tx_hash BLOB NOT NULL,
    block_number INTEGER NOT NULL,
    is_final INTEGER NOT NULL,
    anchored_at TEXT NOT NULL,
    PRIMARY KEY (chain, size)
);
CREATE TABLE settlement_queue (
    session_key BLOB PRIMARY KEY,
    start_leaf_index INTEGER NOT NULL UNIQUE,
    leaf_hash BLOB NOT NULL,
    energy_milliwh INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    flex_milliwh INTEGER NOT NULL,
    flex_to TEXT,
    tx_id INTEGER REFERENCES outbox_tx (tx_id),
    refused TEXT
);
CREATE INDEX settlement_waiting ON settlement_queue (start_leaf_index)
    WHERE tx_id IS NULL AND refused IS NULL;
CREATE INDEX settlement_by_tx ON settlement_queue (tx_id);
CREATE TABLE asset_queue (
    queue_id INTEGER PRIMARY KEY,
    asset TEXT NOT NULL,
    tx_id INTEGER REFERENCES outbox_tx (tx_id),
    refused TEXT
);
CREATE TABLE deployment (
    chain TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    code_sha256 BLOB NOT NULL,
    tx_hash BLOB NOT NULL,
    PRIMARY KEY (chain, name)
);
CREATE TABLE outbox_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    expires_at TEXT NOT NULL
);
"""

MAX_SQLITE_INT: Final = 2**63 - 1
_SETTLEMENT: Final = (
    "session_key, start_leaf_index, leaf_hash, energy_milliwh, amount_minor, currency,"
    " flex_milliwh, flex_to"
)


class Batched(Enum):
    """Which sessions settle in batches, as a clause of their query."""

    ALL = ""
    WITH_RECEIVER = " AND flex_to IS NOT NULL"
    """Of flexibility; others go into windows."""
    UNPLACED = " AND session_key NOT IN (SELECT session_key FROM settlement_leaf)"
    """Queued by an earlier version, which did not note their place in the log."""


def queue_settlement(
    conn: sqlite3.Connection | sqlite3.Cursor, row: SettlementRow
) -> bool:
    """Queue a settled session, in the transaction that appends its settlement leaf.

    Returns:
        ``False`` when the very same row is queued already; nothing changes then.

    Raises:
        RecordError: A number is negative or beyond 2**63 - 1, the currency is not three
            capital letters, or the session or its start leaf is queued with other
            content: one session settles once.
    """
    numbers = (
        row.start_leaf_index,
        row.energy_milliwh,
        row.amount_minor,
        row.flex_milliwh,
    )
    if not all(0 <= number <= MAX_SQLITE_INT for number in numbers):
        raise RecordError(f"settlement numbers out of range: {numbers}")
    currency = row.currency
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):  # noqa: PLR2004  # ISO 4217
        raise RecordError(f"not an ISO 4217 currency: {currency!r}")
    values = _settlement_values(row)
    known = conn.execute(
        f"SELECT {_SETTLEMENT} FROM settlement_queue"  # noqa: S608  # constant columns
        " WHERE session_key = ? OR start_leaf_index = ?",
        (row.session_key, row.start_leaf_index),
    ).fetchone()
    if known is not None:
        if tuple(known) == values:
            return False
        raise RecordError("the session is queued for settlement with other content")
    conn.execute(
        f"INSERT INTO settlement_queue ({_SETTLEMENT})"  # noqa: S608  # constant columns
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    return True


def queue_asset(
    conn: sqlite3.Connection | sqlite3.Cursor, asset: Mapping[str, object]
) -> None:
    """Queue an asset (new or changed) for the registry.

    Args:
        conn: The writer's connection.
        asset: `ledger.settle.asset_json` of the asset.
    """
    conn.execute(
        "INSERT INTO asset_queue (asset) VALUES (?)",
        (json.dumps(asset, sort_keys=True),),
    )


class SqliteQueues(SqliteOutbox):
    """Queues, heads, deployments and the lease, beside the outbox itself."""

    def waiting_settlements(
        self, limit: int, which: Batched = Batched.ALL
    ) -> Sequence[SettlementRow]:
        """Return sessions that no transaction carries yet, oldest first.

        Those that wait for their flexibility are left out.

        Args:
            limit: At most so many.
            which: Leave the others out.
        """
        return self._settlements(
            f"WHERE tx_id IS NULL AND refused IS NULL{which.value}"  # noqa: S608  # a constant
            " AND session_key NOT IN (SELECT session_key FROM flex_wait)"
            " ORDER BY start_leaf_index LIMIT ?",
            limit,
        )

    def settlement(self, session_key: bytes) -> SettlementRow | None:
        """Return what a session is, or was, settled with."""
        row = self.conn.execute(
            f"SELECT {_SETTLEMENT} FROM settlement_queue WHERE session_key = ?",  # noqa: S608  # constant columns
            (session_key,),
        ).fetchone()
        return None if row is None else _settlement_row(row)

    def assign_settlements(self, rows: Sequence[SettlementRow], tx_id: int) -> None:
        """Say which transaction carries these sessions."""
        self.conn.executemany(
            "UPDATE settlement_queue SET tx_id = ? WHERE session_key = ?",
            [(tx_id, row.session_key) for row in rows],
        )

    def refuse_settlement(self, session_key: bytes, reason: str) -> None:
        """Take a session out of the queue for good; an operator must look at it."""
        self.conn.execute(
            "UPDATE settlement_queue SET refused = ?, tx_id = NULL"
            " WHERE session_key = ?",
            (reason, session_key),
        )

    def refused_settlement_count(self) -> int:
        """Return how many sessions the contract refused."""
        return self._count(
            "SELECT count(*) FROM settlement_queue WHERE refused IS NOT NULL"
        )

    def release_work(self, tx_id: int) -> None:
        """Give the rows of a failed transaction back to their queues."""
        for table in ("settlement_queue", "asset_queue"):
            self.conn.execute(
                f"UPDATE {table} SET tx_id = NULL WHERE tx_id = ?",  # noqa: S608  # constant names
                (tx_id,),
            )

    def leave_other_chains(self, chain: str) -> None:
        """Give back what another chain than this one carries, when chains change.

        Assets are registered again; a settlement is sent again only if it stands in no
        block: what was settled once stays where it was settled.
        """
        elsewhere = "SELECT tx_id FROM outbox_tx WHERE chain <> ?"
        self.conn.execute(
            f"UPDATE asset_queue SET tx_id = NULL WHERE tx_id IN ({elsewhere})",  # noqa: S608  # a constant
            (chain,),
        )
        self.conn.execute(
            f"UPDATE settlement_queue SET tx_id = NULL WHERE tx_id IN ({elsewhere}"  # noqa: S608  # a constant
            " AND state IN ('sealed', 'signed', 'sent'))",
            (chain,),
        )

    def settlement_counts(self) -> tuple[int, int]:
        """Return how many settlements wait or travel, and how many stand in a block."""
        settled = self._count(
            "SELECT count(*) FROM settlement_queue JOIN outbox_tx USING (tx_id)"
            " WHERE state IN ('mined', 'final')"
        )
        queued = self._count(
            "SELECT count(*) FROM settlement_queue WHERE refused IS NULL"
        )
        return queued - settled, settled

    def settlement_tx(self, session_key: bytes) -> OutboxTx | None:
        """Return the mined transaction that settled a session."""
        row = self.conn.execute(
            "SELECT tx_id FROM settlement_queue JOIN outbox_tx USING (tx_id)"
            " WHERE session_key = ? AND state IN ('mined', 'final')",
            (session_key,),
        ).fetchone()
        return None if row is None else self.tx(int(row[0]))

    def waiting_assets(self, limit: int) -> Sequence[tuple[int, Mapping[str, object]]]:
        """Return assets that no transaction carries yet, with their queue ids."""
        rows = self.conn.execute(
            "SELECT queue_id, asset FROM asset_queue"
            " WHERE tx_id IS NULL AND refused IS NULL ORDER BY queue_id LIMIT ?",
            (limit,),
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    def asset_counts(self) -> tuple[int, int, int]:
        """Return how many changes of assets wait or travel, stand, were refused."""
        done = self._count(
            "SELECT count(*) FROM asset_queue JOIN outbox_tx USING (tx_id)"
            " WHERE state IN ('mined', 'final')"
        )
        refused = self._count(
            "SELECT count(*) FROM asset_queue WHERE refused IS NOT NULL"
        )
        known = self._count("SELECT count(*) FROM asset_queue")
        return known - done - refused, done, refused

    def assign_assets(self, queue_ids: Sequence[int], tx_id: int) -> None:
        """Say which transaction carries these assets."""
        self.conn.executemany(
            "UPDATE asset_queue SET tx_id = ? WHERE queue_id = ?",
            [(tx_id, queue_id) for queue_id in queue_ids],
        )

    def refuse_assets(self, queue_ids: Sequence[int], reason: str) -> None:
        """Take assets out of the queue for good; an operator must look at them."""
        self.conn.executemany(
            "UPDATE asset_queue SET refused = ?, tx_id = NULL WHERE queue_id = ?",
            [(reason, queue_id) for queue_id in queue_ids],
        )

    def put_anchored(self, chain: str, tx_id: int, anchored: AnchoredHead) -> None:
        """Note that a head stands in a block of a chain."""
        self.conn.execute(
            "INSERT OR REPLACE INTO anchored_head VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                chain,
                anchored.size,
                anchored.root,
                tx_id,
                anchored.tx_hash,
                anchored.block_number,
                int(anchored.is_final),
                anchored.anchored_at.isoformat(),
            ),
        )

    def drop_anchored(self, tx_id: int) -> None:
        """Forget the head of a transaction that fell out of its block."""
        self.conn.execute("DELETE FROM anchored_head WHERE tx_id = ?", (tx_id,))

    def finalize_anchored(self, tx_id: int) -> None:
        """Note that the head of a transaction is final."""
        self.conn.execute(
            "UPDATE anchored_head SET is_final = 1 WHERE tx_id = ?", (tx_id,)
        )

    def anchored_head(
        self, chain: str, *, covering: int | None = None
    ) -> AnchoredHead | None:
        """Return a chain's newest head, or its first that covers so many leaves."""
        which = "DESC LIMIT 1" if covering is None else "ASC LIMIT 1"
        row = self.conn.execute(
            "SELECT size, root, tx_hash, block_number, is_final, anchored_at"  # noqa: S608  # constant clauses
            f" FROM anchored_head WHERE chain = ? AND size >= ? ORDER BY size {which}",
            (chain, covering or 0),
        ).fetchone()
        if row is None:
            return None
        return AnchoredHead(
            size=row[0],
            root=row[1],
            tx_hash=row[2],
            block_number=row[3],
            is_final=bool(row[4]),
            anchored_at=datetime.fromisoformat(row[5]),
        )

    def deployed(self, chain: str) -> Mapping[str, Deployed]:
        """Return the contracts known on a chain, by name."""
        rows = self.conn.execute(
            "SELECT name, address, code_sha256, tx_hash FROM deployment"
            " WHERE chain = ?",
            (chain,),
        )
        return {
            row[0]: Deployed(
                name=row[0], address=row[1], code_sha256=row[2], tx_hash=row[3]
            )
            for row in rows
        }

    def put_deployed(self, chain: str, deployed: Deployed) -> None:
        """Remember a contract; a known one keeps its first address."""
        self.conn.execute(
            "INSERT OR IGNORE INTO deployment VALUES (?, ?, ?, ?, ?)",
            (
                chain,
                deployed.name,
                deployed.address,
                deployed.code_sha256,
                deployed.tx_hash,
            ),
        )

    def acquire_lease(self, holder: str, now: datetime, ttl_s: float) -> int | None:
        """Take or renew the lease; the same holder takes it over at once.

        Returns:
            The fencing epoch, one higher than any before; ``None`` while another
            holder's lease runs.
        """
        row = self.conn.execute(
            "SELECT holder, epoch, expires_at FROM outbox_lease"
        ).fetchone()
        is_foreign = row is not None and row[0] != holder
        if is_foreign and datetime.fromisoformat(row[2]) > now:
            return None
        epoch = 1 if row is None else int(row[1]) + 1
        self.conn.execute(
            "INSERT OR REPLACE INTO outbox_lease VALUES (1, ?, ?, ?)",
            (holder, epoch, (now + timedelta(seconds=ttl_s)).isoformat()),
        )
        return epoch

    def check_lease(self, epoch: int) -> None:
        """Refuse to go on when somebody took the lease since.

        Raises:
            LeaseLostError: The epoch is not the current one.
        """
        row = self.conn.execute("SELECT epoch FROM outbox_lease").fetchone()
        if row is None or row[0] != epoch:
            raise LeaseLostError(f"lease epoch {epoch} was taken over")

    def _settlements(self, where: str, *values: int) -> list[SettlementRow]:
        rows = self.conn.execute(
            f"SELECT {_SETTLEMENT} FROM settlement_queue {where}",  # noqa: S608  # constant clauses of these classes
            values,
        )
        return [_settlement_row(row) for row in rows]

    def _count(self, query: str) -> int:
        return int(self.conn.execute(query).fetchone()[0])


def _settlement_values(row: SettlementRow) -> tuple[object, ...]:
    return (
        row.session_key,
        row.start_leaf_index,
        row.leaf_hash,
        row.energy_milliwh,
        row.amount_minor,
        row.currency,
        row.flex_milliwh,
        row.flex_to,
    )


def _settlement_row(row: tuple[Any, ...]) -> SettlementRow:
    return SettlementRow(
        session_key=row[0],
        start_leaf_index=row[1],
        leaf_hash=row[2],
        energy_milliwh=row[3],
        amount_minor=row[4],
        currency=row[5],
        flex_milliwh=row[6],
        flex_to=row[7],
    )
