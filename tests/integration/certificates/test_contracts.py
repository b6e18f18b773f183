"""Plug and charge: Authorize with a contract certificate (2.0.1, C07), M01 and M02."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.services.x509 import hash_of
from tests.support import pki
from tests.support.api_site import ApiSite, api_site
from tests.support.http_stub import Answer, HttpStub, http_stub
from tests.support.ocsp_stub import Responder
from tests.support.raw_station import RawStation

EMAID = "DE-ABC-C12345678-X"
CN = "DEABCC12345678X"


@dataclass
class Provider:
    answer: Answer = (200, b"{}")
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, body: bytes) -> Answer:
        self.asked.append(json.loads(body))
        return self.answer


@dataclass
class Scene:
    site: ApiSite
    station: RawStation
    root: pki.Holder
    sub: pki.Holder
    responder: Responder
    stub: HttpStub
    provider: Provider

    def contract(self, name: str = CN, **how: Any) -> pki.Holder:
        return pki.issue(name, issuer=self.sub, **how)

    def hashes(self, leaf: pki.Holder, issuer: pki.Holder) -> dict[str, Any]:
        hashed = hash_of(leaf.certificate, issuer.certificate)
        return {
            "hashAlgorithm": hashed.algorithm,
            "issuerNameHash": hashed.issuer_name_hash,
            "issuerKeyHash": hashed.issuer_key_hash,
            "serialNumber": hashed.serial_number,
            "responderURL": self.stub.url,
        }

    async def authorize(
        self,
        *chain: pki.Holder,
        hashes: list[dict[str, Any]] | None = None,
        text: str | None = None,
        token: str = EMAID,
    ) -> tuple[str, str]:
        """Certificate status and token status."""
        body: dict[str, Any] = {"idToken": {"idToken": token, "type": "eMAID"}}
        if chain:
            body["certificate"] = pki.pem(*(one.certificate for one in chain))
        if text is not None:
            body["certificate"] = text
        if hashes is not None:
            body["iso15118CertificateHashData"] = hashes
        answer = await self.station.ask("Authorize", body)
        return answer["certificateStatus"], answer["idTokenInfo"]["status"]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    root = pki.root("MO root")
    sub = pki.issue("MO sub-CA", issuer=root, is_ca=True)
    responder = Responder(issuer=sub, signer=sub)
    provider = Provider()
    (tmp_path / "roots.pem").write_text(root.pem + sub.pem)
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(http_stub(responder))
        asked = await stack.enter_async_context(http_stub(provider))
        site = await stack.enter_async_context(
            api_site(
                tmp_path,
                ocsp={"allowed_responders": ["127.0.0.1"], "timeout_s": 1.0},
                iso15118={"roots": ["roots.pem"], "provider_url": asked.url},
            )
        )
        await site.register("NEW")
        await site.call("PUT", f"/id-tokens/{EMAID}", {"status": "Accepted"})
        station = await stack.enter_async_context(site.station("NEW", "2.0.1"))
        await station.boot()
        yield Scene(site, station, root, sub, responder, stub, provider)


@pytest.mark.use_case("C07")
async def test_a_contract_that_leads_to_a_root_may_charge(scene: Scene) -> None:
    leaf = scene.contract()
    hashes = [scene.hashes(leaf, scene.sub)]
    assert await scene.authorize(leaf, scene.sub) == ("Accepted", "Accepted")
    assert scene.stub.bodies == []
    assert await scene.authorize(leaf, hashes=hashes) == ("Accepted", "Accepted")
    assert await scene.authorize(hashes=hashes) == ("Accepted", "Accepted")
    assert len(scene.stub.bodies) == 1


@pytest.mark.use_case("C07")
async def test_a_token_that_may_not_charge_cancels_the_contract(scene: Scene) -> None:
    """C07.FR.13."""
    leaf = scene.contract()
    await scene.site.call("PUT", f"/id-tokens/{EMAID}", {"status": "Blocked"})
    assert await scene.authorize(leaf) == ("ContractCancelled", "Blocked")
    await scene.site.call("DELETE", f"/id-tokens/{EMAID}")
    cancelled, status = await scene.authorize(leaf)
    assert cancelled == "ContractCancelled"
    assert status in {"Invalid", "Unknown"}


@pytest.mark.use_case("C07")
async def test_an_expired_certificate_is_an_expired_token(scene: Scene) -> None:
    """C07.FR.15."""
    leaf = scene.contract(begin=-2 * pki.DAY, end=-pki.DAY)
    assert await scene.authorize(leaf) == ("CertificateExpired", "Expired")


@pytest.mark.use_case("C07")
async def test_a_revoked_certificate_is_an_invalid_token(scene: Scene) -> None:
    """C07.FR.16: by the station's hashes, and by what the certificate itself names."""
    leaf = scene.contract()
    scene.responder.revoked.add(leaf.certificate.serial_number)
    hashes = [scene.hashes(leaf, scene.sub)]
    assert await scene.authorize(hashes=hashes) == ("CertificateRevoked", "Invalid")
    named = scene.contract(ocsp_url=scene.stub.url)
    assert await scene.authorize(named) == ("Accepted", "Accepted")
    revoked = scene.contract(ocsp_url=scene.stub.url)
    scene.responder.revoked.add(revoked.certificate.serial_number)
    assert await scene.authorize(revoked) == ("CertificateRevoked", "Invalid")


