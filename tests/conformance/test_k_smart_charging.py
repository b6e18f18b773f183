"""Block K, smart charging by a car's needs (OCPP 2.0.1 part 2, K15 to K17)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.conformance.desk import Operator, Transaction, stamp, wire

LATER = timedelta(hours=3)


def needs(*, energy_wh: int = 12_000) -> dict[str, Any]:
    return {
        "evseId": 1,
        "chargingNeeds": {
            "requestedEnergyTransfer": "AC_three_phase",
            "departureTime": wire(SystemClock().now() + LATER),
            "acChargingParameters": {
                "energyAmount": energy_wh,
                "evMinCurrent": 6,
                "evMaxCurrent": 32,
                "evMaxVoltage": 400,
            },
        },
    }


def schedule(limit: float, unit: str = "A") -> dict[str, Any]:
    return {
        "timeBase": stamp(),
        "evseId": 1,
        "chargingSchedule": {
            "id": 1,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        },
    }


@pytest.mark.use_case("K15")
async def test_needs_are_accepted_and_followed_by_a_limit_for_the_transaction(
    operator: Operator,
) -> None:
    await operator.token("K15DRIVER")
    async with operator.booted(managed=True) as station:
        charging = Transaction(station, "K15DRIVER")
        await charging.event("Started", "CablePluggedIn", authorized=True)
        answer = await station.ask("NotifyEVChargingNeeds", needs())
        assert answer == {"status": "Accepted"}
        await station.heard_so_far("SetChargingProfile", 1)
        (sent,) = station.calls("SetChargingProfile")
        session = (await operator.sessions(station))[0]
    profile = sent["chargingProfile"]
    assert sent["evseId"] == 1
    assert profile["chargingProfilePurpose"] == "TxProfile"
    assert profile["transactionId"] == charging.transaction_id
    limits = [
        period["limit"]
        for one in profile["chargingSchedule"]
        for period in one["chargingSchedulePeriod"]
    ]
    assert max(limits) == 16, "its rating, since it belongs to no cabinet"
    assert session["request"]["energy_wh"] == 12_000


@pytest.mark.use_case("K15")
async def test_needs_without_a_transaction_are_rejected_and_nothing_is_sent(
    operator: Operator,
) -> None:
    async with operator.booted(managed=True) as station:
        answer = await station.ask("NotifyEVChargingNeeds", needs())
        assert answer == {"status": "Rejected"}
        await station.ask("Heartbeat", {})
        assert station.calls("SetChargingProfile") == []


async def test_a_station_that_is_not_managed_is_offered_no_limit(
    operator: Operator,
) -> None:
    await operator.token("K15ALONE")
    async with operator.booted() as station:
        charging = Transaction(station, "K15ALONE")
        await charging.event("Started", "CablePluggedIn", authorized=True)
        answer = await station.ask("NotifyEVChargingNeeds", needs())
        assert answer == {"status": "Rejected"}
        await asyncio.sleep(0.2)
        assert station.heard == []


@pytest.mark.use_case("K16", "K17")
async def test_a_schedule_within_the_offer_is_accepted_and_one_above_is_offered_anew(
    operator: Operator,
) -> None:
    await operator.token("K17DRIVER")
    async with operator.booted(managed=True) as station:
        charging = Transaction(station, "K17DRIVER")
        await charging.event("Started", "CablePluggedIn", authorized=True)
        await station.ask("NotifyEVChargingNeeds", needs())
        await station.heard_so_far("SetChargingProfile", 1)
        within = await station.ask("NotifyEVChargingSchedule", schedule(16))
        assert within == {"status": "Accepted"}
        watts = await station.ask(
            "NotifyEVChargingSchedule", schedule(16 * 3 * 230, "W")
        )
        assert watts == {"status": "Accepted"}
        assert len(station.calls("SetChargingProfile")) == 1
        above = await station.ask("NotifyEVChargingSchedule", schedule(16.1))
        assert above == {"status": "Rejected"}
        await station.heard_so_far("SetChargingProfile", 2)


@pytest.mark.use_case("K02", "K15")
async def test_in_a_cabinet_the_offer_stays_within_what_is_reserved(
    operator: Operator,
) -> None:
    await operator.token("K15CABINET")
    async with operator.booted(managed=True, evses=1, cabinet_id="A") as station:
        charging = Transaction(station, "K15CABINET")
        await charging.event("Started", "CablePluggedIn", authorized=True)
        answer = await station.ask("NotifyEVChargingNeeds", needs())
        assert answer == {"status": "Accepted"}

        def offered() -> list[dict[str, Any]]:
            return [
                one["chargingProfile"]
                for one in station.calls("SetChargingProfile")
                if one["chargingProfile"]["chargingProfilePurpose"] == "TxProfile"
            ]

        while not offered():
            count = len(station.calls("SetChargingProfile"))
            await station.heard_so_far("SetChargingProfile", count + 1)
        periods = offered()[0]["chargingSchedule"][0]["chargingSchedulePeriod"]
    assert 6 <= periods[0]["limit"] <= 16
    assert periods[-1]["limit"] <= periods[0]["limit"], "it never rises by itself"
