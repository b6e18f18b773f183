"""Leaves about what is public anyway: the packed status that goes with a head."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime
from typing import Final

from ledger import record
from ledger.sqlite_store import append_leaf

STATUS_RECORD_BYTES: Final = 13
"""One asset in packed status (``contracts/README.md``, Layouts)."""
PUBLIC_SUBJECT: Final = "public"
"""Subject of leaves that anyone may read; no session and no cabinet is called so."""


def seal_status(conn: sqlite3.Connection, packed: bytes, now: datetime) -> int:
    """Append the leaf of the status that the next head carries to the chain.

    Args:
        conn: The writer's connection, in the transaction that fixes the head.
        packed: The records of the assets that changed, not empty.
        now: Site time.

    Returns:
        The leaf's index.
    """
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


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC with six decimals, as the gateway writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
