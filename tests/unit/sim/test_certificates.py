"""Certificates: hashes, chains, signatures, and the station's store."""

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import load_pem_x509_csr

from sim_chargers.certificates import (
    BadCertificateError,
    Certificate,
    accept_chain,
    new_key,
    signing_request,
    verify_signature,
)
from sim_chargers.contracts import make_contract
from tests.integration.sim.authority import Authority
from tests.unit.sim.desk import Payload, ask, said, station, status, v201

ROOT_KINDS = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate"}


def test_a_request_carries_the_name_and_is_signed_with_the_key() -> None:
    key = new_key()
    csr = signing_request(key, common_name="CP1", organisation="Operator")
    request = load_pem_x509_csr(csr.encode())
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    assert request.subject.rfc4514_string() == "O=Operator,CN=CP1"


def test_a_chain_is_taken_for_its_own_key_only() -> None:
    root, key = Authority(), new_key()
    cp = v201()
    csr = signing_request(key, common_name="CP1", organisation="Operator")
    chain = root.sign_request(csr)
    assert len(accept_chain(key, chain + root.pem, cp.now())) == 2
    with pytest.raises(BadCertificateError, match="another key"):
        accept_chain(new_key(), chain, cp.now())
    with pytest.raises(BadCertificateError, match="broken"):
        accept_chain(key, chain + Authority("Stranger").pem, cp.now())
    with pytest.raises(BadCertificateError, match="not a PEM"):
        accept_chain(key, "no certificate", cp.now())


def test_a_firmware_signature_is_really_checked() -> None:
    body, root = b"firmware", Authority()
    pem, key = root.issue("Signer")
    good = base64.b64encode(key.sign(body, ec.ECDSA(hashes.SHA256()))).decode()
    assert verify_signature(body, good, pem)
    assert not verify_signature(b"malware", good, pem)
    assert not verify_signature(body, "not base64!", pem)


def test_an_rsa_signature_is_checked_with_pss() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    raw = key.sign(b"firmware", pss, hashes.SHA256())
    pem = Authority().certify(key.public_key())
    assert verify_signature(b"firmware", base64.b64encode(raw).decode(), pem)
    assert not verify_signature(b"malware", base64.b64encode(raw).decode(), pem)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_root_is_installed_listed_and_deleted(version: str) -> None:
    cp, root = station(version), Authority()
    kind = ROOT_KINDS[version]
    install = {"certificateType": kind, "certificate": root.pem}
    assert status(cp, "InstallCertificate", **install) == "Accepted"
    wanted = Certificate(root.certificate).hash_data()
    asked = {"certificateType": kind if version == "1.6" else [kind]}
    answer = ask(cp, "GetInstalledCertificateIds", **asked)
    assert wanted in _hashes(answer)
    shouting = {**wanted, "serialNumber": wanted["serialNumber"].upper()}
    delete = {"certificateHashData": shouting}
    assert status(cp, "DeleteCertificate", **delete) == "Accepted"
    assert status(cp, "DeleteCertificate", **delete) == "NotFound"
    assert status(cp, "GetInstalledCertificateIds", **asked) == "NotFound"


def _hashes(answer: Payload) -> list[Payload]:
    if "certificateHashData" in answer:
        return list(answer["certificateHashData"])
    return [row["certificateHashData"] for row in answer["certificateHashDataChain"]]


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_text_that_is_no_certificate_is_rejected(version: str) -> None:
    install = {"certificateType": ROOT_KINDS[version], "certificate": "MIIB"}
    assert status(station(version), "InstallCertificate", **install) == "Rejected"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_certificate_that_nobody_asked_for_is_a_security_event(version: str) -> None:
    cp = station(version)
    chain = {"certificateChain": Authority().pem}
    assert status(cp, "CertificateSigned", **chain) == "Rejected"
    (event,) = said(cp, "SecurityEventNotification")
    assert event["type"] == "InvalidChargingStationCertificate"


def test_the_stations_own_certificate_cannot_be_deleted() -> None:
    cp, root = v201(), Authority()
    key = new_key()
    cp.trust.pending["ChargingStationCertificate"] = key
    csr = signing_request(key, common_name="CP1", organisation="Operator")
    chain = root.sign_request(csr) + root.pem
    assert status(cp, "CertificateSigned", certificateChain=chain) == "Accepted"
    own, above = cp.trust.own["ChargingStationCertificate"].chain
    delete = {"certificateHashData": own.hash_data(above)}
    assert status(cp, "DeleteCertificate", **delete) == "Failed"


def test_a_contract_names_its_issuer_in_the_hashes() -> None:
    contract = make_contract(v201().now())
    assert contract.leaf.is_issued_by(contract.root)
    assert not contract.root.is_issued_by(contract.leaf)
    by_root = contract.ocsp_data()
    root_itself = contract.root.hash_data()
    assert by_root["issuerKeyHash"] == root_itself["issuerKeyHash"]
    assert by_root["serialNumber"] != root_itself["serialNumber"]
