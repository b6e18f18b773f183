"""Heads that a verifier keeps, and whether a file's head continues them.

A head that somebody wrote down earlier, or that others cosigned, is worth more than
the one in the file: the operator cannot change it any more. Proofs of consistency
(RFC 9162, 2.1.4) may come from anybody, the operator too. A
file may hold either without the other::

    {"format": "wattproof-heads/1",
     "heads": [{"size": 7, "root": hash}, ...],
     "proofs": [{"old_size": 7, "new_size": 20, "proof": [hash, ...]}, ...]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger import merkle
from ledger.errors import BundleError
from ledger.receipt_parsing import MAX_PATH
from ledger.strict_json import (
    HASH,
    as_list,
    count,
    hexed,
    members,
    parse,
    read_file,
)
from ledger.verdicts import Check, Verdict

FORMAT: Final = "wattproof-heads/1"
NAME: Final = "consistency"
MAX_BYTES: Final = 8 * 2**20
MAX_HEADS: Final = 10_000
_SINCE: Final = re.compile(r"(\d{1,16}):([0-9a-f]{64})")

Head = tuple[int, bytes]
"""Size and root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHeads:
    """Heads the verifier trusts, and proofs that nobody has to trust.

    Attributes:
        heads: Of one log.
        proofs: By old and new size.
    """

    heads: tuple[Head, ...]
    proofs: Mapping[tuple[int, int], Sequence[bytes]] = field(default_factory=dict)

    def also(self, other: KnownHeads) -> KnownHeads:
        """Return both together."""
        return KnownHeads(
            heads=(*self.heads, *other.heads), proofs={**self.proofs, **other.proofs}
        )


def read_heads(path: Path) -> KnownHeads:
    """Read a file of heads.

    Raises:
        BundleError: It cannot be read or is none.
    """
    return parse_heads(read_file(path, MAX_BYTES))


def parse_heads(data: bytes) -> KnownHeads:
    """Read the bytes of a file of heads.

    Raises:
        BundleError: They are none.
    """
    what = "a file of heads"
    found = parse(data, what, MAX_BYTES)
    top = members(found, what, ("format", "heads"), ("proofs",))
    if top["format"] != FORMAT:
        raise BundleError(f"not {what}: format must be {FORMAT!r}")
    proofs = {}
    for one in as_list(top.get("proofs", []), "proofs", MAX_HEADS):
        row = members(one, "proof", ("old_size", "new_size", "proof"))
        steps = as_list(row["proof"], "proof", 2 * MAX_PATH)
        sizes = count(row, "old_size"), count(row, "new_size")
        proofs[sizes] = [hexed(step, HASH, "proof") for step in steps]
    heads = []
    for one in as_list(top["heads"], "heads", MAX_HEADS):
        row = members(one, "head", ("size", "root"))
        heads.append((count(row, "size"), hexed(row["root"], HASH, "root")))
    return KnownHeads(heads=tuple(heads), proofs=proofs)


def read_since(given: str) -> KnownHeads:
    """Read one head as ``SIZE:ROOT`` or, with proofs, from a file.

    Raises:
        BundleError: It is neither.
    """
    found = _SINCE.fullmatch(given)
    if found is None:
        raise BundleError(f"not a head: {given[:80]!r}, write it as SIZE:ROOT")
    return KnownHeads(heads=((int(found[1]), bytes.fromhex(found[2])),))


def check_consistency(known: KnownHeads | None, size: int, root: bytes) -> Check:
    """Hold a file's head against heads of other times.

    True where every known head that can be compared is of the same log; one that
    contradicts makes it false: another root of the same size, or a proof that leads
    from this head to another older one. A proof may come from anybody: one that leads
    nowhere, or none at all, leaves it unchecked.
    """
    if known is None:
        reason = f"no head of another time was given; keep this: {size}:{root.hex()}"
        return Check.open(NAME, reason, is_claimed=False)
    held, open_sizes, useless = [], [], []
    for other_size, other_root in known.heads:
        if other_size == size:
            if other_root != root:
                return Check.false(
                    NAME, f"two logs: another head of {size} leaves is known"
                )
            held.append(other_size)
            continue
        old, new = sorted([(size, root), (other_size, other_root)])
        proof = known.proofs.get((old[0], new[0]))
        if proof is None and old[0] > 0:
            open_sizes.append(other_size)
            continue
        match _compared(old, new, proof or ()):
            case Verdict.TRUE:
                held.append(other_size)
            case Verdict.FALSE:
                return Check.false(
                    NAME, f"the log of {new[0]} does not continue the head of {old[0]}"
                )
            case _:
                useless.append(other_size)
    return _told(known, size, held, open_sizes, useless)


def _compared(old: Head, new: Head, proof: Sequence[bytes]) -> Verdict:
    """Say what a proof, which nobody has to trust, shows of two heads."""
    (old_size, old_head), (new_size, new_head) = old, new
    if merkle.verify_consistency(
        old_size=old_size,
        new_size=new_size,
        old_head=old_head,
        new_head=new_head,
        proof=proof,
    ):
        return Verdict.TRUE
    if old_size == 0:
        is_refuted = old_head != merkle.EMPTY_ROOT
    else:
        is_refuted = merkle.refutes_consistency(
            old_size=old_size,
            new_size=new_size,
            old_head=old_head,
            new_head=new_head,
            proof=proof,
        )
    return Verdict.FALSE if is_refuted else Verdict.UNCHECKED


def _told(
    known: KnownHeads,
    size: int,
    held: Sequence[int],
    open_sizes: Sequence[int],
    useless: Sequence[int],
) -> Check:
    """Say what came of heads of which none contradicts."""
    if not known.heads:
        return Check.open(NAME, "no head of another time was given, only proofs")
    if not held and useless:
        sizes = f"{min(useless)} and {size}"
        return Check.open(
            NAME, f"the proof between the logs of {sizes} proves nothing, either way"
        )
    if not held:
        sizes = f"{min(open_sizes)} and {size}"
        return Check.open(NAME, f"there is no proof between the logs of {sizes}")
    count_of = "1 known head" if len(held) == 1 else f"{len(held)} known heads"
    rest = f"; {len(open_sizes)} more have no proof" if open_sizes else ""
    rest += f"; {len(useless)} more have one that proves nothing" if useless else ""
    return Check.true(NAME, f"one log with {count_of}, of {_some(held)} leaves{rest}")


def _some(sizes: Sequence[int]) -> str:
    shown = ", ".join(map(str, sizes[:3]))
    return shown if len(sizes) <= 3 else f"{shown}, ..."  # noqa: PLR2004 - enough to see
