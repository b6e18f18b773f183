"""The arithmetic of the one curve that no library knows, against published vectors."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.secp192k1 import (
    SECP192K1,
    CurveParameters,
    is_on_curve,
    is_valid,
    sum_of_multiples,
)

P192 = CurveParameters(
    p=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFFFFFFFFFF,
    a=-3,
    b=0x64210519E59C80E70FA7E9AB72243049FEB8DEECC146B9B1,
    base=(
        0x188DA80EB03090F67CBF20EB43A18800F4FF0AFD82FF1012,
        0x07192B95FFC8DA78631011ED6B24CDD573F977A11E794811,
    ),
    order=0xFFFFFFFFFFFFFFFFFFFFFFFF99DEF836146BC9B1B4D22831,
)
KEY_OF_RFC_6979 = (
    0xAC2C77F529F91689FEA0EA5EFEC7F210D8EEA0B9E047ED56,
    0x3BC723E57670BD4887EBC732C523063D0A7C957BC97C1C43,
)
SAMPLE = (
    0x4B0B8CE98A92866A2820E20AA6B75B56382E0F9BFD5ECB55,
    0xCCDB006926EA9565CBADC840829D8C384E06DE1F1E381B85,
)
TEST = (
    0x3A718BD8B4926C3B52EE6BBE67EF79B18CB6EB62B1AD97AE,
    0x5662E6848A4A19B1F1AE2F72ACD4B8BBE50F1EAC65D9124F,
)


@pytest.mark.parametrize(("text", "signature"), [(b"sample", SAMPLE), (b"test", TEST)])
def test_the_vectors_of_rfc_6979_hold(text: bytes, signature: tuple[int, int]) -> None:
    digest = hashlib.sha256(text).digest()
    assert is_on_curve(KEY_OF_RFC_6979, P192)
    assert is_valid(digest, signature, KEY_OF_RFC_6979, P192)
    other = hashlib.sha256(text + b".").digest()
    assert not is_valid(other, signature, KEY_OF_RFC_6979, P192)


@pytest.mark.parametrize(
    "signature",
    [(0, 1), (1, 0), (P192.order, 1), (1, P192.order), (SAMPLE[0], SAMPLE[1] + 1)],
)
def test_numbers_out_of_range_are_no_signature(signature: tuple[int, int]) -> None:
    digest = hashlib.sha256(b"sample").digest()
    assert not is_valid(digest, signature, KEY_OF_RFC_6979, P192)


def test_the_base_point_is_of_its_order() -> None:
    base, order = SECP192K1.base, SECP192K1.order
    assert is_on_curve(base)
    assert sum_of_multiples(order, base, 0, base) is None
    assert sum_of_multiples(order - 1, base, 1, base) is None
    assert sum_of_multiples(order + 1, base, 0, base) == base
    assert not is_on_curve((base[0], base[1] + 1))
    assert not is_on_curve((base[0] + SECP192K1.p, base[1]))


@given(st.integers(1, 2**64), st.integers(1, 2**64))
def test_multiples_add_up(one: int, other: int) -> None:
    base = SECP192K1.base
    total = sum_of_multiples(one + other, base, 0, base)
    assert sum_of_multiples(one, base, other, base) == total
