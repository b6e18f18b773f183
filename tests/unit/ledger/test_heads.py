"""Known heads against a file's head: one log, two logs, or nobody can tell."""

import json
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle
from ledger.errors import BundleError
from ledger.heads import KnownHeads, check_consistency, read_heads, read_since
from ledger.verdicts import Verdict
from tests.support import ledger_vectors

VECTORS: dict[str, Any] = json.loads(ledger_vectors.PATH.read_text(encoding="utf-8"))
ROOTS = [bytes.fromhex(root) for root in VECTORS["heads"]["roots"]]
PROOFS = {
    (one["old_size"], one["new_size"]): [bytes.fromhex(step) for step in one["proof"]]
    for one in VECTORS["consistency"]
    if one["holds"]
}


@pytest.mark.parametrize("size", range(len(ROOTS)))
@pytest.mark.parametrize("other", range(len(ROOTS)))
def test_heads_of_one_log_agree_whichever_is_older(size: int, other: int) -> None:
    known = KnownHeads(heads=((other, ROOTS[other]),), proofs=PROOFS)
    found = check_consistency(known, size, ROOTS[size])
    assert found.verdict is Verdict.TRUE, found


@pytest.mark.parametrize(("size", "other"), [(7, 7), (7, 5), (7, 3)])
def test_a_head_of_another_log_is_false(size: int, other: int) -> None:
    known = KnownHeads(
        heads=((size, ROOTS[size]), (other, merkle.leaf_hash(b"fork"))), proofs=PROOFS
    )
    found = check_consistency(known, size, ROOTS[size])
    assert found.verdict is Verdict.FALSE


def test_without_a_proof_nothing_is_checked_and_nothing_is_claimed_without_a_head() -> (
    None
):
    found = check_consistency(KnownHeads(heads=((5, ROOTS[5]),)), 7, ROOTS[7])
    assert (found.verdict, found.is_claimed) == (Verdict.UNCHECKED, True)
    assert "no proof between the logs of 5 and 7" in found.reason
    found = check_consistency(KnownHeads(heads=(), proofs=PROOFS), 7, ROOTS[7])
    assert (found.verdict, found.is_claimed) == (Verdict.UNCHECKED, True)
    found = check_consistency(None, 7, ROOTS[7])
    assert (found.verdict, found.is_claimed) == (Verdict.UNCHECKED, False)


def test_one_head_with_a_proof_counts_and_the_others_are_told() -> None:
    heads = tuple((size, ROOTS[size]) for size in (2, 3, 4, 5, 6))
    known = KnownHeads(heads=heads, proofs={(3, 7): PROOFS[3, 7]})
    found = check_consistency(known, 7, ROOTS[7])
    assert found.verdict is Verdict.TRUE
    assert (
        found.reason == "one log with 1 known head, of 3 leaves; 4 more have no proof"
    )


def test_a_file_and_a_head_on_the_command_line_go_together(tmp_path: Path) -> None:
    path = tmp_path / "heads.json"
    steps = [step.hex() for step in PROOFS[5, 7]]
    proof = {"old_size": 5, "new_size": 7, "proof": steps}
    path.write_text(
        json.dumps({"format": "wattproof-heads/1", "heads": [], "proofs": [proof]})
    )
    known = read_heads(path).also(read_since(f"5:{ROOTS[5].hex()}"))
    assert check_consistency(known, 7, ROOTS[7]).verdict is Verdict.TRUE


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("5", "SIZE:ROOT"),
        ("5:" + "A" * 64, "SIZE:ROOT"),
        ("-1:" + "a" * 64, "SIZE:ROOT"),
        ("9" * 40 + ":" + "a" * 64, "SIZE:ROOT"),
    ],
)
def test_what_is_no_head_is_refused(text: str, word: str) -> None:
    with pytest.raises(BundleError, match=word):
        read_since(text)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"format": "wattproof-heads/2"}, "format"),
        ({"heads": {}}, "list"),
        ({"heads": [{"size": -1, "root": "a" * 64}]}, "size"),
        ({"heads": [{"size": 1, "root": "A" * 64}]}, "root"),
        ({"more": 1}, "unknown member"),
        ({"proofs": [{"old_size": 1, "new_size": 2}]}, "proof"),
    ],
)
def test_a_wrong_file_is_named(
    tmp_path: Path, change: dict[str, object], word: str
) -> None:
    path = tmp_path / "heads.json"
    path.write_text(json.dumps({"format": "wattproof-heads/1", "heads": []} | change))
    with pytest.raises(BundleError, match=word):
        read_heads(path)


@pytest.mark.parametrize(
    ("size", "other", "proof"),
    [
        (7, 5, [b"\1" * 32]),
        (7, 5, []),
        (7, 5, [*PROOFS[5, 7], b"\1" * 32]),
        (7, 5, [b"\1" * 32, *PROOFS[5, 7][1:]]),
        (7, 4, [b"\1" * 32]),
        (5, 7, [b"\1" * 31]),
    ],
)
def test_a_useless_proof_from_anybody_makes_no_honest_heads_false(
    size: int, other: int, proof: list[bytes]
) -> None:
    sizes = (min(size, other), max(size, other))
    known = KnownHeads(heads=((other, ROOTS[other]),), proofs={sizes: proof})
    found = check_consistency(known, size, ROOTS[size])
    assert (found.verdict, found.is_claimed) == (Verdict.UNCHECKED, True)
    assert "proves nothing" in found.reason
    both = KnownHeads(
        heads=((3, ROOTS[3]), (other, ROOTS[other])),
        proofs={(3, size): PROOFS[3, size], sizes: proof},
    )
    found = check_consistency(both, size, ROOTS[size])
    assert found.verdict is Verdict.TRUE
    assert found.reason.endswith("1 more have one that proves nothing")


def test_heads_that_a_proof_does_not_lead_to_are_not_judged() -> None:
    fork = merkle.leaf_hash(b"fork")
    for size, other in ((7, 12), (8, 4)):
        known = KnownHeads(heads=((other, fork),), proofs=PROOFS)
        found = check_consistency(known, size, ROOTS[size])
        assert found.verdict is Verdict.UNCHECKED, (size, other)
    known = KnownHeads(heads=((0, fork),))
    assert check_consistency(known, 7, ROOTS[7]).verdict is Verdict.FALSE
