"""Signed records as OCPI has room for them."""

import base64

from gateway.domain.cdr_signed import MAX_PLAIN, MAX_SIGNED, signed_data
from gateway.services.meter_keys import key_info, parse_key
from tests.support.ocmf import Meter, reading
from tests.support.ocpi import SIGNED_DATA, load, problems


def test_records_keep_their_text_and_name_their_event() -> None:
    meter = Meter()
    texts = [
        meter.begin("1.0"),
        meter.record([reading("C", "2.0")]),
        meter.record([reading("L", "3.0")]),
        meter.both("1.0", "3.0"),
    ]
    key = key_info(parse_key(meter.public_key))
    found = signed_data(texts, key)
    assert problems(load(found), SIGNED_DATA) == []
    values = load(found)["signed_values"]
    natures = [one["nature"] for one in values]
    assert natures == ["Start", "Intermediate", "End", "End"]
    assert [base64.b64decode(one["signed_data"]).decode() for one in values] == texts
    assert [one["plain_data"] for one in values][:3] == [
        one.split("|")[1] for one in texts[:3]
    ]


def test_of_a_long_record_the_readings_are_told_in_words() -> None:
    meter = Meter()
    text = meter.record([reading("B", "1.0"), reading("E", "3.0")], TT="x" * MAX_PLAIN)
    (value,) = load(signed_data([text], None))["signed_values"]
    assert value["plain_data"] == (
        "B 2026-06-01T14:00:00,000+0200 S 1-0:1.8.0 1000000 mWh; "
        "E 2026-06-01T14:00:00,000+0200 S 1-0:1.8.0 3000000 mWh"
    )
    assert base64.b64decode(value["signed_data"]).decode() == text


def test_words_that_are_too_many_are_cut_where_one_sees_it() -> None:
    text = Meter().record([reading("C", str(kwh)) for kwh in range(10)])
    (value,) = load(signed_data([text], None))["signed_values"]
    assert len(value["plain_data"]) == MAX_PLAIN
    assert value["plain_data"].endswith("...")


def test_a_begin_that_does_not_fit_makes_the_whole_proof_stay_away() -> None:
    meter = Meter()
    long = "x" * MAX_SIGNED
    between = meter.record([reading("C", "2.0")], TT=long)
    kept = signed_data([meter.begin("1.0"), between, meter.end("3.0")], None)
    assert len(load(kept)["signed_values"]) == 2
    assert signed_data([meter.begin("1.0", TT=long), meter.end("3.0")], None) is None


def test_without_a_record_of_the_format_there_is_nothing() -> None:
    assert signed_data([], None) is None
    assert signed_data(["<values/>", "OCMF|{", ""], b"key") is None
