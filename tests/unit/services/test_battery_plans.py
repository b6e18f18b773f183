"""What plans know of batteries, and how long what they say counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.ids import CabinetId
from gateway.domain.topology import Battery, Cabinet, Site
from gateway.services import group_problem
from gateway.services.battery_plans import FRESH_S, BatteryPlans
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading
from optimizer import CabinetProblem, Optimal, solve
from tests.unit.services.test_battery_in_plans import BATTERY as READ_ONLY
from tests.unit.services.test_car_watch import ROOT, site

NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)
BATTERY = replace(READ_ONLY, is_controlled=True, follows_plan=True)
PRICES = (100_000, 100_000, 400_000, 400_000)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def asked(
    battery: Battery = BATTERY,
    *,
    energy_wh: float | None = 5_000.0,
    prices: tuple[int, ...] | None = PRICES,
    place: Site | None = None,
) -> CabinetProblem:
    """What is solved with a battery that draws 5 A."""
    place = replace(place or site(), batteries=(battery,))
    state = GroupState(place.group(CabinetId(ROOT)), site=place, trusts={})
    state.readings["cellar"] = LoadReading(
        load_id="cellar", measured_at=NOW, current_da=(50, 50, 50)
    )
    return group_problem.build(
        state,
        NOW,
        step_s=900,
        n_step=4,
        prices=lambda _start, _step_s, _n_step: prices,
        battery_wh=lambda _battery_id, _now: energy_wh,
    ).problem


def test_a_battery_goes_into_the_problem_with_what_it_holds_and_draws() -> None:
    (unit,) = asked().batteries
    assert unit.energy_wh == 5_000
    assert unit.target_wh == 5_000
    assert unit.reserve_wh == 2_000
    assert unit.efficiency_permille == 900
    assert unit.held_a == 6.3  # counted with the margin of its reading


def test_its_own_charging_is_no_load_that_it_could_replace() -> None:
    base, planned = asked(energy_wh=None), asked()
    assert base.load_w is None
    assert planned.load_w is not None
    assert planned.load_w[0] == pytest.approx(planned.load_w[1])
    assert base.cabinets == planned.cabinets


@pytest.mark.parametrize(
    ("battery", "energy_wh", "prices"),
    [
        (replace(BATTERY, follows_plan=False), 5_000.0, PRICES),
        (BATTERY, None, PRICES),
        (BATTERY, 5_000.0, None),
    ],
)
def test_who_cannot_be_planned_is_left_to_the_rule(
    battery: Battery, energy_wh: float | None, prices: tuple[int, ...] | None
) -> None:
    problem = asked(battery, energy_wh=energy_wh, prices=prices)
    assert problem.batteries == ()


def test_one_on_one_phase_where_the_imbalance_is_limited_is_left_to_the_rule() -> None:
    def even(cabinet: Cabinet) -> Cabinet:
        return replace(cabinet, imbalance_da=200)

    place = replace(site(), cabinets=tuple(even(one) for one in site().cabinets))
    assert asked(replace(BATTERY, phases=(0,)), place=place).batteries == ()
    assert asked(replace(BATTERY, phases=(0,))).batteries
    assert asked(place=place).batteries


@pytest.mark.parametrize("energy_wh", [-3.0, 0.0, 10_000.0, 99_999.0])
def test_whatever_a_battery_says_it_holds_there_is_a_problem(energy_wh: float) -> None:
    (unit,) = asked(energy_wh=energy_wh).batteries
    assert 0 <= unit.energy_wh <= unit.capacity_wh


def test_what_it_holds_counts_for_a_minute() -> None:
    plans = BatteryPlans()
    assert plans.energy_wh("cellar", NOW) is None
    plans.holds("cellar", 5_000.0, NOW)
    assert plans.energy_wh("cellar", after(FRESH_S)) == 5_000
    assert plans.energy_wh("cellar", after(FRESH_S + 1)) is None
    plans.is_gone("cellar")
    assert plans.energy_wh("cellar", NOW) is None


def test_a_plan_is_followed_for_two_steps() -> None:
    plans = BatteryPlans()
    outcome = solve(asked(), deadline_s=20)
    assert isinstance(outcome, Optimal)
    powers = (1_200, -600, 300, 0)
    plans.take(replace(outcome.plan, battery_w=(powers,)))
    assert plans.power_w("cellar", NOW) == powers[0]
    assert plans.power_w("cellar", after(901)) == powers[1]
    assert plans.power_w("cellar", after(1_801)) is None
    assert plans.power_w("cellar", after(-1)) is None
    assert plans.power_w("attic", NOW) is None


def test_a_plan_by_a_rule_changes_nothing_of_what_batteries_do() -> None:
    plans = BatteryPlans()
    plans.take(solve(asked(), deadline_s=20).plan)
    before = plans.power_w("cellar", NOW)
    assert before is not None
    plans.take(solve(asked(), deadline_s=20, engine="edf").plan)
    assert plans.power_w("cellar", NOW) == before
