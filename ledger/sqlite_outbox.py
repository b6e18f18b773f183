"""The outbox of transactions as SQLite tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from ledger.errors import OutboxError
from ledger.outbox import (
    Attempt,
    Fees,
    OutboxTx,
    Purpose,
    State,
    TxDraft,
    check_move,
)

OUTBOX_DDL: Final = """
CREATE TABLE outbox_tx (
    tx_id INTEGER PRIMARY KEY,
    chain TEXT NOT NULL,
    purpose TEXT NOT NULL,
    purpose_key TEXT NOT NULL,
    sender TEXT NOT NULL,
    to_address TEXT,
    calldata BLOB NOT NULL,
    facts TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state IN ('sealed', 'signed', 'sent', 'mined', 'final', 'failed')),
    created_at TEXT NOT NULL,
    nonce INTEGER,
    gas_limit INTEGER,
    tx_hash BLOB,
    block_number INTEGER,
    block_hash BLOB,
    error TEXT,
    CHECK (nonce IS NOT NULL OR state IN ('sealed', 'failed'))
);
CREATE UNIQUE INDEX outbox_purpose ON outbox_tx (chain, purpose, purpose_key)
    WHERE state <> 'failed';
CREATE UNIQUE INDEX outbox_nonce ON outbox_tx (chain, sender, nonce)
    WHERE nonce IS NOT NULL AND state <> 'failed';
CREATE INDEX outbox_open ON outbox_tx (chain, state)
    WHERE state IN ('sealed', 'signed', 'sent', 'mined');
