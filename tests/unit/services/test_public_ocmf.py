"""Public records of real meters: the good ones verify, the forged ones say why not."""

from collections import Counter
from pathlib import Path

import pytest

from gateway.domain.ocmf import Curve, parse
from gateway.domain.signed_carrier import Carried, unwrap
from gateway.domain.signed_json import SignedDataError
from gateway.domain.signed_session import Examined, SignedVerdict, conclude
from gateway.services.meter_keys import is_signed, parse_key
from tests.support.shared_data import ocmf_folder

GOOD = {
    "OCMF-receipt-with_publickey_and_data.xml": (1, Curve.SECP256R1),
    "OCMF_Test_Data_00.xml": (2, Curve.SECP256K1),
    "Ocmf_Example_OBIS_98.8.0_2.8.0.xml": (1, Curve.SECP256K1),
    "keba_test.xml": (100, Curve.SECP256R1),
    "measurements.xml": (21, Curve.SECP256R1),
    "nistP384_0Wh.xml": (2, Curve.SECP384R1),
    "ocmf_sec.xml": (2, Curve.SECP256K1),
    "ocmf_tariff_1.xml": (1, Curve.SECP256R1),
    "test_ocmf_ebee_01.xml": (2, Curve.SECP256R1),
    "test_ocmf_keba_kcp30.xml": (1, Curve.SECP256R1),
    "test_ocmf_transaction_two_values.xml": (2, Curve.SECP192K1),
}
"""File, how many records at least, and their curve."""
TRANSACTIONS = {
    "OCMF-receipt-with_publickey_and_data.xml": ("signed_meter_error",),
    "OCMF_Test_Data_00.xml": (),
    "Ocmf_Example_OBIS_98.8.0_2.8.0.xml": (),
    "nistP384_0Wh.xml": (),
    "ocmf_sec.xml": (),
    "ocmf_tariff_1.xml": (),
    "test_ocmf_ebee_01.xml": (),
    "test_ocmf_keba_kcp30.xml": (),
    "test_ocmf_transaction_two_values.xml": ("signed_page_repeated",),
}
"""File of one transaction, and what its records have against each other."""


@pytest.fixture(scope="module")
def folder() -> Path:
    return ocmf_folder()


def records(folder: Path, name: str) -> list[Carried]:
    return list(unwrap((folder / name).read_text("utf-8")))


def examined(one: Carried) -> Examined:
    assert one.public_key is not None
    record, key = parse(one.text), parse_key(one.public_key)
    if record.curve is not key.curve:
        return Examined(record=record, reason="signature_of_other_curve")
    good = is_signed(record.signed_text, record.signature, key)
    return Examined(record=record, reason=None if good else "signature_wrong")


@pytest.mark.parametrize("name", GOOD)
def test_every_good_record_is_verified(folder: Path, name: str) -> None:
    found = [examined(one) for one in records(folder, name)]
    least, curve = GOOD[name]
    assert len(found) >= least
    assert Counter(one.reason for one in found) == {None: len(found)}
    assert {one.record.curve for one in found if one.record} == {curve}


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_the_records_of_a_transaction_are_judged_together(
    folder: Path, name: str
) -> None:
    finding = conclude([examined(one) for one in records(folder, name)])
    assert finding.reasons == TRANSACTIONS[name]
    assert (finding.verdict is SignedVerdict.OK) is (TRANSACTIONS[name] == ())


@pytest.mark.parametrize("name", GOOD)
def test_one_changed_character_breaks_each_of_them(folder: Path, name: str) -> None:
    for one in records(folder, name)[:3]:
        record = parse(one.text)
        assert one.public_key is not None
        key = parse_key(one.public_key)
        for old, new in (('"RV"', '"RV" '), ('"PG"', '"PH"'), ('"T', '"F')):
            assert old in record.signed_text
            forged = record.signed_text.replace(old, new, 1)
            assert not is_signed(forged, record.signature, key)


def test_a_forged_record_is_refused(folder: Path) -> None:
    (one,) = records(folder, "test_ocmf_keba_kcp30_fail.xml")
    assert examined(one).reason == "signature_wrong"


def test_a_record_with_a_key_of_another_meter_is_refused(folder: Path) -> None:
    begin, end = records(folder, "second_key_fail_ocmf.xml")
    assert examined(begin).reason is None
    assert examined(end).reason == "signature_of_other_curve"


def test_broken_xml_is_refused(folder: Path) -> None:
    with pytest.raises(SignedDataError) as caught:
        records(folder, "test_input_invalid_xml.xml")
    assert caught.value.reason == "signed_bad_xml"


def test_a_record_of_a_meter_without_its_key_is_read(folder: Path) -> None:
    (one,) = records(folder, "everest_em580.txt")
    record = parse(one.text)
    assert one.public_key is None
    assert (record.page, record.curve) == (23, Curve.BRAINPOOL384R1)
    finding = conclude([Examined(record=record)], more=["meter_key_not_pinned"])
    assert finding.verdict is SignedVerdict.UNVERIFIED
    kinds = [(one.kind, one.energy_milliwh) for one in record.readings]
    assert kinds == [("B", 1_637_000), ("E", 1_643_000)]
