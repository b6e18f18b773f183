"""Checking ECDSA signatures on the curves that meters sign on.

Written apart from the gateway, which asks a library where there is one: with the
standard library only, and for public values only, so that nothing has to take constant
time. Tests hold it equal to that library. SEC 1, 4.1.4; parameters: SEC 2 and RFC 5639.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

Point = tuple[int, int]
_Jacobian = tuple[int, int, int]
_INFINITY: Final = (1, 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve ``y^2 = x^3 + a x + b`` over the field of ``p``.

    Attributes:
        name: As OCMF spells it.
        base: The base point.
        order: Of the base point; a prime, and all of the curve.
        oid: The DER content of its object identifier.
    """

    name: str
    p: int
    a: int
    b: int
    base: Point
    order: int
    oid: bytes

    @property
    def n_byte(self) -> int:
        """Length of a coordinate."""
        return (self.p.bit_length() + 7) // 8

    def has(self, point: Point) -> bool:
        """Whether a point lies on the curve; as the order is prime, it may be a key."""
        x, y = point
        if not (0 <= x < self.p and 0 <= y < self.p):
            return False
        return (y * y - (x * x + self.a) * x - self.b) % self.p == 0


def is_signed(message: bytes, signature: Point, key: Point, curve: Curve) -> bool:
    """Whether a message was signed, by ECDSA with SHA-256.

    Args:
        message: What was signed.
        signature: ``r`` and ``s``.
        key: A point for which `Curve.has` holds.
        curve: Whose point it is.
    """
    (r, s), n = signature, curve.order
    if not (0 < r < n and 0 < s < n):
        return False
    digest = hashlib.sha256(message).digest()
    z = int.from_bytes(digest, "big") >> max(0, 8 * len(digest) - n.bit_length())
    w = pow(s, -1, n)
    x = _combined(z * w % n, curve.base, r * w % n, key, curve)
    return x is not None and x % n == r


def _combined(u: int, one: Point, v: int, other: Point, curve: Curve) -> int | None:
    """The x of ``u * one + v * other``; ``None`` at infinity."""
    first, second = (*one, 1), (*other, 1)
    terms = (_INFINITY, first, second, _sum(first, second, curve))
    total: _Jacobian = _INFINITY
    for bit in reversed(range(max(u.bit_length(), v.bit_length()))):
        total = _double(total, curve)
        total = _sum(total, terms[(u >> bit & 1) + 2 * (v >> bit & 1)], curve)
    x, _, z = total
    return None if z == 0 else x * pow(z, -2, curve.p) % curve.p


def _double(point: _Jacobian, curve: Curve) -> _Jacobian:
    x, y, z = point
    if y == 0 or z == 0:
        return _INFINITY
    p, y_squared = curve.p, y * y
    s = 4 * x * y_squared % p
    slope = (3 * x * x + curve.a * pow(z, 4, p)) % p
    x_doubled = (slope * slope - 2 * s) % p
    y_doubled = (slope * (s - x_doubled) - 8 * y_squared * y_squared) % p
    return x_doubled, y_doubled, 2 * y * z % p


def _sum(one: _Jacobian, other: _Jacobian, curve: Curve) -> _Jacobian:
    if one[2] == 0 or other[2] == 0:
        return other if one[2] == 0 else one
    (x1, y1, z1), (x2, y2, z2), p = one, other, curve.p
    u1, u2 = x1 * z2 * z2 % p, x2 * z1 * z1 % p
    s1, s2 = y1 * pow(z2, 3, p) % p, y2 * pow(z1, 3, p) % p
    if u1 == u2:
        return _double(one, curve) if s1 == s2 else _INFINITY
    across, up = u2 - u1, s2 - s1
    across2 = across * across % p
    across3, middle = across2 * across % p, u1 * across2 % p
    x = (up * up - across3 - 2 * middle) % p
    return x, (up * (middle - x) - s1 * across3) % p, across * z1 * z2 % p


