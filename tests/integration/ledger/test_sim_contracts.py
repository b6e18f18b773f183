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
from ledger.settle import settle_calldata
from tests.support.ledger_site import make_site
from tests.support.sim_contracts import (
    Slots,
    closed_before,
    execute,
    is_closed,
    is_settled,
    tx_from,
)

N_CALL = 48
N_LEAF = 12
LEAVES = [hashlib.sha256(b"leaf %d" % index).digest() for index in range(N_LEAF)]
FUNCTIONS = ("anchor", "settleBatch", "recordInvoices", "recordCredit")


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
        function = FUNCTIONS[rng.choices(range(4), (3, 4, 4, 3))[0]]
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


CALLS = {
    "anchor": anchor_call,
    "settleBatch": settle_call,
    "recordInvoices": invoices_call,
    "recordCredit": credit_call,
}