@pytest.mark.use_case("C07")
async def test_whatever_cannot_be_verified_lets_nobody_charge(scene: Scene) -> None:
    """C07.FR.17."""
    stranger = pki.root("Stranger")
    refused = ("CertChainError", "Invalid")
    good = scene.contract()
    assert await scene.authorize(pki.issue(CN, issuer=stranger), stranger) == refused
    forged = pki.issue(CN, issuer=scene.sub, signed_by=stranger)
    assert await scene.authorize(forged, scene.sub) == refused
    below_leaf = pki.issue(CN, issuer=good)
    assert await scene.authorize(below_leaf, good, scene.sub) == refused
    early = scene.contract(begin=timedelta(hours=1))
    assert await scene.authorize(early) == refused
    other = scene.contract("DEABCC99999999X")
    assert await scene.authorize(other) == refused
    for text in ("", "-----", "x" * 5_500, good.pem.replace("M", "N", 9)):
        assert await scene.authorize(text=text) == refused, text[:40]
    scene.responder.unknown.add(good.certificate.serial_number)
    hashes = [scene.hashes(good, scene.sub)]
    assert await scene.authorize(good, hashes=hashes) == refused
    hashes[0]["responderURL"] = "http://ocsp.example.com/"
    assert await scene.authorize(good, hashes=hashes) == refused
    elsewhere = scene.contract(ocsp_url="http://ocsp.example.com/")
    assert await scene.authorize(elsewhere) == refused


async def test_an_unproven_answer_over_http_does_not_count(scene: Scene) -> None:
    stranger = pki.root("Stranger")
    scene.responder.issuer = scene.responder.signer = stranger
    leaf = pki.issue(CN, issuer=stranger)
    refused = ("CertChainError", "Invalid")
    assert await scene.authorize(hashes=[scene.hashes(leaf, stranger)]) == refused


async def test_crossed_certificates_cost_little_and_prove_nothing(
    scene: Scene,
) -> None:
    """Certificates that all could have issued each other."""
    key = pki.root("Loop")
    loop = [pki.issue("Loop", issuer=key, is_ca=True, signed_by=key) for _ in range(5)]
    leaf = pki.issue(CN, issuer=key)
    assert await scene.authorize(leaf, *loop) == ("CertChainError", "Invalid")


@pytest.mark.use_case("M01", "M02")
async def test_an_evs_request_goes_to_the_provider_unread(scene: Scene) -> None:
    """M01, M02."""
    exi = base64.b64encode(b"\x80\x98\x00").decode()
    reply = base64.b64encode(b"\x80\x98\x01").decode()
    scene.provider.answer = (
        200,
        json.dumps({"status": "Accepted", "exi_response": reply}).encode(),
    )
    for action in ("Install", "Update"):
        answer = await scene.station.ask(
            "Get15118EVCertificate",
            {
                "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
                "action": action,
                "exiRequest": exi,
            },
        )
        assert answer == {"status": "Accepted", "exiResponse": reply}
        assert scene.provider.asked[-1] == {
            "station_id": "NEW",
            "iso15118_schema_version": "urn:iso:15118:2:2013:MsgDef",
            "action": action,
            "exi_request": exi,
        }


BAD: dict[str, Answer] = {
    "an error": (503, b"{}"),
    "no JSON": (200, b"<html>"),
    "no status": (200, b"{}"),
    "no base64": (200, b'{"status": "Accepted", "exi_response": "\\u0000"}'),
    "too long": (200, b'{"status": "Accepted", "exi_response": "%s"}' % (b"A" * 8000)),
    "a redirect": (307, b"", {"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.use_case("M01", "M02")
@pytest.mark.parametrize("answer", BAD.values(), ids=BAD.keys())
async def test_without_a_good_answer_the_ev_gets_nothing(
    scene: Scene, answer: Answer
) -> None:
    scene.provider.answer = answer
    said = await scene.station.ask(
        "Get15118EVCertificate",
        {"iso15118SchemaVersion": "x", "action": "Install", "exiRequest": "x"},
    )
    assert said == {"status": "Failed", "exiResponse": ""}
