"""Who follows the price keeps some time to spare; what is asked for stays the same."""

from datetime import timedelta

from gateway.domain.ids import SessionId
from gateway.services.group_problem import Asked, with_spare_time
from optimizer import spare_time
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat

STEP_WH = 920
"""Of 16 A on one phase."""


def problem(energy_wh: int, mode: Mode = Mode.ECONOMY) -> CabinetProblem:
    """Dear now, cheap for the other seven steps."""
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=8,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=flat(8, 16.0), reserved_a=flat(8, 0.0)
            ),
        ),
        sessions=(
            EvSession(
                session_id="s",
                cabinet_id="A",
                phases=(0,),
                energy_wh=energy_wh,
                departure_step=8,
                max_a=16.0,
            ),
        ),
        import_price_micro_per_kwh=[330_000, *[270_000] * 7],
        mode=mode,
    )


def planned_wh(energy_wh: int, mode: Mode = Mode.ECONOMY) -> int:
    (one,) = spare_time.with_spare_time(problem(energy_wh, mode)).sessions
    return one.energy_wh


def test_a_twentieth_more_is_planned_but_never_more_than_the_stay_allows() -> None:
    assert planned_wh(4_000) == 4_200
    assert planned_wh(8 * STEP_WH - 100) == 8 * STEP_WH
    assert planned_wh(8 * STEP_WH + 100) == 8 * STEP_WH + 100


def test_who_does_not_follow_the_price_is_planned_as_asked() -> None:
    for mode in (Mode.FINISH, Mode.FAIR, Mode.AUTO):
        assert planned_wh(4_000, mode) == 4_000


def test_a_car_does_not_wait_until_not_a_minute_is_left() -> None:
    tight = problem(7 * STEP_WH)
    assert solve(tight, deadline_s=60.0).plan.currents_da[0][0] == 0
    eased = spare_time.with_spare_time(tight)
    assert solve(eased, deadline_s=60.0).plan.currents_da[0][0] > 0


def test_what_is_asked_for_is_what_the_driver_asked_for() -> None:
    name = SessionId("s")
    asked = Asked(
        problem=problem(4_000),
        departures={name: START + timedelta(hours=2)},
        defaults=frozenset(),
        stretches={name: 0.9},
    )
    eased = with_spare_time(asked)
    assert eased.problem.sessions[0].energy_wh == 4_200
    assert round(eased.asked_wh(0), 6) == round(asked.asked_wh(0), 6)
