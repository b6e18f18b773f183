"""What a plan does on days one can work out by hand."""

import io
import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

import optimizer
from optimizer import cli, solvers, sparse
from optimizer.check import Rule, check
from optimizer.failures import SolverFailedError
from optimizer.layout import Layout, Room
from optimizer.outcome import Cause, Fallback, Optimal, Relaxed
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from optimizer.rules import uncontrolled
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat, typical_day


def car(name: str = "s", /, **changes: object) -> EvSession:
    fields: dict[str, object] = {
        "session_id": name,
        "cabinet_id": "A",
        "phases": (0, 1, 2),
        "energy_wh": 4_140,
        "departure_step": 8,
        "max_a": 16.0,
    }
    return EvSession(**(fields | changes))  # type: ignore[arg-type]  # keywords of a test


def day(
    *cars: EvSession,
    limit_a: float = 32.0,
    reserved_a: float = 0.0,
    prices: list[int] | None = None,
    pv_w: list[float] | None = None,
    mode: Mode = Mode.AUTO,
) -> CabinetProblem:
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=8,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=flat(8, limit_a), reserved_a=flat(8, reserved_a)
            ),
        ),
        sessions=cars,
        import_price_micro_per_kwh=prices,
        pv_w=pv_w,
        mode=mode,
    )


def test_a_car_that_can_wait_charges_in_the_cheap_steps() -> None:
    """4140 Wh are 6 x 4 A or so: 4 A-steps of 690 W/A for 15 minutes at 24 A-steps."""
    outcome = solve(day(car(), prices=[400_000] * 5 + [100_000] * 3), deadline_s=20)
    assert isinstance(outcome, Optimal)
    assert sum(outcome.plan.currents_da[0][:5]) == 0
    assert outcome.plan.energy_wh == (4_140,)


def test_without_a_price_difference_charging_starts_at_once() -> None:
    outcome = solve(day(car()), deadline_s=20)
    assert isinstance(outcome, Optimal)
    assert outcome.plan.currents_da[0][0] == 160


def test_sun_is_used_when_it_shines() -> None:
    sun = [0.0] * 4 + [11_040.0] * 4
    problem = day(car(), prices=[300_000] * 8, pv_w=sun)
    plan = solve(problem, deadline_s=20).plan
    assert sum(plan.currents_da[0][:4]) == 0
    assert plan.energy_price_micro_per_kwh[:4] == (300_000,) * 4
    assert plan.energy_price_micro_per_kwh[7] == 0


def test_energy_comes_before_money() -> None:
    costly = day(car(energy_wh=22_080), prices=[90_000_000] * 8)
    outcome = solve(costly, deadline_s=20)
    assert isinstance(outcome, Optimal)
    assert outcome.plan.shortfall_wh == (0,)


def test_a_full_cabinet_is_named_with_phase_and_time() -> None:
    problem = day(*(car(f"s{i}", phases=(1,), energy_wh=7_000) for i in range(4)))
    outcome = solve(problem, deadline_s=20)
    assert isinstance(outcome, Relaxed)
    reasons = outcome.plan.reasons
    assert {(r.cause, r.cabinet_id, r.phase) for r in reasons} == {
        (Cause.LIMIT, "A", 1)
    }
    assert "A phase L2 is full" in reasons[0].text
    assert "2026-03-01 18:00Z" in reasons[0].text
    assert {(c.cabinet_id, c.phase) for c in outcome.plan.congestion} == {("A", 1)}
    assert sum(outcome.plan.energy_wh) == 4 * 7_000 - sum(outcome.plan.shortfall_wh)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"departure_step": -2}, Cause.GONE),
        ({"departure_step": 0}, Cause.GONE),
        ({"max_a": 5.0}, Cause.GONE),
        ({"energy_wh": 90_000}, Cause.STAY),
    ],
)
def test_a_need_that_cannot_be_met_says_why(
    changes: dict[str, object], cause: Cause
) -> None:
    outcome = solve(day(car(**changes)), deadline_s=20)
    assert isinstance(outcome, Relaxed)
    assert outcome.plan.reasons[0].cause is cause


