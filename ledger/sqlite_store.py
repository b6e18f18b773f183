"""The log and the outbox on plain SQLite, inside whatever transaction the caller owns.

Nothing here begins or commits: the gateway calls these functions in its own writer's
transaction, so that a fact, its leaf and its settlement row are stored together or not
at all. ``DDL`` holds the tables; run it once, in a migration.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias, TypeVar

from ledger import record
from ledger.credit_queue import CREDIT_DDL
from ledger.errors import RecordError
from ledger.flex_queue import FLEX_DDL
from ledger.invoice_queue import INVOICE_DDL
from ledger.netted_queue import SqliteNetted
from ledger.sqlite_outbox import OUTBOX_DDL
from ledger.sqlite_queues import QUEUE_DDL

T = TypeVar("T")

LOG_DDL: Final = """
CREATE TABLE leaf (
    leaf_index INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    salt BLOB,
    record BLOB,
    sealed_at TEXT NOT NULL
);
CREATE INDEX leaf_by_subject ON leaf (subject, leaf_index);
CREATE TRIGGER leaf_is_never_deleted BEFORE DELETE ON leaf
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER leaf_is_never_changed
BEFORE UPDATE OF leaf_index, kind, commitment, sealed_at ON leaf
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TABLE log_node (
    level INTEGER NOT NULL,
    node_index INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, node_index)
) WITHOUT ROWID;
CREATE TABLE log_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    extended_leaf_count INTEGER NOT NULL
);
INSERT INTO log_state (id, extended_leaf_count) VALUES (1, 0);
"""
CABINET_DDL: Final = """
CREATE TABLE IF NOT EXISTS cabinet_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    gathered_leaf_count INTEGER NOT NULL
);
INSERT OR IGNORE INTO cabinet_state
    SELECT 1, coalesce(max(leaf_index) + 1, 0) FROM leaf;
"""
"""How far `ledger.cabinets` is; it begins at the end of a log that is there already."""
DDL: Final = (
    LOG_DDL + OUTBOX_DDL + QUEUE_DDL + CREDIT_DDL + CABINET_DDL + INVOICE_DDL + FLEX_DDL
)
"""All tables of the ledger; for ``executescript`` or a migration file."""
LATER_DDL: Final = CABINET_DDL + INVOICE_DDL + FLEX_DDL
"""What databases of earlier versions lack; harmless where it is there."""

_APPEND: Final = (
    "INSERT INTO leaf (leaf_index, kind, subject, commitment, salt, record, sealed_at)"
    " VALUES ((SELECT coalesce(max(leaf_index) + 1, 0) FROM leaf), ?, ?, ?, ?, ?, ?)"
)
_NEXT_INDEX: Final = "SELECT coalesce(max(leaf_index) + 1, 0) FROM leaf"
_APPEND_AT: Final = (
    "INSERT OR FAIL INTO leaf"
    " (leaf_index, kind, subject, commitment, salt, record, sealed_at)"
)

WriteRows: TypeAlias = Callable[
    [sqlite3.Connection, Callable[[int], str], Sequence[Sequence[object]]], None
]
"""Executes a statement, given for a number of rows, for all rows."""
NewLeaf: TypeAlias = tuple[str, bytes, str]
"""Subject, canonical record and RFC 3339 time of sealing.

