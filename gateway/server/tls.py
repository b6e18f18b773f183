"""TLS of the OCPP port: contexts, their checks, and what a connection agreed on."""

import ssl
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.domain.connection import (
    PLAIN,
    TLS_BASIC,
    TLS_CERTIFICATE,
    ConnectionSecurity,
)


def security_of(ssl_object: object) -> ConnectionSecurity:
    """What a connection used, from its ``ssl_object``; ``None`` for a plain one."""
    if not isinstance(ssl_object, ssl.SSLObject):
        return PLAIN
    cipher = ssl_object.cipher()
    security = ConnectionSecurity(
        profile=TLS_BASIC,
        tls_version=ssl_object.version(),
        cipher=None if cipher is None else cipher[0],
    )
    der = ssl_object.getpeercert(binary_form=True)
    if not der:
        return security
    certificate = x509.load_der_x509_certificate(der)
    return replace(
        security,
        profile=TLS_CERTIFICATE,
        client_name=_name(certificate, NameOID.COMMON_NAME),
        client_organization=_name(certificate, NameOID.ORGANIZATION_NAME),
        client_serial=f"{certificate.serial_number:X}",
        client_not_after=certificate.not_valid_after_utc,
    )


def _name(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    """The one value of a part of the subject; several mean nothing certain."""
    found = certificate.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if len(found) == 1 else None
