"""Checks of certificate signing requests: the bytes come from the field."""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from gateway.services.certificate_intake import UNREADABLE, quiet
from gateway.services.x509 import (
    CertificateError,
    check_hash,
    common_name,
    key_of,
)

MAX_CSR_CHARS: Final = 5_500
"""``csr`` (1.6 whitepaper, 5.13; 2.0.1, SignCertificateRequest)."""
MAX_NAME_PARTS: Final = 10
_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_LABELS: Final = frozenset({"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"})
_PARTS: Final = frozenset(
    {
        NameOID.COMMON_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.COUNTRY_NAME,
        NameOID.STATE_OR_PROVINCE_NAME,
        NameOID.LOCALITY_NAME,
        NameOID.SERIAL_NUMBER,
        NameOID.DOMAIN_COMPONENT,
        NameOID.EMAIL_ADDRESS,
    }
)

_LENGTHS: Final = {NameOID.COUNTRY_NAME: (2, 2), NameOID.COMMON_NAME: (1, 64)}
"""RFC 5280, appendix A.1; what we sign keeps to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a request must say of its sender.

    Attributes:
        names: The CN is one of these: the station's id, its serial number; ``None``:
            any that is not foreign (a V2G certificate of an unknown SECC id).
        foreign: Names of other stations, case folded, never certified for this one.
        organization: The O must be this, if set (1.6 whitepaper, A02.FR.13).
    """

    names: frozenset[str] | None
    foreign: Collection[str] = frozenset()
    organization: str | None = None


def read_request(text: str, expected: Expected) -> x509.CertificateSigningRequest:
    """Read a request in PEM (or DER in base64) and check what it asks for.

    Raises:
        CertificateError: It is not one, its sender does not hold the key, its key is
            weak, or it names somebody else.
    """
    request = _parse(text)
    try:
        with quiet():
            subject, key = request.subject, request.public_key()
        _check_subject(subject, expected)
        key_of(key)
        check_hash(request.signature_hash_algorithm)
        holds = request.is_signature_valid
    except UNREADABLE as error:
        raise CertificateError(f"a part of it is unreadable: {error}") from error
    if not holds:
        raise CertificateError("not signed with the key it asks a certificate for")
    return request


def to_pem(request: x509.CertificateSigningRequest) -> str:
    """The request as one clean PEM block."""
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _parse(text: str) -> x509.CertificateSigningRequest:
    if len(text) > MAX_CSR_CHARS:
        raise CertificateError(f"longer than {MAX_CSR_CHARS} characters")
    labels = _BEGIN.findall(text)
    try:
        if not labels:
            return x509.load_der_x509_csr(base64.b64decode(text, validate=True))
        if len(labels) > 1 or labels[0] not in _LABELS:
            raise CertificateError("not one certificate request in PEM")
        return x509.load_pem_x509_csr(text.encode())
    except UNREADABLE as error:  # binascii.Error is a ValueError
        raise CertificateError("not a readable PKCS#10 request") from error


def _check_subject(subject: x509.Name, expected: Expected) -> None:
    _check_parts(subject)
    name = common_name(subject)
    if not name:
        raise CertificateError("its subject needs exactly one common name (CN)")
    if expected.names is not None and name not in expected.names:
        raise CertificateError(
            f"its common name is {name!r}, not the station's id or serial number"
        )
    if name.casefold() in expected.foreign:
        raise CertificateError(f"its common name {name!r} is another station's")
    if expected.organization is not None:
        found = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if [part.value for part in found] != [expected.organization]:
            raise CertificateError(
                f"its organization (O) is not {expected.organization!r}"
            )


def _check_parts(subject: x509.Name) -> None:
    parts = list(subject)
    if len(parts) > MAX_NAME_PARTS:
        raise CertificateError(f"its subject has more than {MAX_NAME_PARTS} parts")
    for part in parts:
        if part.oid not in _PARTS:
            raise CertificateError(f"its subject has a part {part.oid.dotted_string}")
        if not (isinstance(part.value, str) and part.value.isprintable()):
            raise CertificateError("its subject is not printable text")
        n_bytes = len(part.value.encode())
        least, most = _LENGTHS.get(part.oid, (0, MAX_CSR_CHARS))
        if not least <= n_bytes <= most:
            raise CertificateError(
                f"its subject has a part {part.oid.dotted_string} of {n_bytes} bytes"
            )