_ALL: Final = (
    Curve(
        name="secp192k1",
        p=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFEE37,
        a=0,
        b=3,
        base=(
            0xDB4FF10EC057E9AE26B07D0280B7F4341DA5D1B1EAE06C7D,
            0x9B2F2F6D9C5628A7844163D015BE86344082AA88D95E2F9D,
        ),
        order=0xFFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D,
        oid=bytes.fromhex("2B8104001F"),
    ),
    Curve(
        name="secp192r1",
        p=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFFFFFFFFFF,
        a=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFFFFFFFFFC,
        b=0x64210519E59C80E70FA7E9AB72243049FEB8DEECC146B9B1,
        base=(
            0x188DA80EB03090F67CBF20EB43A18800F4FF0AFD82FF1012,
            0x7192B95FFC8DA78631011ED6B24CDD573F977A11E794811,
        ),
        order=0xFFFFFFFFFFFFFFFFFFFFFFFF99DEF836146BC9B1B4D22831,
        oid=bytes.fromhex("2A8648CE3D030101"),
    ),
    Curve(
        name="secp256k1",
        p=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F,
        a=0,
        b=7,
        base=(
            0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
            0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
        ),
        order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
        oid=bytes.fromhex("2B8104000A"),
    ),
    Curve(
        name="secp256r1",
        p=0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
        a=0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFC,
        b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        base=(
            0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
            0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        ),
        order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        oid=bytes.fromhex("2A8648CE3D030107"),
    ),
    Curve(
        name="secp384r1",
        p=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF,
        a=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFC,
        b=0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
        base=(
            0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
            0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
        ),
        order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        oid=bytes.fromhex("2B81040022"),
    ),
    Curve(
        name="brainpool256r1",
        p=0xA9FB57DBA1EEA9BC3E660A909D838D726E3BF623D52620282013481D1F6E5377,
        a=0x7D5A0975FC2C3057EEF67530417AFFE7FB8055C126DC5C6CE94A4B44F330B5D9,
        b=0x26DC5C6CE94A4B44F330B5D9BBD77CBF958416295CF7E1CE6BCCDC18FF8C07B6,
        base=(
            0x8BD2AEB9CB7E57CB2C4B482FFC81B7AFB9DE27E1E3BD23C23A4453BD9ACE3262,
            0x547EF835C3DAC4FD97F8461A14611DC9C27745132DED8E545C1D54C72F046997,
        ),
        order=0xA9FB57DBA1EEA9BC3E660A909D838D718C397AA3B561A6F7901E0E82974856A7,
        oid=bytes.fromhex("2B2403030208010107"),
    ),
    Curve(
        name="brainpool384r1",
        p=0x8CB91E82A3386D280F5D6F7E50E641DF152F7109ED5456B412B1DA197FB71123ACD3A729901D1A71874700133107EC53,
        a=0x7BC382C63D8C150C3C72080ACE05AFA0C2BEA28E4FB22787139165EFBA91F90F8AA5814A503AD4EB04A8C7DD22CE2826,
        b=0x4A8C7DD22CE28268B39B55416F0447C2FB77DE107DCD2A62E880EA53EEB62D57CB4390295DBC9943AB78696FA504C11,
        base=(
            0x1D1C64F068CF45FFA2A63A81B7C13F6B8847A3E77EF14FE3DB7FCAFE0CBD10E8E826E03436D646AAEF87B2E247D4AF1E,
            0x8ABE1D7520F9C2A45CB1EB8E95CFD55262B70B29FEEC5864E19C054FF99129280E4646217791811142820341263C5315,
        ),
        order=0x8CB91E82A3386D280F5D6F7E50E641DF152F7109ED5456B31F166E6CAC0425A7CF3AB6AF6B7FC3103B883202E9046565,
        oid=bytes.fromhex("2B240303020801010B"),
    ),
)
CURVES: Final[Mapping[str, Curve]] = MappingProxyType({one.name: one for one in _ALL})
"""The seven of the format, by name."""
