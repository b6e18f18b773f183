"""What a day on a chain costs follows from the gas that was measured."""

import pytest

from benchmarks.ledger_costs import Day, eur, gas_by_way, snapshot


def test_a_day_is_its_anchors_and_what_settles_its_sessions() -> None:
    gas = snapshot()
    quiet = gas_by_way(Day(anchors=96, sessions=0, is_status_public=False), gas)
    head = gas["anchor 1 000 leaves more, mean of two years"]
    assert quiet == {"nothing settled": 96 * head}
    day = gas_by_way(Day(anchors=96, sessions=250, is_status_public=False), gas)
    anchors = quiet["nothing settled"]
    batch = gas["settle 100 sessions"]
    assert day["batched, public amounts"] == anchors + 2 * batch + batch // 2
    assert day["one root of invoices"] < day["netted per driver"]
    assert day["netted per driver"] < day["batched, public amounts"]
    assert day["batched, public amounts"] < day["one by one with proof"]


def test_status_costs_what_100_assets_add_to_an_anchor() -> None:
    gas = {
        "anchor 1 000 leaves more, mean of two years": 50_000,
        "anchor 200 to 300 leaves": 40_000,
        "anchor 200 to 300 leaves with the status of 100 assets": 47_000,
    }
    day = Day(anchors=2, sessions=0, is_status_public=True)
    with pytest.raises(KeyError):
        gas_by_way(day, gas)
    full = snapshot() | gas
    assert gas_by_way(day, full) == {"nothing settled": 114_000}


def test_cost_is_gas_times_prices() -> None:
    assert eur(10**9, price_gwei=1, eur_per_eth=3_000) == pytest.approx(3_000)
    assert eur(21_000, price_gwei=0.005, eur_per_eth=3_000) == pytest.approx(0.000315)
