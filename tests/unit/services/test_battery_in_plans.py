"""What plans expect of a battery: at worst now, nothing later where we steer it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.domain.ids import CabinetId
from gateway.domain.topology import Battery
from gateway.services import group_problem
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading
from tests.unit.services.test_car_watch import ROOT, site

NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)
BATTERY = Battery(
    id="cellar",
    cabinet_id=CabinetId(ROOT),
    capacity_wh=10_000,
    max_charge_w=3_000,
    max_discharge_w=3_000,
    stale_after_s=3_600,
)


@pytest.mark.parametrize(("is_controlled", "later_a"), [(False, 6.3), (True, 0.0)])
def test_a_battery_that_we_steer_takes_nothing_from_later_steps(
    is_controlled: bool, later_a: float
) -> None:
    battery = replace(BATTERY, is_controlled=is_controlled)
    place = replace(site(), batteries=(battery,))
    state = GroupState(place.group(CabinetId(ROOT)), site=place, trusts={})
    state.readings["cellar"] = LoadReading(
        load_id="cellar", measured_at=NOW, current_da=(50, 50, 50)
    )
    asked = group_problem.build(state, NOW, step_s=900, n_step=4)
    without = GroupState(site().group(CabinetId(ROOT)), site=site(), trusts={})
    base = group_problem.build(without, NOW, step_s=900, n_step=4)
    root, other = asked.problem.cabinets[0], base.problem.cabinets[0]
    taken = [
        round(one - two, 6)
        for one, two in zip(root.reserved_a[0], other.reserved_a[0], strict=True)
    ]
    assert taken == [6.3, later_a, later_a, later_a]
