"""The append-only log over a store: heads and proofs in O(log n) look-ups.

Appending is the store's business and stays cheap: one row per leaf, in the very
transaction that stores the fact. The inner nodes follow later (`extend_nodes`), in the
anchoring thread. Only complete subtrees of `BLOCK_LEAVES` leaves and more are stored;
what lies below is recomputed from at most `BLOCK_LEAVES` commitments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger import merkle
from ledger.errors import ProofError

BLOCK_LEVEL: Final = 4
BLOCK_LEAVES: Final = 1 << BLOCK_LEVEL
CHUNK_LEAVES: Final = 4096


class LogStore(Protocol):
    """What the log needs of a store; every method runs inside the caller's transaction.

    `ledger.sqlite_store.SqliteStore` is the reference implementation.
    """

    def leaf_count(self) -> int:
        """Return the number of leaves sealed so far."""
        ...

    def commitments(self, start: int, end: int) -> Sequence[bytes]:
        """Return the commitments of leaves ``start`` to ``end`` (excluded), in order.

        A leaf that does not exist is left out, so the answer may be shorter.
        """
        ...

    def extended_leaf_count(self) -> int:
        """Return how many leaves the stored nodes cover, a multiple of 16."""
        ...

    def node(self, level: int, index: int) -> bytes | None:
        """Return a stored node (level >= 4), ``None`` when it is not stored."""
        ...

    def put_nodes(
        self, nodes: Iterable[tuple[int, int, bytes]], extended_leaf_count: int
    ) -> None:
        """Store ``(level, index, hash)`` and how many leaves are covered from now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A tree head: what one hash says about the first ``size`` leaves."""

    size: int
    root: bytes


def extend_nodes(
    store: LogStore, upto: int | None = None, *, chunk_leaves: int = CHUNK_LEAVES
) -> bool:
    """Compute and store the nodes over new leaves, a bounded piece at a time.

    Args:
        store: The store, inside a transaction of the caller.
        upto: Cover the log up to this size; by default all of it.
        chunk_leaves: Work on at most this many leaves, so that a long backlog does not
            hold the writer for long.

    Returns:
        Whether more is left to do; call again, in a new transaction.
    """
    size = store.leaf_count() if upto is None else min(upto, store.leaf_count())
    covered = store.extended_leaf_count()
    target = size // BLOCK_LEAVES * BLOCK_LEAVES
    end = min(target, covered + max(chunk_leaves // BLOCK_LEAVES, 1) * BLOCK_LEAVES)
    if end <= covered:
        return False
    leaves = store.commitments(covered, end)
    if len(leaves) != end - covered:
        raise ProofError(f"the store lost leaves between {covered} and {end}")
    fresh: dict[tuple[int, int], bytes] = {}
    for at in range(0, len(leaves), BLOCK_LEAVES):
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves[at : at + BLOCK_LEAVES]]
        level, index = BLOCK_LEVEL, (covered + at) >> BLOCK_LEVEL
        running = merkle.root(hashes)
        fresh[level, index] = running
        while index & 1:
            left = fresh.get((level, index - 1)) or _stored(store, level, index - 1)
            running = merkle.node_hash(left, running)
            level, index = level + 1, index >> 1
            fresh[level, index] = running
    store.put_nodes(((lv, ix, value) for (lv, ix), value in fresh.items()), end)
    return end < target


def head(store: LogStore, size: int | None = None) -> Head:
    """Return the head of the first ``size`` leaves, by default of all.

    Raises:
        ProofError: The log is shorter than that.
    """
    size = _checked_size(store, size)
    root = merkle.subtree_root(0, size, _source(store))
    return Head(size=size, root=root)


def inclusion_proof(
    store: LogStore, index: int, size: int | None = None
) -> tuple[bytes, ...]:
    """Return the audit path of leaf ``index`` in the log of ``size`` leaves.

    Raises:
        ProofError: There is no such leaf, or the log is shorter than ``size``.
    """
    size = _checked_size(store, size)
    return tuple(merkle.inclusion_proof(index, size, _source(store)))


def consistency_proof(
    store: LogStore, old_size: int, new_size: int | None = None
) -> tuple[bytes, ...]:
    """Return the proof that the log of ``old_size`` is a prefix of ``new_size``.

    Raises:
        ProofError: The sizes are no prefix of this log.
    """
    new_size = _checked_size(store, new_size)
    return tuple(merkle.consistency_proof(old_size, new_size, _source(store)))


def node(store: LogStore, level: int, index: int) -> bytes:
    """Return the hash of a complete subtree, stored or computed.

    Raises:
        ProofError: The log does not have all of its leaves.
    """
    return _source(store)(level, index)


def _checked_size(store: LogStore, size: int | None) -> int:
    count = store.leaf_count()
    if size is None:
        return count
    if not 0 <= size <= count:
        raise ProofError(f"no head of size {size} in a log of {count}")
    return size


def _stored(store: LogStore, level: int, index: int) -> bytes:
    found = store.node(level, index)
    if found is None:
        raise ProofError(f"the store lost node {index} of level {level}")
    return found


def _source(store: LogStore) -> merkle.NodeSource:
    """Read nodes from the store; compute those that are not stored (yet)."""

    def node(level: int, index: int) -> bytes:
        if level >= BLOCK_LEVEL:
            found = store.node(level, index)
            if found is not None:
                return found
            if level > BLOCK_LEVEL:
                left, right = 2 * index, 2 * index + 1
                return merkle.node_hash(node(level - 1, left), node(level - 1, right))
        start, end = index << level, (index + 1) << level
        leaves = store.commitments(start, end)
        if len(leaves) != end - start:
            raise ProofError(f"the store lost leaves between {start} and {end}")
        return merkle.root([merkle.leaf_hash(leaf) for leaf in leaves])

    return node
