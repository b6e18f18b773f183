"""The models of the contracts do what the EVM does with the same calls."""

import hashlib
import random
from collections import Counter
from pathlib import Path

from ledger import merkle
from ledger.contracts import artifact
from ledger.credit_queue import CreditRow
from ledger.credits import credit_calldata
from ledger.errors import ContractRevertedError
from ledger.outbox import SettlementRow
from ledger.ports import Chain, Signer
from ledger.settle import proven_calldata, settle_calldata
from tests.support.ledger_site import make_site
from tests.support.sim_contracts import (
    Slots,
    closed_before,
    execute,
    is_closed,
    is_settled,
    tx_from,
)

N_CALL = 96
N_LEAF = 12
LEAVES = [hashlib.sha256(b"leaf %d" % index).digest() for index in range(N_LEAF)]
FUNCTIONS = (
    "anchor",
    "settleBatch",
    "recordInvoices",
    "recordCredit",
    "settleProven",
    "settleNetted",
    "recordNettedCredit",
)
USERS = ["0x" + "a1" * 20, "0x" + "b2" * 20]


def test_the_models_accept_and_refuse_what_the_evm_does(tmp_path: Path) -> None:
    """Random calls, good and bad: the same answer and the same state after each."""
    site = make_site(tmp_path)
    site.worker.step(site.clock.advance(60))
    addresses = dict(site.conn.execute("SELECT name, address FROM deployment"))
    anchor, settlement = addresses["StatusAnchor"], addresses["Settlement"]
    signers = {anchor: site.signers.anchorer, settlement: site.signers.settler}
    slots: Slots = {
        ("code", anchor): "StatusAnchor",
        ("code", settlement): "Settlement",
    }
    size, root, _at = artifact("StatusAnchor").result(
        "head", site.chain.call(anchor, artifact("StatusAnchor").calldata("head"))
    )
    assert size == 0, "nothing was anchored yet"
    rng = random.Random(8)  # noqa: S311  # a seeded test
    seen: Counter[tuple[str, bool]] = Counter()
    for number in range(N_CALL):
        function = FUNCTIONS[rng.choices(range(7), (3, 4, 3, 3, 4, 4, 6))[0]]
        size = slots.get(("head", anchor), (0, root))[0]
        data = CALLS[function](rng, size, closed_before(slots, settlement))
        to = anchor if function == "anchor" else settlement
        real = succeeds(site.chain, signers[to], to, data)
        after = dict(slots)
        try:
            execute(after, tx_from(signers[to].address, to, data))
        except ContractRevertedError:
            modelled = False
        else:
            slots, modelled = after, True
        assert modelled == real, f"call {number}: {function}, {data.hex()}"
        seen[function, real] += 1
        assert state_of(site.chain, anchor, settlement) == modelled_state(
            slots, anchor, settlement
        )
    assert set(seen) == {(name, said) for name in FUNCTIONS for said in (True, False)}


def succeeds(chain: Chain, signer: Signer, to: str, data: bytes) -> bool:
    raw, tx_hash = signer.sign(
        chain_id=chain.identity().chain_id,
        nonce=chain.nonce(signer.address),
        to=to,
        calldata=data,
        gas_limit=2_000_000,
        fees=chain.fees(),
    )
    chain.send_raw(raw)
    receipt = chain.receipt(tx_hash)
    assert receipt is not None
    return receipt.succeeded


def state_of(chain: Chain, anchor: str, settlement: str) -> list[object]:
    """Head, end of the closed leaves, and what became of each start leaf."""

    def asked(name: str, to: str, function: str, *arguments: object) -> object:
        binding = artifact(name)
        data = chain.call(to, binding.calldata(function, *arguments))
        return binding.result(function, data)

    head = asked("StatusAnchor", anchor, "head")
    assert isinstance(head, tuple)
    found: list[object] = [head[:2], asked("Settlement", settlement, "closedBefore")]
    for leaf in range(N_LEAF):
        found.append(asked("Settlement", settlement, "isStartLeafClosed", leaf))
        found.append(asked("Settlement", settlement, "isStartLeafSettled", leaf))
    return found


def modelled_state(slots: Slots, anchor: str, settlement: str) -> list[object]:
    found: list[object] = [
        slots.get(("head", anchor), (0, bytes(32))),
        (closed_before(slots, settlement),),
    ]
    for leaf in range(N_LEAF):
        found.append((is_closed(slots, settlement, leaf),))
        found.append((is_settled(slots, settlement, leaf),))
    return found


