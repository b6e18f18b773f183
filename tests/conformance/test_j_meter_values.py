"""Block J, meter values: OCPP 2.0.1 part 6, cases for a central system."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.conformance.desk import (
    SIGNED,
    Operator,
    Transaction,
    stamp,
    wire,
)
from tests.conformance.states import ended, energy_transfer, session_of

INTERVAL = timedelta(seconds=30)


def values(
    *contexts: str, first_wh: int = 1_000, signed: bool = False
) -> list[dict[str, Any]]:
    """Samples an interval apart, the last one now; 100 Wh between two of them."""
    now = SystemClock().now()
    found = []
    for index, context in enumerate(contexts):
        sample: dict[str, Any] = {"value": first_wh + 100 * index, "context": context}
        if signed:
            sample["signedMeterValue"] = SIGNED
        at = now - INTERVAL * (len(contexts) - 1 - index)
        found.append({"timestamp": wire(at), "sampledValue": [sample]})
    return found


def metering_event(at: str) -> dict[str, Any]:
    return {
        "generatedAt": stamp(),
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": at,
                "trigger": "Periodic",
                "actualValue": "1000",
                "component": {"name": "FiscalMetering"},
                "variable": {"name": "EnergyRegister"},
                "eventNotificationType": "HardWiredMonitor",
            }
        ],
    }


async def idle_values(operator: Operator, charging: Transaction) -> None:
    station = charging.station
    for value in values(*["Sample.Clock"] * 3):
        for evse_id in (0, 2):
            told = {"evseId": evse_id, "meterValue": [value]}
            assert await station.ask("MeterValues", told) == {}
        event = metering_event(value["timestamp"])
        event["eventData"][0]["eventNotificationType"] = "HardWiredNotification"
        assert await station.ask("NotifyEvent", event) == {}
    assert all(one["evse_id"] == 1 for one in await operator.sessions(station))


@pytest.mark.use_case("J01")
@pytest.mark.case("TC_J_01_CSMS")
async def test_clock_aligned_values_come_without_a_transaction(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        await idle_values(operator, Transaction(station, "J01"))
        assert await operator.sessions(station) == []


@pytest.mark.use_case("J01", "J02")
@pytest.mark.case("TC_J_02_CSMS")
async def test_clock_aligned_values_come_beside_a_transaction(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "J02")
        await idle_values(operator, charging)
        charging.register_wh += 400
        await charging.event("Updated", "MeterValueClock", energy="Sample.Clock")
        session = await session_of(operator, charging)
    assert session["energy_milliwh"] == 400_000


@pytest.mark.use_case("J02")
@pytest.mark.case("TC_J_03_CSMS", "TC_J_04_CSMS", "TC_J_10_CSMS", "TC_J_11_CSMS")
@pytest.mark.parametrize("context", ["Sample.Clock", "Sample.Periodic"])
@pytest.mark.parametrize("signed", [False, True])
async def test_the_end_of_a_transaction_may_carry_all_its_values(
    operator: Operator, context: str, *, signed: bool
) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "J03")
        contexts = (context, context, "Transaction.End")
        told = values(*contexts, first_wh=1_100, signed=signed)
        await charging.event("Ended", "StopAuthorized", reason="Local", meterValue=told)
        session = await ended(operator, charging)
        path = f"/sessions/{session['session_id']}/readings"
        readings = await operator.get(path)
    assert session["energy_milliwh"] == 300_000
    assert len(readings) == 1 + 3


@pytest.mark.use_case("J02")
@pytest.mark.case("TC_J_07_CSMS", "TC_J_08_CSMS")
@pytest.mark.parametrize("place", [True, False])
async def test_the_start_of_a_transaction_may_carry_its_register(
    operator: Operator, *, place: bool
) -> None:
    await operator.token("J07")
    async with operator.booted() as station:
        charging = Transaction(station, "J07")
        answer = await charging.event(
            "Started",
            "Authorized",
            authorized=True,
            energy="Transaction.Begin",
            place=place,
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        charging.register_wh += 50
        await charging.event("Updated", "CablePluggedIn", energy="Sample.Periodic")
        session = await session_of(operator, charging)
    assert session["evse_id"] == 1, "known at the latest when the cable is in"
    assert session["energy_milliwh"] == 50_000


@pytest.mark.use_case("J02")
@pytest.mark.case("TC_J_09_CSMS")
async def test_samples_of_a_transaction_add_up(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "J09")
        for _ in range(3):
            charging.register_wh += 70
            await charging.event(
                "Updated", "MeterValuePeriodic", energy="Sample.Periodic"
            )
        session = await session_of(operator, charging)
    assert session["energy_milliwh"] == 210_000
