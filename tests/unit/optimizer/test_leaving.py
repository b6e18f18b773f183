"""Plans for cars of which nobody knows exactly when they leave."""

from dataclasses import replace

import pytest

from optimizer import certificate
from optimizer.document import ProblemError
from optimizer.goal import prices
from optimizer.layout import Layout
from optimizer.leaving import LEAST_STEPS, MOST_STEPS, uncertain
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat

N_STEP = 12
CHEAP_LATE = [400_000] * 6 + [100_000] * 6


def car(name: str = "s", *, leaving: tuple[int, ...] = ()) -> EvSession:
    return EvSession(
        session_id=name,
        cabinet_id="A",
        phases=(0, 1, 2),
        energy_wh=5_000,
        departure_step=N_STEP,
        max_a=16.0,
        leaving_steps=leaving,
    )


def problem(*cars: EvSession, limit_a: float = 100.0) -> CabinetProblem:
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=N_STEP,
        cabinets=(
            CabinetLimit(
                cabinet_id="A",
                limit_a=flat(N_STEP, limit_a),
                reserved_a=flat(N_STEP, 0.0),
            ),
        ),
        sessions=cars,
        import_price_micro_per_kwh=CHEAP_LATE,
        mode=Mode.ECONOMY,
    )


def test_departures_that_are_over_did_not_come_true() -> None:
    found = uncertain(car(), [-3, 0, 2, 9, 5])
    assert found.leaving_steps == (2, 5, 9)
    assert found.departure_step == 9


def test_too_few_departures_say_nothing() -> None:
    assert uncertain(car(), [0, *range(1, LEAST_STEPS)]) == car()


def test_departures_that_all_agree_are_a_certain_one() -> None:
    assert uncertain(car(), [7] * 20) == replace(car(), departure_step=7)


def test_many_departures_are_represented_by_quantiles() -> None:
    found = uncertain(car(), range(1, 161)).leaving_steps
    assert len(found) == MOST_STEPS
    assert found == tuple(range(6, 161, 10))


def test_energy_that_may_come_too_late_is_dearer_but_never_worthless() -> None:
    certain = prices(Layout.of(problem(car())))
    likely = prices(Layout.of(problem(car(leaving=(2, 4, 4)))))
    worth = certain.shortage[0] - max(certain.use[0])
    added = [a - b for a, b in zip(likely.use[0], certain.use[0], strict=True)]
    assert added == [0, 0, worth // 4, worth // 4] + [worth * 3 // 4] * 8
    assert likely.shortage == certain.shortage
    assert max(likely.use[0]) < likely.shortage[0]


def test_nobody_waits_for_a_price_at_which_the_car_may_be_gone() -> None:
    waits = solve(problem(car()), deadline_s=20).plan.currents_da[0]
    assert not any(waits[:6])
    hurries = solve(problem(car(leaving=(5, 9, 12))), deadline_s=20).plan.currents_da[0]
    assert sum(hurries[:5]) == sum(hurries) > 0


def test_who_may_be_gone_first_is_served_first() -> None:
    """The cabinet has room for one car at a time."""
    both = problem(car("stays"), car("may go", leaving=(3, 6, 12)), limit_a=16.0)
    first, second = solve(both, deadline_s=20).plan.currents_da
    assert second[0] == 160
    assert first[0] == 0


def test_a_plan_with_likely_departures_is_verified_and_read_back() -> None:
    asked = problem(car("a", leaving=(3, 6, 12)), car("b"), limit_a=20.0)
    outcome = solve(asked, deadline_s=20)
    read = CabinetProblem.from_json(asked.to_json())
    assert read == asked
    verdict = certificate.verify(read, outcome.certificate)
    assert verdict.failures == ()
    assert verdict.is_optimal
    other = replace(asked, sessions=(car("a"), car("b")))
    assert not certificate.verify(other, outcome.certificate).holds


def test_a_certain_departure_is_no_member_of_the_document() -> None:
    assert "leaving_steps" not in car().to_json()


@pytest.mark.parametrize("steps", [(1.5,), tuple(range(65)), ("1",)])
def test_steps_that_are_none_are_refused(steps: tuple[int, ...]) -> None:
    with pytest.raises(ProblemError, match="leaving_steps"):
        problem(car(leaving=steps))
