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
from gateway.domain.ocpi_values import date_time, fitted, number
from gateway.domain.tally import rounded_minor

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
    bill = facts.bill
    left_minor = int(bill["amount_minor"])
    for ordinal, credit in enumerate(credits_, start=1):
        left_minor -= credit.amount_minor
        records.append(_taken_back(records[-1], credit))
        name = f"{facts.session_id}-{ordinal}"
        if credit.document is not None and (
            int(credit.document["amount_minor"]) == left_minor
        ):
            again = cdr(replace(facts, bill=credit.document, settled_at=credit.at))
            bill = credit.document
        else:
            again = {**records[-2], "total_cost": _cost(bill, left_minor)}
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


def _cost(bill: Mapping[str, Any], left_minor: int) -> dict[str, object]:
    """What is left, its tax in the proportion of the bill's."""
    digits, amount_minor = int(bill["minor_digits"]), int(bill["amount_minor"])
    net_minor = int(bill.get("net_minor", amount_minor))
    share = Fraction(left_minor, amount_minor) if amount_minor else Fraction(0)
    net_left = rounded_minor(net_minor * share, 0)
    return {
        "excl_vat": number(Fraction(net_left, 10**digits)),
        "incl_vat": number(Fraction(left_minor, 10**digits)),
    }


def _negative(cost: object) -> dict[str, object]:
    assert isinstance(cost, Mapping), "a cost of ours"
    return {name: -value if value else value for name, value in cost.items()}
