"""The closed loop counts what it should, and nobody beats knowing the whole day."""

from dataclasses import replace

import pytest

from benchmarks.optimizer_days import (
    Car,
    Day,
    Disturbance,
    Kind,
    disturbed,
    draw,
    undeclared,
)
from benchmarks.optimizer_loop import Policy, run
from benchmarks.optimizer_offline import bound
from benchmarks.optimizer_report import paired, summary

SMALL = 8
KEEPS_LIMITS = [policy for policy in Policy if policy is not Policy.UNCONTROLLED]


def one_car(*, limit_a: float, energy_wh: int) -> Day:
    day = draw(Kind.WORK, limit_a, 1, n=1)
    car = Car(
        arrival_step=40,
        departure_step=44,
        stated_step=44,
        phases=(0, 1, 2),
        max_a=16,
        energy_wh=energy_wh,
    )
    return replace(
        day,
        cars=(car,),
        load_a=((0.0,) * day.n_step,) * 3,
        sun_w=(0.0,) * day.n_step,
        price_micro=(300_000,) * day.n_step,
    )


def test_energy_cost_and_switches_of_one_car_can_be_done_by_hand() -> None:
    score = run(one_car(limit_a=16, energy_wh=5_520), Policy.EDF)
    assert score.delivered_wh == pytest.approx([5_520])
    assert (score.full, score.worst) == pytest.approx((1, 1))
    assert score.cost_per_kwh == pytest.approx(0.30)
    assert (score.switches, score.plugged_h) == (1, 1)


def test_a_car_behind_a_small_limit_gets_what_the_limit_leaves() -> None:
    score = run(one_car(limit_a=8.9, energy_wh=11_000), Policy.EDF)
    assert score.delivered_wh[0] == pytest.approx(8 * 690)
    assert score.full == 0


def test_no_control_shows_by_how_much_it_is_above_the_limit() -> None:
    score = run(one_car(limit_a=10, energy_wh=11_000), Policy.UNCONTROLLED)
    assert score.violation_a == pytest.approx(6)


def test_sun_is_paid_with_what_it_would_have_earned() -> None:
    day = one_car(limit_a=16, energy_wh=5_520)
    day = replace(day, sun_w=(50_000.0,) * day.n_step)
    assert run(day, Policy.EDF).cost_per_kwh == pytest.approx(0.08)


@pytest.mark.parametrize("policy", KEEPS_LIMITS)
@pytest.mark.parametrize("disturbance", [Disturbance.NOISE, Disturbance.DROP])
def test_no_policy_exceeds_a_limit_or_invents_energy(
    policy: Policy, disturbance: Disturbance
) -> None:
    day = undeclared(disturbed(draw(Kind.PUBLIC, 25, 3, n=SMALL), disturbance), 0.5)
    score = run(day, policy)
    assert score.violation_a == 0
    assert score.n_fallback == 0
    for got_wh, car in zip(score.delivered_wh, day.cars, strict=True):
        stays_h = (car.departure_step - car.arrival_step) / 4
        assert 0 <= got_wh <= car.energy_wh
        assert got_wh <= 1000 * car.kw_per_a * car.max_a * stays_h + 1e-6


@pytest.mark.parametrize("policy", KEEPS_LIMITS)
def test_nobody_delivers_more_than_the_offline_optimum(policy: Policy) -> None:
    for seed in (1, 2):
        day = draw(Kind.WORK, 22, seed, n=SMALL)
        best = bound(day)
        in_whole_a = bound(day, in_whole_a=True)
        score = run(day, policy)
        assert score.energy <= in_whole_a.energy + 1e-9
        assert in_whole_a.energy <= best.energy + 1e-9
        assert best.energy <= 1 + 1e-9


def test_the_offline_optimum_of_one_car_is_the_limit() -> None:
    best = bound(one_car(limit_a=8.5, energy_wh=11_000))
    assert best.delivered_wh[0] == pytest.approx(8.5 * 690)
    assert best.cost_per_kwh == pytest.approx(0.30)


def test_in_whole_ampere_the_part_of_one_is_nobodys() -> None:
    best = bound(one_car(limit_a=8.5, energy_wh=11_000), in_whole_a=True)
    assert best.delivered_wh[0] == pytest.approx(8 * 690)


def test_paired_differences_have_the_error_of_their_mean() -> None:
    found = paired([0.5, 0.7, 0.9], [0.4, 0.7, 1.0])
    assert found.mean == pytest.approx(0)
    assert found.error == pytest.approx(0.1 / 3**0.5)
    assert (found.wins, found.losses) == (1, 1)


def test_the_share_of_the_gap_and_who_loses_are_counted() -> None:
    def figures(energy: float, served: list[float]) -> dict[str, object]:
        return {
            "energy": energy,
            "cost_per_kwh": 0.3,
            "cpu_ms": [1.0],
            "violation_a": 0.0,
            "n_fallback": 0,
            "served": served,
        }

    rows = summary(
        {
            "offline": {"1": {"energy": 1.0, "cost_per_kwh": 0.2}},
            "offline in whole A": {"1": {"energy": 0.95, "cost_per_kwh": 0.2}},
            "edf": {"1": figures(0.8, [1.0, 0.6])},
            "finish": {"1": figures(0.9, [0.9, 0.9])},
        }
    )
    assert rows["finish"]["gap_share"] == pytest.approx(0.5)
    assert rows["finish"]["whole_gap_share"] == pytest.approx(2 / 3)
    assert "gap_share" not in rows["offline in whole A"]
    assert rows["finish"]["gain_share"] == rows["finish"]["lose_share"] == 0.5
