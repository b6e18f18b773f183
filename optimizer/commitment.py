"""Commits to the inputs and the currents of a plan, row by row, without showing them.

One Merkle tree (RFC 9162, section 2.1, SHA-256) per plan: leaf 0 is the problem without
its sessions, leaf 1 + i the session i with its currents. Each leaf is hashed with a
salt of its own that follows from the salt of the plan: who has that, sees everything;
who has one row's salt and path, checks this row and learns nothing of the others::

    row salt   = SHA-256("wattproof/plan-salt/1" || 0x00 || salt || row, 8 bytes)
    commitment = SHA-256("wattproof/plan-row/1" || 0x00 || row salt || text)
    leaf hash  = SHA-256(0x00 || commitment),  node = SHA-256(0x01 || left || right)
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from optimizer.document import canonical_json
from optimizer.layout import Currents
from optimizer.problem import CabinetProblem

SALT_BYTES: Final = 32
MAX_PATH: Final = 64

_SHARED: Final = ("start", "step_s", "n_step", "nominal_v")


def root(problem: CabinetProblem, currents: Currents, salt: bytes) -> bytes:
    """Return the commitment to a problem and the currents of its sessions.

    Args:
        problem: What was solved.
        currents: Shape (n_session, n_step), 0.1 A.
        salt: ``SALT_BYTES`` random bytes of this plan.
    """
    return _root(_leaves(problem, currents, salt))


def path(
    problem: CabinetProblem, currents: Currents, salt: bytes, row: int
) -> list[bytes]:
    """Return what leads from a row to the root, from below."""
    return _path(_leaves(problem, currents, salt), row)


def texts(problem: CabinetProblem, currents: Currents) -> list[str]:
    """Return the canonical text of every row."""
    whole = problem.to_json()
    sessions = whole.pop("sessions")
    assert isinstance(sessions, list)  # ``to_json`` makes it one
    return [
        canonical_json(whole),
        *(
            row_text(whole, session, currents_da)
            for session, currents_da in zip(sessions, currents, strict=True)
        ),
    ]


def row_text(
    problem: dict[str, object], session: object, currents_da: Sequence[int]
) -> str:
    """Return the text of a session's row.

    Args:
        problem: At least the members that say what a step is.
        session: As ``EvSession.to_json`` writes it.
        currents_da: Shape (n_step,), 0.1 A.
    """
    return canonical_json(
        {key: problem[key] for key in _SHARED}
        | {"session": session, "currents_da": list(currents_da)}
    )


def row_salt(salt: bytes, row: int) -> bytes:
    """Return the salt of one row."""
    return _sha256(b"wattproof/plan-salt/1\0", salt, row.to_bytes(8, "big"))


def leaf_hash(text: str, salt: bytes) -> bytes:
    """Return the leaf hash of a row with its own salt."""
    return _sha256(b"\0", _sha256(b"wattproof/plan-row/1\0", salt, text.encode()))


def leads_to(
    leaf: bytes, *, row: int, count: int, steps: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether a leaf is in the tree of ``count`` leaves with this root.

    RFC 9162, section 2.1.3.2.
    """
    if not 0 <= row < count:
        return False
    place, last, found = row, count - 1, leaf
    for step in steps:
        if last == 0:
            return False
        if place % 2 or place == last:
            found = _sha256(b"\1", step, found)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = _sha256(b"\1", found, step)
        place, last = place // 2, last // 2
    return last == 0 and found == root


def _leaves(problem: CabinetProblem, currents: Currents, salt: bytes) -> list[bytes]:
    return [
        leaf_hash(text, row_salt(salt, row))
        for row, text in enumerate(texts(problem, currents))
    ]


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    left = _left(len(leaves))
    return _sha256(b"\1", _root(leaves[:left]), _root(leaves[left:]))


def _path(leaves: Sequence[bytes], row: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    left = _left(len(leaves))
    if row < left:
        return [*_path(leaves[:left], row), _root(leaves[left:])]
    return [*_path(leaves[left:], row - left), _root(leaves[:left])]


def _left(count: int) -> int:
    """Return the largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
