"""The matrices built directly state the readable model and have its optimum."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from optimizer import model, solvers, sparse
from optimizer.battery import BatteryUnit
from optimizer.bound import UNIT_PER_MICRO, primal_value, shave
from optimizer.layout import MICROAMP_PER_DA, Layout
from optimizer.problem import CabinetProblem
from optimizer.relaxed import RelaxedProblem
from tests.support.optimizer_problems import cellar, problems, typical_day

RELATIVE = 1e-6

few = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def relaxed_of(problem: CabinetProblem) -> RelaxedProblem:
    return RelaxedProblem.of(Layout.of(problem))


def oracle(relaxed: RelaxedProblem) -> model.Model:
    """The readable model, solved as exactly as its solver can.

    Where that is not exact enough by its own word, there is nothing to compare with.
    """
    stated = model.build(relaxed)
    for tolerance in (1e-9, 1e-8):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # inaccuracy is what the status says
            stated.problem.solve(  # type: ignore[no-untyped-call]  # cvxpy is partly typed
                solver="CLARABEL",
                tol_gap_rel=tolerance,
                tol_gap_abs=tolerance,
                tol_feas=tolerance,
            )
        if stated.problem.status == "optimal":
            break
    assume(stated.problem.status == "optimal")
    return stated


def point(stated: model.Model, built: sparse.Sparse) -> sparse.Vector:
    """The oracle's optimum as variables of the direct build."""
    assert stated.current_a.value is not None
    assert stated.unmet_kwh.value is not None
    others = (stated.pv_kw, stated.cell_a, stated.stored_kwh, stated.missing_kwh)
    return np.concatenate(
        [
            stated.current_a.value,
            stated.unmet_kwh.value[built.active],
            *(other.value for other in others if other is not None),
        ]
    )


@few
@given(problems() | problems(max_battery=3))
def test_both_builds_state_one_cost_and_one_feasible_set(
    problem: CabinetProblem,
) -> None:
    relaxed = relaxed_of(problem)
    assume(relaxed.has_choice)
    stated, built = oracle(relaxed), sparse.matrices(relaxed)
    assert stated.problem.value is not None
    found, value = point(stated, built), float(stated.problem.value)
    assert built.value(found) == pytest.approx(value, rel=RELATIVE, abs=RELATIVE)
    assert np.abs(built.a @ found - built.b).max(initial=0) < 1e-5
    assert (built.g @ found - built.h).max(initial=-1) < 1e-5
    assert (found > built.low - 1e-5).all()
    assert (found < built.high + 1e-5).all()
    assert (built.high > built.low).all()


@pytest.mark.parametrize("solver", ["PIQP", "CLARABEL", "ECOS"])
@few
@given(problem=problems() | problems(max_battery=3))
def test_the_direct_optimum_costs_what_the_readable_models_does(
    solver: sparse.Solver, problem: CabinetProblem
) -> None:
    relaxed = relaxed_of(problem)
    assume(relaxed.has_choice)
    stated, built = oracle(relaxed), sparse.matrices(relaxed)
    assert stated.problem.value is not None
    found = solvers.SOLVERS[solver](built, 20.0)
    value = float(stated.problem.value)
    assert built.value(found.v) == pytest.approx(value, rel=RELATIVE, abs=RELATIVE)


@pytest.mark.parametrize("stores", [(), (cellar(),)])
@pytest.mark.parametrize("n_session", [6, 30])
def test_on_a_whole_day_all_solvers_agree_exactly_checked(
    n_session: int, stores: tuple[BatteryUnit, ...]
) -> None:
    """Not only the solvers' word: the exact cost of what is left after shaving."""
    relaxed = relaxed_of(typical_day(4, n_session=n_session, batteries=stores))
    costs = []
    for solver in ("PIQP", "CLARABEL", "ECOS"):
        current_a, _ = sparse.run(relaxed, 20.0, solver=solver)
        rounded = [round(a * 10 * MICROAMP_PER_DA) for a in current_a]
        cost = primal_value(relaxed, shave(relaxed, rounded))
        costs.append(cost / UNIT_PER_MICRO)
    assert max(costs) - min(costs) <= RELATIVE * abs(costs[0])