CREATE TABLE outbox_attempt (
    tx_id INTEGER NOT NULL REFERENCES outbox_tx (tx_id),
    attempt INTEGER NOT NULL,
    raw BLOB NOT NULL,
    tx_hash BLOB NOT NULL,
    max_fee_wei TEXT NOT NULL,
    priority_fee_wei TEXT NOT NULL,
    signed_at TEXT NOT NULL,
    PRIMARY KEY (tx_id, attempt)
);
"""

_TX_COLUMNS: Final = (
    "tx_id, chain, purpose, purpose_key, sender, to_address, calldata, facts, state,"
    " created_at, nonce, gas_limit, tx_hash, block_number, block_hash, error"
)


class SqliteOutbox:
    """The reference `ledger.outbox.OutboxStore`."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        """Work on a connection whose transaction belongs to the caller."""
        self.conn = conn

    def seal(self, draft: TxDraft, now: datetime) -> int:
        """Add a sealed row.

        Raises:
            OutboxError: An unfailed row with this purpose and key exists.
        """
        try:
            cursor = self.conn.execute(
                "INSERT INTO outbox_tx (chain, purpose, purpose_key, sender,"
                " to_address, calldata, facts, state, created_at, nonce)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'sealed', ?, ?)",
                (
                    draft.chain,
                    draft.purpose.value,
                    draft.purpose_key,
                    draft.sender,
                    draft.to,
                    draft.calldata,
                    json.dumps(draft.facts, sort_keys=True),
                    now.isoformat(),
                    draft.nonce,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise OutboxError(
                f"{draft.purpose.value} {draft.purpose_key} is sealed already"
            ) from error
        assert cursor.lastrowid is not None, "an INSERT sets lastrowid"
        return cursor.lastrowid

    def tx(self, tx_id: int) -> OutboxTx:
        """Return a row.

        Raises:
            OutboxError: There is no such row.
        """
        found = self._txs("WHERE tx_id = ?", (tx_id,))
        if not found:
            raise OutboxError(f"no transaction {tx_id}")
        return found[0]

    def find(self, chain: str, purpose: Purpose, purpose_key: str) -> OutboxTx | None:
        """Return the unfailed row with that key."""
        found = self._txs(
            "WHERE chain = ? AND purpose = ? AND purpose_key = ? AND state <> 'failed'",
            (chain, purpose.value, purpose_key),
        )
        return found[0] if found else None

    def open_txs(self, chain: str) -> Sequence[OutboxTx]:
        """Return rows that still need work, those with a nonce first and in order."""
        return self._txs(
            "WHERE chain = ? AND state IN ('sealed', 'signed', 'sent', 'mined')"
            " ORDER BY sender, nonce IS NULL, nonce, tx_id",
            (chain,),
        )

    def max_nonce(self, chain: str, sender: str) -> int | None:
        """Return the highest nonce ever given to a sender."""
        row = self.conn.execute(
            "SELECT max(nonce) FROM outbox_tx WHERE chain = ? AND sender = ?",
            (chain, sender),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def committed_fees_wei(
        self, chain: str, since: datetime, *, other_than: int
    ) -> int:
        """Return what transactions can have cost or can still cost at most, wei.

        Counted are those that may still be mined and those with a signature since
        then, each at its gas limit and its highest fees. One that stands in a block
        has cost what it costs, however late it becomes final.

        Args:
            chain: `ledger.ports.ChainIdentity.key`.
            since: Signatures before it count only while theirs may still be mined.
            other_than: A transaction that is left out.
        """
        rows = self.conn.execute(
            "SELECT tx_id, gas_limit, max_fee_wei FROM outbox_tx"
            " JOIN outbox_attempt USING (tx_id)"
            " WHERE chain = ? AND tx_id <> ?"
            " AND (state IN ('signed', 'sent') OR signed_at >= ?)",
            (chain, other_than, since.isoformat()),
        )
        highest: dict[int, int] = {}
        for tx_id, gas_limit, max_fee_wei in rows:
            cost_wei = gas_limit * int(max_fee_wei)
            highest[tx_id] = max(cost_wei, highest.get(tx_id, 0))
        return sum(highest.values())

    def owns_nonce(self, chain: str, sender: str, nonce: int) -> bool:
        """Say whether an unfailed row holds a nonce."""
        row = self.conn.execute(
            "SELECT 1 FROM outbox_tx WHERE chain = ? AND sender = ? AND nonce = ?"
            " AND state <> 'failed'",
            (chain, sender, nonce),
        ).fetchone()
        return row is not None

    def put_signed(
        self, tx_id: int, *, nonce: int, gas_limit: int, attempt: Attempt
    ) -> None:
        """Move sealed to signed; the nonce is unique per chain and sender."""
        self._check(tx_id, State.SIGNED)
        try:
            self.conn.execute(
                "UPDATE outbox_tx SET state = 'signed', nonce = ?, gas_limit = ?"
                " WHERE tx_id = ?",
                (nonce, gas_limit, tx_id),
            )
        except sqlite3.IntegrityError as error:
            raise OutboxError(f"nonce {nonce} is taken") from error
        self.put_attempt(tx_id, attempt)

    def put_attempt(self, tx_id: int, attempt: Attempt) -> None:
        """Keep a signed form of a transaction."""
        self.conn.execute(
            "INSERT INTO outbox_attempt SELECT ?, count(*), ?, ?, ?, ?, ?"
            " FROM outbox_attempt WHERE tx_id = ?",
            (
                tx_id,
                attempt.raw,
                attempt.tx_hash,
                str(attempt.fees.max_fee_wei),
                str(attempt.fees.priority_fee_wei),
                attempt.signed_at.isoformat(),
                tx_id,
            ),
        )

    def move(self, tx_id: int, state: State, *, error: str | None = None) -> None:
        """Make a legal move; a row that leaves its block forgets the block."""
        self._check(tx_id, state)
        self.conn.execute(
            "UPDATE outbox_tx SET state = ?, error = ? WHERE tx_id = ?",
            (state.value, error, tx_id),
        )
        if state is State.SENT:
            self.conn.execute(
                "UPDATE outbox_tx SET tx_hash = NULL, block_number = NULL,"
                " block_hash = NULL WHERE tx_id = ?",
                (tx_id,),
            )

    def put_mined(
        self, tx_id: int, *, tx_hash: bytes, block_number: int, block_hash: bytes
    ) -> None:
        """Move sent to mined, or change the block of a mined row."""
        if self.tx(tx_id).state is not State.MINED:
            self._check(tx_id, State.MINED)
        self.conn.execute(
            "UPDATE outbox_tx SET state = 'mined', tx_hash = ?, block_number = ?,"
            " block_hash = ? WHERE tx_id = ?",
            (tx_hash, block_number, block_hash, tx_id),
        )

    def _check(self, tx_id: int, new: State) -> None:
        row = self.conn.execute(
            "SELECT state FROM outbox_tx WHERE tx_id = ?", (tx_id,)
        ).fetchone()
        if row is None:
            raise OutboxError(f"no transaction {tx_id}")
        check_move(tx_id, State(row[0]), new)

    def _txs(self, where: str, values: tuple[object, ...]) -> list[OutboxTx]:
        rows = self.conn.execute(
            f"SELECT {_TX_COLUMNS} FROM outbox_tx {where}",  # noqa: S608  # constant clauses of this class
            values,
        ).fetchall()
        return [self._tx(row) for row in rows]

    def _tx(self, row: tuple[Any, ...]) -> OutboxTx:
        return OutboxTx(
            tx_id=row[0],
            draft=TxDraft(
                chain=row[1],
                purpose=Purpose(row[2]),
                purpose_key=row[3],
                sender=row[4],
                to=row[5],
                calldata=row[6],
                facts=json.loads(row[7]),
                nonce=row[10],
            ),
            state=State(row[8]),
            created_at=datetime.fromisoformat(row[9]),
            nonce=row[10],
            gas_limit=row[11],
            attempts=self._attempts(row[0]),
            tx_hash=row[12],
            block_number=row[13],
            block_hash=row[14],
            error=row[15],
        )

    def _attempts(self, tx_id: int) -> tuple[Attempt, ...]:
        rows = self.conn.execute(
            "SELECT raw, tx_hash, max_fee_wei, priority_fee_wei, signed_at"
            " FROM outbox_attempt WHERE tx_id = ? ORDER BY attempt",
            (tx_id,),
        )
        return tuple(
            Attempt(
                raw=row[0],
                tx_hash=row[1],
                fees=Fees(max_fee_wei=int(row[2]), priority_fee_wei=int(row[3])),
                signed_at=datetime.fromisoformat(row[4]),
            )
            for row in rows
        )
