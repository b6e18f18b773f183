"""Block P, data transfer: OCPP 2.0.1 part 6, cases for a central system."""

from typing import Any

import pytest

from tests.conformance.desk import (
    DATA_VENDOR,
    OCCUPIED,
    Operator,
    Transaction,
    connector_status,
)

CUSTOM = {"vendorId": "org.example", "anything": {"nested": [1, 2]}}


@pytest.mark.use_case("P02")
@pytest.mark.case("TC_P_02_CSMS")
async def test_data_of_an_unknown_vendor_is_refused_by_name(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        told = {"vendorId": "org.example", "messageId": "hello", "data": {"a": 1}}
        answer = await station.ask("DataTransfer", told)
    assert answer["status"] == "UnknownVendorId"


@pytest.mark.case("TC_P_03_CSMS")
async def test_custom_data_changes_nothing(operator: Operator) -> None:
    async with operator.booted() as station:
        told = connector_status(OCCUPIED) | {"customData": CUSTOM}
        assert await station.ask("StatusNotification", told) == {}
        charging = Transaction(station, "P03")
        info = {"transactionId": charging.transaction_id, "customData": CUSTOM}
        await charging.event(
            "Started", "CablePluggedIn", transactionInfo=info, customData=CUSTOM
        )
        (session,) = await operator.sessions(station)
    assert session["transaction_id"] == charging.transaction_id


@pytest.mark.use_case("P02")
@pytest.mark.action16("DataTransfer from the station")
@pytest.mark.parametrize(
    ("version", "data"), [("1.6", "a text"), ("2.0.1", {"nested": [1, 0.5, None]})]
)
async def test_data_of_a_known_vendor_is_accepted_and_kept(
    operator: Operator, version: str, data: object
) -> None:
    async with operator.booted(version=version) as station:
        told = {"vendorId": DATA_VENDOR, "messageId": "hello", "data": data}
        assert await station.ask("DataTransfer", told) == {"status": "Accepted"}
        stranger = {"vendorId": "org.example", "data": data}
        answer = await station.ask("DataTransfer", stranger)
        assert answer == {"status": "UnknownVendorId"}
        path = f"/stations/{station.station_id}/data-transfers"
        newest, first = await operator.get(path)
        of_vendor = await operator.get(path, vendor_id=DATA_VENDOR)
    assert (newest["vendor_id"], newest["status"]) == ("org.example", "UnknownVendorId")
    assert (first["message_id"], first["data"]) == ("hello", data)
    assert of_vendor == [first]


@pytest.mark.use_case("P01")
@pytest.mark.action16("DataTransfer to the station")
@pytest.mark.parametrize(
    ("version", "data", "more"),
    [
        ("1.6", "a text", {"data": "and one back"}),
        ("2.0.1", {"nested": [1, 0.5]}, {"data": {"back": True}}),
        ("2.0.1", "a text", {"statusInfo": {"reasonCode": "Why"}}),
    ],
)
@pytest.mark.parametrize(
    "status", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"]
)
async def test_data_go_to_a_station_and_its_answer_comes_back(
    operator: Operator, version: str, data: object, more: dict[str, Any], status: str
) -> None:
    async with operator.booted(version=version) as station:
        said = {"status": status, **more}
        station.handlers["DataTransfer"] = lambda _: said
        asked = {"vendorId": "org.example", "messageId": "do", "data": data}
        assert await operator.accepted(station, "DataTransfer", asked) == said
        assert station.calls("DataTransfer") == [asked]
