"""What a site's plans care for is stated in every problem."""

from datetime import UTC, datetime

import pytest

from gateway.config.sections import OptimizerConfig, PlanMode
from gateway.domain.ids import CabinetId
from gateway.services import group_problem
from gateway.services.group_state import GroupState
from optimizer import Mode
from tests.unit.services.test_car_watch import ROOT, site

NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)


def test_the_configured_modes_are_those_of_the_optimizer() -> None:
    assert {mode.value for mode in PlanMode} == {mode.value for mode in Mode}
    assert OptimizerConfig().mode is PlanMode.FINISH


@pytest.mark.parametrize("mode", list(PlanMode))
def test_the_mode_of_a_site_is_stated_in_its_problems(mode: PlanMode) -> None:
    place = site()
    state = GroupState(place.group(CabinetId(ROOT)), site=place, trusts={})
    asked = group_problem.build(state, NOW, step_s=900, n_step=4, mode=mode.value)
    assert asked.problem.mode.value == mode.value
