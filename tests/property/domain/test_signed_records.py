"""Whatever is changed in a signed record, it is refused, and nothing else happens."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ocmf import Curve, parse
from gateway.domain.signed_carrier import unwrap
from gateway.domain.signed_json import SignedDataError
from gateway.domain.signed_session import Examined, SignedVerdict, conclude
from gateway.services.meter_keys import is_signed, parse_key
from tests.support.ocmf import Meter

METER = Meter()
KEY = parse_key(METER.public_key)
RECORD = METER.both("1.0004", "3.0008")
PAYLOAD = parse(RECORD).signed_text


@st.composite
def changed_records(draw: st.DrawFn) -> str:
    """A good record with some characters replaced, left out or put in."""
    text = RECORD
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        until = at + draw(st.integers(0, 3))
        put = draw(st.text('{}[]"|:,.-+eEBG0179 \\\x00\ufeff\ud7ff', max_size=3))
        text = text[:at] + put + text[until:]
    return text


@given(changed_records())
def test_a_changed_record_is_refused_or_its_signed_text_is_the_same(text: str) -> None:
    try:
        records = [parse(one.text) for one in unwrap(text)]
    except SignedDataError:
        return
    for record in records:
        if is_signed(record.signed_text, record.signature, KEY):
            assert record.signed_text == PAYLOAD


@given(st.binary(max_size=80), st.sampled_from(Curve))
def test_random_bytes_are_never_a_signature(signature: bytes, curve: Curve) -> None:
    key = parse_key(Meter(curve).public_key)
    assert not is_signed(PAYLOAD, signature, key)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from("BCXELRAPST"),
            st.integers(0, 9),
            st.sampled_from(["G", "M"]),
        ),
        max_size=4,
    )
)
def test_what_is_proven_is_never_negative_and_never_with_a_reason(
    drawn: list[tuple[int, str, int, str]],
) -> None:
    examined = []
    for page, kind, kwh, status in drawn:
        reading = {"TX": kind, "RV": kwh, "RI": "1-0:1.8.0", "RU": "kWh", "ST": status}
        payload = json.dumps({"PG": f"T{page}", "RD": [reading]})
        record = parse(f'OCMF|{payload}|{{"SD":"30"}}')
        examined.append(Examined(record=record))
    finding = conclude(examined)
    start, end = finding.register_start_milliwh, finding.register_end_milliwh
    if finding.verdict is SignedVerdict.OK:
        assert finding.reasons == ()
        assert start is not None
        assert end is not None
        assert end >= start
    else:
        assert (start, end) == (None, None)
        assert bool(finding.reasons) is bool(drawn)
