"""Proofs verify for every size and index, and only for the truth."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ledger import merkle


def leaves_of(size: int) -> list[bytes]:
    return [merkle.leaf_hash(i.to_bytes(4, "big")) for i in range(size)]


def rfc_root(leaves: list[bytes]) -> bytes:
    """The recursion of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(rfc_root(leaves[:k]), rfc_root(leaves[k:]))


def source(leaves: list[bytes]) -> merkle.NodeSource:
    def node(level: int, index: int) -> bytes:
        part = leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level, "only complete subtrees may be asked for"
        return rfc_root(part)

    return node


def test_the_empty_tree_and_the_empty_leaf_match_the_rfc() -> None:
    assert merkle.root([]).hex() == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert merkle.leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


def test_every_size_below_70_has_verifying_proofs_for_every_leaf_and_prefix() -> None:
    compact = merkle.CompactRange()
    for size in range(70):
        leaves = leaves_of(size)
        node = source(leaves)
        head = rfc_root(leaves)
        assert merkle.root(leaves) == compact.root() == head
        assert merkle.subtree_root(0, size, node) == head
        for index in range(size):
            assert merkle.verify_inclusion(
                leaf=leaves[index],
                index=index,
                size=size,
                proof=merkle.inclusion_proof(index, size, node),
                head=head,
            )
        for old in range(size + 1):
            assert merkle.verify_consistency(
                old_size=old,
                new_size=size,
                old_head=rfc_root(leaves[:old]),
                new_head=head,
                proof=merkle.consistency_proof(old, size, node),
            )
        compact = compact.append(leaves_of(size + 1)[-1])


@given(st.integers(2, 300), st.data())
def test_a_changed_inclusion_proof_never_verifies(
    size: int, data: st.DataObject
) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, source(leaves))
    head = merkle.root(leaves)
    place = data.draw(st.integers(0, len(proof) - 1))
    byte, bit = data.draw(st.integers(0, 31)), data.draw(st.integers(0, 7))
    broken = bytearray(proof[place])
    broken[byte] ^= 1 << bit
    forged = [*proof[:place], bytes(broken), *proof[place + 1 :]]
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    truth = {"leaf": leaves[index], "head": head}

    def verdict(index: int, proof: list[bytes], size: int = size) -> bool:
        return merkle.verify_inclusion(
            leaf=truth["leaf"], index=index, size=size, proof=proof, head=truth["head"]
        )

    assert verdict(index, proof)
    assert not verdict(index, forged)
    assert not verdict(other, proof)
    assert not verdict(index, proof[:-1])
    assert not verdict(index, [*proof, proof[-1]])
    assert not verdict(index, [proof[0][:-1], *proof[1:]])
    assert not verdict(size, proof)


@given(st.integers(2, 300), st.data())
def test_a_forked_log_has_no_consistency_proof(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_proof(old, size, source(leaves))
    changed = data.draw(st.integers(0, old - 1))
    fork = [*leaves]
    fork[changed] = merkle.leaf_hash(b"rewritten")

    def verdict(old_head: bytes, new_head: bytes, proof: list[bytes]) -> bool:
        return merkle.verify_consistency(
            old_size=old, new_size=size, old_head=old_head, new_head=new_head,
            proof=proof,
        )  # fmt: skip

    old_head, new_head = merkle.root(leaves[:old]), merkle.root(leaves)
    assert verdict(old_head, new_head, proof)
    assert not verdict(old_head, merkle.root(fork), proof)
    forked_proof = merkle.consistency_proof(old, size, source(fork))
    assert not verdict(old_head, merkle.root(fork), forked_proof)
    assert not verdict(old_head, new_head, proof[:-1])
    assert not verdict(old_head, new_head, [*proof, new_head])
    assert not verdict(old_head, new_head, [])
