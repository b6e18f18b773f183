"""Certificates and requests as no library makes them, yet rightly signed."""

import base64
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dh, ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import pki

SEQUENCE, INTEGER, BIT_STRING = 0x30, 0x02, 0x03
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
"""The AlgorithmIdentifier."""


def with_serial(
    certificate: x509.Certificate, issuer_key: pki.Key, serial: int
) -> tuple[bytes, str]:
    """The certificate with any serial number (DER, PEM), signed again."""
    old = _integer(certificate.serial_number)
    return with_bytes(certificate, issuer_key, old, _integer(serial))


def with_key(
    certificate: x509.Certificate, issuer_key: pki.Key, public_key_info: bytes
) -> tuple[bytes, str]:
    """The certificate for another public key (DER, PEM), signed again."""
    old = _key_info(certificate.public_key())
    return with_bytes(certificate, issuer_key, old, public_key_info)


def with_bytes(
    certificate: x509.Certificate, issuer_key: pki.Key, old: bytes, new: bytes
) -> tuple[bytes, str]:
    """The certificate with one part of it replaced (DER, PEM), signed again."""
    told = certificate.tbs_certificate_bytes
    assert told.count(old) == 1
    changed = _tlv(SEQUENCE, _contents(told).replace(old, new))
    der = _signed(changed, issuer_key)
    return der, pki.pem_block("CERTIFICATE", der)


def with_bits_to_spare(certificate: x509.Certificate, issuer_key: pki.Key) -> str:
    """The certificate (PEM) whose signature says that its last bit does not count.

    The library verifies it all the same; it would be a second form of one certificate.
    """
    while True:  # the last bit must be zero
        told = certificate.tbs_certificate_bytes
        der = bytearray(_signed(told, issuer_key))
        length = len(x509.load_der_x509_certificate(bytes(der)).signature)
        if der[-1] % 2 == 0:
            assert der[-length - 1] == 0
            der[-length - 1] = 1
            return pki.pem_block("CERTIFICATE", bytes(der))


def request_with_part(oid: str, value: str) -> str:
    """A request in PEM whose subject has a part of any length besides its CN."""
    key = pki.new_key()
    name = pki.name("NEW").public_bytes()
    part = _tlv(SEQUENCE, _oid(oid) + _tlv(0x0C, value.encode()))
    subject = _tlv(SEQUENCE, _contents(name) + _tlv(0x31, part))
    told = _integer(0) + subject + _key_info(key.public_key()) + b"\xa0\x00"
    der = _signed(_tlv(SEQUENCE, told), key)
    return pki.pem_block("CERTIFICATE REQUEST", der)


def request_for(public_key_info: bytes) -> str:
    """A request in base64 for a key that its sender cannot have signed with."""
    told = _integer(0) + pki.name("NEW").public_bytes() + public_key_info + b"\xa0\x00"
    return base64.b64encode(_signed(_tlv(SEQUENCE, told), pki.new_key())).decode()


def diffie_hellman() -> bytes:
    """A public key that can sign nothing."""
    with warnings.catch_warnings():  # that it is old is the point
        warnings.simplefilter("ignore")
        key = dh.generate_parameters(2, 512).generate_private_key().public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _signed(told: bytes, key: pki.Key) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(told, ec.ECDSA(hashes.SHA256()))
    return _tlv(SEQUENCE, told + ECDSA_SHA256 + _tlv(BIT_STRING, b"\x00" + signature))


def _key_info(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    assert max(rest) < 0x80
    return _tlv(0x06, bytes([40 * first + second, *rest]))


def _integer(value: int) -> bytes:
    n_bits = (value if value >= 0 else ~value).bit_length()
    return _tlv(INTEGER, value.to_bytes(n_bits // 8 + 1, "big", signed=True))


def _contents(der: bytes) -> bytes:
    n_more = der[1] & 0x7F if der[1] & 0x80 else 0
    return der[2 + n_more :]


def _tlv(tag: int, contents: bytes) -> bytes:
    n = len(contents)
    n_bytes = b"" if n < 0x80 else n.to_bytes((n.bit_length() + 7) // 8, "big")
    length = bytes([n]) if n < 0x80 else bytes([0x80 | len(n_bytes)]) + n_bytes
    return bytes([tag]) + length + contents
