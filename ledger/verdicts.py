"""What the verifiers of receipts and of plans say: checks, verdicts, reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How much was checked, and with what result."""

    TRUE = "true"
    SELF_WITNESSED = "self-witnessed"
    UNCHECKED = "unchecked"
    FALSE = "false"


def weakest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the one that says the least good; there must be one."""
    return max(verdicts, key=list(Verdict).index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what was looked at, the verdict, and why in one line.

    Attributes:
        is_claimed: Whether the file claims it. What it does not claim, as that its
            meter signed, is listed and takes nothing from the verdict of the file.
    """

    name: str
    verdict: Verdict
    reason: str
    is_claimed: bool = True

    @classmethod
    def true(cls, name: str, reason: str) -> Check:
        """Return one that holds."""
        return cls(name=name, verdict=Verdict.TRUE, reason=reason)

    @classmethod
    def false(cls, name: str, reason: str) -> Check:
        """Return one that does not hold."""
        return cls(name=name, verdict=Verdict.FALSE, reason=reason)

    @classmethod
    def open(cls, name: str, reason: str, *, is_claimed: bool = True) -> Check:
        """Return one that could not be made."""
        return cls(
            name=name, verdict=Verdict.UNCHECKED, reason=reason, is_claimed=is_claimed
        )

    @classmethod
    def not_judged(cls, name: str, why: str, *, is_claimed: bool = True) -> Check:
        """Return one that rests on something that is not there, or does not hold."""
        return cls.open(name, f"not judged: {why}", is_claimed=is_claimed)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """All checks of one file."""

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the weakest verdict of all that the file claims."""
        return weakest(check.verdict for check in self.checks if check.is_claimed)

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 if nothing is false; strict: if everything is true; else 1."""
        if self.verdict is Verdict.FALSE:
            return 1
        return 1 if strict and self.verdict is not Verdict.TRUE else 0

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON."""
        return {
            "verdict": self.verdict.value,
            "checks": [
                {
                    "name": c.name,
                    "verdict": c.verdict.value,
                    "reason": c.reason,
                    "is_claimed": c.is_claimed,
                }
                for c in self.checks
            ],
        }
