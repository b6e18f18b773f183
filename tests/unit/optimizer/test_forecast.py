"""What past days make of an AUTO problem: the price is followed where it is safe."""

from dataclasses import replace

import pytest

from optimizer.forecast import Visit, expected_a, foreseen, unwaiting
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from tests.support.optimizer_problems import START, flat

N_STEP = 96
EVENING = Visit(arrival_step=72, n_step=8, energy_wh=11_040, n_phase=3)


def problem(
    *, limit_a: float = 32.0, energy_wh: int = 10_000, mode: Mode = Mode.AUTO
) -> CabinetProblem:
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=N_STEP,
        cabinets=(
            CabinetLimit(
                cabinet_id="A",
                limit_a=flat(N_STEP, limit_a),
                reserved_a=flat(N_STEP, 1.0),
            ),
        ),
        sessions=(
            EvSession(
                session_id="s",
                cabinet_id="A",
                phases=(0, 1, 2),
                energy_wh=energy_wh,
                departure_step=40,
                max_a=16.0,
            ),
        ),
        mode=mode,
    )


def later(amperes: float) -> dict[str, tuple[float, ...]]:
    return {"A": (9.0,) + (amperes,) * (N_STEP - 1)}


def test_a_visit_is_expected_evenly_over_its_stay_and_again_tomorrow() -> None:
    found = expected_a([[EVENING]], now_step=70, n_step=96, step_s=900)
    assert found[:2] == (0, 0)
    assert found[2:10] == pytest.approx((8.0,) * 8)
    assert set(found[10:]) == {0}
    tomorrow = expected_a([[EVENING]], now_step=80, n_step=96, step_s=900)
    assert tomorrow[88:] == pytest.approx((8.0,) * 8)


def test_who_comes_in_this_very_step_is_there_and_not_expected() -> None:
    assert set(expected_a([[EVENING]], now_step=72, n_step=96, step_s=900)) == {0}


def test_a_car_on_one_phase_counts_a_third_on_each() -> None:
    one = replace(EVENING, n_phase=1, energy_wh=3_680)
    found = expected_a([[one]], now_step=71, n_step=4, step_s=900)
    assert found[1] == pytest.approx(8 / 3)


def test_nine_of_ten_days_needed_no_more() -> None:
    days = [[replace(EVENING, energy_wh=1_380 * (number + 1))] for number in range(10)]
    found = expected_a(days, now_step=71, n_step=2, step_s=900)
    assert found[1] == pytest.approx(9.0)


def test_another_mode_is_left_alone() -> None:
    asked = problem(mode=Mode.FAIR)
    assert foreseen(asked, later(30)) is asked


def test_without_a_history_cars_are_served_at_once() -> None:
    assert foreseen(problem(), None) == problem(mode=Mode.FINISH)


def test_with_room_for_all_the_price_is_followed_around_what_is_held_free() -> None:
    found = foreseen(problem(), later(10.0))
    assert found.mode is Mode.ECONOMY
    reserved_a = found.cabinets[0].reserved_a
    for row in reserved_a:
        assert list(row) == [1.0] + [11.0] * (N_STEP - 1)
    assert found.sessions == problem().sessions


def test_where_what_is_expected_leaves_too_little_cars_are_served_at_once() -> None:
    assert foreseen(problem(), later(28.0)) == problem(mode=Mode.FINISH)


def test_where_what_is_expected_does_not_fit_by_itself_cars_are_served_at_once() -> (
    None
):
    assert foreseen(problem(energy_wh=100), later(40.0)).mode is Mode.FINISH


def test_what_comes_after_the_last_departure_does_not_matter() -> None:
    busy = {"A": (0.0,) * 30 + (40.0,) * (N_STEP - 30)}
    assert foreseen(problem(), busy).mode is Mode.FINISH
    calm = {"A": (0.0,) * 60 + (40.0,) * (N_STEP - 60)}
    assert foreseen(problem(), calm).mode is Mode.ECONOMY


def test_a_need_that_no_limit_could_meet_is_no_foreseen_shortage() -> None:
    greedy = problem(energy_wh=10**6, limit_a=64.0)
    assert foreseen(greedy, later(0.0)).mode is Mode.ECONOMY


def test_an_absurd_expectation_is_no_error_but_a_shortage() -> None:
    assert foreseen(problem(), later(1e7)) == problem(mode=Mode.FINISH)


def test_who_did_not_say_when_is_not_made_to_wait_for_the_price() -> None:
    economy = problem(mode=Mode.ECONOMY)
    (hasty,) = unwaiting(economy, {"s"}).sessions
    assert hasty == replace(economy.sessions[0], leaving_steps=(4,))
    assert unwaiting(economy, {"other"}) == economy
    assert unwaiting(problem(mode=Mode.FINISH), {"s"}) == problem(mode=Mode.FINISH)


def test_a_departure_that_is_near_is_not_put_off() -> None:
    near = replace(problem().sessions[0], departure_step=2)
    economy = replace(problem(mode=Mode.ECONOMY), sessions=(near,))
    assert unwaiting(economy, {"s"}) == economy
