"""A full cabinet makes the kWh dear for those behind it, and for nobody else."""

from datetime import UTC, datetime

from optimizer.outcome import Fallback
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from optimizer.session_prices import session_prices
from optimizer.solve import solve

N_STEP = 4
ENERGY_PRICE = 300_000


def problem(limit_a: float) -> CabinetProblem:
    limits = {"main": 300.0, "a": limit_a, "b": 300.0}
    return CabinetProblem(
        group_id="g",
        start=datetime(2026, 6, 1, 12, tzinfo=UTC),
        step_s=900,
        n_step=N_STEP,
        cabinets=tuple(
            CabinetLimit(
                cabinet_id=name,
                parent=None if name == "main" else "main",
                limit_a=((limit,) * N_STEP,) * 3,
                reserved_a=((0.0,) * N_STEP,) * 3,
            )
            for name, limit in limits.items()
        ),
        sessions=tuple(
            EvSession(
                session_id=f"{cabinet}{number}",
                cabinet_id=cabinet,
                phases=(0, 1, 2),
                energy_wh=11_000,
                departure_step=N_STEP,
                max_a=16.0,
            )
            for cabinet in ("a", "b")
            for number in range(2)
        ),
        import_price_micro_per_kwh=(ENERGY_PRICE,) * N_STEP,
    )


def test_where_nothing_is_full_a_kwh_costs_its_energy() -> None:
    asked = problem(300.0)
    outcome = solve(asked, deadline_s=20)
    assert session_prices(asked, outcome.plan) == (ENERGY_PRICE,) * 4


def test_behind_a_full_cabinet_it_costs_what_one_ampere_more_would_save() -> None:
    asked = problem(16.0)
    outcome = solve(asked, deadline_s=20)
    assert not isinstance(outcome, Fallback)
    *behind, third, fourth = session_prices(asked, outcome.plan)
    assert third == fourth == ENERGY_PRICE
    assert behind[0] == behind[1]
    assert behind[0] > 10 * ENERGY_PRICE, "a missing kWh is the dearest thing there is"
    (congestion,) = {
        one.micro_per_ah for one in outcome.plan.congestion if one.step == 0
    } or {0}
    assert behind[0] <= ENERGY_PRICE + 3 * congestion * 1_000 // (3 * 230)


def test_a_plan_without_sessions_has_no_prices() -> None:
    asked = CabinetProblem(
        group_id="g",
        start=datetime(2026, 6, 1, 12, tzinfo=UTC),
        step_s=900,
        n_step=1,
        cabinets=(
            CabinetLimit(
                cabinet_id="a",
                parent=None,
                limit_a=((16.0,),) * 3,
                reserved_a=((0.0,),) * 3,
            ),
        ),
    )
    assert session_prices(asked, solve(asked, deadline_s=5).plan) == ()
