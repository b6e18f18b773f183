"""Leaves about what is public anyway: the packed status of each timestep.

Those that a head covers for the first time go to the chain with it, all in one
transaction, however long the chain was away.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from ledger import record
from ledger.errors import RecordError
from ledger.sqlite_store import append_leaf

STATUS_RECORD_BYTES: Final = 13
"""One asset in packed status (``contracts/README.md``, Layouts)."""
PUBLIC_SUBJECT: Final = "public"
"""Subject of leaves that anyone may read; no session and no cabinet is called so."""


MAX_STATUS_BYTES: Final = 5_000 * STATUS_RECORD_BYTES
"""Longer status is folded: nodes take no transaction of more than 128 KiB."""
_REFERENCE_BYTES: Final = 4
_STATUS: Final = (
    "SELECT record FROM leaf WHERE subject = ? AND leaf_index >= ? AND leaf_index < ?"
    " AND kind = 'status' AND record IS NOT NULL ORDER BY leaf_index"
)


def seal_status(conn: sqlite3.Connection, packed: bytes, now: datetime) -> int:
    """Append the leaf of the status that changed in a timestep.

    Args:
        conn: The writer's connection, in a transaction.
        packed: The records of the assets that changed, not empty.
        now: Site time.

    Returns:
        The leaf's index.

    Raises:
        RecordError: These are no records; no contract would take them.
    """
    if not packed or len(packed) % STATUS_RECORD_BYTES:
        raise RecordError(f"packed status of {len(packed)} bytes")
    at = time_text(now)
    body: dict[str, object] = {
        "subject": PUBLIC_SUBJECT,
        "occurred_at": at,
        "status_sha256": hashlib.sha256(packed).hexdigest(),
        "status_count": len(packed) // STATUS_RECORD_BYTES,
        "packed": packed.hex(),
    }
    data = record.canonical("status", body)
    return append_leaf(conn, "status", PUBLIC_SUBJECT, data, None, at)


def status_between(conn: sqlite3.Connection, old_size: int, size: int) -> bytes:
    """Return the packed status that goes to the chain with a head.

    Args:
        conn: The writer's connection.
        old_size: Of the head on the chain.
        size: Of the one to come.
    """
    rows = conn.execute(_STATUS, (PUBLIC_SUBJECT, old_size, size))
    return published(_packed(row[0]) for row in rows)


def published(pieces: Iterable[bytes]) -> bytes:
    """Return what the chain shows of the status leaves that a head newly covers.

    All of them, one after the other; if that is too long, the newest record of each
    asset, in the order in which those were sealed.
    """
    whole = bytearray()
    newest: dict[bytes, bytes] = {}
    is_folded = False
    for piece in pieces:
        is_folded = is_folded or len(whole) + len(piece) > MAX_STATUS_BYTES
        if not is_folded:
            whole += piece
        for start in range(0, len(piece), STATUS_RECORD_BYTES):
            one = piece[start : start + STATUS_RECORD_BYTES]
            newest.pop(one[:_REFERENCE_BYTES], None)
            newest[one[:_REFERENCE_BYTES]] = one
    return b"".join(newest.values()) if is_folded else bytes(whole)


def _packed(data: bytes) -> bytes:
    return bytes.fromhex(str(record.parse(data).body["packed"]))


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC with six decimals, as the gateway writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
