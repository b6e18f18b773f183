"""Block B, provisioning: OCPP 2.0.1 part 6, cases for a central system."""

import pytest

from tests.conformance.desk import (
    AVAILABLE,
    Operator,
    connector_event,
    connector_status,
)


@pytest.mark.case("TC_B_01_CSMS")
async def test_a_cold_boot_is_accepted_and_states_are_taken(operator: Operator) -> None:
    station_id = await operator.register()
    async with operator.connect(station_id) as station:
        answer = await station.boot()
        assert answer["status"] == "Accepted"
        assert answer["interval"] > 0
        assert (
            await station.ask("StatusNotification", connector_status(AVAILABLE)) == {}
        )
        assert await station.ask("NotifyEvent", connector_event(AVAILABLE)) == {}
        seen = await operator.get(f"/stations/{station_id}")
    assert seen["evses"][0]["availability"] == "available"
