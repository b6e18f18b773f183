"""Rows of what witnesses said of the log."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.store.times import from_text, to_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """The last checkpoint that a witness cosigned.

    Attributes:
        witness: Name of its key.
        note: The checkpoint, signed by log and witness.
        seen_at: When the witness found all well, as it says.
        received_at: When it said so.
    """

    witness: str
    size: int
    root: bytes
    note: str
    seen_at: datetime
    received_at: datetime


_KEEP: Final = """
INSERT INTO cosignature (witness, size, root, note, seen_at, received_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (witness) DO UPDATE SET size = excluded.size, root = excluded.root,
    note = excluded.note, seen_at = excluded.seen_at,
    received_at = excluded.received_at
WHERE (excluded.size, excluded.seen_at) > (cosignature.size, cosignature.seen_at)
"""


def keep(conn: sqlite3.Connection, one: Cosignature) -> None:
    """Keep a cosignature, unless a newer one of the same witness is known."""
    values = (
        one.witness,
        one.size,
        one.root,
        one.note,
        to_text(one.seen_at),
        to_text(one.received_at),
    )
    conn.execute(_KEEP, values)


def newest(conn: sqlite3.Connection) -> Sequence[Cosignature]:
    """The last one of each witness, the longest log first."""
    rows = conn.execute(
        "SELECT witness, size, root, note, seen_at, received_at FROM cosignature"
        " ORDER BY size DESC, witness"
    )
    return [
        Cosignature(
            witness=row[0],
            size=row[1],
            root=row[2],
            note=row[3],
            seen_at=from_text(row[4]),
            received_at=from_text(row[5]),
        )
        for row in rows
    ]
