"""The rule of the fallback: earliest departure first, its step packed as a whole."""

from optimizer import rules
from optimizer.check import check
from optimizer.layout import Layout
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat


def crowded() -> CabinetProblem:
    """Two cars on L1 leave first; the third one can use all phases."""
    cars = (("a", (0,), 4), ("b", (0,), 5), ("c", (0, 1, 2), 6))
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=8,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=flat(8, 22.0), reserved_a=flat(8, 0.0)
            ),
        ),
        sessions=tuple(
            EvSession(
                session_id=name,
                cabinet_id="A",
                phases=phases,
                energy_wh=20_000,
                departure_step=departure,
                max_a=16.0,
            )
            for name, phases, departure in cars
        ),
    )


def test_the_packed_rule_leaves_no_phase_stranded() -> None:
    """In order of departure 16 A and 6 A go to L1 and nothing to the others."""
    layout = Layout.of(crowded())
    assert [row[0] for row in rules.edf(layout)] == [160, 60, 0]
    assert [row[0] for row in rules.edf_packed(layout)] == [60, 0, 160]


def test_the_packed_rule_is_what_a_fallback_carries() -> None:
    problem = crowded()
    outcome = solve(problem, deadline_s=5, engine="edf")
    assert outcome.plan.currents_da == rules.edf_packed(Layout.of(problem))
    assert check(problem, outcome.plan) == ()
