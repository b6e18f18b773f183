"""The Merkle tree of RFC 9162 (section 2.1) with SHA-256: roots and proofs.

Everything here is a pure function. A tree of n leaves is read through a *node source*
``node(level, index)``: the hash of the complete subtree over the leaves
``index * 2**level`` up to (not including) ``(index + 1) * 2**level``. Complete subtrees
never change when the log grows, so they can be stored once and for all; any root and
any proof then costs O(log n) look-ups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import ProofError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

NodeSource = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf, ``H(0x00 || data)``."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node, ``H(0x01 || left || right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactRange:
    """The complete subtrees that cover the first ``size`` leaves, largest first.

    Attributes:
        size: Number of leaves.
        hashes: One hash per set bit of ``size``, from the highest bit down.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> CompactRange:
        """Add one leaf hash; O(1) hashes on average, O(log n) at most."""
        hashes = list(self.hashes)
        carry, rest = leaf, self.size
        while rest & 1:
            carry = node_hash(hashes.pop(), carry)
            rest >>= 1
        return CompactRange(size=self.size + 1, hashes=(*hashes, carry))

    def root(self) -> bytes:
        """Return the tree head of these leaves."""
        return _fold(self.hashes)


def compact(leaf_hashes: Sequence[bytes]) -> CompactRange:
    """Return the complete subtrees over leaf hashes, ready to be appended to."""
    size, start, hashes = len(leaf_hashes), 0, []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(root(leaf_hashes[start : start + (1 << level)]))
            start += 1 << level
    return CompactRange(size=size, hashes=tuple(hashes))


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the tree head over leaf hashes; the hash of nothing for none."""
    level = list(leaf_hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        # Pairing neighbours and carrying a lonely last one up is the RFC's split at
        # the largest power of two, bottom-up.
        paired = [
            node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)
        ]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def subtree_root(start: int, end: int, node: NodeSource) -> bytes:
    """Return the tree head over leaves ``start`` to ``end`` (excluded).

    Args:
        start: A multiple of the smallest power of two that is >= ``end - start``, as
            all subtrees of the RFC's recursion are.
        end: One past the last leaf.
        node: Hashes of complete subtrees.
    """
    hashes: list[bytes] = []
    at = start
    while at < end:
        level = (end - at).bit_length() - 1
        hashes.append(node(level, at >> level))
        at += 1 << level
    return _fold(hashes)


def inclusion_proof(index: int, size: int, node: NodeSource) -> list[bytes]:
    """Return the audit path of a leaf in the tree of ``size`` leaves, bottom first.

    Raises:
        ProofError: There is no such leaf in a tree of that size.
    """
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a log of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start = middle
    path.reverse()
    return path


def consistency_proof(old_size: int, new_size: int, node: NodeSource) -> list[bytes]:
    """Return the proof that the old tree is a prefix of the new one.

    Empty for ``old_size`` 0 (every log extends the empty one) and for equal sizes.

    Raises:
        ProofError: The old log is longer than the new one, or a size is negative.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a log of {old_size} is no prefix of one of {new_size}")
    if old_size in {0, new_size}:
        return []
    path: list[bytes] = []
    start, end, whole = 0, new_size, True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start = middle
            whole = False
    if not whole:
        path.append(subtree_root(start, end, node))
    path.reverse()
    return path


def verify_inclusion(
    *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], head: bytes
) -> bool:
    """Say whether a leaf hash stands at ``index`` in the tree with this head.

    RFC 9162, 2.1.3.2. Wrong lengths give ``False``, never an error.
    """
    if not 0 <= index < size or any(len(item) != HASH_BYTES for item in proof):
        return False
    at, last, running = index, size - 1, leaf
    for item in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            running = node_hash(item, running)
            while at & 1 == 0 and at:
                at >>= 1
                last >>= 1
        else:
            running = node_hash(running, item)
        at >>= 1
        last >>= 1
    return last == 0 and running == head


def verify_consistency(
    *,
    old_size: int,
    new_size: int,
    old_head: bytes,
    new_head: bytes,
    proof: Sequence[bytes],
) -> bool:
    """Say whether the log with the old head is a prefix of the one with the new head.

    RFC 9162, 2.1.4.2. Wrong lengths give ``False``, never an error.
    """
    if not 0 <= old_size <= new_size or any(len(i) != HASH_BYTES for i in proof):
        return False
    if old_size == new_size:
        return not proof and old_head == new_head
    if old_size == 0:
        return not proof and old_head == EMPTY_ROOT
    # A complete old tree is itself the first node, so the proof leaves it out.
    path = [old_head, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    return bool(proof) and _walk(old_size, new_size, path) == (old_head, new_head)


def refutes_consistency(
    *,
    old_size: int,
    new_size: int,
    old_head: bytes,
    new_head: bytes,
    proof: Sequence[bytes],
) -> bool:
    """Say whether a proof shows that the new head has another prefix than the old head.

    It does where it leads to the new head and to another old one: its hashes are then
    those of the new tree. A proof that leads nowhere shows nothing, and neither does
    any for an old size that is a power of two, whose proof begins with the old head.
    """
    if not 0 < old_size < new_size or any(len(i) != HASH_BYTES for i in proof):
        return False
    if not proof or old_size & (old_size - 1) == 0:
        return False
    led = _walk(old_size, new_size, list(proof))
    return led is not None and led[1] == new_head and led[0] != old_head


def _walk(
    old_size: int, new_size: int, path: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    """Return both heads that a consistency path leads to, ``None`` for a bad length."""
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    old_running = new_running = path[0]
    for item in path[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            old_running = node_hash(item, old_running)
            new_running = node_hash(item, new_running)
            while at & 1 == 0 and at:
                at >>= 1
                last >>= 1
        else:
            new_running = node_hash(new_running, item)
        at >>= 1
        last >>= 1
    return (old_running, new_running) if last == 0 else None


def _split(size: int) -> int:
    """Return the largest power of two smaller than ``size`` (size > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Join complete subtrees, largest first, into one head."""
    if not hashes:
        return EMPTY_ROOT
    running = hashes[-1]
    for item in reversed(hashes[:-1]):
        running = node_hash(item, running)
    return running
