"""What a TLS handshake cannot know of a client certificate."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs

from gateway.clock import SystemClock
from gateway.config import OcspConfig
from gateway.domain.certificates import CertificateUse
from gateway.domain.ids import StationId
from gateway.services.client_certificates import ClientCertificates
from gateway.services.ocsp import OcspClient
from gateway.services.x509 import fingerprint_of, serial_of
from gateway.store import certificates as rows
from tests.support import pki
from tests.support.api_site import ApiSite, api_site
from tests.support.http_stub import http_stub
from tests.support.ocsp_stub import Responder

CP = StationId("NEW")
DER = Encoding.DER


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path) as site:
        yield site


def judge(site: ApiSite, *authorities: pki.Holder) -> ClientCertificates:
    return ClientCertificates(
        records=site.parts.certificates.records,
        ocsp=OcspClient(
            OcspConfig(allowed_responders=("127.0.0.1",), timeout_s=0.5),
            issuers=(),
            clock=SystemClock(),
        ),
        authorities=[one.certificate for one in authorities],
        clock=SystemClock(),
    )


async def test_a_certificate_that_has_ended_since_its_session_began_is_not_taken(
    site: ApiSite,
) -> None:
    """A resumed TLS session checks no dates."""
    judged, root = judge(site), pki.root()
    ended = pki.issue("NEW", issuer=root, end=timedelta(seconds=-1))
    why = await judged.problem(CP, ended.certificate.public_bytes(DER))
    assert why == "its certificate is not valid now"


async def test_a_revoked_certificate_keeps_its_station_out(site: ApiSite) -> None:
    root = pki.root()
    responder = Responder(issuer=root, signer=root)
    async with http_stub(responder) as stub:
        good = pki.issue("NEW", issuer=root, ocsp_url=stub.url)
        bad = pki.issue("NEW", issuer=root, ocsp_url=stub.url)
        plain = pki.issue("NEW", issuer=root)
        responder.revoked.add(bad.certificate.serial_number)
        judged = judge(site, root)
        for holder, why in (
            (good, None),
            (bad, "its certificate is revoked"),
            (plain, None),
        ):
            der = holder.certificate.public_bytes(DER)
            assert await judged.problem(CP, der) == why
        strangers = judge(site)
        assert await strangers.problem(CP, bad.certificate.public_bytes(DER)) is None
    assert await judged.problem(CP, b"no certificate") is not None


async def test_a_responder_that_is_down_keeps_nobody_out_and_is_not_asked_by_all(
    site: ApiSite,
) -> None:
    root = pki.root()
    async with http_stub(lambda _: (500, b"")) as stub:
        judged = judge(site, root)
        with capture_logs() as logs:
            for _ in range(5):
                one = pki.issue("NEW", issuer=root, ocsp_url=stub.url)
                der = one.certificate.public_bytes(DER)
                assert await judged.problem(CP, der) is None
        assert len(stub.bodies) == 1
        assert [log["event"] for log in logs] == ["certificate.unchecked"]


async def test_a_certificate_that_we_made_for_another_station_is_not_taken(
    site: ApiSite,
) -> None:
    root = pki.root()
    one = pki.issue("NEW", issuer=root)
    now = pki.now()
    row = rows.IssuedCertificate(
        fingerprint=fingerprint_of(one.certificate),
        station_id=StationId("OLD"),
        use=CertificateUse.STATION,
        serial=serial_of(one.certificate),
        subject="CN=NEW",
        not_before=now,
        not_after=now + timedelta(days=1),
        chain=one.pem,
        status="installed",
        issued_at=now,
        changed_at=now,
    )
    await site.gateway.writer.run(lambda conn: rows.put_issued(conn, row))
    der = one.certificate.public_bytes(DER)
    assert await judge(site).problem(CP, der) == "its certificate was issued to OLD"
    assert await judge(site).problem(StationId("OLD"), der) is None


async def test_certificates_that_end_soon_are_counted_and_warned_of_once_a_day(
    tmp_path: Path,
) -> None:
    ca = {"validity_days": 20, "expiry_warning_days": 30}
    async with api_site(tmp_path, ca=ca) as site:
        await site.register("NEW")
        watch = site.parts.certificates.watch
        assert await watch.look() == 0
        with capture_logs() as logs:
            async with site.station("NEW", "1.6") as station:
                await station.boot()
                await station.ask("SignCertificate", {"csr": pki.csr("NEW")})

                async def is_installed() -> bool:
                    found = await site.call("GET", "/stations/NEW/certificates")
                    return any(one["status"] == "installed" for one in found)

                await site.until(is_installed)
            assert await watch.look() == 1
            assert await watch.look() == 1
        assert [log["event"] for log in logs].count("certificate.expiring") == 1
        (found,) = await site.call("GET", "/stations/NEW/certificates")
        assert found["expiring"] is True
        text = (await site.client.get("/metrics")).text
        assert "wattproof_certificates_installed 1.0" in text
        assert "wattproof_certificates_expiring 1.0" in text
        assert "wattproof_certificate_first_end_seconds 1.7" in text


async def test_the_count_of_certificates_in_use_follows_the_store_at_once(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path, ca={}) as site:
        await site.register("NEW")

        async def counts(text: str) -> bool:
            metrics = (await site.client.get("/metrics")).text
            return f"wattproof_certificates_installed {text}" in metrics

        await site.until(lambda: counts("0.0"))
        async with site.station("NEW", "1.6") as station:
            await station.boot()
            await station.ask("SignCertificate", {"csr": pki.csr("NEW")})
            await site.until(lambda: counts("1.0"))
