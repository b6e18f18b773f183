"""What credits leave of a bill is the same number in every document."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.cdr_credit import CdrCredit, cdrs
from gateway.domain.credit_net import CreditStep, left_after
from gateway.domain.ocpi import parse_tariff
from gateway.services.bill_export import amounts_minor
from tests.unit.domain.test_cdr import START
from tests.unit.domain.test_cdr_credit import LATER, facts

MIXED = parse_tariff(
    {
        "id": "T",
        "elements": [
            {
                "price_components": [
                    {"type": "ENERGY", "price": "0.40", "vat": "19"},
                    {"type": "FLAT", "price": "1.00"},
                ]
            }
        ],
    },
    currency="EUR",
    timezone="Europe/Berlin",
)
"""The fee's tax is not told, so net and gross are not in one proportion."""


def bill(milliwh: int) -> dict[str, Any]:
    points = [
        RegisterPoint(at=START, register_milliwh=0),
        RegisterPoint(at=START + timedelta(hours=1), register_milliwh=milliwh),
    ]
    return dict(price(MIXED, points).to_json())


def test_a_credit_by_registers_leaves_the_net_of_the_corrected_bill() -> None:
    whole, right = bill(8_788_000), bill(4_900_000)
    step = CreditStep(
        amount_minor=whole["amount_minor"] - right["amount_minor"], document=right
    )
    net, gross = amounts_minor(whole, [step])
    assert whole["net_minor"] + net == right["net_minor"] == 296
    assert whole["amount_minor"] + gross == right["amount_minor"] == 333


@given(st.lists(st.tuples(st.integers(0, 300_000), st.booleans()), max_size=6))
def test_rows_for_bookkeeping_and_records_for_others_leave_the_same(
    steps: list[tuple[int, bool]],
) -> None:
    whole = bill(9_000_000)
    milliwh, left_minor, found = 9_000_000, int(whole["amount_minor"]), []
    for less, is_by_registers in steps:
        milliwh -= less
        right = bill(milliwh)
        amount_minor = left_minor - int(right["amount_minor"])
        if amount_minor <= 0:
            continue
        left_minor -= amount_minor
        document = right if is_by_registers else None
        found.append(CreditStep(amount_minor=amount_minor, document=document))
    net = sum(amounts_minor(whole, found[:n])[0] for n in range(len(found) + 1))
    records = cdrs(
        replace(facts(), bill=whole),
        [
            CdrCredit(
                amount_minor=one.amount_minor,
                document=one.document,
                reason="a fault",
                at=LATER,
            )
            for one in found
        ],
    )
    last: Any = records[-1]["total_cost"]
    assert (net, left_minor) == (
        round(last["excl_vat"] * 100),
        round(last["incl_vat"] * 100),
    )


def test_a_credit_of_all_that_is_left_leaves_nothing() -> None:
    whole = bill(5_000_000)
    rest = CreditStep(amount_minor=int(whole["amount_minor"]) - 100)
    *_, last = left_after(whole, [CreditStep(amount_minor=100), rest])
    assert (last.net_minor, last.gross_minor) == (0, 0)
