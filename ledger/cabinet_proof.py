"""A cabinet's history as a file that proves itself, and its check.

``{"format": "wattproof-cabinet/1", "cabinet_id", "head": {"size", "root"}, "steps":
[{"leaf": {"index", "salt", "record", "inclusion"}, "members": [{"index", "kind",
"commitment", "salt" or null, "record" or null}, ...]}, ...]}``: the leaves of kind
``cabinet``, oldest first, with what each of them gathers. Erased members show their
commitment only; the sub-tree still proves how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger import log, merkle, record
from ledger.errors import BundleError, RecordError
from ledger.sqlite_store import SqliteStore

FORMAT: Final = "wattproof-cabinet/1"
MAX_MEMBERS: Final = 20_000
"""Members in one file; the steps after it go into the next one."""

_STEPS: Final = (
    "SELECT leaf_index FROM leaf WHERE subject = ? AND kind = 'cabinet'"
    " AND leaf_index >= ? AND leaf_index < ? AND record IS NOT NULL"
    " ORDER BY leaf_index"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetHistory:
    """What a file of a cabinet's history proves.

    Attributes:
        steps: How many timesteps.
        members: How many leaves of the cabinet.
        erased: How many of them show no record any more.
        goes_on_from: Leaf of the timestep before the first one shown; ``None``: this is
            the beginning.
    """

    cabinet_id: str
    size: int
    root: bytes
    steps: int
    members: int
    erased: int
    goes_on_from: int | None


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


def check_history(document: object) -> CabinetHistory:
    """Check a cabinet's history against the head that it names.

    Raises:
        BundleError: It is not such a file, or something in it is false.
    """
    try:
        return _check(document)
    except RecordError as error:
        raise BundleError(str(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"not a cabinet's history: {error!r}") from error


def _check(document: Any) -> CabinetHistory:  # noqa: ANN401 - whatever a file holds
    if document["format"] != FORMAT:
        raise BundleError(f"not of the format {FORMAT}")
    size, root = int(document["head"]["size"]), bytes.fromhex(document["head"]["root"])
    cabinet_id: str = document["cabinet_id"]
    before: int | None = None
    goes_on_from: int | None = None
    n_member = n_erased = 0
    for number, step in enumerate(document["steps"]):
        body = _included(step["leaf"], size, root)
        if body["cabinet_id"] != cabinet_id:
            raise BundleError(f"step {number} is of another cabinet")
        if number == 0:
            goes_on_from = body["previous_leaf_index"]
        elif body["previous_leaf_index"] != before:
            raise BundleError(f"a timestep is missing before step {number}")
        before = step["leaf"]["index"]
        n_erased += _check_members(number, body, step["members"])
        n_member += len(step["members"])
    return CabinetHistory(
        cabinet_id=cabinet_id,
        size=size,
        root=root,
        steps=len(document["steps"]),
        members=n_member,
        erased=n_erased,
        goes_on_from=goes_on_from,
    )


def _included(leaf: Mapping[str, Any], size: int, root: bytes) -> Mapping[str, Any]:
    data = leaf["record"].encode()
    found = record.parse(data)
    if found.kind != "cabinet":
        raise BundleError(f"leaf {leaf['index']} is of kind {found.kind}")
    committed = record.commitment(bytes.fromhex(leaf["salt"]), data)
    if not merkle.verify_inclusion(
        leaf=merkle.leaf_hash(committed),
        index=leaf["index"],
        size=size,
        proof=[bytes.fromhex(step) for step in leaf["inclusion"]],
        head=root,
    ):
        raise BundleError(f"leaf {leaf['index']} is not under this head")
    return found.body


def _check_members(
    number: int, body: Mapping[str, Any], members: Sequence[Mapping[str, Any]]
) -> int:
    """Check what a timestep gathers; return how many records are erased."""
    committed = [bytes.fromhex(member["commitment"]) for member in members]
    made = merkle.root([merkle.leaf_hash(one) for one in committed])
    indexes = [member["index"] for member in members]
    if (
        made.hex() != body["leaves_root"]
        or indexes != list(body["leaf_indexes"])
        or len(members) != body["leaves_count"]
    ):
        raise BundleError(f"step {number} gathers other leaves than those shown")
    n_erased = 0
    for member, expected in zip(members, committed, strict=True):
        if member["record"] is None or member["salt"] is None:
            n_erased += 1
            continue
        salt, data = bytes.fromhex(member["salt"]), member["record"].encode()
        if record.commitment(salt, data) != expected:
            raise BundleError(f"leaf {member['index']} is not that of its record")
        if record.parse(data).kind != member["kind"]:
            raise BundleError(f"leaf {member['index']} is of another kind")
    return n_erased
