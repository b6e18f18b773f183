"""Sub-trees of the log, one per cabinet and timestep: a cabinet's own history.

The log is one for all cabinets. What belongs to one of them is gathered, a timestep at
a time, under a Merkle root of its own, and that root is sealed as a leaf: the owner of
one cabinet can be given all of its history with proofs, and nothing of its neighbours.
Each such leaf names the one before it, so that a missing timestep shows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

from ledger import merkle, record
from ledger.public_leaves import time_text
from ledger.sqlite_store import SqliteStore, append_leaf

MEMBER_KINDS: Final = ("meter", "plan", "dispatch")
"""Kinds whose records say where they belong."""
CHUNK_LEAVES: Final = 4096
"""Leaves gathered in one transaction; a longer timestep has several leaves."""

CabinetOf: TypeAlias = Callable[[str, bytes], str | None]
"""Which cabinet a record (kind, canonical bytes) belongs to; ``None``: to none."""

_MEMBERS: Final = (
    "SELECT leaf_index, kind, commitment, record FROM leaf"
    " WHERE leaf_index >= ? AND leaf_index < ? AND record IS NOT NULL"
    " AND kind IN ('meter', 'plan', 'dispatch') ORDER BY leaf_index"
)
_PREVIOUS: Final = (
    "SELECT leaf_index FROM leaf WHERE subject = ? AND kind = 'cabinet'"
    " ORDER BY leaf_index DESC LIMIT 1"
)


def seal_cabinets(
    conn: sqlite3.Connection,
    cabinet_of: CabinetOf,
    now: datetime,
    *,
    chunk_leaves: int = CHUNK_LEAVES,
) -> bool:
    """Seal the sub-trees over leaves that no sub-tree has looked at yet.

    A cabinet without such leaves gets none, so that a log at rest does not grow.

    Args:
        conn: The writer's connection, in a transaction.
        cabinet_of: Tells cabinets apart.
        now: Site time.
        chunk_leaves: Look at so many leaves at most.

    Returns:
        Whether more is left; call again, in a new transaction.
    """
    row = conn.execute("SELECT gathered_leaf_count FROM cabinet_state").fetchone()
    first = int(row[0])
    count = SqliteStore(conn).leaf_count()
    end = min(count, first + chunk_leaves)
    members: dict[str, list[tuple[int, bytes]]] = {}
    for index, kind, committed, data in conn.execute(_MEMBERS, (first, end)):
        cabinet_id = cabinet_of(kind, data)
        if cabinet_id is not None:
            members.setdefault(cabinet_id, []).append((index, committed))
    at = time_text(now)
    for cabinet_id, leaves in sorted(members.items()):
        previous = conn.execute(_PREVIOUS, (cabinet_id,)).fetchone()
        hashes = [merkle.leaf_hash(committed) for _, committed in leaves]
        body: dict[str, object] = {
            "cabinet_id": cabinet_id,
            "timestep": at,
            "leaves_root": merkle.root(hashes).hex(),
            "leaves_count": len(leaves),
            "leaf_indexes": [index for index, _ in leaves],
            "previous_leaf_index": None if previous is None else previous[0],
        }
        data = record.canonical("cabinet", body)
        append_leaf(conn, "cabinet", cabinet_id, data, None, at)
    if end != first:
        conn.execute("UPDATE cabinet_state SET gathered_leaf_count = ?", (end,))
    return end < count
