"""Blocks A and M with a real authority: signed, installed, listed and deleted."""

from typing import Any

import httpx
import pytest
from cryptography import x509

from gateway.services.x509 import hash_of
from tests.conformance.desk import Operator, stamp, until
from tests.support import pki
from tests.support.raw_station import RawStation

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
OWN = "ChargingStationCertificate"
ROOT = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate"}


def sent_leaf(station: RawStation) -> x509.Certificate:
    chain = station.calls("CertificateSigned")[-1]["certificateChain"]
    return x509.load_pem_x509_certificates(chain.encode())[0]


async def becomes(
    operator: Operator, station: RawStation, leaf: x509.Certificate, status: str
) -> None:
    serial = f"{leaf.serial_number:x}"

    async def shown() -> bool:
        found = await operator.get(f"/stations/{station.station_id}/certificates")
        return any(
            one["serial_number"] == serial and one["status"] == status for one in found
        )

    await until(shown)


@pytest.mark.use_case("A02", "A03", "F06")
@pytest.mark.action16(
    "CertificateSigned to the station",
    "ExtendedTriggerMessage to the station",
    "SignCertificate from the station",
)
@VERSIONS
@pytest.mark.parametrize("is_asked", [True, False])
@pytest.mark.parametrize(
    ("answer", "status"), [("Accepted", "installed"), ("Rejected", "rejected")]
)
async def test_a_certificate_of_a_station_is_renewed(
    operator: Operator, version: str, answer: str, status: str, *, is_asked: bool
) -> None:
    async with operator.booted(version=version) as station:
        station.handlers["GetInstalledCertificateIds"] = lambda _: {
            "status": "NotFound"
        }
        station.handlers["CertificateSigned"] = lambda _: {"status": answer}
        path = f"/stations/{station.station_id}"
        if is_asked:
            told = await operator.http.post(f"{path}/certificate-renewal", json={})
            assert told.json()["status"] == "Accepted"
            word = "TriggerMessage"
            word = f"Extended{word}" if version == "1.6" else word
            assert len(station.calls(word)) == 1
        key = pki.new_key()
        request = {"csr": pki.csr(station.station_id, key=key)}
        if version == "2.0.1":
            request["certificateType"] = OWN
        assert await station.ask("SignCertificate", request) == {"status": "Accepted"}
        await station.heard_so_far("CertificateSigned", 1)
        leaf = sent_leaf(station)
        assert leaf.public_key() == key.public_key()
        await becomes(operator, station, leaf, status)
        assert len(station.calls("CertificateSigned")) == 1


@pytest.mark.use_case("A03")
@pytest.mark.action16("SignCertificate from the station")
@VERSIONS
async def test_a_request_in_another_name_is_rejected(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        told = await station.ask("SignCertificate", {"csr": pki.csr("SOMEONE-ELSE")})
        assert told["status"] == "Rejected"
        await station.ask("Heartbeat", {})
        assert station.calls("CertificateSigned") == []


@pytest.mark.use_case("M03", "M04", "M05")
@pytest.mark.action16(
    "DeleteCertificate to the station",
    "GetInstalledCertificateIds to the station",
    "InstallCertificate to the station",
)
@VERSIONS
async def test_roots_are_installed_listed_and_deleted(
    operator: Operator, version: str
) -> None:
    held: list[pki.Holder] = []

    def hashes(one: pki.Holder) -> dict[str, str]:
        told = hash_of(one.certificate, one.certificate)
        return {
            "hashAlgorithm": told.algorithm,
            "issuerNameHash": told.issuer_name_hash,
            "issuerKeyHash": told.issuer_key_hash,
            "serialNumber": told.serial_number,
        }

    def listed(_: dict[str, Any]) -> dict[str, Any]:
        if not held:
            return {"status": "NotFound"}
        found = [hashes(one) for one in held]
        if version == "1.6":
            return {"status": "Accepted", "certificateHashData": found}
        chains = [
            {"certificateType": ROOT[version], "certificateHashData": one}
            for one in found
        ]
        return {"status": "Accepted", "certificateHashDataChain": chains}

    async with operator.booted(version=version) as station:
        station.handlers["GetInstalledCertificateIds"] = listed
        path = f"/stations/{station.station_id}/certificates"

        async def install(one: pki.Holder) -> httpx.Response:
            body = {"type": ROOT[version], "certificate": one.pem}
            return await operator.http.post(path, json=body)

        first, second = pki.root("First"), pki.root("Second")
        for one in (first, second):
            assert (await install(one)).json()["status"] == "Accepted"
            sent = station.calls("InstallCertificate")[-1]
            assert sent["certificateType"] == ROOT[version]
            held.append(one)
        garbage = await operator.http.post(
            path, json={"type": ROOT[version], "certificate": "none"}
        )
        assert garbage.status_code == 422
        assert len(station.calls("InstallCertificate")) == 2
        found = await operator.get(path)
        serials = {f"{one.certificate.serial_number:x}": one for one in held}
        assert {one["serial_number"] for one in found} == serials.keys()

        name = f"{first.certificate.serial_number:x}"
        gone = await operator.http.delete(f"{path}/{name}")
        assert gone.json()["status"] == "Accepted"
        assert station.calls("DeleteCertificate") == [
            {"certificateHashData": hashes(first)}
        ]
        held.remove(first)
        last = f"{second.certificate.serial_number:x}"
        kept = await operator.http.delete(f"{path}/{last}")
        assert (kept.status_code, kept.json()["error"]) == (409, "last_root")


@pytest.mark.use_case("A04")
@pytest.mark.action16("SecurityEventNotification from the station")
@VERSIONS
@pytest.mark.parametrize(
    ("kind", "is_critical"),
    [
        ("TamperDetectionActivated", True),
        ("ReconfigurationOfSecurityParameters", False),
    ],
)
async def test_a_security_event_is_kept_and_critical_if_a_document_says_so(
    operator: Operator, version: str, kind: str, *, is_critical: bool
) -> None:
    async with operator.booted(version=version) as station:
        told = {"type": kind, "timestamp": stamp(), "techInfo": "the door"}
        assert await station.ask("SecurityEventNotification", told) == {}
        path = f"/stations/{station.station_id}/security-events"
        (kept,) = await operator.get(path)
    assert (kept["type"], kept["tech_info"]) == (kind, "the door")
    assert kept["critical"] is is_critical
