"""Golden vectors and refusals of the canonical record form."""

import hashlib

import pytest

from ledger import record
from ledger.errors import RecordError

METER = {
    "session_id": "s-1",
    "station_id": "CP-1",
    "evse_id": 1,
    "occurred_at": "2026-11-22T10:00:00Z",
    "received_at": "2026-11-22T10:00:01Z",
    "register_milliwh": 1_234_567,
}
METER_BYTES = (
    b'{"evse_id":1,"k":"meter","occurred_at":"2026-11-22T10:00:00Z",'
    b'"received_at":"2026-11-22T10:00:01Z","register_milliwh":1234567,'
    b'"session_id":"s-1","station_id":"CP-1","v":1}'
)
SALT = bytes(range(32))


def test_the_golden_meter_record_keeps_its_bytes_and_commitment() -> None:
    assert record.canonical("meter", METER) == METER_BYTES
    assert record.commitment(SALT, METER_BYTES) == (
        hashlib.sha256(b"wattproof/leaf/1\0" + SALT + METER_BYTES).digest()
    )
    assert record.commitment(SALT, METER_BYTES).hex() == GOLDEN_COMMITMENT
    assert record.session_key(SALT, 7).hex() == GOLDEN_SESSION_KEY


GOLDEN_COMMITMENT = "385e900fff5aadce6d00d397ea3ad446efec40e5fe451c909d5ab43c84af3453"
GOLDEN_SESSION_KEY = "d106668c0fbc00b4065503b80ffdb3188ff605dc085fd8825f36ff0ec119f4ef"


def test_text_is_utf8_and_keys_sort_by_code_point() -> None:
    body = {"subject": "Säule 7 ⚡", "occurred_at": "t", "ä": True, "Z": None}
    assert (
        record.canonical("status", body)
        == (
            '{"Z":null,"k":"status","occurred_at":"t","subject":"Säule 7 ⚡","v":1,'
            '"ä":true}'
        ).encode()
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"power_w": 1.5}, "float"),
        ({"register_milliwh": 2**53 + 1}, "strings"),
        ({"register_milliwh": True}, "register_milliwh"),
        ({"register_milliwh": -1}, "register_milliwh"),
        ({"evse_id": "1"}, "evse_id"),
        ({"session_id": 4}, "session_id"),
        ({"note": "\ud800"}, "surrogate"),
        ({"raw": b"x"}, "bytes"),
        ({"k": "plan"}, "'k'"),
        ({"nested": {1: 2}}, "keys"),
    ],
)
def test_what_has_no_canonical_form_is_refused(
    change: dict[str, object], word: str
) -> None:
    with pytest.raises(RecordError, match=word):
        record.canonical("meter", METER | change)


@pytest.mark.parametrize("field", sorted(METER))
def test_a_missing_required_field_is_named(field: str) -> None:
    body = {key: value for key, value in METER.items() if key != field}
    with pytest.raises(RecordError, match=field):
        record.canonical("meter", body)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RecordError, match="unknown record kind"):
        record.canonical("reading", METER)


@pytest.mark.parametrize(
    "data",
    [
        METER_BYTES + b" ",
        METER_BYTES.replace(b":1,", b": 1,", 1),
        METER_BYTES.replace(b"CP-1", b"\\u0043P-1"),
        METER_BYTES.replace(b'"v":1', b'"v":1,"v":1'),
        METER_BYTES.replace(b'"v":1', b'"v":true'),
        METER_BYTES.replace(b'"v":1', b'"v":2'),
        METER_BYTES.replace(b"1234567", b"1234567.0"),
        METER_BYTES.replace(b"1234567", b"-0"),
        METER_BYTES.replace(b"1234567", b"1" * 5000),
        METER_BYTES.replace(b"1234567", b"NaN"),
        b"[]",
        b"",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_other_spellings_of_a_record_are_refused(data: bytes) -> None:
    with pytest.raises(RecordError):
        record.parse(data)


def test_a_salt_of_another_length_is_refused() -> None:
    with pytest.raises(RecordError, match="salt"):
        record.commitment(b"short", METER_BYTES)
    with pytest.raises(RecordError, match="salt"):
        record.session_key(b"short", 0)
    with pytest.raises(RecordError, match="leaf index"):
        record.session_key(SALT, -1)
