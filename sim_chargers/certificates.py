"""Certificates and keys of a station: read, hashed, proven, requested and stored.

Hashes are those of OCSP (RFC 6960), as CertificateHashData wants them in both versions.
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey

MAX_CHAIN_TEXT: Final = 10_000  # CertificateSigned.certificateChain
MAX_STORED: Final = 50
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}


class BadCertificateError(ValueError):
    """The text is no certificate, or not a usable one; refuse it."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate."""

    x509: x509.Certificate

    @classmethod
    def parse(cls, pem: str) -> "Certificate":
        """Read one PEM certificate.

        Raises:
            BadCertificateError: It is none.
        """
        return cls.parse_chain(pem)[0]

    @classmethod
    def parse_chain(cls, pem: str) -> "list[Certificate]":
        """Read PEM certificates in their order, one at least.

        Raises:
            BadCertificateError: One of them is none.
        """
        try:
            return [cls(one) for one in x509.load_pem_x509_certificates(pem.encode())]
        except ValueError as error:
            raise BadCertificateError(f"not a PEM certificate: {error}") from error

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return self.x509.public_bytes(serialization.Encoding.PEM).decode()

    def is_issued_by(self, issuer: "Certificate") -> bool:
        """Whether another certificate's key signed this one."""
        try:
            self.x509.verify_directly_issued_by(issuer.x509)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def is_valid_at(self, now: datetime) -> bool:
        """Whether an instant is within the validity."""
        return self.x509.not_valid_before_utc <= now <= self.x509.not_valid_after_utc

    def hash_data(
        self, issuer: "Certificate | None" = None, algorithm: str = "SHA256"
    ) -> dict[str, Any]:
        """Write CertificateHashData; without an issuer as if self-signed."""
        above = self if issuer is None else issuer
        request = (
            ocsp.OCSPRequestBuilder()
            .add_certificate(self.x509, above.x509, _HASHES[algorithm])
            .build()
        )
        return {
            "hashAlgorithm": algorithm,
            "issuerNameHash": request.issuer_name_hash.hex(),
            "issuerKeyHash": request.issuer_key_hash.hex(),
            "serialNumber": f"{self.x509.serial_number:x}",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A key of the station and the chain that certifies it, its own one first."""

    key: PrivateKey
    chain: tuple[Certificate, ...]


@dataclass(slots=True)
class Trust:
    """What a station trusts, by kind of certificate, and who it is itself.

    Attributes:
        pending: Keys whose certificate was asked for, by kind.
        own: Identities in use, by kind.
    """

    installed: list[tuple[str, Certificate]] = field(default_factory=list)
    pending: dict[str, PrivateKey] = field(default_factory=dict)
    own: dict[str, Identity] = field(default_factory=dict)

    def of_kind(self, kind: str) -> list[Certificate]:
        """List the installed certificates of a kind."""
        return [found for name, found in self.installed if name == kind]

    def install(self, kind: str, certificate: Certificate) -> bool:
        """Add a root; False where there is no room for it."""
        if (kind, certificate) in self.installed:
            return True
        if len(self.installed) >= MAX_STORED:
            return False
        self.installed.append((kind, certificate))
        return True

    def find(self, wanted: dict[str, Any]) -> tuple[str, Certificate] | None:
        """Find an installed certificate by its hash data."""
        for kind, certificate in self.installed:
            if is_same_hash(certificate, self.issuer_of(certificate), wanted):
                return kind, certificate
        return None

    def issuer_of(self, certificate: Certificate) -> Certificate | None:
        """Find who signed a certificate, among all that are installed."""
        for _, other in self.installed:
            if certificate.is_issued_by(other):
                return other
        return None

    def remove(self, certificate: Certificate) -> None:
        """Forget an installed certificate, whatever its kind."""
        self.installed = [row for row in self.installed if row[1] != certificate]


def is_same_hash(
    certificate: Certificate, issuer: Certificate | None, wanted: dict[str, Any]
) -> bool:
    """Whether hash data means a certificate; hexadecimal in either case."""
    mine = certificate.hash_data(issuer, str(wanted["hashAlgorithm"]))
    return all(
        str(mine[name]).casefold() == str(wanted[name]).casefold() for name in mine
    )


def new_key() -> PrivateKey:
    """Make a key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def signing_request(key: PrivateKey, *, common_name: str, organisation: str) -> str:
    """Write a PKCS #10 request in PEM (security whitepaper, A02)."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        ]
    )
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def accept_chain(key: PrivateKey, text: str, now: datetime) -> tuple[Certificate, ...]:
    """Check a signed chain against the key that was to be certified.

    Raises:
        BadCertificateError: It is malformed, out of its validity, for another key, or
            its members did not sign each other.
    """
    if len(text) > MAX_CHAIN_TEXT:
        raise BadCertificateError(f"more than {MAX_CHAIN_TEXT} characters")
    chain = Certificate.parse_chain(text)
    if chain[0].x509.public_key() != key.public_key():
        raise BadCertificateError("for another key")
    if not all(one.is_valid_at(now) for one in chain):
        raise BadCertificateError("not valid now")
    if not all(one.is_issued_by(above) for one, above in pairwise(chain)):
        raise BadCertificateError("the chain is broken")
    return tuple(chain)


def verify_signature(body: bytes, signature: str, signing_pem: str) -> bool:
    """Check a firmware's signature: RSA-PSS or ECDSA over SHA-256, base64 (L01).

    Raises:
        BadCertificateError: The signing certificate cannot be used.
    """
    key = Certificate.parse(signing_pem).x509.public_key()
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, rsa.RSAPublicKey):
            salted = padding.PSS(
                mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO
            )
            key.verify(raw, body, salted, hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, body, ec.ECDSA(hashes.SHA256()))
        else:
            raise BadCertificateError(f"no {type(key).__name__} is used here")
    except (InvalidSignature, binascii.Error):
        return False
    return True
