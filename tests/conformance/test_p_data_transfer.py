"""Block P, data transfer: OCPP 2.0.1 part 6, cases for a central system."""

import pytest

from tests.conformance.desk import OCCUPIED, Operator, Transaction, connector_status

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
