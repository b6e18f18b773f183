"""Block M, certificates: OCPP 2.0.1 part 6, cases for a central system."""

from typing import Any

import pytest

from tests.conformance.desk import Operator
from tests.support.raw_station import RawStation

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
ALL = ("CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate")


def chain(kind: str, algorithm: str = "SHA256") -> dict[str, Any]:
    return {
        "certificateType": kind,
        "certificateHashData": {
            "hashAlgorithm": algorithm,
            "issuerNameHash": "0a" * 32,
            "issuerKeyHash": "0b" * 32,
            "serialNumber": "1f",
        },
    }


async def installed(
    operator: Operator,
    station: RawStation,
    kinds: list[str] | None,
    chains: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    said: dict[str, Any] = {"status": "NotFound"}
    if chains:
        said = {"status": "Accepted", "certificateHashDataChain": chains}
    station.handlers["GetInstalledCertificateIds"] = lambda _: said
    asked = {} if kinds is None else {"certificateType": kinds}
    told = await operator.accepted(station, "GetInstalledCertificateIds", asked)
    assert told == said
    assert station.calls("GetInstalledCertificateIds")[-1] == asked
    found: list[dict[str, Any]] = told.get("certificateHashDataChain", [])
    return found


@pytest.mark.use_case("M05")
@pytest.mark.case("TC_M_01_CSMS", "TC_M_02_CSMS", "TC_M_05_CSMS")
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("CSMSRootCertificate", "Accepted"),
        ("ManufacturerRootCertificate", "Accepted"),
        ("CSMSRootCertificate", "Failed"),
    ],
)
async def test_a_root_certificate_is_installed_or_fails(
    operator: Operator, kind: str, status: str
) -> None:
    async with operator.booted() as station:
        station.handlers["InstallCertificate"] = lambda _: {"status": status}
        asked = {"certificateType": kind, "certificate": CERTIFICATE}
        told = await operator.accepted(station, "InstallCertificate", asked)
        assert told == {"status": status}
        assert station.calls("InstallCertificate") == [asked]


@pytest.mark.use_case("M03")
@pytest.mark.case("TC_M_13_CSMS", "TC_M_18_CSMS")
@pytest.mark.parametrize("kinds", [[ALL[0]], [ALL[1]], [ALL[0], ALL[1]], None], ids=str)
async def test_installed_certificates_are_listed(
    operator: Operator, kinds: list[str] | None
) -> None:
    async with operator.booted() as station:
        chains = [chain(kind) for kind in kinds or ALL]
        assert await installed(operator, station, kinds, chains) == chains


@pytest.mark.use_case("M03")
@pytest.mark.case("TC_M_19_CSMS")
async def test_there_may_be_no_certificate_of_a_kind(operator: Operator) -> None:
    async with operator.booted() as station:
        assert await installed(operator, station, [ALL[1]], []) == []


@pytest.mark.use_case("M04")
@pytest.mark.case("TC_M_20_CSMS", "TC_M_21_CSMS")
@pytest.mark.parametrize("status", ["Accepted", "Failed"])
@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
async def test_a_certificate_is_deleted_by_the_hashes_the_station_told(
    operator: Operator, status: str, algorithm: str
) -> None:
    async with operator.booted() as station:
        told = [chain(ALL[0], algorithm)]
        (found,) = await installed(operator, station, [ALL[0]], told)
        station.handlers["DeleteCertificate"] = lambda _: {"status": status}
        asked = {"certificateHashData": found["certificateHashData"]}
        answer = await operator.accepted(station, "DeleteCertificate", asked)
        assert answer == {"status": status}
        assert station.calls("DeleteCertificate") == [asked]
