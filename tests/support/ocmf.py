"""Meters that sign: OCMF records made with test keys on every curve of the format."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.domain.ocmf import Curve
from gateway.domain.secp192k1 import SECP192K1, sum_of_multiples

SECRET = 0x1D8E2E7C33A1FA50BB0C5A1F5B0D6F7E1A2B3C4D5E6F7081
"""Of every test key: small enough for the smallest curve."""
CURVES: dict[Curve, ec.EllipticCurve] = {
    Curve.SECP192R1: ec.SECP192R1(),
    Curve.SECP256K1: ec.SECP256K1(),
    Curve.SECP256R1: ec.SECP256R1(),
    Curve.SECP384R1: ec.SECP384R1(),
    Curve.BRAINPOOL256R1: ec.BrainpoolP256R1(),
    Curve.BRAINPOOL384R1: ec.BrainpoolP384R1(),
}
INFO_192K1 = "3046301006072A8648CE3D020106052B8104001F03320004"


@dataclass
class Meter:
    """A meter with a key of its own."""

    curve: Curve = Curve.SECP256R1
    secret: int = SECRET
    serial: str = "1ABC0012345678"
    page: int = field(default=7)

    @cached_property
    def point(self) -> bytes:
        """The public key: both coordinates."""
        if self.curve is Curve.SECP192K1:
            found = sum_of_multiples(self.secret, SECP192K1.base, 0, SECP192K1.base)
            assert found is not None
            x, y = found
            return x.to_bytes(24, "big") + y.to_bytes(24, "big")
        numbers = self._private.public_key().public_numbers()
        size = (CURVES[self.curve].key_size + 7) // 8
        return numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")

    @property
    def public_key(self) -> str:
        """The key as it is printed: SubjectPublicKeyInfo in hexadecimal digits."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - only here
            Encoding,
            PublicFormat,
        )

        if self.curve is Curve.SECP192K1:
            return INFO_192K1 + self.point.hex().upper()
        form = PublicFormat.SubjectPublicKeyInfo
        return self._private.public_key().public_bytes(Encoding.DER, form).hex().upper()

    @property
    def _private(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(self.secret, CURVES[self.curve])

    def sign(self, text: str) -> bytes:
        """ECDSA with SHA-256, DER."""
        message = text.encode()
        if self.curve is not Curve.SECP192K1:
            return self._private.sign(message, ec.ECDSA(hashes.SHA256()))
        n = SECP192K1.order
        digest = hashlib.sha256(message).digest()
        nonce = int.from_bytes(hashlib.sha256(b"nonce" + digest).digest()) % n
        found = sum_of_multiples(nonce, SECP192K1.base, 0, SECP192K1.base)
        assert found is not None
        r = found[0] % n
        z = int.from_bytes(digest) >> 64
        return encode_dss_signature(r, pow(nonce, -1, n) * (z + r * self.secret) % n)

    def record(self, readings: Sequence[dict[str, Any]], **payload: Any) -> str:
        """The next record; members of the payload may be replaced."""
        body = {
            "FV": "1.0",
            "GI": "Gateway",
            "GS": "GW-1",
            "PG": f"T{self.page}",
            "MV": "Maker",
            "MS": self.serial,
            "IS": True,
            "IT": "ISO14443",
            "ID": "DRIVER",
            "RD": readings,
            **payload,
        }
        self.page += 1
        # Spaces as no library would put them: the text itself is what was signed.
        return self.seal(json.dumps(body, separators=(" , ", " :")))

    def seal(self, payload: str) -> str:
        """A record of any payload, signed."""
        proof = {
            "SA": f"ECDSA-{self.curve.value}-SHA256",
            "SD": self.sign(payload).hex().upper(),
        }
        return f"OCMF|{payload}|{json.dumps(proof)}"

    def begin(self, kwh: str, **payload: Any) -> str:
        """A record of a begin."""
        return self.record([reading("B", kwh)], **payload)

    def end(self, kwh: str, **payload: Any) -> str:
        """A record of an end."""
        return self.record([reading("E", kwh)], **payload)

    def both(self, start_kwh: str, end_kwh: str) -> str:
        """One record of a whole transaction."""
        return self.record([reading("B", start_kwh), reading("E", end_kwh)])


def reading(kind: str, kwh: str, **members: Any) -> dict[str, Any]:
    """One reading, its register as text so that no digit is lost."""
    return {
        "TM": "2026-06-01T14:00:00,000+0200 S",
        "TX": kind,
        "RV": kwh,
        "RI": "1-0:1.8.0",
        "RU": "kWh",
        "RT": "AC",
        "EF": "",
        "ST": "G",
        **members,
    }
