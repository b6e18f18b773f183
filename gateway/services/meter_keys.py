"""Public keys of meters: read in every spelling, kept in one, used to check signatures.

A key is kept as its curve and the uncompressed point in upper-case hexadecimal digits:
what is printed on a meter can be compared with it.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from gateway.domain import secp192k1
from gateway.domain.ocmf import Curve
from gateway.domain.signed_carrier import MAX_KEY_CHARS

_CURVES: Final[Mapping[Curve, ec.EllipticCurve]] = MappingProxyType(
    {
        Curve.SECP192R1: ec.SECP192R1(),
        Curve.SECP256K1: ec.SECP256K1(),
        Curve.SECP256R1: ec.SECP256R1(),
        Curve.SECP384R1: ec.SECP384R1(),
        Curve.BRAINPOOL256R1: ec.BrainpoolP256R1(),
        Curve.BRAINPOOL384R1: ec.BrainpoolP384R1(),
    }
)
"""All but secp192k1, which is checked by `gateway.domain.secp192k1`."""
_OF_LENGTH: Final = MappingProxyType(
    {
        48: (Curve.SECP192R1, Curve.SECP192K1),
        64: (Curve.SECP256R1, Curve.SECP256K1, Curve.BRAINPOOL256R1),
        96: (Curve.SECP384R1, Curve.BRAINPOOL384R1),
    }
)
_OIDS: Final[Mapping[bytes, Curve]] = MappingProxyType(
    {
        bytes.fromhex("2A8648CE3D030101"): Curve.SECP192R1,
        bytes.fromhex("2A8648CE3D030107"): Curve.SECP256R1,
        bytes.fromhex("2B8104001F"): Curve.SECP192K1,
        bytes.fromhex("2B8104000A"): Curve.SECP256K1,
        bytes.fromhex("2B81040022"): Curve.SECP384R1,
        bytes.fromhex("2B2403030208010107"): Curve.BRAINPOOL256R1,
        bytes.fromhex("2B240303020801010B"): Curve.BRAINPOOL384R1,
    }
)
_EC_KEY: Final = bytes.fromhex("2A8648CE3D0201")
_PEM: Final = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})++")
_OCA: Final = re.compile(r"oca:(?:base16|base64):asn1:", re.IGNORECASE)
_SEQUENCE, _OID, _BITS = 0x30, 0x06, 0x03
_UNCOMPRESSED: Final = 4
_SHORT: Final = 0x80


class MeterKeyError(Exception):
    """A text that is no public key of a meter; the words say why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterKey:
    """A point on one of the format's curves.

    Attributes:
        point: Its coordinates, one after the other, upper-case hexadecimal digits.
    """

    curve: Curve
    point: str

    @property
    def fingerprint(self) -> str:
        """Short enough to be read out: SHA-256 of the coordinates, 16 digits."""
        return hashlib.sha256(bytes.fromhex(self.point)).hexdigest()[:16]


def parse_key(text: str) -> MeterKey:
    """Read a key: SubjectPublicKeyInfo or bare point, in hex, base64 or PEM.

    A bare point names no curve; it lies on one of its length only. The envelope of the
    OCA's paper on signed meter values, ``oca:base16:asn1:``, is taken off, itself in
    base64 or not; its own example has base64 over the digits alone.

    Raises:
        MeterKeyError: It is none, or on a curve that the format does not have.
    """
    if len(text) > MAX_KEY_CHARS:
        raise MeterKeyError("longer than any key")
    data = _bytes(_bare("".join(_PEM.sub("", text).split())))
    if data[:1] == bytes([_SEQUENCE]):
        curve, point = _from_info(data)
        candidates: tuple[Curve, ...] = (curve,)
    else:
        point = data
        candidates = ()
    if len(point) % 2 == 1:
        if point[0] != _UNCOMPRESSED:
            raise MeterKeyError("the point is compressed: give all of it")
        point = point[1:]
    possible = _OF_LENGTH.get(len(point), ())
    for curve in candidates or possible:
        if curve in possible and _is_on(curve, point):
            return MeterKey(curve=curve, point=point.hex().upper())
    raise MeterKeyError("no point on a curve of OCMF")


