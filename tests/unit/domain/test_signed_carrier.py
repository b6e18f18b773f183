"""Signed data in all its wrappings, and what is refused."""

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ocmf import Curve, parse, preference
from gateway.domain.signed_carrier import MAX_CHARS, Carried, unwrap
from gateway.domain.signed_json import SignedDataError, load
from tests.support.ocmf import Meter, reading

RECORD = Meter().both("1.0", "2.0")
BASE64 = base64.b64encode(RECORD.encode()).decode()
XML = (
    '<?xml version="1.0"?><values><value transactionId="1"><signedData format="OCMF">'
    f"\n {RECORD}\n</signedData><publicKey> 04 AB </publicKey></value></values>"
)


def proposal(**members: str) -> str:
    return json.dumps({"encodingMethod": "OCMF", "signingMethod": "", **members})


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (RECORD, None),
        (f"\ufeff {RECORD}\r\n", None),
        (RECORD.encode().hex(), None),
        (RECORD.encode().hex().upper(), None),
        (BASE64, None),
        (BASE64.rstrip("="), None),
        (proposal(signedMeterValue=BASE64, publicKey="04AB"), "04AB"),
        (proposal(signedMeterData=RECORD), None),
        (XML, "04 AB"),
        (base64.b64encode(XML.encode()).decode(), "04 AB"),
        (proposal(signedMeterValue=XML, publicKey="other"), "04 AB"),
    ],
)
def test_the_record_comes_out_of_every_wrapping_unchanged(
    raw: str, key: str | None
) -> None:
    assert unwrap(raw) == (Carried(text=RECORD, public_key=key),)


def test_a_key_beside_the_record_is_kept_unless_one_is_nearer() -> None:
    assert unwrap(RECORD, "04CD")[0].public_key == "04CD"
    assert unwrap(XML, "04CD")[0].public_key == "04 AB"
    assert unwrap(RECORD, " ")[0].public_key is None
    assert unwrap(RECORD, "0" * 5000)[0].public_key is None


def test_entities_of_plain_xml_are_read_and_attributes_are_left_alone() -> None:
    text = XML.replace("DRIVER", "A&amp;B&#67;")
    assert "A&BC" in unwrap(text)[0].text


BOMB = (
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<values><value><signedData>&b;</signedData></value></values>"
)
FETCH = (
    '<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    "<values><value><signedData>&x;</signedData></value></values>"
)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (BOMB, "signed_hostile_xml"),
        (FETCH, "signed_hostile_xml"),
        ('<!DOCTYPE v SYSTEM "http://127.0.0.1/x.dtd"><v/>', "signed_hostile_xml"),
        ("<v>" * 2_000, "signed_hostile_xml"),
        ("<values><value>", "signed_bad_xml"),
        ("<values>&unknown;</values>", "signed_bad_xml"),
        ("<values><value></value></values>", "signed_format"),
        ('<?xml version="1.0"', "signed_bad_xml"),
        ("x" * (MAX_CHARS + 1), "signed_too_large"),
        (f"<v>{'<value><signedData/></value>' * 3_000}</v>", "signed_too_large"),
        ("", "signed_format"),
        ("AP;0;3;ALCV3ABBBISHMA2RYEGAZE3HV5YQBQRAEHAR2MN;A=;", "signed_format"),
        ("1234", "signed_format"),
        ("fffefd", "signed_format"),
        ("{}", "signed_format"),
        ('{"value": 5}', "signed_format"),
        ("{" * 50_000, "signed_bad_json"),
        ('{"a":' * 20_000, "signed_bad_json"),
        ('{"value":"a","value":"b"}', "signed_bad_json"),
        ('{"value":"a"} x', "signed_bad_json"),
        ('{"value": NaN}', "signed_bad_json"),
        ('{"' + '\\"' * 60_000, "signed_bad_json"),
        ("{" + '"' * 100_001, "signed_bad_json"),
        ("A" + " " * 120_000 + "!", "signed_format"),
        ("AB " * 40_000 + "!", "signed_format"),
    ],
)
def test_hostile_and_broken_data_is_refused_with_its_reason(
    raw: str, reason: str
) -> None:
    with pytest.raises(SignedDataError) as caught:
        unwrap(raw)
    assert caught.value.reason == reason


def test_wrappings_have_an_end() -> None:
    raw = RECORD
    for _ in range(6):
        raw = base64.b64encode(raw.encode()).decode()
    with pytest.raises(SignedDataError, match="too many wrappings"):
        unwrap(raw)


def sealed(payload: str) -> str:
    return f'OCMF|{payload}|{{"SD":"3000"}}'


