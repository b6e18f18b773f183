"""What a settlement says of its session's signed data: sealed, so that it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import merkle

SIGNED_KINDS: Final = frozenset({"signed_meter", "meter_key"})
"""Leaves that only receipts of sessions with signed data have."""
OK: Final = "ok"
UNSIGNED: Final = "unsigned"
UNVERIFIED: Final = "unverified"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedClaim:
    """What the operator found, to be held against it.

    Attributes:
        verdict: `OK`: the bill rests on signed registers; `UNSIGNED`: there was no
            signed data; `UNVERIFIED` or `FAILED`: there was, and the bill does not rest
            on it.
        reasons: Why it does not, as words.
        key_leaf_index: The ``meter_key`` leaf of the key that signed; for `OK` only.
    """

    verdict: str
    reasons: tuple[str, ...] = ()
    key_leaf_index: int | None = None

    def members(self, leaf_hashes: Sequence[bytes]) -> dict[str, object]:
        """Return the members of the settlement record.

        Args:
            leaf_hashes: Of the session's ``signed_meter`` leaves, in log order.
        """
        found: dict[str, object] = {"signed_verdict": self.verdict}
        if self.verdict == OK:
            found["signed_count"] = len(leaf_hashes)
            found["signed_root"] = merkle.root(leaf_hashes).hex()
            found["meter_key_leaf_index"] = self.key_leaf_index
        elif self.reasons:
            found["signed_reasons"] = list(self.reasons)
        return found
