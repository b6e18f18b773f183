"""OCPP 1.6: charging profiles, an operator's and our own."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, stamp
from tests.conformance.states_v16 import start, status


def limit(purpose: str, ampere: float, **members: object) -> dict[str, Any]:
    return {
        "chargingProfileId": 7,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": ampere}],
        },
        **members,
    }


@pytest.mark.action16(
    "SetChargingProfile to the station", "ClearChargingProfile to the station"
)
@pytest.mark.parametrize(
    ("purpose", "connector_id"),
    [("ChargePointMaxProfile", 0), ("TxDefaultProfile", 1), ("TxProfile", 1)],
)
async def test_a_profile_is_set_replaced_and_cleared(
    operator: Operator, purpose: str, connector_id: int
) -> None:
    await operator.token("V16LIMITED")
    async with operator.booted(version="1.6") as station:
        number = (await start(station, "V16LIMITED"))["transactionId"]
        of = {"transactionId": number} if purpose == "TxProfile" else {}
        for ampere in (10.0, 8.5):
            asked = {
                "connectorId": connector_id,
                "csChargingProfiles": limit(purpose, ampere, **of),
            }
            told = await operator.accepted(station, "SetChargingProfile", asked)
            assert told == {"status": "Accepted"}
            assert station.calls("SetChargingProfile")[-1] == asked
        clear = {"connectorId": connector_id, "chargingProfilePurpose": purpose}
        answers = iter(({"status": "Accepted"}, {"status": "Unknown"}))
        station.handlers["ClearChargingProfile"] = lambda _: next(answers)
        for word in ("Accepted", "Unknown"):
            told = await operator.accepted(station, "ClearChargingProfile", clear)
            assert told == {"status": word}
        assert station.calls("ClearChargingProfile") == [clear] * 2


@pytest.mark.action16("SetChargingProfile to the station")
async def test_our_own_limits_are_a_default_and_one_per_transaction_on_1_6(
    operator: Operator,
) -> None:
    await operator.token("V16PLANNED")
    async with operator.booted(
        version="1.6", managed=True, evses=1, cabinet_id="A"
    ) as station:
        await station.heard_so_far("SetChargingProfile", 1)
        number = (await start(station, "V16PLANNED"))["transactionId"]
        await status(station, "Charging")

        def for_transaction() -> list[dict[str, Any]]:
            return [
                one["csChargingProfiles"]
                for one in station.calls("SetChargingProfile")
                if one["csChargingProfiles"]["chargingProfilePurpose"] == "TxProfile"
            ]

        while not for_transaction():
            seen = len(station.calls("SetChargingProfile"))
            await station.heard_so_far("SetChargingProfile", seen + 1)
        default = station.calls("SetChargingProfile")[0]["csChargingProfiles"]
    assert default["chargingProfilePurpose"] == "TxDefaultProfile"
    (first, *_) = for_transaction()
    assert first["transactionId"] == number
    periods = first["chargingSchedule"]["chargingSchedulePeriod"]
    assert max(period["limit"] for period in periods) <= 16
    assert periods[-1]["limit"] <= periods[0]["limit"]


@pytest.mark.action16("GetCompositeSchedule to the station")
async def test_the_composite_schedule_of_each_connector_is_told(
    operator: Operator,
) -> None:
    async with operator.booted(version="1.6") as station:
        schedule = limit("TxProfile", 9.0)["chargingSchedule"]
        station.handlers["GetCompositeSchedule"] = lambda asked: (
            {"status": "Rejected"}
            if asked["connectorId"] == 2
            else {
                "status": "Accepted",
                "connectorId": asked["connectorId"],
                "scheduleStart": stamp(),
                "chargingSchedule": schedule,
            }
        )
        path = f"/stations/{station.station_id}/charging-profiles"
        found = (await operator.get(path))["composite"]
    assert [(one["evse_id"], one["status"]) for one in found] == [
        (0, "Accepted"),
        (1, "Accepted"),
        (2, "Rejected"),
    ]
    assert found[1]["schedule"]["chargingSchedule"] == schedule
    assert found[2]["schedule"] is None