def test_no_headroom_means_no_current() -> None:
    outcome = solve(day(car(), limit_a=10.0, reserved_a=12.0), deadline_s=20)
    assert isinstance(outcome, Relaxed)
    assert outcome.plan.currents_da == ((0,) * 8,)
    assert outcome.plan.reasons[0].cause is Cause.LIMIT


def test_no_session_is_no_problem() -> None:
    outcome = solve(day(), deadline_s=20)
    assert isinstance(outcome, Optimal)
    assert outcome.plan.currents_da == ()


def test_a_satisfied_car_gets_nothing() -> None:
    outcome = solve(day(car(energy_wh=0)), deadline_s=20)
    assert isinstance(outcome, Optimal)
    assert not any(outcome.plan.currents_da[0])


def test_an_unknown_rotation_counts_on_every_phase_but_carries_one() -> None:
    lone = car(phases=(0, 1, 2), n_power_phase=1, energy_wh=1_000)
    other = car("t", phases=(2,), energy_wh=50_000)
    plan = solve(day(lone, other, limit_a=20.0), deadline_s=20).plan
    assert plan.energy_wh[0] == 1_000
    for a, b in zip(*plan.currents_da, strict=True):
        assert a + b <= 200


def test_a_floor_is_kept_free_even_after_its_car_has_left() -> None:
    gone = car("gone", departure_step=0, floor_a=6.0, phases=(0,))
    busy = car("busy", energy_wh=50_000, max_a=32.0, phases=(0,))
    plan = solve(day(gone, busy, limit_a=20.0), deadline_s=20).plan
    assert plan.currents_da[1] == (140,) * 8


def test_floors_that_do_not_fit_still_leave_the_limit_unbroken() -> None:
    cars = [car(f"s{i}", floor_a=6.0, energy_wh=50_000) for i in range(4)]
    problem = day(*cars, limit_a=15.0)
    plan = solve(problem, deadline_s=20).plan
    assert check(problem, plan) == ()
    for now in zip(*plan.currents_da, strict=True):
        assert sorted(now) == [0, 0, 60, 60]


def test_a_parent_binds_the_sum_of_its_children() -> None:
    n_step = 4
    problem = CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=n_step,
        cabinets=tuple(
            CabinetLimit(
                cabinet_id=name,
                parent=above,
                limit_a=flat(n_step, limit),
                reserved_a=flat(n_step, 0.0),
            )
            for name, above, limit in (
                ("A", None, 20.0),
                ("B", "A", 16.0),
                ("C", "A", 16.0),
            )
        ),
        sessions=(
            car("b", cabinet_id="B", energy_wh=40_000),
            car("c", cabinet_id="C", energy_wh=40_000),
        ),
    )
    plan = solve(problem, deadline_s=20).plan
    for b, c in zip(*plan.currents_da, strict=True):
        assert 160 <= b + c <= 200
        assert max(b, c) <= 160
    assert plan.currents_da[0][0] + plan.currents_da[1][0] == 200
    raised = replace(plan, currents_da=((160,) * 4, (160,) * 4))
    assert {v.rule for v in check(problem, raised)} == {Rule.LIMIT, Rule.FLOOR_ROOM}
    assert {v.subject for v in check(problem, raised)} == {"A L1", "A L2", "A L3"}


def test_a_fair_plan_shares_a_shortage_in_proportion() -> None:
    cars = [car("a", energy_wh=20_000), car("b", energy_wh=10_000)]
    plan = solve(day(*cars, limit_a=12.0, mode=Mode.FAIR), deadline_s=20).plan
    shares = [
        e / need for e, need in zip(plan.energy_wh, (20_000, 10_000), strict=True)
    ]
    assert abs(shares[0] - shares[1]) < 0.2


