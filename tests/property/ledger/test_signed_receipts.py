"""The verifier's reader of signed data agrees with the gateway's and with a library."""

import copy
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.ocmf import Curve, parse
from gateway.domain.signed_carrier import unwrap
from gateway.domain.signed_json import SignedDataError
from gateway.domain.signed_session import Examined, SignedVerdict, conclude
from gateway.services.meter_keys import MeterKeyError, is_signed, key_info, parse_key
from ledger import ecdsa, ocmf
from ledger.ecdsa import CURVES
from ledger.errors import BundleError
from ledger.meter_key import of_curve, read_key
from ledger.verify import Verdict, verify
from tests.support import ocmf as meters
from tests.support.ocmf import Meter
from tests.support.shared_data import ocmf_folder
from tests.support.signed_receipt import Forge

METER = Meter()
RECORD = METER.both("1.0004", "3.0008")
LIBRARY = sorted(meters.CURVES, key=str)


@pytest.fixture(scope="module")
def honest() -> dict[str, Any]:
    return Forge(Meter(), [RECORD]).receipt()


@pytest.mark.parametrize("curve", Curve)
def test_parameters_are_those_of_a_curve_of_this_order(curve: Curve) -> None:
    known = CURVES[curve.value]
    assert known.has(known.base)
    point = read_key(Meter(curve).public_key).point
    assert known.has(point)
    assert not known.has((point[0], point[1] + 1))
    for numbers in ((known.order, 5), (5, known.order), (0, 5), (5, 0), (5, 5)):
        assert not ecdsa.is_signed(b"", numbers, point, known)


@settings(max_examples=30, deadline=None)
@given(
    curve=st.sampled_from(LIBRARY),
    secret=st.integers(1, 2**180),
    message=st.binary(max_size=200),
)
def test_what_the_library_signs_is_signed_and_nothing_else(
    curve: Curve, secret: int, message: bytes
) -> None:
    private = ec.derive_private_key(secret, meters.CURVES[curve])
    signature = private.sign(message, ec.ECDSA(hashes.SHA256()))
    numbers = private.public_key().public_numbers()
    n_byte = CURVES[curve.value].n_byte
    point = numbers.x.to_bytes(n_byte, "big") + numbers.y.to_bytes(n_byte, "big")
    key = of_curve(curve.value, point.hex())
    assert key.signed(message, signature)
    assert not key.signed(message + b"x", signature)
    other = of_curve(curve.value, Meter(curve).point.hex())
    assert other.signed(message, signature) is (other == key)


@settings(max_examples=200, deadline=None)
@given(
    curve=st.sampled_from(LIBRARY),
    at=st.integers(0, 400),
    bit=st.integers(0, 7),
)
def test_a_bent_signature_is_judged_as_the_library_judges_it(
    curve: Curve, at: int, bit: int
) -> None:
    meter = Meter(curve)
    signature = bytearray(meter.sign("text"))
    signature[at % len(signature)] ^= 1 << bit
    public = ec.EllipticCurvePublicKey.from_encoded_point(
        meters.CURVES[curve], b"\x04" + meter.point
    )
    try:
        public.verify(bytes(signature), b"text", ec.ECDSA(hashes.SHA256()))
        expected = True
    except InvalidSignature:
        expected = False
    assert read_key(meter.public_key).signed(b"text", bytes(signature)) is expected


@pytest.mark.parametrize("curve", Curve)
def test_a_key_in_every_spelling_is_the_gateways_key(curve: Curve) -> None:
    meter = Meter(curve)
    known = parse_key(meter.public_key)
    texts = (meter.public_key, meter.point.hex(), "04" + meter.point.hex())
    for text in (*texts, key_info(known).hex()):
        found = read_key(text)
        assert (found.curve.name, found.coordinates.hex().upper()) == (
            known.curve.value,
            known.point,
        )
        assert found.fingerprint == known.fingerprint


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(RECORD.encode()) - 1),
    byte=st.integers(0, 255),
)
def test_any_byte_flipped_in_signed_data_fails_or_leaves_what_was_signed(
    at: int, byte: int
) -> None:
    """Only outside of what is signed a byte may change: in how the proof is written."""
    data = bytearray(RECORD.encode())
    data[at] ^= byte or 1
    text = data.decode("utf-8", "replace")
    key = read_key(METER.public_key)
    try:
        read = ocmf.read_record(text)
    except BundleError:
        return
    if read.curve == key.curve.name and key.signed(read.signed, read.signature):
        assert read.signed == ocmf.read_record(RECORD).signed


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_character_changed_in_a_signed_leaf_is_false(
    honest: dict[str, Any], data: st.DataObject
) -> None:
    places = [
        index
        for index, leaf in enumerate(honest["leaves"])
        if leaf["kind"] in {"signed_meter", "meter_key"}
    ]
    place = data.draw(st.sampled_from(places))
    text = honest["leaves"][place]["record"]
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[at]))
    changed = copy.deepcopy(honest)
    changed["leaves"][place]["record"] = text[:at] + put + text[at + 1 :]
    assert verify(json.dumps(changed).encode()).verdict is Verdict.FALSE


