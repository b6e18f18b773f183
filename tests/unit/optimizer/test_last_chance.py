"""Who follows the price and cannot wait another step starts, however little is left."""

from datetime import UTC, datetime

import pytest

from optimizer import CabinetLimit, CabinetProblem, EvSession, Mode, solve
from tests.support.optimizer_problems import pressed_and_patient

SALT = bytes(32)
FULL_STEP_WH = 2760
"""Of 16 A on three phases."""


def planned(energy_wh: int, mode: Mode, n_step: int = 3) -> tuple[int, ...]:
    """The currents of one car that may wait for cheaper steps, 0.1 A."""
    problem = CabinetProblem(
        group_id="A",
        start=datetime(2026, 6, 1, tzinfo=UTC),
        step_s=900,
        n_step=n_step,
        cabinets=(
            CabinetLimit(
                cabinet_id="A",
                limit_a=[[32.0] * n_step] * 3,
                reserved_a=[[0.0] * n_step] * 3,
            ),
        ),
        sessions=(
            EvSession(
                session_id="one",
                cabinet_id="A",
                phases=(0, 1, 2),
                energy_wh=energy_wh,
                departure_step=n_step,
                max_a=16.0,
            ),
        ),
        import_price_micro_per_kwh=[330_000, *[270_000] * (n_step - 1)],
        mode=mode,
    )
    outcome = solve(problem, deadline_s=60.0, salt=SALT)
    return outcome.plan.currents_da[0]


def test_a_few_watt_hours_that_do_not_fit_later_are_charged_now() -> None:
    assert planned(2 * FULL_STEP_WH + 14, Mode.ECONOMY)[0] == 60


@pytest.mark.parametrize("energy_wh", [2 * FULL_STEP_WH, FULL_STEP_WH])
def test_what_fits_into_the_cheap_steps_waits_for_them(energy_wh: int) -> None:
    assert planned(energy_wh, Mode.ECONOMY)[0] == 0


def test_a_step_before_it_would_be_too_late_nobody_starts_early() -> None:
    assert planned(2 * FULL_STEP_WH + 14, Mode.ECONOMY, n_step=4)[0] == 0


def test_a_car_on_three_phases_that_can_wait_pushes_out_no_car_that_cannot() -> None:
    """Of 14 A one needs 11 A now and 14 A next; another would like the cheap rest."""
    outcome = solve(pressed_and_patient(), deadline_s=60.0, salt=SALT)
    assert outcome.plan.currents_da[0][0] >= 110
    assert outcome.plan.shortfall_wh == (0, 0)
