"""X.509 as the services need it: bounded parsing, names, hashes, chains, signatures.

Everything here is pure and quick; what comes in may be hostile.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from gateway.domain.certificates import CertificateHash
from gateway.errors import WattproofError
from gateway.services.certificate_intake import (
    UNREADABLE,
    flaw_of,
    load_der,
    load_pem,
)

MAX_CHAIN_CHARS: Final = 10_000
"""``certificateChain`` (1.6 whitepaper, 5.1; 2.0.1, CertificateSignedRequest)."""
MAX_CERTIFICATE_CHARS: Final = 5_500
MAX_CHAIN: Final = 10
MAX_SUBJECT_CHARS: Final = 200
MIN_RSA_BITS: Final = 2_048
MAX_RSA_BITS: Final = 8_192
"""A longer key only costs time to check."""
CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
ALGORITHMS: Final[Mapping[str, type[hashes.HashAlgorithm]]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
UNPROVEN: Final = (*UNREADABLE, InvalidSignature)
"""How ``verify_directly_issued_by`` says no."""
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
_LABEL: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_WEAK: Final = (hashes.MD5, hashes.SHA1)

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class CertificateError(WattproofError):
    """A certificate, chain or request is not what it should be; the text says why."""


def parse_chain(
    text: str, *, max_chars: int = MAX_CHAIN_CHARS
) -> list[x509.Certificate]:
    """Certificates in PEM, in the order given.

    Raises:
        CertificateError: Too long, none, too many, not readable, or with a part that
            no certificate may have.
    """
    if len(text) > max_chars:
        raise CertificateError(f"has more than {max_chars} characters")
    try:
        chain = load_pem(text.encode())
    except UNREADABLE as error:
        raise CertificateError(
            f"is not a certificate in PEM: {_pem_problem(text, error)}"
        ) from error
    if len(chain) > MAX_CHAIN:
        raise CertificateError(f"has more than {MAX_CHAIN} certificates")
    for one in chain:
        flaw = flaw_of(one)
        if flaw is not None:
            which = "" if len(chain) == 1 else f"holds {subject_of(one)}, which "
            raise CertificateError(f"{which}{flaw}")
    return chain


def _pem_problem(text: str, error: BaseException) -> str:
    """Why a text is no certificate in PEM: as its lines tell, else as the library does.

    What the library says of PEM itself is only a link.
    """
    if _BEGIN not in text:
        found = _LABEL.search(text)
        if found is not None:
            return f"it is a {found[1]}, not a CERTIFICATE"
        return f"it has no line {_BEGIN}"
    if _END not in text[text.index(_BEGIN) :]:
        return f"the line {_END} is missing"
    said = _one_line(error).partition(" {")[0]
    reason = "" if "://" in said else f": {said}"
    return f"what stands between {_BEGIN} and {_END} is damaged{reason}"


def parse_der(der: bytes) -> x509.Certificate:
    """One certificate in DER, as TLS hands it over.

    Raises:
        CertificateError: Not readable, or with a part that no certificate may have.
    """
    try:
        certificate = load_der(der)
    except UNREADABLE as error:
        raise CertificateError(f"is unreadable: {_one_line(error)}") from error
    flaw = flaw_of(certificate)
    if flaw is not None:
        raise CertificateError(flaw)
    return certificate


def to_pem(chain: Sequence[x509.Certificate]) -> str:
    """A chain in PEM, in the order given."""
    return "".join(
        one.public_bytes(serialization.Encoding.PEM).decode() for one in chain
    )


def serial_of(certificate: x509.Certificate) -> str:
    """Serial number as OCPP writes it: hexadecimal, no prefix, no leading zeros."""
    return f"{certificate.serial_number:x}"


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER form, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def common_name(name: x509.Name) -> str | None:
    """The one CN of a name; ``None`` if there is none, or more than one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else None


def key_of(key: object) -> PublicKey:
    """A public key that may be certified: RSA of 2048 bits or more, P-256 or more.

    Raises:
        CertificateError: Another kind, or too short, or absurdly long.
    """
    if isinstance(key, rsa.RSAPublicKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise CertificateError(
                f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, "
                f"not {key.key_size}"
            )
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, CURVES):
            raise CertificateError(f"the curve {key.curve.name} is not accepted")
        return key
    raise CertificateError("keys are RSA or ECDSA")


def check_hash(algorithm: hashes.HashAlgorithm | None) -> None:
    """Refuse signatures over broken digests.

    Raises:
        CertificateError: MD5 or SHA-1.
    """
    if isinstance(algorithm, _WEAK):
        raise CertificateError(f"signed with {algorithm.name}, which is broken")


def key_bits(key: PublicKey | object) -> bytes:
    """The subject public key as RFC 6960 hashes it: the bit string without its tag."""
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.PKCS1
        )
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def name_hash(name: x509.Name, algorithm: str) -> str:
    """``issuerNameHash`` of an issuer's name."""
    return hashlib.new(algorithm.lower(), name.public_bytes()).hexdigest()


def key_hash(certificate: x509.Certificate, algorithm: str) -> str:
    """``issuerKeyHash`` of an issuer.

    Raises:
        CertificateError: Its key is neither RSA nor ECDSA.
    """
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise CertificateError("keys are RSA or ECDSA")
    return hashlib.new(algorithm.lower(), key_bits(key)).hexdigest()


def hash_of(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    algorithm: str = "SHA256",
) -> CertificateHash:
    """``CertificateHashDataType`` of a certificate, from it and its issuer."""
    return CertificateHash(
        algorithm=algorithm,
        issuer_name_hash=name_hash(certificate.issuer, algorithm),
        issuer_key_hash=key_hash(issuer, algorithm),
        serial_number=serial_of(certificate),
    )


def check_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Whether one certificate signed the other, and may.

    Raises:
        CertificateError: Names or signature do not match, or the issuer is no CA.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
        check_hash(certificate.signature_hash_algorithm)
    except UNPROVEN as error:
        raise CertificateError(
            f"{subject_of(certificate)} is not signed by {subject_of(issuer)}"
        ) from error
    if not is_ca(issuer):
        raise CertificateError(f"{subject_of(issuer)} may not sign certificates")


def walk(chain: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The part of a chain, leaf first, in which each is signed by the next."""
    found = [chain[0]]
    for one in chain[1:]:
        try:
            check_issued(found[-1], one)
        except CertificateError:
            break
        found.append(one)
    return found


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it may sign certificates (RFC 5280, 4.2.1.3 and 4.2.1.9)."""
    try:
        extensions = certificate.extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
        if not basic.ca:
            return False
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid
    except UNREADABLE:
        return False
    return usage.key_cert_sign


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is its own issuer, provably."""
    try:
        certificate.verify_directly_issued_by(certificate)
    except UNPROVEN:
        return False
    return True


def is_within(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it is valid at a moment."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def subject_of(certificate: x509.Certificate) -> str:
    """Its subject for people, bounded."""
    try:
        return certificate.subject.rfc4514_string()[:MAX_SUBJECT_CHARS]
    except UNREADABLE:
        return "an unreadable subject"


def check_signature(
    key: object,
    signature: bytes,
    message: bytes,
    algorithm: hashes.HashAlgorithm | None,
) -> None:
    """Check a signature over a message that is no certificate (an OCSP response).

    Raises:
        CertificateError: It does not hold.
    """
    check_hash(algorithm)
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(signature, message, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            raise CertificateError("signed with an unknown kind of key")
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise CertificateError("the signature does not hold") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