READING = st.fixed_dictionaries(
    {
        "TX": st.sampled_from("BBCXEELRAPT"),
        "RV": st.one_of(
            st.integers(0, 9),
            st.decimals(0, 10**9, places=9).map(str),
            st.sampled_from(
                [
                    "1e3",
                    " 7 ",
                    "-1",
                    "NaN",
                    "0E+99",
                    "9" * 41,
                    "1_0",
                    "",
                    f"0.{'9' * 38}",
                ]
            ),
        ),
        "RI": st.sampled_from(
            [
                "1-0:1.8.0",
                "1-b:1.8.0",
                "01.08.0",
                "1-0:2.8.0",
                "B3.8",
                "98.8.0",
                "",
                "x",
            ]
        ),
        "RU": st.sampled_from(["kWh", "Wh", "kwh ", "mOhm", ""]),
        "ST": st.sampled_from(["G", "G", "G", "M"]),
    },
    optional={
        "EF": st.sampled_from(["", "t", "E", "Et"]),
        "TM": st.sampled_from(["2026-06-01T14:00:00,000+0200 S", "later"]),
    },
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["T1", "T2", "T3", "F1", " T2 ", "X", "T"]),
            st.lists(READING, min_size=1, max_size=3),
            st.sampled_from(["M-1", "M-1", "M-2", None, 7]),
            st.sampled_from(["GW", None]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_both_readers_come_to_the_same_registers(drawn: list[Any]) -> None:
    texts = []
    for page, readings, serial, gateway in drawn:
        body = {"PG": page, "MS": serial, "GS": gateway, "RD": readings}
        texts.append(f'OCMF|{json.dumps(body)}|{{"SD": "30"}}')
    texts = list(dict.fromkeys(texts))
    examined = []
    for text in texts:
        try:
            examined.append(Examined(record=parse(text)))
        except SignedDataError as error:
            examined.append(Examined(record=None, reason=error.reason))
    finding = conclude(examined)
    try:
        found = ocmf.course([ocmf.read_record(text) for text in texts])
    except BundleError:
        assert finding.verdict is not SignedVerdict.OK
        return
    assert finding.verdict is SignedVerdict.OK, finding.reasons
    assert (found.begin.milliwh, found.end.milliwh) == (
        finding.register_start_milliwh,
        finding.register_end_milliwh,
    )


@settings(max_examples=200, deadline=None)
@given(
    st.text('{}[]"|:,.-+eEBG0179 \\OCMF', max_size=60),
    st.integers(0, len(RECORD)),
    st.integers(0, 3),
)
def test_both_readers_take_and_refuse_the_same_texts(
    put: str, at: int, left_out: int
) -> None:
    text = RECORD[:at] + put + RECORD[at + left_out :]
    key = parse_key(METER.public_key)
    try:
        mine = ocmf.read_record(text)
    except BundleError:
        mine = None
    try:
        theirs = parse(text)
    except SignedDataError:
        theirs = None
    if theirs is not None and is_signed(theirs.signed_text, theirs.signature, key):
        assert mine is not None
        assert mine.signed == theirs.signed_text.encode()
    if mine is not None and mine.curve == METER.curve.value:
        mine_is_good = read_key(METER.public_key).signed(mine.signed, mine.signature)
        assert theirs is not None or not mine_is_good


def test_public_records_of_real_meters_are_judged_alike() -> None:
    n_good = 0
    for path in sorted(ocmf_folder().glob("*.xml")):
        try:
            carried = unwrap(path.read_text("utf-8"))
        except SignedDataError:
            continue
        for one in carried:
            try:
                theirs, key = parse(one.text), parse_key(one.public_key or "")
            except (SignedDataError, MeterKeyError):
                continue
            mine = ocmf.read_record(one.text)
            same = of_curve(key.curve.value, key.point)
            good = is_signed(theirs.signed_text, theirs.signature, key)
            assert mine.curve == theirs.curve.value
            assert same.signed(mine.signed, mine.signature) is good, path
            n_good += good
    assert n_good > 100
