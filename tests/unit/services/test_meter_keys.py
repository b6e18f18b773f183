"""Keys of meters in every spelling, and signatures of every curve of the format."""

import base64
import hashlib

import pytest

from gateway.domain.ocmf import Curve, parse
from gateway.services.meter_keys import MeterKeyError, is_signed, parse_key
from tests.support.ocmf import Meter

TEXT = '{"FV":"1.0","PG":"T1"}'
OPENSSL = {
    Curve.SECP192K1: (
        (
            "3046301006072a8648ce3d020106052b8104001f03320004d7ca0ad604742b94302d021836a132"
            "cb1a88b0766fdc4fa1048703a8ce0aa2c2d2ad5f59a3802b7124df5b14aeaeead7"
        ),
        (
            "3034021863610d4a8ce830b40c3b7a37ffb1ca208687768b964fc1a3021833d880792885f4c101"
            "81f26f72350ed71cc447c6758cfd75"
        ),
    ),
    Curve.SECP192R1: (
        (
            "3049301306072a8648ce3d020106082a8648ce3d03010103320004223e23f72b641bc097e7fdeb"
            "fd94147a712b1211deec165796c08ecb1af035106ba01c0ff561dbcc48ae4a1892d97c72"
        ),
        (
            "303602190093729d7638f1851027f0517e36fad229dcc4792c48eee97c021900cc2f37f9815d48"
            "09be9cf8e5a591c831f9f664bf28898d9d"
        ),
    ),
    Curve.SECP256R1: (
        (
            "3059301306072a8648ce3d020106082a8648ce3d03010703420004429e3f0ca59950920616f85b"
            "baece8b5d811287745a05e747ff7265fa8d48c87fe7e9d2dbff54d0bd0a8172aa19595986551ab"
            "e574d1b4e8c1d6b3e02f22ce4e"
        ),
        (
            "3044022004dfe6ce3153b8d69eead06f87147f2c180ae038dd6865943435454ae4c9e938022054"
            "7f74791afa180b4037d651a3056f01c8ef0d933f9a79324144ff9faf8de2e5"
        ),
    ),
    Curve.SECP256K1: (
        (
            "3056301006072a8648ce3d020106052b8104000a03420004006629125640f60175aeeea66404de"
            "f9741ea33556f4a3026bafc86fe22d26cdb70cd1d5800045c4edade9697652b4cf5875e651a22d"
            "6392e255b2d3a3a36b23"
        ),
        (
            "304402205b09c16049c9e28936223a457f1c52e10986f1226798f999a7291bc4932d9753022"
            "01bef367ff5220098244c415026f54d65c25ca7aaa36441e4f24efb507be03893"
        ),
    ),
    Curve.SECP384R1: (
        (
            "3076301006072a8648ce3d020106052b810400220362000451c73fc627dfd0d3569ca42adefcd3"
            "8e37fc6fc2e8a47337c70dd70a4bf2bbd90ce82828d988898838ccb5b8fe959ee996954be9f917"
            "a6d5afab956840e897cd892db019ff4afb455e8f5ca77d4040e7cac9f4b63ad4a71367ae610b69"
            "081890"
        ),
        (
            "3065023100ea38d051cf2ee888bd23c88e8e4f50d392c29cfdfe823bab1795b0fe1b46956484e2"
            "e3cac374c1bb4e903afbbbcaa8e702301d29f603e16c4441a4bde8c4446da88a1e6f6e1c1940d3"
            "71ba8996704b567d44b3d2f1c927c04345bf93ba054fe1b2d5"
        ),
    ),
    Curve.BRAINPOOL256R1: (
        (
            "305a301406072a8648ce3d020106092b240303020801010703420004196a5f7f80d2e61beb8d34"
            "d3e2ad7de0087215194fd12b55fbe64092e7cb4b5e5b422389e6a764a68eaa5aa53a68d3369600"
            "2760316e77ec78d71f0ef4bc1fe1"
        ),
        (
            "304502203a9704cff92d77f57f1ada4b7bfa707b851ecc6d7cac865d5969967169ddd0bf022100"
            "818c173f951d3997639077f51b831582bdd6751394a4348020463b8676ae55c8"
        ),
    ),
    Curve.BRAINPOOL384R1: (
        (
            "307a301406072a8648ce3d020106092b240303020801010b036200043f3bf32d3bcbca4fe1054a"
            "7cc29eaa3555cb3369da3196de1fdb4357355017688960cdfd3f2bc36414b17b924382ed763422"
            "9a9c3ebc68287d9b03ee86ba10775524291c9e06130f30d54b2cd079ec3201d622870f6601a22d"
            "1bc4bf46980f87"
        ),
        (
            "3064023006b4cc81b025fa7175e589f137929d49c2f3fc79eaa1484415d6a9a675ec1b750fd9e8"
            "5b405c5f6e717ea025998e9b9d02305da3025671e6df3ad8a3bdb0b284de84b73a412df85e03ac"
            "c4491892d33edfbd2da87a28f51d7397095cae4c7f9cb5df"
        ),
    ),
}
"""Keys and signatures over TEXT that another program made (openssl ecparam, dgst)."""


