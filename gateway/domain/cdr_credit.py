"""Credits as OCPI 2.2.1 records: what was sent is credited whole, and made anew.

OCPI knows a credit for a whole record only (10.4.1, ``credit``). So a credit of a part
is two records: one that takes the record before it back, all its costs negative, and
one of what is to be paid after all. Added up, the records of a session are its balance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from gateway.domain.cdr import MAX_REMARK, CdrFacts, cdr
from gateway.domain.credit_net import CreditStep, Left, left_after
from gateway.domain.ocpi_values import date_time, fitted, number

_COSTS: Final = (
    "total_cost",
    "total_fixed_cost",
    "total_energy_cost",
    "total_time_cost",
    "total_parking_cost",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrCredit:
    """A credit, as far as its records tell of it.

    Attributes:
        document: The bill it should have been; ``None``: only an amount was given.
    """

    amount_minor: int
    reason: str
    document: Mapping[str, Any] | None
    at: datetime


def cdrs(facts: CdrFacts, credits_: Sequence[CdrCredit]) -> list[dict[str, object]]:
    """All records of a session, in their order; two more for each credit."""
    records = [cdr(facts)]
    steps = [
        CreditStep(amount_minor=one.amount_minor, document=one.document)
        for one in credits_
    ]
    lefts = left_after(facts.bill, steps)
    for ordinal, (credit, left) in enumerate(zip(credits_, lefts, strict=True), 1):
        records.append(_taken_back(records[-1], credit))
        name = f"{facts.session_id}-{ordinal}"
        if left.is_whole:
            again = cdr(replace(facts, bill=left.document, settled_at=credit.at))
        else:
            again = {**records[-2], "total_cost": _cost(left)}
        records.append(_said(again, name, credit))
    return records


def _taken_back(record: Mapping[str, object], credit: CdrCredit) -> dict[str, object]:
    """The credit of a whole record."""
    return {
        **record,
        **{name: _negative(record[name]) for name in _COSTS if name in record},
        "id": f"{record['id']}-C",
        "credit": True,
        "credit_reference_id": record["id"],
        "remark": fitted(credit.reason, MAX_REMARK),
        "last_updated": date_time(credit.at),
    }


def _said(
    record: Mapping[str, object], name: str, credit: CdrCredit
) -> dict[str, object]:
    return {
        **record,
        "id": name,
        "remark": fitted(credit.reason, MAX_REMARK),
        "last_updated": date_time(credit.at),
    }


def _cost(left: Left) -> dict[str, object]:
    """What is left, its tax in the proportion of the bill's."""
    scale = 10 ** int(left.document["minor_digits"])
    return {
        "excl_vat": number(Fraction(left.net_minor, scale)),
        "incl_vat": number(Fraction(left.gross_minor, scale)),
    }


def _negative(cost: object) -> dict[str, object]:
    assert isinstance(cost, Mapping), "a cost of ours"
    return {name: -value if value else value for name, value in cost.items()}
