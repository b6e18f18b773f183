"""No two phases differ by more than allowed, whatever each car takes of its limit."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.layout import is_uneven
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat

N_STEP = 4
PHASE_SETS = [(0,), (1,), (2,), (0, 2), (0, 1, 2)]
SESSIONS = st.lists(
    st.builds(
        EvSession,
        session_id=st.uuids().map(str),
        cabinet_id=st.sampled_from(["main", "garage"]),
        phases=st.sampled_from(PHASE_SETS),
        energy_wh=st.integers(1_000, 20_000),
        departure_step=st.integers(1, N_STEP),
        max_a=st.sampled_from([16.0, 32.0]),
        n_power_phase=st.just(1),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.session_id,
)


def problem(sessions: list[EvSession], imbalance_a: float) -> CabinetProblem:
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=N_STEP,
        cabinets=(
            CabinetLimit(
                cabinet_id="main",
                limit_a=flat(N_STEP, 80.0),
                reserved_a=flat(N_STEP, 0.0),
                imbalance_a=imbalance_a,
            ),
            CabinetLimit(
                cabinet_id="garage",
                parent="main",
                limit_a=flat(N_STEP, 40.0),
                reserved_a=flat(N_STEP, 0.0),
            ),
        ),
        sessions=tuple(sessions),
    )


@settings(max_examples=40, deadline=None)
@given(SESSIONS, st.sampled_from([0.0, 8.0, 20.0]), st.data())
def test_phases_stay_even_whatever_cars_take(
    sessions: list[EvSession], imbalance_a: float, data: st.DataObject
) -> None:
    """Cars with one phase at a three-phase EVSE included: it may be any of them."""
    plan = solve(problem(sessions, imbalance_a), deadline_s=20).plan
    for step in range(N_STEP):
        phases = [0.0, 0.0, 0.0]
        for session, row in zip(sessions, plan.currents_da, strict=True):
            taken = row[step] / 10 * data.draw(st.sampled_from([0.0, 0.6, 1.0]))
            used = (
                session.phases
                if session.n_power_phase == len(session.phases)
                else (data.draw(st.sampled_from(session.phases)),)
            )
            for phase in used:
                phases[phase] += taken
        assert max(phases) - min(phases) <= imbalance_a + 1e-9


def test_an_even_car_is_not_held_back_by_it() -> None:
    even = EvSession(
        session_id="even",
        cabinet_id="main",
        phases=(0, 1, 2),
        energy_wh=22_000,
        departure_step=N_STEP,
        max_a=32.0,
    )
    uneven = replace(even, session_id="uneven", n_power_phase=1, energy_wh=7_000)
    assert not is_uneven(even, 0, 1)
    assert is_uneven(uneven, 0, 1)
    plan = solve(problem([even, uneven], 10.0), deadline_s=20).plan
    assert plan.shortfall_wh[0] == 0
    assert max(plan.currents_da[1]) <= 100
    assert any("L1 against L2" in reason.text for reason in plan.reasons)