@pytest.mark.parametrize("curve", Curve)
def test_signatures_of_another_program_hold_on_every_curve(curve: Curve) -> None:
    public_key, signature = OPENSSL[curve]
    key = parse_key(public_key)
    assert key.curve is curve
    assert is_signed(TEXT, bytes.fromhex(signature), key)
    assert not is_signed(TEXT + " ", bytes.fromhex(signature), key)


@pytest.mark.parametrize("curve", Curve)
def test_records_of_every_curve_hold_and_no_other_key_fits(curve: Curve) -> None:
    meter, other = Meter(curve), Meter(curve, secret=4711)
    record = parse(meter.both("1.0", "2.0"))
    assert record.curve is curve
    key = parse_key(meter.public_key)
    assert is_signed(record.signed_text, record.signature, key)
    assert not is_signed(
        record.signed_text, record.signature, parse_key(other.public_key)
    )
    assert not is_signed(record.signed_text, record.signature[:-1], key)
    assert not is_signed(record.signed_text, b"", key)


@pytest.mark.parametrize("curve", Curve)
def test_a_signature_of_two_bare_numbers_is_understood(curve: Curve) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import (  # noqa: PLC0415 - only here
        decode_dss_signature,
    )

    public_key, signature = OPENSSL[curve]
    key = parse_key(public_key)
    half = len(key.point) // 4
    r, s = decode_dss_signature(bytes.fromhex(signature))
    assert is_signed(TEXT, r.to_bytes(half) + s.to_bytes(half), key)
    assert not is_signed(TEXT, s.to_bytes(half) + r.to_bytes(half), key)


@pytest.mark.parametrize("curve", Curve)
def test_all_spellings_of_a_key_are_one_key(curve: Curve) -> None:
    info = OPENSSL[curve][0]
    key = parse_key(info)
    data = bytes.fromhex(info)
    text = base64.b64encode(data).decode()
    assert parse_key(info.upper()) == key
    assert parse_key(" ".join(info[i : i + 4] for i in range(0, len(info), 4))) == key
    assert parse_key(text) == key
    assert parse_key(text.rstrip("=")) == key
    pem = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    assert parse_key(pem) == key
    assert parse_key(key.point) == key, "a bare point lies on one curve only"
    assert parse_key(f"04{key.point}") == key


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no point"),
        ("z!", "base64"),
        ("04", "no point"),
        ("00" * 64, "no point"),
        ("FF" * 64, "no point"),
        ("FF" * 63, "compressed"),
        ("03" + "11" * 32, "compressed"),
        ("30" * 3000, "longer"),
        ("3000", "not a SubjectPublicKeyInfo"),
        (OPENSSL[Curve.SECP256R1][0][:-2], "cut off"),
        (OPENSSL[Curve.SECP256R1][0] + "00", "follows"),
        (OPENSSL[Curve.SECP256R1][0][:-2] + "00", "no point"),
        (OPENSSL[Curve.SECP256R1][0].replace("3d030107", "3d030105"), "curve"),
        (OPENSSL[Curve.SECP256R1][0].replace("3d0201", "3d0209"), "elliptic"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(MeterKeyError, match=why):
        parse_key(text)


def test_a_fingerprint_is_short_and_of_the_point() -> None:
    key = parse_key(OPENSSL[Curve.SECP256R1][0])
    digest = hashlib.sha256(bytes.fromhex(key.point)).hexdigest()
    assert key.fingerprint == digest[:16]


def test_the_envelope_of_the_oca_paper_is_taken_off() -> None:
    meter = Meter()
    digits = meter.public_key
    der = base64.b64encode(bytes.fromhex(digits)).decode()
    for told in (
        f"oca:base16:asn1:{digits}",
        f"OCA:base16:asn1:{digits.lower()}",
        f"oca:base64:asn1:{der}",
        base64.b64encode(f"oca:base16:asn1:{digits}".encode()).decode(),
        base64.b64encode(digits.encode()).decode(),
    ):
        assert parse_key(told) == parse_key(digits)


@pytest.mark.parametrize("told", ["oca:base16:asn1:", "oca:base85:asn1:00", "oca:", ""])
def test_an_envelope_without_a_key_is_refused(told: str) -> None:
    with pytest.raises(MeterKeyError):
        parse_key(told)
