from datetime import UTC, datetime

import pytest

from gateway.services.spare_plan import heeded
from optimizer import CabinetLimit, CabinetProblem, EvSession

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ALL = (0, 1, 2)


def session(name: str, *phases: int, max_a: float = 32.0) -> EvSession:
    return EvSession(
        session_id=name,
        cabinet_id="A",
        phases=phases,
        energy_wh=20_000,
        departure_step=8,
        max_a=max_a,
        n_power_phase=len(phases),
    )


def problem(limit_a: float, *sessions: EvSession) -> CabinetProblem:
    series = ((limit_a,) * 8,) * 3
    return CabinetProblem(
        group_id="A",
        start=NOW,
        step_s=900,
        n_step=8,
        nominal_v=230,
        cabinets=(
            CabinetLimit(cabinet_id="A", limit_a=series, reserved_a=((0.0,) * 8,) * 3),
        ),
        sessions=sessions,
    )


ONES = tuple(session(f"s{index}", index % 3) for index in range(9))
WIRED = {one.session_id: ALL for one in ONES}


def reserved_a(found: CabinetProblem) -> list[float]:
    assert found.cabinets[0].reserved_a is not None
    return [row[0] for row in found.cabinets[0].reserved_a]


def test_without_anybody_on_fewer_phases_nothing_changes() -> None:
    asked = problem(63, *ONES)
    assert heeded(asked, {}, {"A": 0}) is asked


def test_many_cars_on_one_phase_each_leave_room_for_one_of_them() -> None:
    found = heeded(problem(63, *ONES), WIRED, {"A": 0})
    most_a = max(one.max_a for one in found.sessions)
    assert 16 <= most_a < 32
    assert reserved_a(found) == [most_a] * 3
    assert [one.phases for one in found.sessions] == [one.phases for one in ONES]


def test_a_margin_of_one_car_needs_no_room_and_no_lower_currents() -> None:
    asked = problem(63, *ONES)
    found = heeded(asked, WIRED, {"A": 320})
    assert reserved_a(found) == [0.0] * 3
    assert found.sessions == asked.sessions


def test_one_car_alone_is_planned_on_all_phases_as_nothing_would_be_gained() -> None:
    others = [session(f"t{index}", *ALL) for index in range(3)]
    found = heeded(problem(64, ONES[0], *others), {"s0": ALL}, {"A": 0})
    assert found.sessions[0].phases == ALL
    assert found.sessions[0].n_power_phase == 1
    assert reserved_a(found) == [0.0] * 3


def test_no_current_is_cut_below_16_a_for_room() -> None:
    found = heeded(problem(20, *ONES), WIRED, {"A": 0})
    assert all(one.phases == ALL and one.max_a == 32 for one in found.sessions)


@pytest.mark.parametrize("margin_da", [0, 60, 160])
def test_a_plan_within_the_caps_fits_with_any_one_car_on_all_phases(
    margin_da: int,
) -> None:
    found = heeded(problem(63, *ONES), WIRED, {"A": margin_da})
    for one in found.sessions:
        beyond_a = max(0.0, one.max_a - margin_da / 10)
        missing = set(ALL) - set(one.phases)
        assert all(reserved_a(found)[row] >= beyond_a for row in missing)
