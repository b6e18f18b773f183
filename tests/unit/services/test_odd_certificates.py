"""What the library would only warn of is judged by us (here, warnings are errors)."""

import pytest
from cryptography import x509

from gateway.services.csr import Expected, read_request
from gateway.services.x509 import (
    CertificateError,
    common_name,
    is_ca,
    parse_chain,
    parse_der,
    subject_of,
)
from tests.support import forgery, pki

ROOT = pki.root("MO root")
SUB = pki.issue("MO sub", issuer=ROOT, is_ca=True)
LEAF = pki.issue("X", issuer=SUB)
NEW = Expected(names=frozenset({"NEW"}))
COUNTRY, COMMON_NAME = "2.5.4.6", "2.5.4.3"
NOT_POSITIVE = r"a serial number that is not positive \(RFC 5280, 4\.1\.2\.2\)"


@pytest.mark.parametrize("serial", [0, -1, -128, -(1 << 159)])
def test_a_serial_number_that_is_not_positive_is_refused(serial: int) -> None:
    der, text = forgery.with_serial(LEAF.certificate, SUB.key, serial)
    for read in (lambda: parse_chain(text), lambda: parse_der(der)):
        with pytest.raises(CertificateError, match=f"^has {NOT_POSITIVE}"):
            read()
    where = f"^holds CN=X, which has {NOT_POSITIVE}"
    with pytest.raises(CertificateError, match=where):
        parse_chain(SUB.pem + text)


def test_a_library_that_reads_it_no_more_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stern(_: bytes) -> x509.Certificate:
        raise ValueError("serial number is not positive")

    monkeypatch.setattr(x509, "load_pem_x509_certificates", stern)
    monkeypatch.setattr(x509, "load_der_x509_certificate", stern)
    der, text = forgery.with_serial(LEAF.certificate, SUB.key, 0)
    with pytest.raises(CertificateError, match=r"^is not a certificate in PEM"):
        parse_chain(text)
    with pytest.raises(CertificateError, match=r"number is not positive"):
        parse_der(der)


def test_the_least_and_the_longest_serial_numbers_pass() -> None:
    for serial in (1, (1 << 159) - 1):
        der, text = forgery.with_serial(LEAF.certificate, SUB.key, serial)
        (certificate,) = parse_chain(text)
        assert certificate == parse_der(der)
        assert certificate.serial_number == serial
        certificate.verify_directly_issued_by(SUB.certificate)


def test_a_key_that_can_sign_nothing_is_refused_before_it_is_read() -> None:
    der, text = forgery.with_key(LEAF.certificate, SUB.key, forgery.diffie_hellman())
    with pytest.raises(CertificateError, match=r"^has a key for Diffie-Hellman"):
        parse_chain(text)
    with pytest.raises(CertificateError, match=r"^has a key for Diffie-Hellman"):
        parse_der(der)
    with pytest.raises(CertificateError, match="keys are RSA or ECDSA"):
        read_request(forgery.request_for(forgery.diffie_hellman()), NEW)


def test_a_signature_of_broken_bytes_is_refused() -> None:
    text = forgery.with_bits_to_spare(LEAF.certificate, SUB.key)
    with pytest.raises(CertificateError, match=r"^has a signature that is not"):
        parse_chain(text)


def test_a_certificate_with_a_name_of_odd_length_is_read_quietly() -> None:
    subject = LEAF.certificate.subject.public_bytes()
    country = subject.replace(b"\x55\x04\x03", b"\x55\x04\x06")
    der, text = forgery.with_bytes(LEAF.certificate, SUB.key, subject, country)
    for certificate in (parse_der(der), *parse_chain(text)):
        assert subject_of(certificate) == "C=X"
        assert common_name(certificate.subject) is None
        assert not is_ca(certificate)


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        (COUNTRY, "D"),
        (COUNTRY, "DEU"),
        (COUNTRY, ""),
        (COMMON_NAME, "N" * 65),
        (COMMON_NAME, ""),
    ],
)
def test_a_request_with_a_name_of_odd_length_is_refused(oid: str, value: str) -> None:
    why = f"its subject has a part {oid} of {len(value)} bytes"
    with pytest.raises(CertificateError, match=why):
        read_request(forgery.request_with_part(oid, value), NEW)


def test_a_request_with_right_lengths_passes() -> None:
    request = read_request(forgery.request_with_part(COUNTRY, "DE"), NEW)
    assert request.subject.rfc4514_string() == "C=DE,CN=NEW"


def test_bytes_that_are_no_certificate_are_said_to_be_unreadable() -> None:
    with pytest.raises(CertificateError, match=r"^is unreadable: "):
        parse_der(b"no certificate")
