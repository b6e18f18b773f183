"""Credits for others: whole records taken back, and what is left made anew."""

from datetime import UTC, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.cdr import CdrFacts
from gateway.domain.cdr_credit import CdrCredit, cdrs
from gateway.domain.cdr_place import token
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import Tariff
from tests.support.ocpi import check
from tests.unit.domain.test_cdr import PLACE, S1, START, WTP

LATER = START + timedelta(days=1)


def tariff() -> Tariff:
    return parse_tariff(
        {
            "id": "T",
            "elements": [
                {
                    "price_components": [
                        {"type": "ENERGY", "price": "0.40", "vat": "19"},
                        {"type": "FLAT", "price": "0.50", "vat": "19"},
                    ]
                }
            ],
        },
        currency="EUR",
        timezone="Europe/Berlin",
    )


def bill(milliwh: int) -> dict[str, Any]:
    points = [
        RegisterPoint(at=START, register_milliwh=0),
        RegisterPoint(at=START + timedelta(hours=1), register_milliwh=milliwh),
    ]
    return dict(price(tariff(), points).to_json())


def facts() -> CdrFacts:
    return CdrFacts(
        session_id=S1,
        started_at=START,
        ended_at=START + timedelta(hours=1),
        operator=WTP,
        token=token(None, session_id=S1, contract_id=None, operator=WTP),
        is_commanded=False,
        location=PLACE,
        meter_id=None,
        signed_data=None,
        tariff=tariff(),
        tariff_fixed_at=START,
        bill=bill(10_000_000),
        settled_at=START + timedelta(hours=2),
    )


def by_amount(amount_minor: int) -> CdrCredit:
    return CdrCredit(
        amount_minor=amount_minor, reason="a fault", document=None, at=LATER
    )


def paid_minor(records: list[dict[str, Any]]) -> int:
    return sum(round(one["total_cost"]["incl_vat"] * 100) for one in records)


def test_a_session_without_credits_has_its_one_record() -> None:
    (record,) = cdrs(facts(), [])
    assert record["credit"] is False
    assert "credit_reference_id" not in record


def test_a_credit_takes_the_record_back_and_says_what_is_left() -> None:
    whole, back, rest = cdrs(facts(), [by_amount(100)])
    assert (back["id"], back["credit_reference_id"]) == (f"{S1}-C", S1)
    assert rest["id"] == f"{S1}-1"
    assert (back["credit"], rest["credit"]) == (True, False)
    for name in ("total_cost", "total_energy_cost", "total_fixed_cost"):
        cost: Any = whole[name]
        assert back[name] == {key: -value for key, value in cost.items()}
    assert back["total_energy"] == whole["total_energy"]
    assert back["last_updated"] == LATER.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {whole["id"], back["id"], rest["id"]} == {S1, f"{S1}-C", f"{S1}-1"}


def test_a_second_credit_takes_back_what_the_first_left() -> None:
    records = cdrs(facts(), [by_amount(100), by_amount(50)])
    assert [one.get("credit_reference_id") for one in records] == [
        None,
        S1,
        None,
        f"{S1}-1",
        None,
    ]


def test_corrected_registers_make_a_whole_record_of_their_own() -> None:
    right = bill(4_000_000)
    credit = CdrCredit(
        amount_minor=facts().bill["amount_minor"] - right["amount_minor"],
        reason="read at the meter",
        document=right,
        at=LATER,
    )
    rest = check(cdrs(facts(), [credit])[-1])
    assert rest["total_energy"] == 4
    assert rest["remark"] == "read at the meter"


@given(st.lists(st.integers(1, 120), max_size=4))
def test_the_records_add_up_to_what_is_left_to_pay(amounts: list[int]) -> None:
    records = cdrs(facts(), [by_amount(one) for one in amounts])
    assert paid_minor(records) == facts().bill["amount_minor"] - sum(amounts)
    names = [one["id"] for one in records]
    assert len(set(names)) == len(names)
    for one in records:
        check(one)
        assert len(str(one["id"])) <= (39 if one["credit"] else 36)
