"""Block A, security: OCPP 2.0.1 part 6, cases for a central system."""

import pytest
from websockets.exceptions import InvalidStatus

from tests.conformance.desk import AVAILABLE, PASSWORD, Operator, variables_set
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


@pytest.mark.use_case("A01")
@pytest.mark.case("TC_A_09_CSMS", "TC_A_10_CSMS")
@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
async def test_only_an_accepted_password_replaces_the_old_one(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        station.handlers["SetVariables"] = lambda asked: variables_set(asked, status)
        await operator.accepted(station, "SetVariables", new_password(NEW_PASSWORD))
    valid, other = NEW_PASSWORD, PASSWORD
    if status == "Rejected":
        valid, other = other, valid
    async with operator.connect(station.station_id, password=valid) as again:
        assert (await again.boot())["status"] == "Accepted"
        await tell_state(again, AVAILABLE)
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station.station_id, password=other).__aenter__()


async def test_the_old_password_opens_until_the_new_one_was_used(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        station.handlers["SetVariables"] = variables_set
        await operator.accepted(station, "SetVariables", new_password(NEW_PASSWORD))
        await operator.accepted(station, "SetVariables", new_password("x" * 20))
    station_id = station.station_id
    async with operator.connect(station_id):
        pass  # it took the new one, and came back with the old one all the same
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station_id, password=NEW_PASSWORD).__aenter__()
    async with operator.connect(station_id, password="x" * 20):
        pass
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station_id).__aenter__()


UPGRADE_201 = {
    "configurationSlot": 2,
    "connectionData": {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://csms.example/ocpp",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wired0",
    },
}
PRIORITY = {
    "setVariableData": [
        {
            "attributeValue": "2,1",
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "NetworkConfigurationPriority"},
        }
    ]
}


@pytest.mark.use_case("A05")
@pytest.mark.case("TC_A_19_CSMS")
async def test_after_an_upgrade_the_lower_profile_is_never_accepted_again(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        station.handlers["SetVariables"] = variables_set
        await operator.accepted(station, "SetNetworkProfile", UPGRADE_201)
        await operator.accepted(station, "SetVariables", PRIORITY)
        await operator.accepted(station, "Reset", {"type": "Immediate"})
        assert station.calls("SetNetworkProfile") == [UPGRADE_201]
        assert station.calls("SetVariables") == [PRIORITY]
    async with operator.connect_securely(station.station_id) as upgraded:
        assert (await upgraded.boot())["status"] == "Accepted"
        await tell_state(upgraded, AVAILABLE)
        seen = await operator.get(f"/stations/{station.station_id}")
    assert seen["security_profile"] == 2
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station.station_id).__aenter__()


@pytest.mark.action16("ChangeConfiguration to the station")
async def test_a_station_of_1_6_is_upgraded_by_its_key_as_well(
    operator: Operator,
) -> None:
    async with operator.booted(version="1.6") as station:
        asked = {"key": "SecurityProfile", "value": "2"}
        await operator.accepted(station, "ChangeConfiguration", asked)
    async with operator.connect(station.station_id, version="1.6"):
        pass  # it may come back as it was until it has come in higher
    async with operator.connect_securely(station.station_id, version="1.6") as higher:
        assert (await higher.boot())["status"] == "Accepted"
    with pytest.raises(InvalidStatus, match="401"):
        await operator.connect(station.station_id, version="1.6").__aenter__()


@pytest.mark.use_case("A05", "B09")
async def test_a_refused_profile_upgrades_nothing(operator: Operator) -> None:
    async with operator.booted() as station:
        station.handlers["SetNetworkProfile"] = lambda _: {"status": "Rejected"}
        await operator.accepted(station, "SetNetworkProfile", UPGRADE_201)
    async with operator.connect_securely(station.station_id) as secure:
        await secure.boot()
    async with operator.connect(station.station_id) as plain:
        assert (await plain.boot())["status"] == "Accepted"
