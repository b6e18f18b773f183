"""The contract and the Python verifier say the same of every consistency proof."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import pytest
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from hexbytes import HexBytes
from web3 import EthereumTesterProvider, Web3

from ledger import merkle
from ledger.contracts import artifact

if TYPE_CHECKING:
    from web3.contract import Contract

SIZES: Final = (2**5, 2**12, 2**26, 2**63)
LAST_SIZE: Final = 2**64 - 1


@pytest.fixture(scope="module")
def tester() -> EthereumTester:
    return EthereumTester(PyEVMBackend())


@pytest.fixture(scope="module")
def deployed(tester: EthereumTester) -> Contract:
    """An anchor without a head."""
    web3 = Web3(EthereumTesterProvider(tester))
    compiled = artifact("StatusAnchor")
    admin = web3.eth.accounts[0]
    factory = web3.eth.contract(abi=compiled.abi, bytecode=compiled.creation_code)
    sent = factory.constructor(admin).transact({"from": admin})
    anchor = factory(web3.eth.wait_for_transaction_receipt(sent)["contractAddress"])
    role = anchor.functions.ANCHORER_ROLE().call()
    anchor.functions.grantRole(role, admin).transact({"from": admin})
    return anchor


@pytest.fixture
def anchor(tester: EthereumTester, deployed: Contract) -> Iterator[Contract]:
    """The anchor as it was after its deployment."""
    before = tester.take_snapshot()
    yield deployed
    tester.revert_to_snapshot(before)


def node_of(level: int, index: int) -> bytes:
    return sha256(b"%d/%d" % (level, index)).digest()


def heads_of(old: int, new: int, proof: list[bytes]) -> tuple[bytes, bytes]:
    """The two heads that a proof of invented hashes leads to."""
    first = node_of(0, 0)
    path = [first, *proof] if old & (old - 1) == 0 else proof
    heads = merkle._walk(old, new, path)
    assert heads is not None
    return heads


def proof_of(old: int, new: int, rng: random.Random) -> list[bytes]:
    """Hashes as many as a proof between two sizes has; which ones does not matter."""

    def invented(_level: int, _index: int) -> bytes:
        return rng.randbytes(32)

    return merkle.consistency_proof(old, new, invented)


def damaged(proof: list[bytes], rng: random.Random) -> list[bytes]:
    """A proof that lacks a hash, has one more, two swapped, or a wrong bit."""
    worse, place = list(proof), rng.randrange(len(proof))
    match rng.randrange(4):
        case 0:
            del worse[place]
        case 1:
            worse.insert(place, rng.randbytes(32))
        case 2:
            other = rng.randrange(len(proof))
            worse[place], worse[other] = worse[other], worse[place]
        case _:
            bit = 1 << rng.randrange(256)
            flipped = int.from_bytes(worse[place]) ^ bit
            worse[place] = flipped.to_bytes(32)
    return worse


def accepts(anchor: Contract, size: int, root: bytes, proof: list[bytes]) -> bool:
    """Whether the contract would take a head; nothing is anchored."""
    admin = anchor.w3.eth.accounts[0]
    try:
        anchor.functions.anchor(size, root, proof, b"").call({"from": admin})
    except TransactionFailed:
        return False
    return True


def sizes(rng: random.Random) -> tuple[int, int, int]:
    """An older size, a newer one, and another that is stated instead of it."""
    old = rng.randrange(1, rng.choice(SIZES))
    if rng.random() < 0.2:  # complete trees
        old = 1 << old.bit_length()
    grown = rng.choice((1, 2, 1000, old, 2**20))
    new = min(old + rng.randrange(1, grown + 1), LAST_SIZE)
    stated = rng.choice((new - 1, new + 1, 2 * new, old + 1))
    return old, new, min(max(stated, old + 1), LAST_SIZE)


@pytest.mark.parametrize("seed", range(25))
def test_contract_and_verifier_agree(anchor: Contract, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # a test draws
    old, new, stated = sizes(rng)
    proof = proof_of(old, new, rng)
    old_head, new_head = heads_of(old, new, proof)
    admin = anchor.w3.eth.accounts[0]
    anchor.functions.anchor(old, old_head, [], b"").transact({"from": admin})
    assert accepts(anchor, new, new_head, proof)
    claims = [(new, damaged(proof, rng)) for _ in range(4)]
    claims += [(stated, proof), (LAST_SIZE, proof), (new, [])]
    for size, hashes in claims:
        holds = merkle.verify_consistency(
            old_size=old,
            new_size=size,
            old_head=old_head,
            new_head=new_head,
            proof=hashes,
        )
        assert accepts(anchor, size, new_head, hashes) is holds, (old, new, size)
    assert not accepts(anchor, new, old_head, proof)


def test_what_stands_behind_a_proof_is_no_part_of_it(anchor: Contract) -> None:
    """Calldata where the hash that a proof lacks stands right behind its end."""
    rng = random.Random(7)  # noqa: S311  # a test draws
    proof = proof_of(20_000, 21_000, rng)
    old_head, new_head = heads_of(20_000, 21_000, proof)
    admin = anchor.w3.eth.accounts[0]
    anchor.functions.anchor(20_000, old_head, [], b"").transact({"from": admin})

    def answer(stated: int) -> bool:
        words = [(21_000).to_bytes(32), new_head, (0xA0).to_bytes(32)]
        words += [(0x80).to_bytes(32), bytes(32), stated.to_bytes(32), *proof]
        selector = anchor.w3.keccak(text="anchor(uint64,bytes32,bytes32[],bytes)")[:4]
        data = HexBytes(selector + b"".join(words))
        try:
            anchor.w3.eth.call({"to": anchor.address, "from": admin, "data": data})
        except TransactionFailed:
            return False
        return True

    assert answer(len(proof))
    assert not answer(len(proof) - 1)
    assert not answer(0)