def key_info(key: MeterKey) -> bytes:
    """The key as a SubjectPublicKeyInfo in DER (RFC 5480, 2)."""
    oid = next(oid for oid, curve in _OIDS.items() if curve is key.curve)
    algorithm = _tagged(_OID, _EC_KEY) + _tagged(_OID, oid)
    point = bytes([0, _UNCOMPRESSED]) + bytes.fromhex(key.point)
    return _tagged(_SEQUENCE, _tagged(_SEQUENCE, algorithm) + _tagged(_BITS, point))


def is_signed(text: str, signature: bytes, key: MeterKey) -> bool:
    """Whether a key signed a text, by ECDSA with SHA-256 (OCMF, SA).

    Args:
        text: Exactly as it came.
        signature: DER, or the two numbers one after the other.
        key: The meter's.
    """
    message = text.encode("utf-8", "surrogatepass")
    point = bytes.fromhex(key.point)
    try:
        r, s = _numbers(signature, len(point))
    except ValueError:
        return False
    if key.curve is Curve.SECP192K1:
        digest = hashlib.sha256(message).digest()
        return secp192k1.is_valid(digest, (r, s), _pair(point))
    der = encode_dss_signature(r, s)
    try:
        _public(key.curve, point).verify(der, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _bare(text: str) -> str:
    """The digits of a key without their envelope."""
    if _HEX.fullmatch(text) is None and _OCA.match(text) is None:
        try:
            inner = base64.b64decode(text, validate=True).decode("ascii")
        except (ValueError, binascii.Error):
            return text
        if _HEX.fullmatch(inner) is None and _OCA.match(inner) is None:
            return text
        text = inner
    return _OCA.sub("", text, count=1)


def _bytes(text: str) -> bytes:
    """Digits of either kind; hexadecimal ones would be base64 as well."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise MeterKeyError("neither hexadecimal digits nor base64") from error


def _from_info(data: bytes) -> tuple[Curve, bytes]:
    """Curve and point of a SubjectPublicKeyInfo (RFC 5480, 2)."""
    info = _whole(data, _SEQUENCE)
    algorithm, rest = _element(info, _SEQUENCE)
    method, parameters = _element(algorithm, _OID)
    if method != _EC_KEY:
        raise MeterKeyError("not a key of an elliptic curve")
    curve = _OIDS.get(_whole(parameters, _OID))
    if curve is None:
        raise MeterKeyError("on a curve that OCMF does not have")
    bits = _whole(rest, _BITS)
    if not bits or bits[0] != 0:
        raise MeterKeyError("its bits are no whole bytes")
    return curve, bits[1:]


def _tagged(tag: int, content: bytes) -> bytes:
    """A DER element; none here is as long as 128 bytes."""
    return bytes([tag, len(content)]) + content


def _whole(data: bytes, tag: int) -> bytes:
    content, rest = _element(data, tag)
    if rest:
        raise MeterKeyError("something follows the key")
    return content


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Content of one DER element, and what follows it; none here is long."""
    if len(data) < 2 or data[0] != tag:  # noqa: PLR2004 - tag and length
        raise MeterKeyError("not a SubjectPublicKeyInfo")
    length, start = data[1], 2
    if length == _SHORT | 1 and len(data) > start:
        length, start = data[2], 3
    elif length >= _SHORT:
        raise MeterKeyError("not a SubjectPublicKeyInfo")
    if len(data) < start + length:
        raise MeterKeyError("the key is cut off")
    return data[start : start + length], data[start + length :]


def _numbers(signature: bytes, n_byte: int) -> tuple[int, int]:
    """The two numbers of a signature.

    Raises:
        ValueError: It is none.
    """
    try:
        return decode_dss_signature(signature)
    except ValueError:
        if len(signature) != n_byte:
            raise
    half = n_byte // 2
    return int.from_bytes(signature[:half]), int.from_bytes(signature[half:])


def _pair(point: bytes) -> tuple[int, int]:
    half = len(point) // 2
    return int.from_bytes(point[:half]), int.from_bytes(point[half:])


def _public(curve: Curve, point: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(
        _CURVES[curve], bytes([_UNCOMPRESSED]) + point
    )


def _is_on(curve: Curve, point: bytes) -> bool:
    if curve is Curve.SECP192K1:
        return secp192k1.is_on_curve(_pair(point))
    try:
        _public(curve, point)
    except (UnsupportedAlgorithm, ValueError):
        return False
    return True