PLAIN = json.dumps({"PG": "T1", "RD": [reading("B", "1.0")]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (sealed("[]"), "ocmf_bad_payload"),
        (sealed("{}"), "ocmf_bad_pagination"),
        (sealed(PLAIN.replace("T1", "X1")), "ocmf_bad_pagination"),
        (sealed(PLAIN.replace("T1", "T" + "9" * 30)), "ocmf_bad_pagination"),
        (sealed('{"PG":"T1","RD":[]}'), "ocmf_bad_readings"),
        (sealed('{"PG":"T1","RD":[1]}'), "ocmf_bad_readings"),
        (sealed(PLAIN.replace('"1.0"', '"1.0.0"')), "ocmf_bad_readings"),
        (sealed(PLAIN.replace('"1.0"', "-1")), "ocmf_bad_readings"),
        (sealed(PLAIN.replace('"1.0"', "1E+999999999")), "ocmf_bad_readings"),
        (sealed(PLAIN.replace('"1.0"', "null")), "ocmf_bad_readings"),
        (sealed(PLAIN.replace('"1.0"', "9" * 5_000)), "signed_bad_json"),
        (sealed('{"PG":"T1","GS":[]}'), "ocmf_bad_payload"),
        (f"OCMF|{PLAIN}", "ocmf_no_signature"),
        (f"OCMF|{PLAIN}x|{{}}", "ocmf_no_signature"),
        (f"OCMF|{PLAIN}|{{}}", "ocmf_no_signature"),
        (f'OCMF|{PLAIN}|{{"SD":"xx"}}', "ocmf_no_signature"),
        (f'OCMF|{PLAIN}|{{"SD":"30","SE":"rot13"}}', "ocmf_no_signature"),
        (f'OCMF|{PLAIN}|{{"SD":"30"}} more', "ocmf_no_signature"),
        (f'OCMF|{PLAIN}|{{"SD":"30","SA":"RSA-2048"}}', "algorithm_unsupported"),
        (
            f'OCMF|{PLAIN}|{{"SD":"30","SA":"ECDSA-secp521r1-SHA512"}}',
            "algorithm_unsupported",
        ),
        ("hello", "signed_format"),
    ],
)
def test_a_record_that_breaks_its_format_is_refused_with_its_reason(
    text: str, reason: str
) -> None:
    with pytest.raises(SignedDataError) as caught:
        parse(text)
    assert caught.value.reason == reason


def test_an_unsupported_algorithm_is_refused_by_its_name() -> None:
    text = f'OCMF|{PLAIN}|{{"SD":"30","SA":"ECDSA-brainpoolP512r1-SHA256"}}'
    with pytest.raises(SignedDataError, match="ECDSA-brainpoolP512r1-SHA256"):
        parse(text)


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("ECDSA-brainpoolP256r1-SHA256", Curve.BRAINPOOL256R1),
        ("ECDSA-brainpool256r1-SHA256", Curve.BRAINPOOL256R1),
        ("ECDSA-secp192r1-SHA256", Curve.SECP192R1),
    ],
)
def test_curves_have_several_spellings(name: str, curve: Curve) -> None:
    assert parse(f'OCMF|{PLAIN}|{{"SD":"30","SA":"{name}"}}').curve is curve


def test_a_bar_within_a_text_ends_nothing() -> None:
    record = parse(Meter().record([reading("B", "1.0")], ID='a|b"|{'))
    assert record.identification == 'a|b"|{'
    assert record.signed_text.endswith("}")


def test_a_reading_takes_from_the_one_before_what_it_leaves_out() -> None:
    rest = {"RV": "0.5", "RI": "1-b:1.9.0"}
    record = parse(Meter().record([reading("E", "  2.500"), rest]))
    second = record.readings[1]
    assert (second.kind, second.status) == ("E", "G")
    assert [one.energy_milliwh for one in record.readings] == [2_500_000, 500_000]
    assert [one.is_import for one in record.readings] == [True, False]


@pytest.mark.parametrize(
    ("register", "is_import"),
    [
        ("1-0:1.8.0", True),
        ("01-00:01.08.00.FF", True),
        ("1-b:1.8.e", True),
        ("1-0:98.8.0.FF", True),
        ("01-00:B2.08.00*FF", True),
        ("", True),
        ("1-0:2.8.0", False),
        ("01-00:C2.08.00*FF", False),
        ("01-00:00.08.06.FF", False),
        ("nonsense", False),
    ],
)
def test_only_registers_of_imported_energy_count(
    register: str, is_import: bool
) -> None:
    record = parse(Meter().record([reading("B", "1.0", RI=register)]))
    assert record.readings[0].is_import is is_import
    assert (preference(register) < 6) is is_import


def test_a_duration_is_no_energy() -> None:
    record = parse(Meter().record([reading("E", "30", RU="sec")]))
    assert record.readings[0].energy_milliwh is None


def test_numbers_stay_exact() -> None:
    assert load('[0.1, 7, "x"]') == [Decimal("0.1"), Decimal(7), "x"]


@given(st.decimals() | st.floats() | st.integers() | st.text(max_size=50))
def test_no_register_does_more_harm_than_a_reason(value: object) -> None:
    number = json.dumps(value) if isinstance(value, str | float | int) else value
    text = sealed(PLAIN.replace('"1.0"', str(number)))
    assert reason_of(text) in {None, "ocmf_bad_readings", "signed_bad_json"}


def reason_of(raw: str) -> str | None:
    """Why signed data is refused; ``None`` if it is not."""
    try:
        for one in unwrap(raw):
            parse(one.text)
    except SignedDataError as error:
        return error.reason
    return None


@given(st.text(max_size=60) | st.text('{}[]"|:,OCMFPGRDT10eE.<>&;!', max_size=60))
def test_no_text_at_all_does_more_harm_than_a_reason(text: str) -> None:
    for raw in (text, f"OCMF|{text}", f"OCMF|{PLAIN}|{text}", f"<a>{text}</a>"):
        assert reason_of(raw) != ""


def test_half_a_surrogate_pair_is_no_text() -> None:
    text = RECORD.replace("ID", "I\ud800D", 1)
    assert text != RECORD
    with pytest.raises(SignedDataError, match="UTF-8"):
        unwrap(json.dumps({"signedData": text}))
