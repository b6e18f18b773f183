"""Histories of cabinets, good and tampered with."""

import copy
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ledger import record
from ledger.cabinet_proof import build_history
from ledger.cabinets import seal_cabinets
from ledger.sqlite_store import DDL, SqliteStore, append_leaf, erase_leaf
from tests.property.ledger.test_receipt_tampering import flipped, leaves, replaced

NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
AT = "2026-03-02T17:00:00.000000Z"


def cabinet_of(_kind: str, data: bytes) -> str | None:
    """Stations are called after their cabinet: a-1 hangs on a."""
    name = json.loads(data).get("station_id") or json.loads(data)["cabinet_id"]
    return str(name).split("-", maxsplit=1)[0]


def cabinet_history(first: int = 0) -> dict[str, Any]:
    """Three timesteps of two cabinets, one reading of which was erased; of one."""
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.executescript(DDL)
    indexes = []
    for stations in (("a-1", "b-1", "a-2"), ("a-1",), ("b-1", "a-1", "a-2", "a-1")):
        for register, station in enumerate(stations):
            body: dict[str, object] = {
                "session_id": None,
                "station_id": station,
                "evse_id": 1,
                "occurred_at": AT,
                "received_at": AT,
                "register_milliwh": register,
            }
            data = record.canonical("meter", body)
            indexes.append(append_leaf(conn, "meter", "", data, None, AT))
        while seal_cabinets(conn, cabinet_of, NOW, chunk_leaves=4096):
            pass
    erase_leaf(conn, indexes[2])
    store = SqliteStore(conn)
    made = build_history(store, "a", size=store.leaf_count(), first=first)
    conn.close()
    found: dict[str, Any] = json.loads(json.dumps(made))
    return found


def cabinet_texts() -> Iterator[str]:
    """The history, each field of it changed, and parts left out."""
    history = cabinet_history()
    yield json.dumps(history)
    yield json.dumps(cabinet_history(first=5))
    yield json.dumps(history | {"steps": []})
    for at, value in leaves(history):
        yield json.dumps(replaced(history, at, flipped(value, 0)))
    for number in range(3):
        short = copy.deepcopy(history)
        del short["steps"][number]
        yield json.dumps(short)
        fewer = copy.deepcopy(history)
        del fewer["steps"][number]["members"][0]
        yield json.dumps(fewer)
    swapped = copy.deepcopy(history)
    swapped["steps"].reverse()
    yield json.dumps(swapped)
    yield json.dumps(history | {"more": 1})
    yield json.dumps(history).replace('\\"k\\"', '\\"k\\" ', 1)