A leaf without a subject (empty) is known to the caller by its number: finding leaves by
many subjects costs a page of the database for nearly every leaf that is appended.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf as stored; ``salt`` and ``record`` are ``None`` once erased."""

    leaf_index: int
    kind: str
    subject: str
    commitment: bytes
    salt: bytes | None
    record: bytes | None
    sealed_at: str


def append_leaf(  # noqa: PLR0917  # the hot path; positions are its stable order
    conn: sqlite3.Connection | sqlite3.Cursor,
    kind: str,
    subject: str,
    canonical: bytes,
    salt: bytes | None,
    sealed_at: str,
) -> int:
    """Append a leaf in the caller's transaction and return its index.

    Args:
        conn: The writer's connection; only one writer may append at a time.
        kind: The record's kind.
        subject: What receipts gather leaves by: the session id for session records.
        canonical: The bytes of `ledger.record.canonical`.
        salt: 32 random bytes; ``None`` draws them.
        sealed_at: RFC 3339 time of the sealing.

    Raises:
        RecordError: The kind is unknown, or the salt is not 32 bytes long.
    """
    if kind not in record.KINDS:
        raise RecordError(f"unknown record kind {kind!r}")
    if salt is None:
        salt = secrets.token_bytes(record.SALT_BYTES)
    committed = record.commitment(salt, canonical)
    cursor = conn.execute(
        _APPEND, (kind, subject, committed, salt, canonical, sealed_at)
    )
    index = cursor.lastrowid
    assert index is not None, "an INSERT sets lastrowid"
    return index


def append_leaves(
    conn: sqlite3.Connection,
    kind: str,
    leaves: Sequence[NewLeaf],
    write_rows: WriteRows | None = None,
) -> int:
    """Append leaves of one kind; return the first one's index, the others follow it.

    Like `append_leaf` for each, with fresh salts, at a fraction of the cost.

    Args:
        conn: Takes the rows, in the caller's transaction.
        kind: One of `ledger.record.KINDS`.
        leaves: In their order.
        write_rows: Writes the rows; one by one without it.

    Raises:
        RecordError: The kind is unknown.
    """
    if kind not in record.KINDS:
        raise RecordError(f"unknown record kind {kind!r}")
    size = record.SALT_BYTES
    salts = secrets.token_bytes(size * len(leaves))
    first = int(conn.execute(_NEXT_INDEX).fetchone()[0])
    rows = []
    for number, (subject, canonical, sealed_at) in enumerate(leaves):
        salt = salts[number * size : (number + 1) * size]
        committed = record.commitment(salt, canonical)
        index = first + number
        # For bytes, sqlite3 would look for an adapter first, at five times the cost.
        blobs = bytearray(committed), bytearray(salt), bytearray(canonical)
        rows.append((index, kind, subject, *blobs, sealed_at))
    if write_rows is None:
        conn.executemany(append_at(1), rows)
    else:
        write_rows(conn, append_at, rows)
    return first


@cache
def append_at(n_row: int) -> str:
    """The statement that appends a number of leaves; if it fails, roll back."""
    return f"{_APPEND_AT} VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * n_row)}"


def erase_leaf(conn: sqlite3.Connection, leaf_index: int) -> None:
    """Delete salt and record of a leaf; its commitment stays and says nothing."""
    conn.execute(
        "UPDATE leaf SET salt = NULL, record = NULL, subject = '' WHERE leaf_index = ?",
        (leaf_index,),
    )


class SqliteStore(SqliteNetted):
    """`ledger.log.LogStore` and all of the outbox over one connection.

    Cheap to construct: make one per transaction.
    """

    def leaf_count(self) -> int:
        """Return the number of leaves."""
        return int(self.conn.execute(_NEXT_INDEX).fetchone()[0])

    def commitments(self, start: int, end: int) -> Sequence[bytes]:
        """Return commitments in log order."""
        rows = self.conn.execute(
            "SELECT commitment FROM leaf WHERE leaf_index >= ? AND leaf_index < ?"
            " ORDER BY leaf_index",
            (start, end),
        )
        return [row[0] for row in rows]

    def extended_leaf_count(self) -> int:
        """Return how many leaves the nodes cover."""
        row = self.conn.execute("SELECT extended_leaf_count FROM log_state").fetchone()
        return int(row[0])

    def node(self, level: int, index: int) -> bytes | None:
        """Return a stored node."""
        row = self.conn.execute(
            "SELECT hash FROM log_node WHERE level = ? AND node_index = ?",
            (level, index),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def put_nodes(
        self, nodes: Iterable[tuple[int, int, bytes]], extended_leaf_count: int
    ) -> None:
        """Store nodes and the new cover."""
        self.conn.executemany("INSERT INTO log_node VALUES (?, ?, ?)", nodes)
        self.conn.execute(
            "UPDATE log_state SET extended_leaf_count = ?", (extended_leaf_count,)
        )

    def leaf(self, leaf_index: int) -> Leaf | None:
        """Return one leaf."""
        found = self._leaves("WHERE leaf_index = ?", (leaf_index,))
        return found[0] if found else None

    def leaves_of(self, subject: str, others: Iterable[int] = ()) -> Sequence[Leaf]:
        """Return the leaves of a subject, and others by their numbers, in log order."""
        return self._leaves(
            "WHERE leaf_index IN (SELECT leaf_index FROM leaf WHERE subject = ?"
            " UNION SELECT value FROM json_each(?)) ORDER BY leaf_index",
            (subject, json.dumps(list(others))),
        )

    def commitments_of(
        self, kind: str, subject: str, others: Iterable[int] = ()
    ) -> list[tuple[int, bytes]]:
        """Return index and commitment of those of `leaves_of` that are of a kind."""
        rows = self.conn.execute(
            "SELECT leaf_index, commitment FROM leaf WHERE leaf_index IN"
            " (SELECT leaf_index FROM leaf WHERE subject = ?"
            " UNION SELECT value FROM json_each(?)) AND kind = ? ORDER BY leaf_index",
            (subject, json.dumps(list(others)), kind),
        )
        return [(row[0], row[1]) for row in rows]

    def _leaves(self, where: str, values: tuple[object, ...]) -> list[Leaf]:
        rows = self.conn.execute(
            "SELECT leaf_index, kind, subject, commitment, salt, record, sealed_at"  # noqa: S608  # constant clauses of this class
            f" FROM leaf {where}",
            values,
        )
        return [
            Leaf(
                leaf_index=row[0],
                kind=row[1],
                subject=row[2],
                commitment=row[3],
                salt=row[4],
                record=row[5],
                sealed_at=row[6],
            )
            for row in rows
        ]


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[SqliteStore]:
    """Run one immediate transaction: commit at the end, roll back on any error.

    For tests, tools, and a worker with a connection of its own. The connection must be
    in autocommit mode (``isolation_level=None``).
    """
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield SqliteStore(conn)
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")


class Transactor:
    """A `ledger.ports.Transact` over a connection in autocommit mode."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        """Use a connection that belongs to the calling thread, or is shared safely."""
        self._conn = conn

    def __call__(self, work: Callable[[SqliteStore], T]) -> T:
        """Run the work in one transaction."""
        with transaction(self._conn) as store:
            return work(store)
