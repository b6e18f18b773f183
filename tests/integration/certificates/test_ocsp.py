"""GetCertificateStatus (2.0.1, M06) with a real responder on loopback."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from gateway.services.certificate_intake import load_der
from gateway.services.x509 import hash_of
from tests.support import forgery, pki
from tests.support.api_site import api_site
from tests.support.http_stub import Answer, HttpStub, http_stub
from tests.support.ocsp_stub import Responder
from tests.support.raw_station import RawStation


@dataclass
class Scene:
    station: RawStation
    responder: Responder
    stub: HttpStub
    issuer: pki.Holder
    folder: Path

    def asked(
        self, holder: pki.Holder, url: str | None = None, algorithm: str = "SHA256"
    ) -> dict[str, Any]:
        hashed = hash_of(holder.certificate, self.issuer.certificate, algorithm)
        return {
            "ocspRequestData": {
                "hashAlgorithm": hashed.algorithm,
                "issuerNameHash": hashed.issuer_name_hash,
                "issuerKeyHash": hashed.issuer_key_hash,
                "serialNumber": hashed.serial_number,
                "responderURL": url or self.stub.url,
            }
        }

    async def status(self, holder: pki.Holder, **how: Any) -> dict[str, Any]:
        return await self.station.ask("GetCertificateStatus", self.asked(holder, **how))


@asynccontextmanager
async def scene_at(
    folder: Path, *, allowed: list[str] | None = None, knows_issuer: bool = True
) -> AsyncIterator[Scene]:
    issuer = pki.root("Sub-CA")
    responder = Responder(issuer=issuer, signer=issuer)
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(http_stub(responder))
        roots = folder / "roots.pem"
        roots.write_text(issuer.pem)
        site = await stack.enter_async_context(
            api_site(
                folder,
                ocsp={
                    "allowed_responders": ["127.0.0.1"] if allowed is None else allowed,
                    "timeout_s": 1.0,
                },
                iso15118={"roots": ["roots.pem"]} if knows_issuer else {},
            )
        )
        await site.register("NEW")
        station = await stack.enter_async_context(site.station("NEW", "2.0.1"))
        await station.boot()
        yield Scene(station, responder, stub, issuer, folder)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_at(tmp_path) as scene:
        yield scene


@pytest.mark.use_case("M06")
@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
async def test_a_station_gets_the_responders_answer_in_base64(
    scene: Scene, algorithm: str
) -> None:
    leaf = pki.issue("SECC", issuer=scene.issuer)
    answer = await scene.status(leaf, algorithm=algorithm)
    assert answer["status"] == "Accepted"
    told = ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"]))
    assert told.serial_number == leaf.certificate.serial_number
    assert told.certificate_status is ocsp.OCSPCertStatus.GOOD


async def test_a_revoked_certificate_has_a_status_too(scene: Scene) -> None:
    leaf = pki.issue("SECC", issuer=scene.issuer)
    scene.responder.revoked.add(leaf.certificate.serial_number)
    answer = await scene.status(leaf)
    assert answer["status"] == "Accepted"
    told = ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"]))
    assert told.certificate_status is ocsp.OCSPCertStatus.REVOKED


async def test_an_answer_is_kept_until_its_next_update(scene: Scene) -> None:
    leaf = pki.issue("SECC", issuer=scene.issuer)
    first = await scene.status(leaf)
    assert await scene.status(leaf) == first
    assert len(scene.stub.bodies) == 1
    scene.responder.life = timedelta(seconds=-1)
    other = pki.issue("Other", issuer=scene.issuer)
    await scene.status(other)
    await scene.status(other)
    assert len(scene.stub.bodies) == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://ocsp.example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://example.com#@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "//127.0.0.1/",
        "http:///here",
        "",
    ],
)
async def test_no_other_host_is_ever_asked(scene: Scene, url: str) -> None:
    leaf = pki.issue("SECC", issuer=scene.issuer)
    asked = scene.asked(leaf)
    asked["ocspRequestData"]["responderURL"] = url
    with capture_logs() as logs:
        answer = await scene.station.ask("GetCertificateStatus", asked)
    assert answer == {"status": "Failed"}
    assert [log["event"] for log in logs if log["event"].startswith("ocsp")]
    assert scene.stub.bodies == []


async def test_a_redirect_is_not_followed(scene: Scene) -> None:
    async with http_stub(scene.responder) as elsewhere:
        scene.stub.answer = lambda _: (302, b"", {"Location": elsewhere.url})
        leaf = pki.issue("SECC", issuer=scene.issuer)
        assert await scene.status(leaf) == {"status": "Failed"}
        assert elsewhere.bodies == []


async def test_with_a_port_only_that_port_is_allowed(tmp_path: Path) -> None:
    async with scene_at(tmp_path, allowed=["127.0.0.1:1"]) as scene:
        leaf = pki.issue("SECC", issuer=scene.issuer)
        assert await scene.status(leaf) == {"status": "Failed"}
        assert scene.stub.bodies == []


async def test_by_default_nobody_is_asked(tmp_path: Path) -> None:
    async with scene_at(tmp_path, allowed=[]) as scene:
        leaf = pki.issue("SECC", issuer=scene.issuer)
        assert await scene.status(leaf) == {"status": "Failed"}
        assert scene.stub.bodies == []


BROKEN: dict[str, Answer] = {
    "an error page": (500, b"no"),
    "no DER": (200, b"hello"),
    "nothing": (200, b""),
    "an unsuccessful answer": (200, bytes.fromhex("30030a0101")),
    "too much": (200, b"x" * 70_000),
    "silence": None,
}


@pytest.mark.use_case("M06")
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_a_bad_responder_makes_it_failed(scene: Scene, answer: Answer) -> None:
    scene.stub.answer = lambda _: answer
    leaf = pki.issue("SECC", issuer=scene.issuer)
    assert await scene.status(leaf) == {"status": "Failed"}


async def test_answers_that_prove_nothing_are_not_handed_on(scene: Scene) -> None:
    leaf = pki.issue("SECC", issuer=scene.issuer)
    other = pki.issue("Other", issuer=scene.issuer)
    about_other = scene.responder
    body = ocsp.OCSPRequestBuilder()  # what the responder is made to believe
    hashed = hash_of(other.certificate, scene.issuer.certificate)
    request = body.add_certificate_by_hash(
        bytes.fromhex(hashed.issuer_name_hash),
        bytes.fromhex(hashed.issuer_key_hash),
        other.certificate.serial_number,
        hashes.SHA256(),
    ).build()
    raw = request.public_bytes(serialization.Encoding.DER)
    scene.stub.answer = lambda _: about_other(raw)
    assert await scene.status(leaf) == {"status": "Failed"}
    scene.stub.answer = scene.responder
    scene.responder.signer = pki.root("Forger")
    assert await scene.status(leaf) == {"status": "Failed"}
    scene.responder.signer = scene.issuer
    scene.responder.life = timedelta(hours=-1)
    scene.responder.age = timedelta(hours=2)
    assert await scene.status(leaf) == {"status": "Failed"}
    scene.responder.life = timedelta(hours=3)
    scene.responder.age = -timedelta(hours=1)
    assert await scene.status(leaf) == {"status": "Failed"}


async def test_a_responder_that_the_issuer_named_may_sign(scene: Scene) -> None:
    may = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    named = pki.issue("Responder", issuer=scene.issuer, extra=may)
    plain = pki.issue("Somebody", issuer=scene.issuer)
    leaf = pki.issue("SECC", issuer=scene.issuer)
    scene.responder.signer = plain
    scene.responder.carried = (plain.certificate,)
    assert await scene.status(leaf) == {"status": "Failed"}
    scene.responder.signer = named
    scene.responder.carried = (named.certificate,)
    assert (await scene.status(leaf))["status"] == "Accepted"


async def test_a_responder_with_an_impossible_serial_number_may_not(
    scene: Scene,
) -> None:
    may = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    named = pki.issue("Responder", issuer=scene.issuer, extra=may)
    der, _ = forgery.with_serial(named.certificate, scene.issuer.key, 0)
    scene.responder.signer = named
    scene.responder.carried = (load_der(der),)
    leaf = pki.issue("SECC", issuer=scene.issuer)
    assert await scene.status(leaf) == {"status": "Failed"}
    scene.responder.carried = (load_der(der), named.certificate)
    assert (await scene.status(leaf))["status"] == "Accepted"


async def test_an_unknown_issuer_is_left_to_the_station_to_judge(
    tmp_path: Path,
) -> None:
    async with scene_at(tmp_path, knows_issuer=False) as scene:
        leaf = pki.issue("SECC", issuer=scene.issuer)
        assert (await scene.status(leaf))["status"] == "Accepted"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("serialNumber", "not hexadecimal"),
        ("serialNumber", ""),
        ("issuerNameHash", "abcd"),
        ("issuerKeyHash", "zz"),
    ],
)
async def test_hash_data_that_name_nothing_are_failed(
    scene: Scene, member: str, value: str
) -> None:
    asked = scene.asked(pki.issue("SECC", issuer=scene.issuer))
    asked["ocspRequestData"][member] = value
    answer = await scene.station.ask("GetCertificateStatus", asked)
    assert answer == {"status": "Failed"}
    assert scene.stub.bodies == []
