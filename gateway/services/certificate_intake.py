"""Takes in X.509 from outside without a word of the library's own.

Some parts of a certificate the library only warns of today, on the error output and
when they are first looked at, and will not read at all one day. Here they are looked
at once, quietly; what they mean is ours to say: `flaw_of`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""How parts of hostile certificates and requests fail, also when first looked at."""
_KEY_AGREEMENT: Final = frozenset({"1.2.840.113549.1.3.1", "1.2.840.10046.2.1"})
"""Diffie-Hellman over finite fields (PKCS #3, X9.42)."""


@contextmanager
def quiet() -> Iterator[None]:
    """Let the library read odd parts without warning of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        warnings.filterwarnings("ignore", "Attribute's length must be", UserWarning)
        yield


def load_pem(data: bytes) -> list[x509.Certificate]:
    """Certificates in PEM, in the order given.

    Raises:
        ValueError: None, or not readable; others of `UNREADABLE` too.
    """
    with quiet():
        return [settled(one) for one in x509.load_pem_x509_certificates(data)]


def load_der(der: bytes) -> x509.Certificate:
    """One certificate.

    Raises:
        ValueError: Not readable; others of `UNREADABLE` too.
    """
    with quiet():
        return settled(x509.load_der_x509_certificate(der))


def settled(certificate: x509.Certificate) -> x509.Certificate:
    """The same; its names and extensions are read by now, where they can be."""
    with quiet():
        for part in ("issuer", "subject", "extensions"):
            with suppress(*UNREADABLE):  # told when somebody needs it
                getattr(certificate, part)
    return certificate


def flaw_of(certificate: x509.Certificate) -> str | None:
    """Why a certificate cannot be worked with, to follow its name; ``None``: it can."""
    with quiet():
        serial = certificate.serial_number
    if serial <= 0:
        return "has a serial number that is not positive (RFC 5280, 4.1.2.2)"
    if certificate.public_key_algorithm_oid.dotted_string in _KEY_AGREEMENT:
        return "has a key for Diffie-Hellman, which signs nothing"
    der = certificate.public_bytes(Encoding.DER)
    if der[-len(certificate.signature) - 1] != 0:  # the count of bits to be ignored
        return "has a signature that is not of whole bytes (RFC 3279, 2.2.3)"
    return None
