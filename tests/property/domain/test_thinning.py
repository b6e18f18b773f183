"""What is left out of the fold changes no bill, part by part."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.account import Account, Part, join
from gateway.domain.bill import RegisterPoint, price
from gateway.domain.running_cost import opening
from gateway.domain.tariff import Tariff
from gateway.domain.tariff_terms import Dimension
from tests.property.domain.test_full_tariffs import registers, tariffs


@st.composite
def dense(draw: st.DrawFn) -> list[RegisterPoint]:
    """Long runs of equal and of changing power, with edges hit exactly."""
    points = draw(registers())
    last = points[-1]
    at, value = last.at, last.register_milliwh
    for _ in range(draw(st.integers(1, 5))):
        step = timedelta(seconds=draw(st.sampled_from([10, 60, 300, 900])))
        energies = draw(
            st.lists(
                st.sampled_from([0, 1, 200, 250, 300, 9_000, 250_000, 1_000_000]),
                min_size=1,
                max_size=3,
            )
        )
        for index in range(draw(st.integers(1, 40))):
            at += step
            value += energies[index % len(energies)]
            points.append(RegisterPoint(at=at, register_milliwh=value))
    return points


def folded(
    tariff: Tariff, points: Sequence[RegisterPoint]
) -> tuple[Account, list[Part]]:
    """Every register in the fold, as it was before any was left out."""
    segments = tariff.segments(points[0].at, points[-1].at)
    account = Account.opening(tariff, points[0], keeps_parts=True)
    parts: list[Part] = []

    def take(after: Account) -> Account:
        if after is not account:
            for part in after.parts:
                join(parts, part)
        return after

    for point in points[1:]:
        account = take(account.to(point, segments))
    account = take(account.closed(segments))
    return account, parts


@given(tariffs(), dense())
def test_a_bill_of_few_registers_is_the_bill_of_all(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points)
    account, parts = folded(tariff, points)
    assert list(bill.parts) == parts
    assert bill.lines == account.tally.stepped()
    assert bill.total == account.total
    assert bill.is_interpolated == account.is_interpolated


@given(tariffs(), dense(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_samples_makes_a_price(
    tariff: Tariff,
    points: list[RegisterPoint],
    random: Random,
) -> None:
    again = [*points, *points[::3]]
    random.shuffle(again)
    assert price(tariff, again).to_json() == price(tariff, points).to_json()


@given(tariffs(), dense())
def test_parts_and_lines_add_up_to_the_whole(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    bill = price(tariff, points)
    assert sum(part.energy_milliwh for part in bill.parts) == bill.energy_milliwh
    spans = [part.end - part.start for part in bill.parts]
    assert sum(spans, timedelta()) == points[-1].at - points[0].at
    whole = sum((one.component.gross(one.billed) for one in bill.lines), Fraction(0))
    if tariff.min_price is None and tariff.max_price is None:
        assert bill.exact == whole
    if any(one.component.dimension is Dimension.ENERGY for one in bill.lines):
        billed = [
            one.volume
            for one in bill.lines
            if one.component.dimension is Dimension.ENERGY
        ]
        assert sum(billed) == bill.energy_milliwh


@given(tariffs(), dense())
def test_the_running_cost_at_the_end_is_the_bill(
    tariff: Tariff, points: list[RegisterPoint]
) -> None:
    cost = opening(tariff, points[0])
    for point in points[1:]:
        cost = cost.to(point)
    bill = price(tariff, points)
    assert cost.exact == bill.exact
    assert cost.text == bill.amount_text