def test_uncontrolled_heeds_no_limit() -> None:
    problem = day(car("a"), car("b"), car("c"), limit_a=20.0)
    currents = uncontrolled(Layout.of(problem))
    assert [row[0] for row in currents] == [160, 160, 160]
    assert all(sum(row) == 240 for row in currents)


def test_time_that_runs_out_between_solvers_ends_in_the_rule() -> None:
    ticks = iter([0.0, 100.0, 100.0, 100.0])
    outcome = solve(day(car()), deadline_s=5, monotonic_s=lambda: next(ticks))
    assert isinstance(outcome, Fallback)
    assert outcome.why == "PIQP: no time left"
    assert outcome.plan.engine == "edf"
    assert outcome.plan.shortfall_wh == (0,)


@pytest.mark.parametrize(
    ("failing", "engine"),
    [((), "piqp"), (("PIQP",), "clarabel"), (("PIQP", "CLARABEL"), "ecos")],
)
def test_the_next_solver_steps_in_when_one_fails(
    failing: tuple[str, ...], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_stated: sparse.Sparse, _limit_s: float) -> solvers.Found:
        raise SolverFailedError("planted")

    for name in failing:
        monkeypatch.setitem(solvers.SOLVERS, name, fail)
    outcome = solve(typical_day(2, n_session=5, n_step=24), deadline_s=60)
    assert isinstance(outcome, Optimal | Relaxed)
    assert outcome.plan.engine == engine


def test_the_readable_model_plans_the_same_day() -> None:
    problem = typical_day(2, n_session=5, n_step=24)
    readable = solve(problem, deadline_s=60, engine="cvxpy")
    direct = solve(problem, deadline_s=60)
    assert isinstance(readable, Optimal | Relaxed)
    assert readable.plan.engine == "cvxpy-clarabel"
    assert readable.plan.currents_da[0] == direct.plan.currents_da[0]


def test_only_the_engine_cvxpy_imports_cvxpy() -> None:
    code = (
        "import sys; from optimizer.solve import warm_up; warm_up('auto');"
        "sys.exit('cvxpy' in sys.modules or 'piqp' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_worker_process_solves_and_sends_the_outcome_back() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        work = partial(solve, typical_day(1, n_session=4, n_step=16), deadline_s=30)
        outcome = pool.submit(work).result()
    assert isinstance(outcome, Optimal | Relaxed)
    assert pickle.loads(pickle.dumps(outcome)) == outcome  # noqa: S301 - own bytes


def test_the_package_offers_the_functions_and_not_the_modules() -> None:
    assert optimizer.solve is solve
    assert optimizer.check is check
    with pytest.raises(AttributeError):
        _ = optimizer.nothing


def test_room_gives_back_exactly_what_it_took() -> None:
    layout = Layout.of(day(car(floor_a=6.0), car("t"), limit_a=20.0))
    room = Room(layout, 0)
    before = [room.bound_da(index) for index in range(2)]
    room.take(0, 100)
    assert room.bound_da(1)[0] == 100
    room.take(0, -100)
    assert [room.bound_da(index) for index in range(2)] == before


def test_the_command_prints_plan_and_certificate(tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    file.write_text(json.dumps(day(car()).to_json()))
    out = io.StringIO()
    assert cli.main(file, out=out) == 0
    printed = json.loads(out.getvalue())
    assert printed["outcome"] == "optimal"
    assert printed["plan"]["energy_wh"] == [4_140]
    assert printed["certificate"]["currents_da"] == printed["plan"]["currents_da"]


def test_the_command_names_the_wrong_field_and_exits_2(tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    document = day(car()).to_json() | {"step_s": "900"}
    file.write_text(json.dumps(document))
    err = io.StringIO()
    assert cli.main(file, err=err) == 2
    assert "step_s: must be an integer" in err.getvalue()
    assert cli.main(tmp_path / "absent.json", err=err) == 2
    assert "cannot be read" in err.getvalue()
