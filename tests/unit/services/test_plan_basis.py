"""What is reason enough to look at the limits of a group again."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from benchmarks.dispatch_days import site_of
from gateway.domain.ids import CabinetId
from gateway.domain.topology import Pv
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading
from gateway.services.plan_basis import round_basis

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("load_id", "is_reason"), [("pump", True), ("roof", False), ("feeder", False)]
)
def test_readings_of_what_draws_are_reason_to_look_and_others_are_none(
    load_id: str, is_reason: bool
) -> None:
    pv = Pv(id="roof", cabinet_id=CabinetId("A"), peak_w=9_000)
    site = replace(site_of(2, limit_a=50, load_a=8), pvs=(pv,))
    state = GroupState(site.group(CabinetId("A")), site=site, trusts={})
    seen = round_basis(state)
    for power_w in (3_000.0, 4_000.0):
        state.readings[load_id] = LoadReading(
            load_id=load_id, measured_at=NOW, power_w=power_w
        )
        assert (round_basis(state) != seen) is is_reason
        seen = round_basis(state)
