"""Signing requests come from the field: only good ones pass."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.csr import MAX_CSR_CHARS, Expected, read_request
from gateway.services.x509 import CertificateError, common_name
from tests.support import pki

NEW = Expected(names=frozenset({"NEW", "SN-1"}), foreign=frozenset({"old"}))
GOOD = pki.csr("NEW")


def der(text: str) -> bytes:
    request = x509.load_pem_x509_csr(text.encode())
    return request.public_bytes(serialization.Encoding.DER)


def signed_by_another_key() -> str:
    """The public key of one, the signature of another: nobody proved anything."""
    one, other = der(pki.csr("NEW")), der(pki.csr("NEW"))
    raw = bytearray(one)
    raw[-40:] = other[-40:]
    return base64.b64encode(bytes(raw)).decode()


def request_of(key: object, algorithm: hashes.HashAlgorithm | None) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(pki.name("NEW"))
    request = builder.sign(key, algorithm)  # type: ignore[arg-type]  # wrong on purpose
    return request.public_bytes(serialization.Encoding.PEM).decode()


def named(*parts: tuple[x509.ObjectIdentifier, str]) -> str:
    return pki.csr(
        subject=x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])
    )


HOSTILE: dict[str, tuple[str, str]] = {
    "nothing": ("", "readable"),
    "text": ("hello", "readable"),
    "a certificate": (pki.root("NEW").pem, "not one certificate request"),
    "a private key": (pki.key_pem(pki.new_key()), "not one certificate request"),
    "two requests": (GOOD + GOOD, "not one certificate request"),
    "an empty block": (
        "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
        "readable",
    ),
    "a block without an end": (GOOD[: len(GOOD) // 2], "readable"),
    "too long": (GOOD + "\n" * MAX_CSR_CHARS, "longer than"),
    "another's signature": (signed_by_another_key(), "not signed with the key"),
    "a short RSA key": (
        request_of(rsa.generate_private_key(65537, 1024), hashes.SHA256()),  # noqa: S505 - to be refused
        "2048 to 8192 bits",
    ),
    "a weak curve": (
        request_of(ec.generate_private_key(ec.SECP224R1()), hashes.SHA256()),
        "curve",
    ),
    "a Bitcoin curve": (
        request_of(ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()),
        "curve",
    ),
    "a DSA key": (
        request_of(dsa.generate_private_key(2048), hashes.SHA256()),
        "RSA or ECDSA",
    ),
    "an Edwards key": (
        request_of(ed25519.Ed25519PrivateKey.generate(), None),
        "RSA or ECDSA",
    ),
    "another station": (pki.csr("OLD"), "not the station's"),
    "another case": (pki.csr("new"), "not the station's"),
    "a name with a tail": (pki.csr("NEW\x00.example"), "printable"),
    "no name": (named((NameOID.ORGANIZATION_NAME, "X")), "exactly one common name"),
    "no subject": (pki.csr(subject=x509.Name([])), "exactly one common name"),
    "two names": (
        named((NameOID.COMMON_NAME, "NEW"), (NameOID.COMMON_NAME, "OLD")),
        "exactly one common name",
    ),
    "an odd part": (
        named((NameOID.COMMON_NAME, "NEW"), (NameOID.PSEUDONYM, "root")),
        "2.5.4.65",
    ),
    "many parts": (
        named(
            (NameOID.COMMON_NAME, "NEW"),
            *[(NameOID.ORGANIZATIONAL_UNIT_NAME, str(n)) for n in range(20)],
        ),
        "more than 10 parts",
    ),
}


@pytest.mark.parametrize(("text", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_request_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(CertificateError, match=why):
        read_request(text, NEW)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        GOOD.replace("\n", "\r\n"),
        base64.b64encode(der(GOOD)).decode(),
        pki.csr("SN-1"),
        request_of(rsa.generate_private_key(65537, 2048), hashes.SHA384()),
        request_of(ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()),
    ],
)
def test_a_good_request_passes_in_every_form(text: str) -> None:
    assert common_name(read_request(text, NEW).subject) in {"NEW", "SN-1"}


def test_an_unknown_secc_id_may_be_any_name_but_anothers() -> None:
    any_name = Expected(names=None, foreign=frozenset({"old"}))
    assert read_request(pki.csr("DE*ABC*S1"), any_name).is_signature_valid
    with pytest.raises(CertificateError, match="another station's"):
        read_request(pki.csr("OLD"), any_name)
    with pytest.raises(CertificateError, match="another station's"):
        read_request(pki.csr("oLd"), any_name)


def test_the_organization_must_be_exactly_the_configured_one() -> None:
    ours = Expected(names=frozenset({"NEW"}), organization="CPO")
    assert read_request(pki.csr("NEW", organization="CPO"), ours).is_signature_valid
    for other in (None, "cpo", "CPO "):
        with pytest.raises(CertificateError, match="organization"):
            read_request(pki.csr("NEW", organization=other), ours)


@given(st.data())
def test_a_request_with_any_byte_changed_is_refused_or_says_the_same(
    data: st.DataObject,
) -> None:
    raw = bytearray(der(GOOD))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        request = read_request(base64.b64encode(bytes(raw)).decode(), NEW)
    except CertificateError:
        return
    original = x509.load_pem_x509_csr(GOOD.encode())
    assert request.tbs_certrequest_bytes == original.tbs_certrequest_bytes
