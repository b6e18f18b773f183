"""The running cost ends where the bill begins."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.bill import RegisterPoint, price
from gateway.domain.ocpi import parse_tariff
from gateway.domain.running_cost import opening
from gateway.domain.tariff import Tariff

START = datetime(2026, 3, 29, 0, 10, tzinfo=UTC)


def tariff(*elements: dict[str, object]) -> Tariff:
    return parse_tariff(
        {"id": "t", "elements": list(elements)},
        currency="EUR",
        timezone="Europe/Berlin",
    )


def element(amount: str, **restrictions: str) -> dict[str, object]:
    made: dict[str, object] = {
        "price_components": [{"type": "ENERGY", "price": amount}]
    }
    return made | ({"restrictions": restrictions} if restrictions else {})


tariffs = st.sampled_from(
    [
        tariff(element("0.4242")),
        tariff(element("0")),
        tariff(
            element("0.1234", start_time="22:00", end_time="02:30"), element("0.5678")
        ),
    ]
)
steps = st.lists(
    st.tuples(st.integers(0, 7_200), st.integers(0, 30_000_000)), max_size=12
)


@given(tariffs, steps)
def test_step_by_step_costs_what_the_whole_costs(
    terms: Tariff, told: list[tuple[int, int]]
) -> None:
    points = [RegisterPoint(at=START, register_milliwh=5)]
    for seconds, milliwh in told:
        last = points[-1]
        points.append(
            RegisterPoint(
                at=last.at + timedelta(seconds=seconds),
                register_milliwh=last.register_milliwh + milliwh,
            )
        )
    cost = opening(terms, points[0])
    for point in points[1:]:
        cost = cost.to(point)
    bill = price(terms, points)
    assert cost.exact == bill.exact
    assert cost.text == bill.amount_text


@given(tariffs, steps)
def test_a_register_that_comes_late_or_falls_changes_nothing(
    terms: Tariff, told: list[tuple[int, int]]
) -> None:
    cost = opening(terms, RegisterPoint(at=START, register_milliwh=10**9))
    for seconds, milliwh in told:
        earlier = RegisterPoint(
            at=START - timedelta(seconds=seconds + 1), register_milliwh=2 * 10**9
        )
        lower = RegisterPoint(
            at=START + timedelta(seconds=seconds), register_milliwh=milliwh
        )
        assert cost.to(earlier) is cost
        assert cost.to(lower) is cost
