"""A station asks for a certificate of its own, and gets it at once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from gateway.services.x509 import fingerprint_of
from tests.support import pki
from tests.support.api_site import ApiSite, api_site
from tests.support.raw_station import RawStation

VERSIONS = pytest.mark.parametrize("version", ["1.6", "2.0.1"])
SIGN = "ChargingStationCertificate"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path, ca={}) as site:
        await site.register("NEW")
        yield site


async def renew(station: RawStation, **more: Any) -> dict[str, Any]:
    return await station.ask("SignCertificate", {"csr": pki.csr("NEW"), **more})


def sent_chain(station: RawStation, index: int = -1) -> list[x509.Certificate]:
    chain = station.calls("CertificateSigned")[index]["certificateChain"]
    return x509.load_pem_x509_certificates(chain.encode())


async def listed(site: ApiSite, serial: str) -> dict[str, Any]:
    found = await site.call("GET", "/stations/NEW/certificates", role="viewer")
    return next(one for one in found if one["serial_number"] == serial)


async def until_status(site: ApiSite, station: RawStation, status: str) -> None:
    serial = f"{sent_chain(station)[0].serial_number:x}"

    async def is_there() -> bool:
        return bool((await listed(site, serial))["status"] == status)

    await site.until(is_there)


@pytest.mark.use_case("A02", "F06")
@pytest.mark.action16(
    "SignCertificate from the station",
    "CertificateSigned to the station",
    "ExtendedTriggerMessage to the station",
)
@pytest.mark.case("TC_A_11_CSMS")
@VERSIONS
async def test_a_renewal_is_triggered_answered_signed_and_recorded(
    site: ApiSite, version: str, tmp_path: Path
) -> None:
    """TC_A_11: RenewChargingStationCertificate, in both versions."""
    async with site.station("NEW", version) as station:
        await station.boot()
        answer = await site.call("POST", "/stations/NEW/certificate-renewal", {})
        action, word = {
            "1.6": ("ExtendedTriggerMessage", "SignChargePointCertificate"),
            "2.0.1": ("TriggerMessage", "SignChargingStationCertificate"),
        }[version]
        assert (answer["outcome"], answer["status"]) == ("result", "Accepted")
        assert answer["command"] == action
        assert station.calls(action) == [{"requestedMessage": word}]

        key = pki.new_key()
        typed = {"certificateType": SIGN} if version == "2.0.1" else {}
        said = await station.ask(
            "SignCertificate", {"csr": pki.csr("NEW", key=key), **typed}
        )
        assert said["status"] == "Accepted"
        await station.heard_so_far("CertificateSigned", 1)
        assert station.calls("CertificateSigned")[0].get("certificateType") == (
            SIGN if version == "2.0.1" else None
        )
        leaf = sent_chain(station)[0]
        root = x509.load_pem_x509_certificate(
            (tmp_path / "data/ca/ca.pem").read_bytes()
        )
        leaf.verify_directly_issued_by(root)
        assert leaf.public_key() == key.public_key()
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        await until_status(site, station, "installed")
        view = await listed(site, f"{leaf.serial_number:x}")
        assert view["fingerprint"] == fingerprint_of(leaf)
        assert view["expiring"] is False


async def test_the_authority_made_at_the_first_start_is_kept_and_private(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path, ca={}):
        first = (tmp_path / "data/ca/ca.pem").read_bytes()
    key = tmp_path / "data/ca/ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    async with api_site(tmp_path, ca={}):
        assert (tmp_path / "data/ca/ca.pem").read_bytes() == first
    root = x509.load_pem_x509_certificate(first)
    public = root.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"


@pytest.mark.use_case("A03")
async def test_a_station_that_asks_by_itself_gets_a_v2g_certificate_for_servers(
    site: ApiSite,
) -> None:
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        said = await station.ask(
            "SignCertificate",
            {"csr": pki.csr("SECC-77"), "certificateType": "V2GCertificate"},
        )
        assert said["status"] == "Accepted"
        await station.heard_so_far("CertificateSigned", 1)
        assert station.calls("CertificateSigned")[0]["certificateType"] == (
            "V2GCertificate"
        )
        usage = sent_chain(station)[0].extensions.get_extension_for_class(
            x509.ExtendedKeyUsage
        )
        assert list(usage.value) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.use_case("A02", "A03")
@pytest.mark.case("TC_A_14_CSMS")
@VERSIONS
async def test_a_certificate_that_the_station_rejects_is_recorded_and_not_sent_again(
    site: ApiSite, version: str
) -> None:
    """TC_A_14: the station finds the certificate invalid."""
    async with site.station("NEW", version) as station:
        await station.boot()
        station.handlers["CertificateSigned"] = lambda _: {"status": "Rejected"}
        with capture_logs() as logs:
            assert (await renew(station))["status"] == "Accepted"
            await station.heard_so_far("CertificateSigned", 1)
            await until_status(site, station, "rejected")
        assert "certificate.rejected" in {entry["event"] for entry in logs}
        assert len(station.calls("CertificateSigned")) == 1


async def test_a_certificate_that_was_not_answered_is_sent_again(
    site: ApiSite,
) -> None:
    site.parts.certificates.signing._retry_after_s = (0.0, 0.0, 0.0)
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        answers: list[dict[str, str] | None] = [None, {"status": "Accepted"}]
        station.handlers["CertificateSigned"] = lambda _: answers.pop(0)
        await renew(station)
        await station.heard_so_far("CertificateSigned", 2)
        first, second = station.calls("CertificateSigned")
        assert first == second
        await until_status(site, station, "installed")


async def test_a_station_that_left_meanwhile_gets_its_certificate_when_it_is_back(
    site: ApiSite,
) -> None:
    site.parts.certificates.signing._retry_after_s = (0.0,)
    async with site.station("NEW", "1.6") as station:
        await station.boot()
        station.handlers["CertificateSigned"] = lambda _: None
        await renew(station)
        await station.heard_so_far("CertificateSigned", 1)
        lost = sent_chain(station)
    async with site.station("NEW", "1.6") as station:
        await station.heard_so_far("CertificateSigned", 1)
        assert sent_chain(station) == lost
        await until_status(site, station, "installed")


async def test_a_new_certificate_supersedes_the_earlier_one(site: ApiSite) -> None:
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        await renew(station)
        await station.heard_so_far("CertificateSigned", 1)
        await until_status(site, station, "installed")
        await renew(station)
        await station.heard_so_far("CertificateSigned", 2)
        await until_status(site, station, "installed")
        old = f"{sent_chain(station, 0)[0].serial_number:x}"
        assert (await listed(site, old))["status"] == "superseded"


@VERSIONS
async def test_a_name_of_somebody_else_is_rejected_and_nothing_is_sent(
    site: ApiSite, version: str
) -> None:
    async with site.station("NEW", version) as station:
        await station.boot()
        for wrong in ("OLD", "somebody", "new"):
            said = await station.ask("SignCertificate", {"csr": pki.csr(wrong)})
            assert said["status"] == "Rejected", wrong
        assert station.calls("CertificateSigned") == []


async def test_a_serial_number_that_another_station_has_as_its_id_opens_nothing(
    site: ApiSite,
) -> None:
    async with site.station("NEW", "2.0.1") as station:
        boot = {"vendorName": "V", "model": "M", "serialNumber": "OLD"}
        await station.ask(
            "BootNotification", {"reason": "PowerUp", "chargingStation": boot}
        )
        said = await station.ask("SignCertificate", {"csr": pki.csr("OLD")})
        assert said["status"] == "Rejected"
        boot["serialNumber"] = "SN-4711"
        await station.ask(
            "BootNotification", {"reason": "PowerUp", "chargingStation": boot}
        )

        async def is_accepted() -> bool:
            said = await station.ask("SignCertificate", {"csr": pki.csr("SN-4711")})
            return bool(said["status"] == "Accepted")

        await site.until(is_accepted)


async def test_without_an_authority_requests_are_rejected_and_renewals_refused(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path) as site:
        await site.register("NEW")
        async with site.station("NEW", "2.0.1") as station:
            await station.boot()
            assert (await renew(station))["status"] == "Rejected"
            refused = await site.call(
                "POST", "/stations/NEW/certificate-renewal", {}, status=409
            )
            assert refused["error"] == "no_authority"
            assert station.calls("TriggerMessage") == []


async def test_a_renewal_says_what_kept_it(site: ApiSite) -> None:
    path = "/stations/NEW/certificate-renewal"
    body = await site.call("POST", path, {}, status=409)
    assert body["error"] == "not_connected"
    await site.call("POST", "/stations/NOBODY/certificate-renewal", {}, status=404)
    await site.call("POST", path, {}, role="viewer", status=403)
    await site.call("POST", path, {"type": "Other"}, status=422)
    async with site.station("NEW", "1.6") as station:
        await station.boot()
        v2g = await site.call("POST", path, {"type": "V2GCertificate"}, status=422)
        assert v2g["error"] == "not_in_this_version"
        station.handlers["ExtendedTriggerMessage"] = lambda _: {"status": "Rejected"}
        assert (await site.call("POST", path, {}))["status"] == "Rejected"
        station.handlers["ExtendedTriggerMessage"] = lambda _: ("NotImplemented", "no")
        said = await site.call("POST", path, {})
        assert (said["outcome"], said["detail"]) == ("error", "NotImplemented: no")
        station.handlers["ExtendedTriggerMessage"] = lambda _: None
        assert (await site.call("POST", path, {}))["outcome"] == "timeout"


async def test_a_station_that_waits_for_acceptance_may_be_given_a_certificate(
    site: ApiSite,
) -> None:
    """A00.FR.806: while Pending, only what an operator asks for (B02.FR.01, FR.02)."""
    await site.register("NEW", registration="Pending")
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        refused = await station.call("SignCertificate", {"csr": pki.csr("NEW")})
        assert refused[0] == 4
        await site.call("POST", "/stations/NEW/certificate-renewal", {})
        assert (await renew(station))["status"] == "Accepted"
        await station.heard_so_far("CertificateSigned", 1)
        await until_status(site, station, "installed")
    await site.register("NEW", registration="Rejected")
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        body = await site.call(
            "POST", "/stations/NEW/certificate-renewal", {}, status=409
        )
        assert body["error"] == "boot_rejected"


async def test_one_evses_controller_may_be_asked(site: ApiSite) -> None:
    """A02: a V2G certificate per EVSE, where each has a controller of its own."""
    path = "/stations/NEW/certificate-renewal"
    async with site.station("NEW", "2.0.1") as station:
        await station.boot()
        await site.call("POST", path, {"type": "V2GCertificate", "evse_id": 1})
        assert station.calls("TriggerMessage") == [
            {"requestedMessage": "SignV2GCertificate", "evse": {"id": 1}}
        ]
        await site.call("POST", path, {"evse_id": 1}, status=422)
        (command,) = (await site.call("GET", "/commands?station_id=NEW"))[:1]
        assert command["asked_by"] != "service"


async def test_the_organization_must_be_the_configured_one(tmp_path: Path) -> None:
    async with api_site(tmp_path, ca={"cpo_name": "Stadtwerke"}) as site:
        await site.register("NEW")
        async with site.station("NEW", "1.6") as station:
            await station.boot()
            assert (await renew(station))["status"] == "Rejected"
            said = await station.ask(
                "SignCertificate", {"csr": pki.csr("NEW", organization="Stadtwerke")}
            )
            assert said["status"] == "Accepted"
            await station.heard_so_far("CertificateSigned", 1)
