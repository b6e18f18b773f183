"""The tables of a bill on paper: numbers line up, and times say what they count as."""

from datetime import timedelta

import pytest

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.bill_labels_more import ALL
from gateway.domain.bill_paper import paper
from gateway.domain.bill_tables import Table
from tests.support.pages_bills import HEAD, START, facts_of, tariff_of


def tables(language: str = "en") -> dict[int, Table]:
    """Those of a bill with parking, by their place."""
    tariff = tariff_of(
        {"type": "ENERGY", "price": "0.333333", "vat": 19},
        {"type": "PARKING_TIME", "price": "3", "vat": 19, "step_size": 60},
    )
    points = [(0, 5_000_000), (15, 9_111_000), (61, 9_111_000)]
    bill = price(
        tariff,
        [
            RegisterPoint(at=START + timedelta(minutes=at), register_milliwh=milliwh)
            for at, milliwh in points
        ],
    )
    facts = facts_of(tariff, document=bill.to_json())
    told = paper(facts, HEAD, language=language, is_for_driver=True)
    return dict(enumerate(told.tables))


def test_amounts_before_the_rounding_have_one_number_of_decimals() -> None:
    lines = tables()[0]
    *others, total = lines.foot
    for row in (*lines.rows, *others):
        cells = [row[index] for index in (3, 5, 6)]
        assert [len(cell.partition(".")[2]) for cell in cells] == [6, 6, 6], row
    assert lines.rows[1][3] == "2.300000"
    assert total[3:] == ("3.67", "", "0.70", "4.37")


def test_amounts_of_whole_minor_units_get_no_zeros() -> None:
    facts = facts_of(tariff_of({"type": "FLAT", "price": "0.50"}))
    told = paper(facts, HEAD, language="en", is_for_driver=True)
    assert told.tables[0].rows == (
        ("Fee per session", "1 ×", "0.50 per session", "0.50"),
    )


def test_stretches_of_time_say_from_until_and_what_they_count_as() -> None:
    found = tables()[3]
    assert found.heads == ("From", "Until", "For", "Energy", "Price")
    assert [row[2:] for row in found.rows] == [
        ("Time while charging", "4.111 kWh", "0.333333 per kWh"),
        ("Time without charging", "0.000 kWh", "0.333333 per kWh"),
    ]


@pytest.mark.parametrize("language", sorted(ALL))
def test_no_stretch_of_time_is_called_the_begin_of_the_session(language: str) -> None:
    heads = tables(language)[3].heads
    say = ALL[language]
    assert not {say.started, say.ended} & set(heads)
    assert len(set(heads)) == len(heads)
