"""Checking ECDSA signatures on secp192k1, which no library here knows any more.

Only public values are handled, so nothing has to take constant time. SEC 1, 4.1.4;
SEC 2, 2.2.1.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

Point: TypeAlias = tuple[int, int]
_Jacobian: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveParameters:
    """A curve ``y^2 = x^3 + a x + b`` over a prime field, its base point and order."""

    p: int
    a: int
    b: int
    base: Point
    order: int

    @property
    def n_byte(self) -> int:
        """Length of a coordinate."""
        return (self.p.bit_length() + 7) // 8


SECP192K1: Final = CurveParameters(
    p=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFEE37,
    a=0,
    b=3,
    base=(
        0xDB4FF10EC057E9AE26B07D0280B7F4341DA5D1B1EAE06C7D,
        0x9B2F2F6D9C5628A7844163D015BE86344082AA88D95E2F9D,
    ),
    order=0xFFFFFFFFFFFFFFFFFFFFFFFE26F2FC170F69466A74DEFD8D,
)


def is_on_curve(point: Point, curve: CurveParameters = SECP192K1) -> bool:
    """Whether a point lies on the curve; its order is prime, so it may be a key."""
    x, y = point
    if not (0 <= x < curve.p and 0 <= y < curve.p):
        return False
    return (y * y - (x * x + curve.a) * x - curve.b) % curve.p == 0


def is_valid(
    digest: bytes,
    signature: tuple[int, int],
    key: Point,
    curve: CurveParameters = SECP192K1,
) -> bool:
    """Whether a signature over a digest was made with the key.

    Args:
        digest: Of at most any length; its leftmost bits count.
        signature: ``r`` and ``s``.
        key: A point for which `is_on_curve` holds.
        curve: Whose point it is.
    """
    r, s = signature
    n = curve.order
    if not (0 < r < n and 0 < s < n):
        return False
    excess = max(0, 8 * len(digest) - n.bit_length())
    z = int.from_bytes(digest, "big") >> excess
    inverse = pow(s, -1, n)
    x = sum_of_multiples(z * inverse % n, curve.base, r * inverse % n, key, curve)
    return x is not None and x[0] % n == r


def sum_of_multiples(
    u: int, one: Point, v: int, other: Point, curve: CurveParameters = SECP192K1
) -> Point | None:
    """``u * one + v * other``; ``None`` is the point at infinity."""
    first, second = (*one, 1), (*other, 1)
    both = _add(first, second, curve)
    total: _Jacobian = (1, 1, 0)
    for bit in range(max(u.bit_length(), v.bit_length()) - 1, -1, -1):
        total = _double(total, curve)
        match u >> bit & 1, v >> bit & 1:
            case 1, 1:
                total = _add(total, both, curve)
            case 1, 0:
                total = _add(total, first, curve)
            case 0, 1:
                total = _add(total, second, curve)
            case _:
                pass
    x, y, z = total
    if z == 0:
        return None
    inverse = pow(z, -1, curve.p)
    square = inverse * inverse % curve.p
    return x * square % curve.p, y * square * inverse % curve.p


def _double(point: _Jacobian, curve: CurveParameters) -> _Jacobian:
    x, y, z = point
    p = curve.p
    if z == 0 or y == 0:
        return 1, 1, 0
    s = 4 * x * y * y % p
    m = (3 * x * x + curve.a * pow(z, 4, p)) % p
    x_new = (m * m - 2 * s) % p
    return x_new, (m * (s - x_new) - 8 * pow(y, 4, p)) % p, 2 * y * z % p


def _add(one: _Jacobian, other: _Jacobian, curve: CurveParameters) -> _Jacobian:
    x1, y1, z1 = one
    x2, y2, z2 = other
    p = curve.p
    if z1 == 0:
        return other
    if z2 == 0:
        return one
    u1, u2 = x1 * z2 * z2 % p, x2 * z1 * z1 % p
    s1, s2 = y1 * pow(z2, 3, p) % p, y2 * pow(z1, 3, p) % p
    if u1 == u2:
        return _double(one, curve) if s1 == s2 else (1, 1, 0)
    h, r = u2 - u1, s2 - s1
    h2 = h * h % p
    h3 = h * h2 % p
    x = (r * r - h3 - 2 * u1 * h2) % p
    return x, (r * (u1 * h2 - x) - s1 * h3) % p, h * z1 * z2 % p