def anchor_call(rng: random.Random, size: int, _closed: int) -> bytes:
    new = min(max(size + rng.choice((-1, 0, 1, 2, 3)), 1), N_LEAF)
    leaves = list(LEAVES[:new])
    if rng.random() < 0.3:
        leaves[0] = hashlib.sha256(b"another history").digest()
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    proof = consistency(hashes, size) if 0 < size <= new else []
    return artifact("StatusAnchor").calldata(
        "anchor", new, merkle.root(hashes), proof, b""
    )


def consistency(hashes: list[bytes], old_size: int) -> list[bytes]:
    def node(level: int, index: int) -> bytes:
        return merkle.root(hashes[index << level : (index + 1) << level])

    return merkle.consistency_proof(old_size, len(hashes), node)


def settle_call(rng: random.Random, _size: int, _closed: int) -> bytes:
    rows = []
    for _ in range(rng.choice((1, 1, 2))):
        start = rng.randrange(N_LEAF)
        salt = rng.choice((0, 0, 0, 1))
        rows.append(
            SettlementRow(
                session_key=hashlib.sha256(b"%d %d" % (start, salt)).digest(),
                start_leaf_index=start,
                leaf_hash=LEAVES[start],
                energy_milliwh=7,
                amount_minor=rng.choice((500, 500, 500, 501)),
                currency="EUR",
            )
        )
    return settle_calldata(rows)


def invoices_call(rng: random.Random, size: int, closed: int) -> bytes:
    first = max(closed + rng.choice((0, 0, 0, 0, 1, -1)), 0)
    end = first + rng.choice((0, 1, 2, 3)) if rng.random() < 0.3 else max(size, first)
    end = min(end, first + 3)
    leaves = list(range(first, end))
    listed = [leaf for leaf in leaves if rng.random() < 0.4]
    left = [leaf for leaf in leaves if leaf not in listed and rng.random() < 0.4]
    if first and rng.random() < 0.3:
        listed.insert(0, rng.randrange(first))
    return artifact("Settlement").calldata(
        "recordInvoices", first, end, LEAVES[0], len(listed), listed, left
    )


def credit_call(rng: random.Random, _size: int, _closed: int) -> bytes:
    start = rng.randrange(N_LEAF)
    row = CreditRow(
        session_key=hashlib.sha256(b"%d 0" % start).digest(),
        credit_key=hashlib.sha256(b"credit %d" % (start % 4)).digest(),
        leaf_hash=LEAVES[start],
        amount_minor=1,
    )
    return credit_calldata(row)


def proven_call(rng: random.Random, size: int, _closed: int) -> bytes:
    """A settlement whose leaf is one of the log: often a right proof."""
    leaf = rng.randrange(max(size, 2))
    start = max(leaf - rng.choice((0, 1, 1)), 0)
    row = SettlementRow(
        session_key=hashlib.sha256(b"%d 0" % start).digest(),
        start_leaf_index=start,
        leaf_hash=merkle.leaf_hash(LEAVES[leaf]),
        energy_milliwh=7,
        amount_minor=500,
        currency="EUR",
    )
    hashes = [merkle.leaf_hash(one) for one in LEAVES[:size]]

    def node(level: int, index: int) -> bytes:
        return merkle.root(hashes[index << level : (index + 1) << level])

    proof = list(merkle.inclusion_proof(leaf, size, node)) if leaf < size else []
    if proof and rng.random() < 0.2:
        proof[0] = LEAVES[0]
    return proven_calldata(row, leaf, proof)


def netted_call(rng: random.Random, size: int, closed: int) -> bytes:
    first = max(closed + rng.choice((0, 0, 0, 0, 1)), 0)
    window = netted_window(first, min(max(size, first), first + 2))
    rows = netted_rows()
    if rng.random() < 0.2:
        rows.reverse()
    return artifact("Settlement").calldata("settleNetted", window, rows)


def netted_window(first: int, end: int) -> tuple[object, ...]:
    return (first, end, list(range(first, end))[:1], [], b"EUR")


def netted_rows() -> list[tuple[object, ...]]:
    return [(user, 7, 2, 0, LEAVES[0]) for user in USERS]


def netted_credit_call(rng: random.Random, _size: int, closed: int) -> bytes:
    first = rng.randrange(max(closed, 1))
    window = netted_window(first, min(first + rng.choice((1, 2, 2)), N_LEAF))
    key = hashlib.sha256(b"netted %d" % rng.randrange(6)).digest()
    user = rng.choice((*USERS, "0x" + "cc" * 20))
    credit = (first, user, key, LEAVES[1], 1, 0)
    return artifact("Settlement").calldata(
        "recordNettedCredit", window, netted_rows(), credit
    )


CALLS = {
    "settleProven": proven_call,
    "settleNetted": netted_call,
    "recordNettedCredit": netted_credit_call,
    "anchor": anchor_call,
    "settleBatch": settle_call,
    "recordInvoices": invoices_call,
    "recordCredit": credit_call,
}
