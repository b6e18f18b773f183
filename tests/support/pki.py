"""Real keys, requests and certificates, made on the spot."""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from gateway.clock import SystemClock

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = timedelta(days=1)
_clock = SystemClock()


def now() -> datetime:
    return _clock.now()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def csr(
    common_name: str = "NEW",
    *,
    key: Key | None = None,
    organization: str | None = None,
    subject: x509.Name | None = None,
) -> str:
    """A signing request in PEM."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name(common_name, organization) if subject is None else subject)
        .sign(key or new_key(), hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def pem(*certificates: x509.Certificate) -> str:
    return "".join(
        one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates
    )


def pem_block(label: str, der: bytes) -> str:
    """Any bytes as one PEM block."""
    lines = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n"


def key_pem(key: Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return pem(self.certificate)


def root(common_name: str = "Test root") -> Holder:
    """A self-signed authority."""
    return issue(common_name, issuer=None, is_ca=True)


def issue(
    common_name: str,
    *,
    issuer: Holder | None,
    is_ca: bool = False,
    begin: timedelta = -DAY,
    end: timedelta = DAY,
    ocsp_url: str | None = None,
    signed_by: Holder | None = None,
    extra: x509.ExtensionType | None = None,
    extra_is_critical: bool = False,
    path_length: int | None = None,
) -> Holder:
    """A certificate below an authority; ``signed_by`` somebody else is a forgery."""
    key = new_key()
    signer = signed_by or issuer
    subject = name(common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + begin)
        .not_valid_after(now() + end)
        .add_extension(
            x509.BasicConstraints(ca=is_ca, path_length=path_length), critical=True
        )
    )
    if ocsp_url is not None:
        builder = builder.add_extension(
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(
                        AuthorityInformationAccessOID.OCSP,
                        x509.UniformResourceIdentifier(ocsp_url),
                    )
                ]
            ),
            critical=False,
        )
    if extra is not None:
        builder = builder.add_extension(extra, critical=extra_is_critical)
    certificate = builder.sign(key if signer is None else signer.key, hashes.SHA256())
    return Holder(certificate=certificate, key=key)
