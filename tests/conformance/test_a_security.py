"""Block A, security: OCPP 2.0.1 part 6, cases for a central system."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.conformance.desk import AVAILABLE, PASSWORD, Operator
from tests.conformance.states import tell_state
from tests.support.raw_station import RawStation

NEW_PASSWORD = "another-password-of-24ch"


@pytest.mark.case("TC_A_01_CSMS")
async def test_the_right_user_and_password_open_the_door(operator: Operator) -> None:
    async with operator.booted() as station:
        await tell_state(station, AVAILABLE)


@pytest.mark.case("TC_A_02_CSMS")
async def test_the_user_must_be_the_station(operator: Operator) -> None:
    one, other = await operator.register(), await operator.register()
    stranger = operator.connect(one)
    stranger._headers = RawStation("", other, PASSWORD)._headers
    with pytest.raises(InvalidStatus, match="401"):
        await stranger.__aenter__()


@pytest.mark.case("TC_A_03_CSMS")
async def test_a_wrong_password_does_not_open(operator: Operator) -> None:
    station_id = await operator.register()
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station_id, password="wrong").__aenter__()


def new_password(value: str) -> dict[str, object]:
    return {
        "setVariableData": [
            {
                "attributeValue": value,
                "component": {"name": "SecurityCtrlr"},
                "variable": {"name": "BasicAuthPassword"},
            }
        ]
    }


@pytest.mark.case("TC_A_09_CSMS", "TC_A_10_CSMS")
@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_only_an_accepted_password_replaces_the_old_one(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        station.handlers["SetVariables"] = lambda asked: {
            "setVariableResult": [
                {
                    "attributeStatus": status,
                    "component": one["component"],
                    "variable": one["variable"],
                }
                for one in asked["setVariableData"]
            ]
        }
        await operator.accepted(station, "SetVariables", new_password(NEW_PASSWORD))
    valid, other = NEW_PASSWORD, PASSWORD
    if status == "Rejected":
        valid, other = other, valid
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station.station_id, password=other).__aenter__()
    async with operator.connect(station.station_id, password=valid) as again:
        assert (await again.boot())["status"] == "Accepted"
        await tell_state(again, AVAILABLE)
