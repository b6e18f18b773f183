"""What travels with a plan, so that a stranger can check it: two JSON documents.

The whole, for an auditor; ``plan``, ``why``, ``leaf`` and ``head`` may be missing::

    {"format": "wattproof-plan/1", "outcome", "problem": {...}, "certificate": {...},
     "plan": {...}, "why": text or null, "leaf": LEAF or null, "head": HEAD or null}

One row, for the driver of this session::

    {"format": "wattproof-plan-row/1", "algorithm", "commitment", "row", "count",
     "salt", "path": [hash, ...], "start", "step_s", "n_step", "nominal_v",
     "session": {...}, "currents_da": [...], "leaf": LEAF or null, "head": HEAD or null}

LEAF and HEAD are those of a receipt: the plan's record in the operator's log, with its
path to a head of that log.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from optimizer import commitment
from optimizer.document import Node, ProblemError, parse_json
from optimizer.layout import Currents
from optimizer.outcome import ALGORITHM
from optimizer.problem import CabinetProblem

PLAN: Final = "wattproof-plan/1"
ROW: Final = "wattproof-plan-row/1"

_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafProof:
    """The record of a plan in a log, and the way from it to a head.

    Attributes:
        index: Its place in the log.
        salt: Of its commitment.
        record: Canonical text.
        inclusion: RFC 9162 audit path, lowest first.
        size: Leaves of the log under the head.
        root: The head.
        block: Where the head is said to stand on a chain, or None.
    """

    index: int
    salt: bytes
    record: str
    inclusion: tuple[bytes, ...]
    size: int
    root: bytes
    block: int | None

    @classmethod
    def from_nodes(cls, leaf: Node, head: Node) -> Self:
        """Read LEAF and HEAD."""
        found = leaf.fields(required=("index", "kind", "salt", "record", "inclusion"))
        top = head.fields(required=("size", "root", "tx_hash", "block"))
        if found["kind"].text() != "plan":
            raise found["kind"].refuse("is not plan")
        return cls(
            index=found["index"].integer(),
            salt=hash_of(found["salt"]),
            record=found["record"].text(),
            inclusion=path_of(found["inclusion"]),
            size=top["size"].integer(),
            root=hash_of(top["root"]),
            block=None if top["block"].is_null() else top["block"].integer(),
        )

    @property
    def is_included(self) -> bool:
        """Tell whether the record is in the log with this head."""
        text = self.record.encode()
        sealed = hashlib.sha256(b"wattproof/leaf/1\0" + self.salt + text).digest()
        return commitment.leads_to(
            hashlib.sha256(b"\0" + sealed).digest(),
            row=self.index,
            count=self.size,
            steps=self.inclusion,
            root=self.root,
        )

    def says(self) -> Mapping[str, object]:
        """Return the members of the record.

        Raises:
            ProblemError: It is no JSON object.
        """
        said = parse_json(self.record)
        if not isinstance(said, dict):
            raise ProblemError("leaf.record", "must be an object")
        return said


def row_of(
    problem: CabinetProblem, currents: Currents, salt: bytes, index: int
) -> dict[str, object]:
    """Open one session's row and nothing else; ``leaf`` and ``head`` are null.

    Args:
        problem: What was solved.
        currents: Shape (n_session, n_step), 0.1 A.
        salt: Of the plan.
        index: The session.
    """
    row = index + 1
    whole = problem.to_json()
    return {
        "format": ROW,
        "algorithm": ALGORITHM,
        "commitment": commitment.root(problem, currents, salt).hex(),
        "row": row,
        "count": len(problem.sessions) + 1,
        "salt": commitment.row_salt(salt, row).hex(),
        "path": [step.hex() for step in commitment.path(problem, currents, salt, row)],
        "start": whole["start"],
        "step_s": problem.step_s,
        "n_step": problem.n_step,
        "nominal_v": problem.nominal_v,
        "session": problem.sessions[index].to_json(),
        "currents_da": list(currents[index]),
        "leaf": None,
        "head": None,
    }


def hash_of(node: Node) -> bytes:
    """Return 32 bytes from 64 lower-case hex digits."""
    text = node.text()
    if len(text) != 2 * _HASH_BYTES or set(text) - set("0123456789abcdef"):
        raise node.refuse(f"must be {2 * _HASH_BYTES} lower-case hex digits")
    return bytes.fromhex(text)


def path_of(node: Node) -> tuple[bytes, ...]:
    """Return an audit path."""
    steps = node.items()
    if len(steps) > commitment.MAX_PATH:
        raise node.refuse(f"must hold at most {commitment.MAX_PATH} hashes")
    return tuple(hash_of(step) for step in steps)
