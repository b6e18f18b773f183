"""Block L, firmware management: OCPP 2.0.1 part 6, cases for a central system."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from gateway.clock import SystemClock
from tests.conformance.desk import AVAILABLE, Operator, stamp, wire
from tests.conformance.states import energy_transfer, tell_state
from tests.support.raw_station import RawStation

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
LATER = timedelta(hours=1)


def firmware(
    request_id: int = 1, times: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "firmware": {
            "location": "https://firmware.example/2.bin",
            "retrieveDateTime": times.get("retrieve", stamp()),
            "signingCertificate": CERTIFICATE,
            "signature": "c2lnbmF0dXJl",
        }
        | ({"installDateTime": times["install"]} if "install" in times else {}),
    }


async def update(
    operator: Operator,
    station: RawStation,
    asked: dict[str, Any],
    status: str = "Accepted",
) -> None:
    station.handlers["UpdateFirmware"] = lambda _: {"status": status}
    told = await operator.accepted(station, "UpdateFirmware", asked)
    assert told["status"] == status
    assert station.calls("UpdateFirmware")[-1] == asked


async def tell(station: RawStation, *statuses: str, request_id: int = 1) -> None:
    for status in statuses:
        told = {"status": status, "requestId": request_id}
        assert await station.ask("FirmwareStatusNotification", told) == {}


async def restart(station: RawStation) -> None:
    told = {
        "reason": "FirmwareUpdate",
        "chargingStation": {"vendorName": "Voltwerk", "model": "Duo"},
    }
    assert (await station.ask("BootNotification", told))["status"] == "Accepted"
    await tell_state(station, AVAILABLE)


LOADED = ("Downloading", "Downloaded")
VERIFIED = (*LOADED, "SignatureVerified")
INSTALLED = ("Installing", "InstallRebooting")


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_01_CSMS", "TC_L_02_CSMS", "TC_L_03_CSMS")
@pytest.mark.parametrize(
    ("later", "statuses"),
    [
        ("", (*VERIFIED, *INSTALLED)),
        ("install", (*VERIFIED, "InstallScheduled", *INSTALLED)),
        (
            "retrieve",
            ("DownloadScheduled", *VERIFIED, "Installing", "InstallRebooting"),
        ),
    ],
)
async def test_firmware_is_installed_now_or_later(
    operator: Operator, later: str, statuses: tuple[str, ...]
) -> None:
    times = {later: wire(SystemClock().now() + LATER)} if later else {}
    async with operator.booted() as station:
        await update(operator, station, firmware(times=times))
        await tell(station, *statuses)
        await restart(station)
        await tell(station, "Installed")


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_04_CSMS", "TC_L_05_CSMS")
@pytest.mark.parametrize("status", ["RevokedCertificate", "InvalidCertificate"])
async def test_a_signing_certificate_may_be_refused(
    operator: Operator, status: str
) -> None:
    async with operator.booted() as station:
        await update(operator, station, firmware(), status)


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_06_CSMS", "TC_L_07_CSMS", "TC_L_08_CSMS")
@pytest.mark.parametrize(
    "statuses",
    [
        (*LOADED, "InvalidSignature"),
        ("Downloading", "DownloadFailed"),
        (*VERIFIED, "Installing", "InstallVerificationFailed"),
    ],
)
async def test_an_update_may_fail(
    operator: Operator, statuses: tuple[str, ...]
) -> None:
    async with operator.booted() as station:
        await update(operator, station, firmware())
        await tell(station, *statuses)


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_09_CSMS")
async def test_an_update_may_fail_after_the_restart(operator: Operator) -> None:
    async with operator.booted() as station:
        await update(operator, station, firmware())
        await tell(station, *VERIFIED, "Installing", "InstallRebooting")
        await restart(station)
        await tell(station, "InstallationFailed")


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_10_CSMS")
async def test_a_newer_update_cancels_the_older(operator: Operator) -> None:
    async with operator.booted() as station:
        await update(operator, station, firmware(1))
        await tell(station, "Downloading")
        await update(operator, station, firmware(2), "AcceptedCanceled")
        await tell(station, *VERIFIED, "Installing", "InstallRebooting", request_id=2)
        await restart(station)
        await tell(station, "Installed", request_id=2)


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_11_CSMS")
async def test_an_update_may_not_be_cancelled(operator: Operator) -> None:
    async with operator.booted() as station:
        await update(operator, station, firmware(1))
        await tell(station, "Downloading")
        await update(operator, station, firmware(2), "Rejected")
        await tell(
            station, "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"
        )
        await restart(station)
        await tell(station, "Installed")


@pytest.mark.use_case("L01")
@pytest.mark.case("TC_L_13_CSMS")
async def test_an_update_may_wait_for_transactions(operator: Operator) -> None:
    async with operator.booted() as station:
        charging = await energy_transfer(operator, station, "L13")
        await update(operator, station, firmware())
        await tell(station, "DownloadScheduled")
        await charging.event("Ended", "StopAuthorized", reason="Local")
        await tell(station, *VERIFIED, "Installing", "InstallRebooting")
        await restart(station)
        await tell(station, "Installed")
