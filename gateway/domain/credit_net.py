"""What of a bill stays without tax after its credits: one answer for every document.

A credit by registers leaves the corrected bill, with that bill's own tax. A credit by
an amount leaves the share of the net that it leaves of the gross.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gateway.domain.tally import rounded_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditStep:
    """One of a bill's credits.

    Attributes:
        document: The bill it should have been; ``None``: only an amount was given.
    """

    amount_minor: int
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a credit leaves, in minor units.

    Attributes:
        document: The bill of which it is the whole, or a share.
        is_whole: It is exactly the corrected bill.
    """

    net_minor: int
    gross_minor: int
    document: Mapping[str, Any]
    is_whole: bool


def net_minor_of(document: Mapping[str, Any]) -> int:
    """A bill without its tax; prices that include it tell nothing of it."""
    return int(document.get("net_minor", document["amount_minor"]))


def left_after(document: Mapping[str, Any], steps: Sequence[CreditStep]) -> list[Left]:
    """What each of a bill's credits leaves of it, in their order.

    Args:
        document: The settled bill, see `gateway.domain.bill.Bill.to_json`.
        steps: All its credits from the first.
    """
    found: list[Left] = []
    left_minor = int(document["amount_minor"])
    for step in steps:
        left_minor -= step.amount_minor
        corrected = step.document
        is_whole = corrected is not None and (
            int(corrected["amount_minor"]) == left_minor
        )
        if corrected is not None and is_whole:
            document = corrected
        found.append(
            Left(
                net_minor=_share(document, left_minor),
                gross_minor=left_minor,
                document=document,
                is_whole=is_whole,
            )
        )
    return found


def _share(document: Mapping[str, Any], left_minor: int) -> int:
    amount_minor = int(document["amount_minor"])
    if amount_minor == 0:
        return 0
    share = Fraction(left_minor, amount_minor)
    return rounded_minor(net_minor_of(document) * share, 0)
