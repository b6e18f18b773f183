"""Simulated meters that sign: their words, their keys, their records."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sim_chargers.faults import FAULTS, ROWS, SIGNING
from sim_chargers.meter_spec import CURVES, MeterSpec, assign, meter_of, parse
from sim_chargers.signing_meter import BEGIN, END, MeterReading, SigningMeter

NOON = datetime(2026, 6, 1, 12, 0, 0, 7_000, tzinfo=UTC)
RECORD = re.compile(r"OCMF\|(\{.*\})\|(\{.*\})")


def meter(*faults: str, evse_id: int = 1, curve: str = "secp256r1") -> SigningMeter:
    return SigningMeter(
        station_id="SIM-1",
        evse_id=evse_id,
        spec=MeterSpec(curve=curve),
        faults=frozenset(faults),
    )


def reading(kind: str, milliwh: int) -> MeterReading:
    return MeterReading(kind=kind, at=NOON, register_milliwh=milliwh)


def is_signed_by(record: str, key: str) -> bool:
    found = RECORD.fullmatch(record)
    assert found is not None
    public = load_der_public_key(bytes.fromhex(key))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = bytes.fromhex(json.loads(found[2])["SD"])
    try:
        public.verify(signature, found[1].encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("curve", CURVES)
def test_a_record_is_signed_by_the_key_on_the_meter(curve: str) -> None:
    one = meter(curve=curve)
    assert is_signed_by(one.record([reading(BEGIN, 1)], "CARD"), one.label)
    assert one.told_key == one.label == meter(curve=curve).label
    other = meter(curve=curve, evse_id=2)
    assert (other.label, other.serial) != (one.label, one.serial)
    assert other.label != one.label


def test_registers_keep_their_decimals_and_pages_follow_each_other() -> None:
    one = meter()
    texts = [one.record([reading(BEGIN, n)], 'A"B') for n in (0, 1_234_567_000)]
    assert '"RV":0.000000,' in texts[0]
    assert '"RV":1234.567000,' in texts[1]
    assert [text.split('"PG" : "')[1][:2] for text in texts] == ["T1", "T2"]
    assert "2026-06-01T12:00:00,007+0000 S" in texts[0]
    found = RECORD.fullmatch(texts[0])
    assert found is not None
    assert json.loads(found[1])["ID"] == 'A"B'


def test_keys_are_wrong_in_their_own_ways() -> None:
    wrong, changed, own = meter("wrong-meter-key"), meter("changed-meter-key"), meter()
    record = wrong.record([reading(END, 1)], "CARD")
    assert (wrong.label, wrong.told_key) == (own.label, own.label)
    assert not is_signed_by(record, own.label)
    assert is_signed_by(record, changed.told_key)
    assert changed.label == own.label != changed.told_key


def test_a_rewritten_record_says_the_same_and_is_not_signed() -> None:
    rewritten = meter("rewritten-records").record([reading(END, 5_000_000)], "CARD")
    assert not is_signed_by(rewritten, meter().label)
    plain = meter().record([reading(END, 5_000_000)], "CARD")
    payloads = [RECORD.fullmatch(text) for text in (rewritten, plain)]
    assert all(payloads)
    first, second = (json.loads(found[1]) for found in payloads if found)
    assert first == second


def test_requests_name_carrier_curve_format_and_station() -> None:
    assert assign(["hex", "json:secp256k1:MR@B"], ["A", "B"]) == {
        "A": MeterSpec(carrier="hex"),
        "B": MeterSpec(carrier="json", curve="secp256k1", format="MR"),
    }
    for wrong in ("pigeon", "json:ed25519", "json:secp256k1:XR", "json@NONE"):
        with pytest.raises(ValueError, match=r"none of|no station"):
            assign([wrong], ["A"])


def test_a_scenario_may_want_a_meter_that_is_not_told_to_sign() -> None:
    spec = parse({"carrier": "xml", "signs": False})
    assert spec == replace(MeterSpec(), carrier="xml", is_on=False)


def test_a_fault_of_signing_brings_its_meter_and_its_row() -> None:
    assert FAULTS.keys() >= SIGNING
    for fault in SIGNING:
        assert meter_of(None, frozenset({fault})) == MeterSpec()
        assert ROWS[fault] == 28
    assert meter_of(None, frozenset({"lie"})) is None
    assert meter_of(MeterSpec(carrier="hex"), frozenset()) == MeterSpec(carrier="hex")
