"""Whether a stored log is what its leaves make of it: every hash computed anew.

Commitments are compared with salts and records where those are not erased, stored nodes
and anchored heads with the tree of the commitments. Reads only, one pass, O(log n)
memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from ledger import merkle, record
from ledger.errors import RecordError
from ledger.log import BLOCK_LEVEL

Note: TypeAlias = Callable[[int, int], None]
"""Told how many leaves are done, of how many."""

NOTE_EVERY: Final = 1000

_LEAVES: Final = (
    "SELECT leaf_index, commitment, salt, record FROM leaf ORDER BY leaf_index"
)
_NODE: Final = "SELECT hash FROM log_node WHERE level = ? AND node_index = ?"


def untrue(conn: sqlite3.Connection, note: Note) -> Iterator[str]:
    """Compute the hashes of a log anew; each that is stored otherwise, in words.

    Args:
        conn: A connection to the database, in a transaction: the log must not grow.
        note: Told how far it is.

    Raises:
        sqlite3.Error: It cannot be read.
    """
    (n_leaf,) = conn.execute("SELECT count(*) FROM leaf").fetchone()
    (n_covered,) = conn.execute("SELECT extended_leaf_count FROM log_state").fetchone()
    heads = _heads(conn)
    if n_covered > n_leaf:
        yield f"nodes cover {n_covered} leaves, there are {n_leaf}"
    peaks: list[bytes] = []
    for number, (index, committed, salt, canonical) in enumerate(conn.execute(_LEAVES)):
        if index != number:
            yield f"leaf {number} is missing"
            return
        yield from _leaf(index, committed, salt, canonical)
        size = index + 1
        for level, made in _append(peaks, index, committed):
            if level >= BLOCK_LEVEL and size <= n_covered:
                yield from _node(conn, level, index >> level, made)
        yield from _anchored(heads.pop(size, ()), size, peaks)
        if size % NOTE_EVERY == 0:
            note(size, n_leaf)
    for size, known in sorted(heads.items()):
        for chain, _ in known:
            yield f"{chain} holds a head of {size} leaves, there are {n_leaf}"


def _heads(conn: sqlite3.Connection) -> dict[int, list[tuple[str, bytes]]]:
    heads: dict[int, list[tuple[str, bytes]]] = {}
    for chain, size, head in conn.execute(
        "SELECT chain, size, root FROM anchored_head"
    ):
        heads.setdefault(size, []).append((chain, head))
    return heads


def _anchored(
    heads: Sequence[tuple[str, bytes]], size: int, peaks: Sequence[bytes]
) -> Iterator[str]:
    for chain, head in heads:
        if head != merkle.CompactRange(size=size, hashes=tuple(peaks)).root():
            yield f"{chain} holds another head of {size} leaves"


def _leaf(
    index: int, committed: bytes, salt: bytes | None, canonical: bytes | None
) -> Iterator[str]:
    if salt is None or canonical is None:
        return
    try:
        made = record.commitment(salt, canonical)
    except RecordError as error:
        yield f"leaf {index}: {error}"
        return
    if made != committed:
        yield f"leaf {index} is not that of its record"


def _append(
    peaks: list[bytes], index: int, committed: bytes
) -> Iterator[tuple[int, bytes]]:
    """Add a leaf to the peaks of the tree; each subtree that it completes."""
    running, level = merkle.leaf_hash(committed), 0
    while index >> level & 1:
        running = merkle.node_hash(peaks.pop(), running)
        level += 1
        yield level, running
    peaks.append(running)


def _node(
    conn: sqlite3.Connection, level: int, index: int, made: bytes
) -> Iterator[str]:
    row = conn.execute(_NODE, (level, index)).fetchone()
    if row is None or row[0] != made:
        what = "is missing" if row is None else "is another"
        first = index << level
        yield f"the node over leaves {first} to {first + (1 << level) - 1} {what}"
