"""The public export: what strangers may have of the log, in pieces by path.

``checkpoint`` is a signed note of size and root, ``key`` what it is signed with,
``tile`` holds hashes and commitments, ``disclosed`` the records that may be seen, with
their salts, and which of them were erased. Nothing else of a record leaves: no kind, no
subject, no time. The same pieces make a folder that any web server can serve, or are
answered one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from ledger import log, record
from ledger.checkpoint import (
    TILE_LEVELS,
    TILE_WIDTH,
    Checkpoint,
    TilePath,
    width_at,
    write_entries,
)
from ledger.errors import RecordError
from ledger.note import SigningKey, signed
from ledger.sqlite_store import Leaf, SqliteStore

CHECKPOINT: Final = "checkpoint"
KEY: Final = "key"
CHAIN: Final = "chain"
LEVEL_BITS: Final = 8
DISCLOSED_FORMAT: Final = "wattproof-disclosed/1"

PUBLIC_KINDS: Final = frozenset({"status", "asset"})
"""Kinds of which records may be for everybody; see `is_public`."""

Document: TypeAlias = Mapping[str, object]
Disclose: TypeAlias = Callable[[Leaf], Document | None]
"""What goes with a record that is disclosed, such as the plan it is about."""

_DISCLOSED: Final = (
    "SELECT leaf_index FROM leaf WHERE leaf_index >= ? AND leaf_index < ?"
    " AND record IS NOT NULL AND kind IN (SELECT value FROM json_each(?))"
    " ORDER BY leaf_index"
)
_ERASED: Final = (
    "SELECT leaf_index, kind FROM leaf WHERE leaf_index >= ? AND leaf_index < ?"
    " AND record IS NULL AND kind IN (SELECT value FROM json_each(?))"
    " ORDER BY leaf_index"
)


def is_public(leaf: Leaf) -> bool:
    """Whether anybody may read a record: public status, and assets that are public."""
    if leaf.kind == "status":
        return True
    if leaf.kind != "asset" or leaf.record is None:
        return False
    try:
        return record.parse(leaf.record).body.get("is_public") is True
    except RecordError:
        return False


def look(store: SqliteStore, origin: str, at: str) -> Checkpoint:
    """Say what the whole log is now.

    Args:
        store: In a transaction.
        origin: Name of the log: that of its key.
        at: RFC 3339 time of looking, so that an old note can be told from a log at
            rest.
    """
    head = log.head(store)
    return Checkpoint(origin=origin, size=head.size, root=head.root, more=(f"at {at}",))


def checkpoint_note(made: Checkpoint, key: SigningKey) -> str:
    """Sign a checkpoint as the log."""
    return signed(made.text, (key.sign(made.text),))


def tile(store: SqliteStore, path: TilePath, size: int) -> bytes | None:
    """Make a tile of the log as it was at a size; ``None``: it is beyond that.

    Raises:
        ProofError: The store lost leaves.
    """
    if path.end_leaf > size:
        return None
    first = path.index * TILE_WIDTH
    if not isinstance(path.level, int):
        return write_entries(list(store.commitments(first, first + path.width)))
    level = path.level * LEVEL_BITS
    hashes = (
        log.node(store, level, index) for index in range(first, first + path.width)
    )
    return b"".join(hashes)


def disclosed(
    store: SqliteStore,
    path: TilePath,
    size: int,
    *,
    kinds: frozenset[str] = PUBLIC_KINDS,
    document: Disclose = lambda _leaf: None,
) -> bytes | None:
    """Make the piece with the records that may be seen; ``None``: beyond the log.

    It names those of these kinds that were erased, so that nobody takes them for lost.
    Of other kinds it says nothing: that somebody was erased who charged at a time is
    not for everybody.

    Args:
        store: In a transaction.
        path: Which leaves.
        size: Of the log, as the checkpoint says.
        kinds: What the reader may see; of `PUBLIC_KINDS` only what is public.
        document: What goes with a record.
    """
    if path.end_leaf > size:
        return None
    asked = (path.first_leaf, path.end_leaf, json.dumps(sorted(kinds)))
    leaves: list[dict[str, Any]] = []
    for (index,) in store.conn.execute(_DISCLOSED, asked).fetchall():
        leaf = store.leaf(index)
        if leaf is None or leaf.salt is None or leaf.record is None:
            continue
        if leaf.kind in PUBLIC_KINDS and not is_public(leaf):
            continue
        leaves.append(
            {
                "index": index,
                "kind": leaf.kind,
                "salt": leaf.salt.hex(),
                "record": leaf.record.decode(),
                "document": document(leaf),
            }
        )
    erased = [
        {"index": index, "kind": kind}
        for index, kind in store.conn.execute(_ERASED, asked)
    ]
    found = {"format": DISCLOSED_FORMAT, "leaves": leaves, "erased": erased}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def pieces(size: int) -> Iterator[TilePath]:
    """All tiles of a log of this size, and the pieces with what is disclosed."""
    for index in range(-(-size // TILE_WIDTH)):
        width = width_at(0, index, size)
        yield TilePath(level="entries", index=index, width=width)
        yield TilePath(level="disclosed", index=index, width=width)
    for level in range(TILE_LEVELS):
        n_hash = size // TILE_WIDTH**level
        for index in range(-(-n_hash // TILE_WIDTH)):
            width = width_at(level, index, size)
            yield TilePath(level=level, index=index, width=width)


def write_folder(
    store: SqliteStore,
    folder: Path,
    key: SigningKey,
    *,
    at: str,
    chain: Document | None,
    kinds: frozenset[str] = PUBLIC_KINDS,
    document: Disclose = lambda _leaf: None,
) -> Checkpoint:
    """Write the export, or bring a folder with an earlier one up to date.

    The checkpoint comes last: what it speaks of is there. Tiles that are full are kept
    as they are; what is disclosed is written anew, since records may have been erased.

    Args:
        store: In a transaction that sees one moment.
        folder: Where; made if it is not there.
        key: The log's.
        at: RFC 3339 time.
        chain: Where heads are anchored, for whoever has a node; public.
        kinds: See `disclosed`.
        document: See `disclosed`.

    Returns:
        What the checkpoint says.

    Raises:
        OSError: It cannot be written.
    """
    made = look(store, key.verifier.name, at)
    for path in pieces(made.size):
        target = folder / path.path
        if path.level == "disclosed":
            data = disclosed(store, path, made.size, kinds=kinds, document=document)
        elif path.width == TILE_WIDTH and target.is_file():
            continue
        else:
            data = tile(store, path, made.size)
        assert data is not None, "it is within the log"
        _replace(target, data)
    _replace(folder / KEY, f"{key.verifier.text}\n".encode())
    _replace(folder / CHAIN, json.dumps(chain).encode())
    _replace(folder / CHECKPOINT, checkpoint_note(made, key).encode())
    return made


def _replace(target: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    if target.is_file() and target.read_bytes() == data:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(data)
    part.replace(target)
