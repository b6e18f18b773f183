"""Signed records in the container of the transparency software, unchanged."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ocmf import Curve
from gateway.domain.signed_carrier import unwrap
from gateway.domain.signed_xml import container
from gateway.services.meter_keys import key_info, parse_key
from tests.support.ocmf import Meter, reading


def test_each_record_is_a_value_with_its_context_and_the_key() -> None:
    meter = Meter(Curve.SECP384R1)
    texts = [
        meter.begin("1.0"),
        meter.record([reading("C", "2.0")]),
        meter.end("3.0"),
    ]
    key = key_info(parse_key(meter.public_key))
    document = container(texts, key)
    assert document is not None
    assert document.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<values>\n')
    values = ET.fromstring(document).findall("value")  # noqa: S314 - written above
    assert [value.get("context") for value in values] == [
        "Transaction.Begin",
        None,
        "Transaction.End",
    ]
    assert {value.get("transactionId") for value in values} == {"1"}
    for value, text in zip(values, texts, strict=True):
        data, public = value.find("signedData"), value.find("publicKey")
        assert data is not None
        assert public is not None
        assert (data.get("format"), data.get("encoding")) == ("OCMF", "plain")
        assert data.text == text
        assert public.text == meter.public_key


@given(
    st.text(
        st.sampled_from("&<>\"']\r\n\tä\u2028\U0001f50c ]]>")
        | st.characters(codec="utf-8"),
        max_size=30,
    )
)
def test_whatever_was_signed_comes_back_as_it_was_or_is_left_out(word: str) -> None:
    meter = Meter()
    text = meter.begin("1.0", GI=word).replace(" , ", "\r\n,\t")
    document = container([text], None)
    if document is None:
        assert any(char in "\ufffe\uffff" for char in word)
        return
    (carried,) = unwrap(document)
    assert (carried.text, carried.public_key) == (text, None)


@pytest.mark.parametrize("texts", [[], ["no record"], ["OCMF|{}|{}"]])
def test_without_a_record_there_is_no_document(texts: list[str]) -> None:
    assert container(texts, b"\x30") is None
