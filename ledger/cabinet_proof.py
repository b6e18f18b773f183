"""A cabinet's history as a file that proves itself; `ledger.verify_cabinet` checks it.

``{"format": "wattproof-cabinet/1", "cabinet_id", "head": {"size", "root"}, "steps":
[{"leaf": {"index", "salt", "record", "inclusion"}, "members": [{"index", "kind",
"commitment", "salt" or null, "record" or null}, ...]}, ...]}``: the leaves of kind
``cabinet``, oldest first, with what each of them gathers. Erased members show their
commitment only; the sub-tree still proves how many there were.
"""

from __future__ import annotations

from typing import Any, Final

from ledger import log, record
from ledger.sqlite_store import SqliteStore

FORMAT: Final = "wattproof-cabinet/1"
MAX_MEMBERS: Final = 20_000
"""Members in one file; the steps after it go into the next one."""

_STEPS: Final = (
    "SELECT leaf_index FROM leaf WHERE subject = ? AND kind = 'cabinet'"
    " AND leaf_index >= ? AND leaf_index < ? AND record IS NOT NULL"
    " ORDER BY leaf_index"
)


def build_history(
    store: SqliteStore, cabinet_id: str, *, size: int, first: int = 0
) -> dict[str, object]:
    """Gather a cabinet's timesteps below a head, as many as one file holds.

    Args:
        store: In a transaction.
        cabinet_id: Which cabinet.
        size: Of the head to prove them in.
        first: Leave out timesteps whose leaf stands before this one.

    Raises:
        ProofError: The log is shorter than ``size``.
    """
    head = log.head(store, size)
    steps: list[dict[str, object]] = []
    n_member = 0
    indexes = [row[0] for row in store.conn.execute(_STEPS, (cabinet_id, first, size))]
    for index in indexes:
        step = _step(store, index, size)
        n_member += len(step["members"])
        if steps and n_member > MAX_MEMBERS:
            break
        steps.append(step)
    return {
        "format": FORMAT,
        "cabinet_id": cabinet_id,
        "head": {"size": head.size, "root": head.root.hex()},
        "steps": steps,
    }


def _step(store: SqliteStore, index: int, size: int) -> dict[str, Any]:
    leaf = store.leaf(index)
    assert leaf is not None, "it was just found"
    assert leaf.record is not None, "it was just found"
    assert leaf.salt is not None, "a record goes with its salt"
    members = []
    for number in record.parse_json(leaf.record)["leaf_indexes"]:  # type: ignore[index]  # a record of `ledger.cabinets`
        member = store.leaf(number)
        assert member is not None, "leaves are never deleted"
        members.append(
            {
                "index": number,
                "kind": member.kind,
                "commitment": member.commitment.hex(),
                "salt": None if member.salt is None else member.salt.hex(),
                "record": None if member.record is None else member.record.decode(),
            }
        )
    inclusion = log.inclusion_proof(store, index, size)
    shown = {
        "index": index,
        "salt": leaf.salt.hex(),
        "record": leaf.record.decode(),
        "inclusion": [step.hex() for step in inclusion],
    }
    return {"leaf": shown, "members": members}
