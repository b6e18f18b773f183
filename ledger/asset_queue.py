"""What the registry was told of each asset: new and changed ones are queued here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from ledger import record
from ledger.settle import Asset, asset_json
from ledger.sqlite_queues import queue_asset
from ledger.sqlite_store import SqliteStore, append_leaf

_NEWEST: Final = (
    "SELECT json_extract(asset, '$.asset_id'), asset, max(queue_id) FROM asset_queue"
    " GROUP BY 1"
)


def known_assets(conn: sqlite3.Connection) -> dict[str, Mapping[str, Any]]:
    """Return what was queued last of each asset (`asset_json`), by id in hex."""
    return {row[0]: json.loads(row[1]) for row in conn.execute(_NEWEST)}


def newest_record(conn: sqlite3.Connection, asset_id: str) -> bytes | None:
    """Return the record of an asset's newest leaf; ``None``: there is none."""
    found = SqliteStore(conn).leaves_of(asset_id)[-1:]
    return found[0].record if found else None


def register(
    conn: sqlite3.Connection, asset: Asset, body: Mapping[str, object], sealed_at: str
) -> bool:
    """Seal and queue an asset if it is new or its record changed, in one transaction.

    So each change is one leaf and one row of the queue, whatever is repeated.

    Args:
        conn: The writer's connection.
        asset: What the registry shows. A private one gets the commitment of its leaf.
        body: The full record.
        sealed_at: RFC 3339 time.

    Returns:
        Whether it was.
    """
    subject = asset.asset_id.hex()
    data = record.canonical("asset", body)
    if newest_record(conn, subject) == data:
        return False
    index = append_leaf(conn, "asset", subject, data, None, sealed_at)
    shown = asset_json(asset)
    if not asset.is_public:
        (committed,) = SqliteStore(conn).commitments(index, index + 1)
        shown["commitment"] = committed.hex()
    queue_asset(conn, shown)
    return True


def retire(
    conn: sqlite3.Connection,
    last: Mapping[str, Any],
    status: int,
    more: Mapping[str, object],
    sealed_at: str,
) -> None:
    """Seal and queue that an asset is no more; all else stays as it was last.

    Args:
        conn: The writer's connection.
        last: One of `known_assets`.
        status: The code of a retired asset.
        more: What its record says instead.
        sealed_at: RFC 3339 time.
    """
    subject = str(last["asset_id"])
    stored = newest_record(conn, subject)
    before = {} if stored is None else dict(record.parse(stored).body)
    data = record.canonical("asset", {**before, **more, "asset_id": subject})
    index = append_leaf(conn, "asset", subject, data, None, sealed_at)
    shown = {**last, "status": status}
    if not last["is_public"]:
        (committed,) = SqliteStore(conn).commitments(index, index + 1)
        shown["commitment"] = committed.hex()
    queue_asset(conn, shown)
