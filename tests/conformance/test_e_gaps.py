"""Block E: missing transaction messages are asked for (2.0.1 part 2, E14)."""

import pytest

from tests.conformance.desk import Operator, Transaction, until


@pytest.mark.use_case("E11", "E14")
async def test_a_gap_in_the_sequence_is_asked_about_and_marked_until_it_is_filled(
    operator: Operator,
) -> None:
    await operator.token("E14GAP")
    async with operator.booted(managed=True) as station:
        station.handlers["GetTransactionStatus"] = lambda _: {
            "ongoingIndicator": True,
            "messagesInQueue": True,
        }
        charging = Transaction(station, "E14GAP")
        await charging.event("Started", "CablePluggedIn", authorized=True)
        charging.seq_no += 1
        await charging.event("Updated", "MeterValuePeriodic", energy="Sample.Periodic")
        await station.heard_so_far("GetTransactionStatus", 1)
        asked = station.calls("GetTransactionStatus")
        assert asked == [{"transactionId": charging.transaction_id}]
        assert (await operator.sessions(station))[0]["incomplete"]
        await charging.event("Updated", "MeterValuePeriodic", energy="Sample.Periodic")
        charging.seq_no = 0
        await charging.event(
            "Updated", "ChargingStateChanged", state="Charging", offline=True
        )

        async def is_complete() -> bool:
            return not (await operator.sessions(station))[0]["incomplete"]

        await until(is_complete)
        assert len(station.calls("GetTransactionStatus")) == 1


@pytest.mark.use_case("E11", "E14")
async def test_a_station_that_comes_back_is_asked_again(operator: Operator) -> None:
    await operator.token("E14BACK")
    station_id = await operator.register(managed=True)
    async with operator.connect(station_id) as station:
        await station.boot()
        charging = Transaction(station, "E14BACK")
        charging.seq_no = 4
        await charging.event("Updated", "ChargingStateChanged", state="Charging")
        await station.heard_so_far("GetTransactionStatus", 1)
    async with operator.connect(station_id) as again:
        await again.heard_so_far("GetTransactionStatus", 1)
