"""Whatever the problem: a plan comes out, and it is safe."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from optimizer import certificate, rules, solvers
from optimizer.bound import Dual, dual_value, infeasibility, primal_value, shave
from optimizer.check import check
from optimizer.failures import SolverFailedError
from optimizer.layout import Currents, Layout
from optimizer.outcome import Fallback, Optimal, Plan, Relaxed
from optimizer.problem import CabinetProblem
from optimizer.relaxed import RelaxedProblem
from optimizer.solve import solve
from optimizer.sparse import Sparse
from tests.support.optimizer_problems import problems

few = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)
many = settings(max_examples=150, deadline=None)


def as_plan(problem: CabinetProblem, currents: Currents) -> Plan:
    template = solve(problem, deadline_s=1, engine="edf").plan
    return replace(template, currents_da=currents)


@few
@given(problems() | problems(max_battery=3))
def test_any_problem_gets_a_safe_plan_with_a_certificate_that_holds(
    problem: CabinetProblem,
) -> None:
    outcome = solve(problem, deadline_s=20)
    assert check(problem, outcome.plan) == ()
    assert isinstance(outcome, Optimal | Relaxed), outcome
    assert isinstance(outcome, Relaxed) == any(outcome.plan.shortfall_wh)
    verdict = certificate.verify(problem, outcome.certificate)
    assert verdict.holds, verdict
    assert verdict.gap_micro is not None
    assert verdict.gap_micro >= 0
    assert len(outcome.plan.reasons) == sum(w > 0 for w in outcome.plan.shortfall_wh)


@many
@given(problems(max_session=9) | problems(max_battery=2))
def test_a_deadline_already_over_still_gets_a_safe_plan(
    problem: CabinetProblem,
) -> None:
    outcome = solve(problem, deadline_s=0)
    assert check(problem, outcome.plan) == ()
    assert certificate.verify(problem, outcome.certificate).holds
    assert all(e >= 0 for e in outcome.plan.energy_wh)
    for session, energy, short in zip(
        problem.sessions,
        outcome.plan.energy_wh,
        outcome.plan.shortfall_wh,
        strict=True,
    ):
        assert session.energy_wh - 1 <= energy + short <= session.energy_wh + 1


@many
@given(
    problems(max_session=9) | problems(max_battery=2),
    st.sampled_from([rules.edf, rules.edf_packed, rules.llf, rules.equal_share]),
)
def test_every_rule_is_feasible(
    problem: CabinetProblem, rule: Callable[[Layout], Currents]
) -> None:
    currents = rule(Layout.of(problem))
    assert check(problem, as_plan(problem, currents)) == ()


@pytest.mark.parametrize("failure", ["raises", "nonsense", "above", "stingy"])
@pytest.mark.parametrize("liars", [("PIQP",), ("PIQP", "CLARABEL", "ECOS")])
@few
@given(problem=problems() | problems(max_battery=3))
def test_a_failing_or_lying_solver_never_spoils_a_plan(
    liars: tuple[str, ...],
    failure: str,
    problem: CabinetProblem,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lying(stated: Sparse, _limit_s: float) -> solvers.Found:
        n_v, n_below = len(stated.c), len(stated.h)
        match failure:
            case "raises":
                raise SolverFailedError("planted")
            case "nonsense":
                v = np.array([float(k % 7) for k in range(n_v)])
            case "above":
                v = np.full(n_v, 1e6)
            case _:
                v = np.zeros(n_v)
        return solvers.Found(v=v, equal=0 * stated.b, below=np.zeros(n_below))

    with monkeypatch.context() as patch:
        for name in liars:
            patch.setitem(solvers.SOLVERS, name, lying)
        outcome = solve(problem, deadline_s=20)
    assert check(problem, outcome.plan) == ()
    has_choice = RelaxedProblem.of(Layout.of(problem)).has_choice
    if failure == "raises" and has_choice and "ECOS" in liars:
        assert isinstance(outcome, Fallback)
        assert "PIQP: planted; CLARABEL: planted; ECOS: planted" in outcome.why
    if liars == ("PIQP",):
        assert isinstance(outcome, Optimal | Relaxed)
        assert certificate.verify(problem, outcome.certificate).holds


@many
@given(problems() | problems(max_battery=3), st.randoms(use_true_random=False))
def test_no_prices_at_all_can_lift_the_bound_above_a_feasible_cost(
    problem: CabinetProblem,
    rng: Random,
) -> None:
    relaxed = RelaxedProblem.of(Layout.of(problem))
    n_value = len(relaxed.columns) + len(relaxed.storage.cells)
    any_ua = [rng.randrange(-(10**6), 4 * 10**7) for _ in range(n_value)]
    shaved = shave(relaxed, any_ua)
    assert infeasibility(relaxed, shaved) is None
    any_dual = Dual(
        energy=tuple(rng.randrange(-(10**9), 10**10) for _ in problem.sessions),
        limit=tuple(rng.randrange(10**9) for _ in relaxed.bounds),
        sun=tuple(rng.randrange(10**9) for _ in relaxed.shared),
        stored=tuple(rng.randrange(-(10**9), 10**9) for _ in relaxed.storage.moves),
    )
    assert dual_value(relaxed, any_dual) <= primal_value(relaxed, shaved)


@many
@given(problems() | problems(max_battery=3))
def test_a_problem_survives_json(problem: CabinetProblem) -> None:
    again = CabinetProblem.from_json(problem.to_json())
    assert again == problem
    assert again.digest() == problem.digest()


@many
@given(problems() | problems(max_battery=3), st.data())
def test_any_current_raised_above_the_room_is_found(
    problem: CabinetProblem, data: st.DataObject
) -> None:
    plan = solve(problem, deadline_s=0).plan
    assume(plan.session_ids)
    index = data.draw(st.integers(0, len(plan.session_ids) - 1))
    step = data.draw(st.integers(0, problem.n_step - 1))
    rows = [list(row) for row in plan.currents_da]
    rows[index][step] = 5_000
    spoiled = replace(plan, currents_da=tuple(tuple(row) for row in rows))
    found = check(problem, spoiled)
    session = problem.sessions[index]
    assert {v.subject for v in found} >= {session.session_id}
    assert any(v.step == step for v in found)
