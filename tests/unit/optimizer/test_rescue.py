"""A car that is about to leave with next to nothing counts more."""

from dataclasses import replace

import pytest

from optimizer import certificate
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode
from optimizer.rescue import BASIC, MOST, rescued
from optimizer.solve import solve
from tests.support.optimizer_problems import START, flat


def car(name: str, energy_wh: int, *, departure_step: int = 4) -> EvSession:
    return EvSession(
        session_id=name,
        cabinet_id="A",
        phases=(0, 1, 2),
        energy_wh=energy_wh,
        departure_step=departure_step,
        max_a=16.0,
    )


def problem(*cars: EvSession, mode: Mode = Mode.FINISH) -> CabinetProblem:
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
        sessions=cars,
        mode=mode,
    )


def weight(one: EvSession, had_wh: float = 0.0) -> float:
    (found,) = rescued(problem(one), {one.session_id: had_wh}).sessions
    return found.weight


def test_no_time_to_lose_counts_most_and_less_with_every_hour_of_slack() -> None:
    assert weight(car("s", 60_000)) == 1 + MOST
    later = [weight(car("s", 20_000, departure_step=step)) for step in (4, 8, 16, 64)]
    assert later == sorted(later, reverse=True)
    assert later[-1] == pytest.approx(1, abs=0.002)


def test_who_has_the_basic_part_of_the_need_counts_as_ever() -> None:
    assert weight(car("s", 6_000), had_wh=4_000) == 1
    assert weight(car("s", 6_001), had_wh=3_999) > 1
    assert BASIC == 4_000 / (4_000 + 6_000)


def test_the_middle_of_likely_departures_counts() -> None:
    one = replace(
        car("s", 20_000, departure_step=40), leaving_steps=(1, 4, 40), weight=2.0
    )
    assert weight(one) == pytest.approx(2 * weight(car("s", 20_000)), abs=0.002)


def test_a_car_that_can_draw_nothing_has_no_urgency() -> None:
    assert weight(replace(car("s", 20_000), max_a=0.0)) == 1


@pytest.mark.parametrize("mode", [Mode.ECONOMY, Mode.FAIR, Mode.AUTO])
def test_other_modes_are_left_alone(mode: Mode) -> None:
    asked = problem(car("s", 60_000), mode=mode)
    assert rescued(asked, {}) is asked


@pytest.mark.parametrize("names", [("some", "none"), ("none", "some")])
def test_of_two_alike_the_one_with_next_to_nothing_is_charged(
    names: tuple[str, str],
) -> None:
    asked = problem(*(car(name, 11_040) for name in names))
    ours = rescued(asked, {"some": 20_000})
    outcome = solve(ours, deadline_s=20)
    assert outcome.plan.currents_da[names.index("none")][0] == 160
    assert certificate.verify(ours, outcome.certificate).failures == ()
