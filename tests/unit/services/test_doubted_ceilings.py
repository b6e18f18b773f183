from datetime import UTC, datetime

import pytest

from gateway.domain.ids import SessionId
from gateway.services.doubted_ceilings import doubted
from gateway.services.group_problem import levels_of
from optimizer import CabinetLimit, CabinetProblem, EvSession, solve

NAMES = ("one", "two")


def offered_a(limit_a: float, takes_a: float = 16.0) -> list[float]:
    """What two cars are offered now that both are known to take so much."""
    problem = CabinetProblem(
        group_id="A",
        start=datetime(2026, 1, 5, 8, tzinfo=UTC),
        step_s=900,
        n_step=8,
        nominal_v=230,
        cabinets=(
            CabinetLimit(
                cabinet_id="A",
                limit_a=[[limit_a] * 8] * 3,
                reserved_a=[[0.0] * 8] * 3,
            ),
        ),
        sessions=tuple(
            EvSession(
                session_id=name,
                cabinet_id="A",
                phases=(0, 1, 2),
                energy_wh=20_000,
                departure_step=8,
                max_a=takes_a,
                present_a=takes_a,
            )
            for name in NAMES
        ),
    )
    plan = solve(problem, deadline_s=10.0).plan
    ceilings = {SessionId(name): round(takes_a * 10) + 10 for name in NAMES}
    levels = doubted(levels_of(plan), problem, plan, ceilings)
    return [levels[SessionId(name)][0][1] / 10 for name in NAMES]


@pytest.mark.parametrize(
    ("limit_a", "found"),
    [(40.0, [17.0, 17.0]), (33.0, [16.0, 17.0]), (32.5, [16.0, 16.0])],
)
def test_an_ampere_above_what_cars_take_is_offered_of_what_is_left(
    limit_a: float, found: list[float]
) -> None:
    assert sorted(offered_a(limit_a)) == found


def test_who_does_not_get_all_it_takes_is_offered_no_more() -> None:
    assert sum(offered_a(20.0)) <= 20.0
