"""Batteries in a plan: what they do, what they never do, and what proves it."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from optimizer import certificate
from optimizer.battery import BatteryUnit
from optimizer.check import Rule, check
from optimizer.document import ProblemError
from optimizer.layout import Layout
from optimizer.outcome import Fallback, Optimal, Plan, Relaxed
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from optimizer.relaxed import RelaxedProblem
from optimizer.solve import solve
from tests.support.optimizer_problems import START, cellar, flat, typical_day

DEAR, CHEAP = 400_000, 100_000


def site(
    *batteries: BatteryUnit,
    limit_a: float = 63.0,
    reserved_a: float = 0.0,
    sessions: tuple[EvSession, ...] = (),
    prices: tuple[int, ...] = (CHEAP, CHEAP, DEAR, DEAR),
    load_w: float = 3_000.0,
    pv_w: float = 0.0,
) -> CabinetProblem:
    """Four hours behind one limit."""
    n_step = len(prices)
    return CabinetProblem(
        group_id="site",
        start=START,
        step_s=3_600,
        n_step=n_step,
        cabinets=(
            CabinetLimit(
                cabinet_id="feeder",
                limit_a=flat(n_step, limit_a),
                reserved_a=flat(n_step, reserved_a),
            ),
        ),
        sessions=sessions,
        import_price_micro_per_kwh=prices,
        feed_in_price_micro_per_kwh=(50_000,) * n_step,
        pv_w=[pv_w] * n_step,
        batteries=batteries,
        load_w=[load_w] * n_step if batteries else None,
    )


def car(energy_wh: int, **changes: Any) -> EvSession:
    session = EvSession(
        session_id="car",
        cabinet_id="feeder",
        phases=(0, 1, 2),
        energy_wh=energy_wh,
        departure_step=4,
        max_a=32.0,
    )
    return replace(session, **changes)


def planned(problem: CabinetProblem) -> Plan:
    """A proven plan whose certificate holds."""
    outcome = solve(problem, deadline_s=20)
    assert isinstance(outcome, Optimal | Relaxed), outcome
    verdict = certificate.verify(problem, outcome.certificate)
    assert verdict.holds, verdict
    assert verdict.is_optimal
    return outcome.plan


def test_it_buys_while_energy_is_cheap_and_replaces_dear_energy() -> None:
    plan = planned(site(cellar()))
    (powers,) = plan.battery_w
    assert powers[0] + powers[1] > 3_000
    # nothing is fed in: it gives what other equipment draws, and not a watt more
    assert powers[2:] == pytest.approx((-3_000, -3_000), abs=2)


def test_without_a_difference_in_price_it_stays_as_it_is() -> None:
    (powers,) = planned(site(cellar(), prices=(DEAR,) * 4)).battery_w
    assert powers == (0, 0, 0, 0)


def test_it_does_not_wear_for_less_than_what_storing_loses() -> None:
    prices = (95_000, 95_000, 100_000, 100_000)
    (powers,) = planned(site(cellar(), prices=prices)).battery_w
    assert powers == (0, 0, 0, 0)


def test_it_returns_to_a_fixed_target() -> None:
    low = cellar(energy_wh=5_000, target_wh=12_000)
    (powers,) = planned(site(low, prices=(DEAR,) * 4)).battery_w
    assert sum(powers) * 0.9 == pytest.approx(7_000, abs=10)


def test_the_reserve_is_never_given_back() -> None:
    almost_empty = cellar(energy_wh=4_500, target_wh=0)
    (powers,) = planned(site(almost_empty, prices=(DEAR,) * 4)).battery_w
    assert -501 <= sum(powers) <= -499


def test_surplus_of_the_sun_is_stored_for_the_evening() -> None:
    problem = site(cellar(target_wh=4_000), prices=(DEAR,) * 4, load_w=0.0, pv_w=5_000)
    evening = replace(
        problem, pv_w=[5_000, 5_000, 0, 0], load_w=[0.0, 0.0, 3_000.0, 3_000.0]
    )
    (powers,) = planned(evening).battery_w
    assert powers[2:] == pytest.approx((-3_000, -3_000), abs=2)


def test_its_charging_counts_under_the_limit_like_a_car() -> None:
    plan = planned(site(cellar(target_wh=20_000), limit_a=8.0))
    (powers,) = plan.battery_w
    assert max(powers) <= 8 * 690
    assert max(powers) > 7.9 * 690


def test_its_discharging_gives_cars_no_ampere_more() -> None:
    crowd = (car(60_000),)
    without = planned(site(limit_a=10.0, sessions=crowd))
    full = cellar(energy_wh=20_000, target_wh=4_000)
    beside = planned(site(full, limit_a=10.0, sessions=crowd, prices=(DEAR,) * 4))
    assert min(beside.battery_w[0]) < -3_000
    assert max(max(row) for row in beside.currents_da) <= 100
    assert beside.currents_da == without.currents_da


def test_cars_come_first_where_there_is_room_for_one() -> None:
    hungry = cellar(energy_wh=4_000, target_wh=20_000)
    crowd = (car(60_000),)
    plan = planned(site(hungry, limit_a=10.0, sessions=crowd))
    assert plan.currents_da == planned(site(limit_a=10.0, sessions=crowd)).currents_da
    assert max(plan.battery_w[0]) == 0


def test_what_it_still_draws_is_not_given_to_cars_yet_but_it_is_told_less() -> None:
    charging = cellar(held_a=6.0, energy_wh=4_000, target_wh=20_000)
    crowd = (car(60_000),)
    plan = planned(site(charging, limit_a=16.0, reserved_a=6.0, sessions=crowd))
    assert plan.currents_da[0][0] == 100
    assert plan.battery_w[0][0] == 0


def test_what_it_still_draws_counts_once() -> None:
    charging = cellar(held_a=6.0, energy_wh=4_000, target_wh=20_000)
    (powers,) = planned(site(charging, limit_a=10.0, reserved_a=6.0)).battery_w
    assert powers[0] > 9.9 * 690


def test_what_one_battery_still_draws_is_not_free_for_another() -> None:
    """The first lets go of 6 A, and the other may take them when it has."""
    first = cellar(held_a=6.0, energy_wh=20_000, target_wh=0)
    other = cellar(battery_id="attic", energy_wh=4_000, target_wh=20_000)
    problem = site(first, other, limit_a=6.0, reserved_a=6.0, prices=(CHEAP,) * 4)
    plan = planned(problem)
    assert check(problem, plan) == ()
    assert plan.battery_w[1][0] == 0


def test_a_battery_that_is_full_or_empty_or_dead_makes_no_trouble() -> None:
    full = cellar(energy_wh=20_000, target_wh=20_000)
    empty = cellar(battery_id="two", energy_wh=0, reserve_wh=0, target_wh=0)
    dead = cellar(battery_id="three", max_charge_w=0, max_discharge_w=0)
    stuck = cellar(battery_id="four", capacity_wh=1, energy_wh=1, reserve_wh=1)
    stuck = replace(stuck, target_wh=1)
    plan = planned(site(full, empty, dead, stuck))
    assert plan.battery_ids == ("cellar", "two", "three", "four")
    assert plan.battery_w[2:] == ((0,) * 4, (0,) * 4)


def test_a_plan_with_a_battery_costs_less_than_one_without() -> None:
    day, stored = typical_day(4), typical_day(4, batteries=(cellar(),))
    idle = typical_day(4, batteries=(cellar(max_charge_w=0, max_discharge_w=0),))
    one, two = (solve(p, deadline_s=20).certificate for p in (idle, stored))
    assert int(str(two["cost_micro"])) < int(str(one["cost_micro"])) - 500_000
    alone = solve(day, deadline_s=20).certificate
    assert one["cost_micro"] == alone["cost_micro"]


def test_a_fallback_says_nothing_of_batteries() -> None:
    problem = site(cellar(), sessions=(car(5_000),))
    outcome = solve(problem, deadline_s=20, engine="edf")
    assert isinstance(outcome, Fallback)
    assert outcome.plan.battery_w == ()
    assert certificate.verify(problem, outcome.certificate).holds


def test_the_readable_model_gives_the_same_powers() -> None:
    problem = site(cellar(), sessions=(car(5_000),))
    both = [
        solve(problem, deadline_s=60, engine="auto").plan,
        solve(problem, deadline_s=60, engine="cvxpy").plan,
    ]
    assert both[1].engine.startswith("cvxpy")
    for one, two in zip(both[0].battery_w[0], both[1].battery_w[0], strict=True):
        assert one == pytest.approx(two, abs=20)


# Proof


@pytest.fixture(name="problem", scope="module")
def day() -> CabinetProblem:
    return typical_day(4, n_session=3, n_step=40, batteries=(cellar(),))


@pytest.fixture(name="made", scope="module")
def honest(problem: CabinetProblem) -> Mapping[str, object]:
    return solve(problem, deadline_s=20).certificate


def test_a_problem_without_batteries_has_no_word_of_them() -> None:
    document = typical_day(4, n_session=3).to_json()
    assert not {"batteries", "load_w"} & set(document)
    made = solve(typical_day(4, n_session=3), deadline_s=20).certificate
    assert not {"stored_nano", "battery_w"} & set(made)


@pytest.mark.parametrize("name", ["stored_nano", "battery_w"])
def test_what_proves_batteries_is_there_if_and_only_if_there_are_some(
    name: str, problem: CabinetProblem, made: Mapping[str, object]
) -> None:
    less = {key: value for key, value in made.items() if key != name}
    verdict = certificate.verify(problem, less)
    assert verdict.failures == (f"certificate {name}: is missing",)
    plain = typical_day(4, n_session=3)
    more = dict(solve(plain, deadline_s=20).certificate) | {name: []}
    verdict = certificate.verify(plain, more)
    assert verdict.failures == (f"certificate {name}: no such field",)


def test_another_power_than_the_plan_s_is_found(
    problem: CabinetProblem, made: Mapping[str, object]
) -> None:
    forged: Any = dict(made)
    forged["battery_w"] = [[power + 1 for power in row] for row in forged["battery_w"]]
    verdict = certificate.verify(problem, forged)
    why = "the powers of batteries do not follow from the relaxed plan"
    assert why in verdict.failures


def test_an_idle_battery_is_no_optimum(
    problem: CabinetProblem, made: Mapping[str, object]
) -> None:
    relaxed = RelaxedProblem.of(Layout.of(problem))
    forged: Any = dict(made)
    n_cell = len(relaxed.storage.cells)
    assert n_cell > 0
    forged["current_ua"] = forged["current_ua"][:-n_cell] + [0] * n_cell
    verdict = certificate.verify(problem, forged)
    assert verdict.gap_micro is None or verdict.gap_micro > 100_000
    assert not verdict.is_optimal


@pytest.mark.parametrize(
    ("place", "value"), [(0, -1), (0, 10**9), (1, 10**9), (-1, 11_594_203)]
)
def test_a_power_that_a_battery_cannot_have_is_found(
    place: int, value: int, problem: CabinetProblem, made: Mapping[str, object]
) -> None:
    relaxed = RelaxedProblem.of(Layout.of(problem))
    forged: Any = dict(made)
    n_cell = len(relaxed.storage.cells)
    cells = forged["current_ua"][-n_cell:]
    cells[place] = value
    forged["current_ua"] = forged["current_ua"][:-n_cell] + cells
    assert not certificate.verify(problem, forged).holds


@pytest.mark.parametrize("version", [1, 2])
def test_a_certificate_of_an_older_version_is_refused_by_name(
    version: int, problem: CabinetProblem, made: Mapping[str, object]
) -> None:
    old = dict(made) | {"format": f"wattproof-certificate/{version}"}
    (why,) = certificate.verify(problem, old).failures
    assert f"wattproof-certificate/{version}" in why
    assert "not wattproof-certificate/3" in why


def test_verifying_batteries_loads_neither_numpy_nor_scipy() -> None:
    code = (
        "import sys; import optimizer.certificate, optimizer.verify;"
        "sys.exit(bool({'numpy', 'scipy', 'cvxpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The independent check, and what a problem refuses


@pytest.mark.parametrize(
    ("powers", "rule"),
    [
        ((10_001, 0, 0, 0), Rule.POWER),
        ((0, -8_001, 0, 0), Rule.POWER),
        ((-3_500, -3_500, 0, 0), Rule.STORED),
        ((9_000, 9_000, 0, 0), Rule.STORED),
    ],
)
def test_a_power_beyond_rate_or_store_is_found(
    powers: tuple[int, ...], rule: Rule
) -> None:
    problem = site(cellar())
    plan = replace(planned(problem), battery_w=(powers,))
    assert rule in {found.rule for found in check(problem, plan)}


def test_a_power_beside_cars_above_the_limit_is_found() -> None:
    problem = site(cellar(), sessions=(car(60_000),), limit_a=16.0)
    plan = planned(problem)
    over = replace(plan, battery_w=((1_000, 0, 0, 0),), currents_da=((160, 0, 0, 0),))
    assert Rule.LIMIT in {found.rule for found in check(problem, over)}
    short = replace(plan, battery_w=((0, 0),))
    assert [found.rule for found in check(problem, short)] == [Rule.SHAPE]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"battery_id": ""}, "batteries[0].battery_id"),
        ({"cabinet_id": "moon"}, "batteries[0].cabinet_id"),
        ({"phases": (3,)}, "batteries[0].phases"),
        ({"capacity_wh": 0}, "batteries[0].capacity_wh"),
        ({"energy_wh": 20_001}, "batteries[0].energy_wh"),
        ({"target_wh": -1}, "batteries[0].target_wh"),
        ({"max_charge_w": 10**8 + 1}, "batteries[0].max_charge_w"),
        ({"efficiency_permille": 0}, "batteries[0].efficiency_permille"),
        ({"wear_micro_per_kwh": -1}, "batteries[0].wear_micro_per_kwh"),
        ({"held_a": 5.1}, "batteries[0].held_a"),
    ],
)
def test_a_wrong_battery_is_refused_by_name(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(ProblemError, match=path.replace("[", r"\[")):
        typical_day(4, batteries=(cellar(**changes),))


def test_two_of_one_name_and_one_phase_where_imbalance_is_limited_are_refused() -> None:
    with pytest.raises(ProblemError, match="occurs twice"):
        site(cellar(), cellar())
    problem = site(cellar(phases=(0,)))
    uneven = replace(problem.cabinets[0], imbalance_a=20.0)
    with pytest.raises(ProblemError, match="limits the imbalance"):
        replace(problem, cabinets=(uneven,))
