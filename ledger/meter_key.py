"""The key of a meter as a verifier gets it: from the log, or off the meter itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger import ecdsa
from ledger.ecdsa import CURVES, Curve, Point
from ledger.errors import BundleError

MAX_KEY_BYTES: Final = 8_192

_PEM: Final = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----")
_EC_KEY: Final = bytes.fromhex("06072A8648CE3D0201")
_UNCOMPRESSED: Final = b"\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterKey:
    """A point on one of the curves of OCMF."""

    curve: Curve
    point: Point

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the SHA-256 over both coordinates."""
        return hashlib.sha256(self.coordinates).hexdigest()[:16]

    @property
    def coordinates(self) -> bytes:
        """Both, one after the other, each as long as the field."""
        n_byte = self.curve.n_byte
        x, y = self.point
        return x.to_bytes(n_byte, "big") + y.to_bytes(n_byte, "big")

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether this key signed a message, by ECDSA with SHA-256.

        Args:
            message: What was signed.
            signature: DER, or both numbers one after the other.
        """
        numbers = _der_numbers(signature)
        if numbers is None:
            n_byte = self.curve.n_byte
            if len(signature) != 2 * n_byte:
                return False
            numbers = _pair(signature)
        return ecdsa.is_signed(message, numbers, self.point, self.curve)


def of_curve(name: str, coordinates: str) -> MeterKey:
    """Read a key as records of the log have it: a curve, coordinates in hex.

    Raises:
        BundleError: There is no such point.
    """
    curve = CURVES.get(name)
    if curve is None:
        raise BundleError(f"{name[:40]!r} is no curve of OCMF")
    try:
        data = bytes.fromhex(coordinates)
    except ValueError:
        raise BundleError("the key is not written in hexadecimal digits") from None
    key = _on(curve, data)
    if key is None:
        raise BundleError(f"the key is no point on {name}")
    return key


def read_key(text: str) -> MeterKey:
    """Read a key as it is printed: SubjectPublicKeyInfo or point; hex, base64 or PEM.

    Raises:
        BundleError: It is none, or on no curve of OCMF.
    """
    data = _bytes("".join(_PEM.sub("", text).split()))
    for curve in CURVES.values():
        head = _info_head(curve)
        if data.startswith(head):
            key = _on(curve, data[len(head) :])
            if key is not None:
                return key
    if len(data) % 2 and data[:1] == _UNCOMPRESSED:
        data = data[1:]
    for curve in CURVES.values():
        key = _on(curve, data)
        if key is not None:
            return key
    raise BundleError("the meter's key is no point on a curve of OCMF")


def read_key_argument(argument: str) -> MeterKey:
    """Read a key from the command line: a file with it (text or DER), or itself.

    Raises:
        BundleError: It is neither.
    """
    path = Path(argument)
    try:
        if not path.is_file():
            return read_key(argument)
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError:  # a key may be too long for the name of a file
        return read_key(argument)
    if len(data) > MAX_KEY_BYTES:
        raise BundleError(f"{argument} is longer than any key")
    return read_key(data.decode("ascii") if data.isascii() else data.hex())


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise BundleError(
            "the meter's key is neither a file nor hexadecimal digits nor base64"
        ) from None


def _info_head(curve: Curve) -> bytes:
    """What stands before the coordinates in a SubjectPublicKeyInfo (RFC 5480, 2)."""
    method = _EC_KEY + bytes([0x06, len(curve.oid)]) + curve.oid
    n_bit = 2 * curve.n_byte + 2
    rest = bytes([0x30, len(method)]) + method + bytes([0x03, n_bit, 0])
    return bytes([0x30, len(rest) + n_bit - 1]) + rest + _UNCOMPRESSED


def _on(curve: Curve, data: bytes) -> MeterKey | None:
    if len(data) != 2 * curve.n_byte or not curve.has(_pair(data)):
        return None
    return MeterKey(curve=curve, point=_pair(data))


def _pair(data: bytes) -> Point:
    half = len(data) // 2
    return int.from_bytes(data[:half], "big"), int.from_bytes(data[half:], "big")


def _der_numbers(data: bytes) -> Point | None:
    """Both numbers of a DER sequence; none of a meter is longer than 127 bytes."""
    if len(data) < 2 or data[0] != 0x30 or data[1] != len(data) - 2:  # noqa: PLR2004 - tag and length
        return None
    first, rest = _der_number(data[2:])
    second, rest = _der_number(rest)
    return None if first is None or second is None or rest else (first, second)


def _der_number(data: bytes) -> tuple[int | None, bytes]:
    if len(data) < 3 or data[0] != 0x02 or not 0 < data[1] <= len(data) - 2:  # noqa: PLR2004 - tag, length, content
        return None, b""
    end = 2 + data[1]
    return int.from_bytes(data[2:end], "big", signed=True), data[end:]
