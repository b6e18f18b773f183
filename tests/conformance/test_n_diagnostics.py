"""Block N, diagnostics: OCPP 2.0.1 part 6, cases for a central system."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, stamp
from tests.support.raw_station import RawStation

TOKEN = {"idToken": "N27CUSTOMER", "type": "ISO14443"}


def log(kind: str, request_id: int = 1) -> dict[str, Any]:
    return {
        "logType": kind,
        "requestId": request_id,
        "log": {"remoteLocation": "https://logs.example/upload"},
    }


async def get_log(
    operator: Operator, station: RawStation, asked: dict[str, Any], status: str
) -> None:
    said = {"status": status, "filename": "log.txt"}
    station.handlers["GetLog"] = lambda _: said
    assert await operator.accepted(station, "GetLog", asked) == said
    assert station.calls("GetLog")[-1] == asked


async def tell(station: RawStation, status: str, request_id: int = 1) -> None:
    told = {"status": status, "requestId": request_id}
    assert await station.ask("LogStatusNotification", told) == {}


@pytest.mark.use_case("N01")
@pytest.mark.case("TC_N_25_CSMS", "TC_N_35_CSMS")
@pytest.mark.parametrize("kind", ["DiagnosticsLog", "SecurityLog"])
async def test_a_log_is_uploaded(operator: Operator, kind: str) -> None:
    async with operator.booted() as station:
        await get_log(operator, station, log(kind), "Accepted")
        await tell(station, "Uploading")
        await tell(station, "Uploaded")


@pytest.mark.use_case("N01")
@pytest.mark.case("TC_N_34_CSMS")
async def test_a_log_may_be_refused(operator: Operator) -> None:
    async with operator.booted() as station:
        await get_log(operator, station, log("DiagnosticsLog"), "Rejected")


@pytest.mark.use_case("N01")
@pytest.mark.case("TC_N_36_CSMS")
async def test_a_second_log_cancels_the_first(operator: Operator) -> None:
    async with operator.booted() as station:
        await get_log(operator, station, log("SecurityLog", 1), "Accepted")
        await tell(station, "Uploading", 1)
        await get_log(operator, station, log("SecurityLog", 2), "AcceptedCanceled")
        await tell(station, "AcceptedCanceled", 1)
        await tell(station, "Uploading", 2)
        await tell(station, "Uploaded", 2)


async def customer(
    operator: Operator, station: RawStation, asked: dict[str, Any], status: str
) -> None:
    station.handlers["CustomerInformation"] = lambda _: {"status": status}
    told = await operator.accepted(station, "CustomerInformation", asked)
    assert told == {"status": status}
    assert station.calls("CustomerInformation") == [asked]


async def report(station: RawStation, *parts: str) -> None:
    for number, data in enumerate(parts):
        told = {
            "requestId": 5,
            "generatedAt": stamp(),
            "seqNo": number,
            "tbc": number + 1 < len(parts),
            "data": data,
        }
        assert await station.ask("NotifyCustomerInformation", told) == {}


@pytest.mark.use_case("N09", "N10")
@pytest.mark.case("TC_N_27_CSMS", "TC_N_28_CSMS", "TC_N_30_CSMS", "TC_N_31_CSMS")
@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("parts", [("name", "and more"), ("",)])
async def test_customer_information_is_reported_and_cleared(
    operator: Operator, parts: tuple[str, ...], *, clear: bool
) -> None:
    async with operator.booted() as station:
        asked = {"requestId": 5, "report": True, "clear": clear, "idToken": TOKEN}
        await customer(operator, station, asked, "Accepted")
        await report(station, *parts)


@pytest.mark.use_case("N09")
@pytest.mark.case("TC_N_29_CSMS")
async def test_customer_information_may_be_refused(operator: Operator) -> None:
    async with operator.booted() as station:
        asked = {"requestId": 5, "report": True, "clear": False, "idToken": TOKEN}
        await customer(operator, station, asked, "Rejected")


@pytest.mark.use_case("N10")
@pytest.mark.case("TC_N_32_CSMS")
async def test_customer_information_is_cleared_without_a_report(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        asked = {"requestId": 5, "report": False, "clear": True, "idToken": TOKEN}
        await customer(operator, station, asked, "Accepted")


@pytest.mark.use_case("N09", "N10")
@pytest.mark.case("TC_N_62_CSMS")
async def test_customer_information_is_found_by_an_identifier(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        asked = {
            "requestId": 5,
            "report": True,
            "clear": True,
            "customerIdentifier": "OpenChargeAlliance",
        }
        await customer(operator, station, asked, "Accepted")
        await report(station, "all there is")


async def test_a_refused_report_about_a_customer_is_kept_without_its_contents(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        told = {"requestId": 5, "generatedAt": stamp(), "data": "Ada Lovelace"}
        answer = await station.call("NotifyCustomerInformation", told)
        assert (answer[0], answer[2]) == (4, "OccurrenceConstraintViolation")
        path = f"/stations/{station.station_id}/refused-frames"
        (kept,) = await operator.get(path)
    assert kept["action"] == "NotifyCustomerInformation"
    assert "Ada" not in str(kept)
