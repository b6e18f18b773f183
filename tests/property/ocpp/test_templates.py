"""A meter value understood by its template says what the ordinary way says."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.events import SessionUpdated
from gateway.domain.ids import StationId
from gateway.domain.metering import samples_in
from gateway.errors import RemoteError
from gateway.ocpp.adapter import Decoded, Understood
from gateway.ocpp.frames import Call, FrameError, parse
from gateway.ocpp.templates import MAX_TEMPLATES
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CP1, CP2 = StationId("CP1"), StationId("CP2")
MEASURANDS = (
    ("Energy.Active.Import.Register", ("Wh", "kWh", None)),
    ("Power.Active.Import", ("W", "kW")),
    ("Current.Import", ("A",)),
    ("Voltage", ("V",)),
    ("SoC", ("Percent",)),
    ("Power.Factor", ("Percent",)),
    ("Temperature", ("Celsius", "K", "Fahrenheit")),
    ("Nonsense", ("W",)),
)
PLAIN = st.from_regex(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?", fullmatch=True)
VALUES = PLAIN | st.sampled_from(
    ["-5", "007", "1e3", "0.0000001", "NaN", "", "1,5", "999999999.999999", "0.000"]
)
TIMES = st.sampled_from(
    [
        "2026-06-01T11:59:58.123Z",
        "2026-06-01T13:59:58+02:00",
        "2026-06-01T11:59:58",
        "1999-01-01T00:00:00Z",
        "2026-06-01T11:59:60Z",
        "20260601T115958Z",
        "yesterday",
    ]
)


@st.composite
def samples(draw: st.DrawFn) -> list[dict[str, str]]:
    """What a station samples: everything but the values."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        measurand, units = draw(st.sampled_from(MEASURANDS))
        unit = draw(st.sampled_from(units))
        one = {"measurand": measurand}
        if unit is not None:
            one["unit"] = unit
        phase = draw(st.sampled_from([None, None, "L1", "L2", "L3", "L1-N", "N"]))
        if phase is not None:
            one["phase"] = phase
        place = draw(st.sampled_from([None, "Outlet", "EV", "Inlet"]))
        if place is not None:
            one["location"] = place
        context = draw(st.sampled_from([None, "Sample.Clock", "Transaction.End"]))
        if context is not None:
            one["context"] = context
        found.append(one)
    return found


def _payload(
    version: str,
    shape: list[dict[str, str]],
    values: list[str],
    at: str,
    number: int,
    *,
    is_spaced: bool,
) -> bytes:
    """One message; numbers as written."""
    sampled = []
    for one, value in zip(shape, values, strict=False):
        members: dict[str, object] = dict(one)
        if version == "2.0.1" and "unit" in members:
            unit = {"unit": members.pop("unit"), "multiplier": number % 3 - 1}
            members["unitOfMeasure"] = unit
        quoted = f'"{value}"' if version == "1.6" else f"@{value}@"
        sampled.append({"value": quoted, **members})
    meter = [{"timestamp": at, "sampledValue": sampled}]
    body: dict[str, object] = {"connectorId": 1, "transactionId": number}
    if version == "2.0.1":
        body = {
            "eventType": "Updated",
            "timestamp": "2026-06-01T11:59:59Z",
            "triggerReason": "MeterValuePeriodic",
            "seqNo": number,
            "transactionInfo": {"transactionId": f"tx-{number}"},
            "evse": {"id": 1},
        }
    body["meterValue"] = meter
    text = json.dumps(body, separators=(", ", ": ") if is_spaced else (",", ":"))
    text = text.replace('"\\"', '"').replace('\\""', '"')
    return text.replace('"@', "").replace('@"', "").encode()


def _said(decode: object, station: StationId, call: Call) -> object:
    """What a decoder makes of a message, its readings sorted."""
    try:
        decoded: Decoded = decode(station, call, NOW)  # type: ignore[operator]  # an adapter's method
    except RemoteError as error:
        return (error.kind, error.description)
    (event,) = decoded.events
    assert isinstance(event, SessionUpdated)
    plain = replace(event, readings=(), samples=samples_in(event))
    reply = repr(getattr(decoded.reply, "func", decoded.reply))
    return replace(decoded, events=(plain,), reply=None), reply


def _read(adapter: V16 | V201, station: StationId, payload: bytes) -> object:
    """What the adapter makes of a frame with this payload, read as it comes."""
    raw = b'[2,"m","%b",%b]' % (ACTIONS[adapter.version].encode(), payload)
    try:
        call = adapter.read(raw, station, NOW)
    except FrameError as error:
        return (error.kind, error.description)
    assert isinstance(call, Call)
    assert call.payload == payload
    return _said(adapter.decode, station, call)


def _ordinary(adapter: V16 | V201, station: StationId, payload: bytes) -> object:
    """The same without templates."""
    raw = b'[2,"m","%b",%b]' % (ACTIONS[adapter.version].encode(), payload)
    try:
        call = parse(raw)
    except FrameError as error:
        return (error.kind, error.description)
    assert isinstance(call, Call)
    return _said(adapter._decode, station, call)


def _adapter(version: str) -> V16 | V201:
    return V16() if version == "1.6" else V201()


ACTIONS = {"1.6": "MeterValues", "2.0.1": "TransactionEvent"}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["1.6", "2.0.1"]),
    samples(),
    st.lists(
        st.tuples(
            st.lists(VALUES, min_size=6, max_size=6),
            TIMES,
            st.sampled_from([1, 2, 4, 7, 10, 2**31 - 1, 0, -3, 10**18, 10**25]),
        ),
        min_size=3,
        max_size=6,
    ),
    st.booleans(),
)
def test_a_template_says_what_the_ordinary_way_says(
    version: str,
    shape: list[dict[str, str]],
    messages: list[tuple[list[str], str, int]],
    is_spaced: bool,
) -> None:
    adapter = _adapter(version)
    plain = ["12.5", "7", "230.10", "0", "99", "1001.500"]
    known = [(plain, "2026-06-01T11:59:58Z", number) for number in (1, 4, 7, 2, 5)]
    for values, at, number in [*known, *messages, *known]:
        payload = _payload(version, shape, values, at, number, is_spaced=is_spaced)
        station = CP2 if number % 2 else CP1
        assert _read(adapter, station, payload) == _ordinary(adapter, station, payload)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_the_third_message_of_a_kind_is_understood_by_its_template(
    version: str,
) -> None:
    adapter = _adapter(version)
    shape = [
        {"measurand": "Energy.Active.Import.Register", "unit": "kWh"},
        {"measurand": "Power.Active.Import", "unit": "kW"},
        {"measurand": "Current.Import", "unit": "A", "phase": "L2"},
        {"measurand": "Voltage", "unit": "V", "phase": "L1-N"},
        {"measurand": "SoC", "unit": "Percent", "location": "EV"},
    ]
    values = ["1234.567891", "11.04", "16", "230.10", "55"]
    at = "2026-06-01T11:59:58.5Z"
    events = []
    for number in (1, 4, 7):
        payload = _payload(version, shape, values, at, number, is_spaced=False)
        raw = b'[2,"m","%b",%b]' % (ACTIONS[version].encode(), payload)
        call = adapter.read(raw, CP1, NOW)
        assert isinstance(call, Call)
        assert isinstance(call, Understood) is (number == 7)
        (event,) = adapter.decode(CP1, call, NOW).events
        assert isinstance(event, SessionUpdated)
        events.append(event)
    assert [bool(event.readings) for event in events] == [True, True, False]
    (sample,) = events[2].samples
    assert (sample,) == samples_in(events[0])
    assert sample.sampled_at == NOW - timedelta(seconds=1.5)
    if version == "1.6":
        assert sample.register_milliwh == 1_234_567_891
        assert sample.power_w == 11_040.0
        assert events[2].transaction_id == "7"
    else:
        assert events[2].sequence == 7
        assert events[2].transaction_id == "tx-7"
    assert sample.current_a == (0.0, 16.0, 0.0)
    assert sample.others == (("Voltage/L1-N", "230.10"),)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["1.6", "2.0.1"]))
@example(data=None, version="1.6")
def test_damage_anywhere_in_a_known_text_is_judged_as_ever(
    data: st.DataObject | None, version: str
) -> None:
    adapter = _adapter(version)
    shape = [
        {"measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {"measurand": "Voltage", "unit": "V"},
    ]
    payload = _payload(
        version, shape, ["5", "6"], "2026-06-01T11:59:58Z", 4, is_spaced=False
    )
    for _ in range(3):
        _read(adapter, CP1, payload)
    if data is None:
        broken = payload.replace(b'"value":', b'"values":')
    else:
        start = data.draw(st.integers(0, len(payload) - 1))
        end = data.draw(st.integers(start, min(len(payload), start + 12)))
        junk = data.draw(
            st.sampled_from([b"", b'"', b"\\", b",", b"}", b"0", b".", b"-", b'":"1"'])
        )
        broken = payload[:start] + junk + payload[end:]
    for _ in range(3):
        assert _read(adapter, CP1, broken) == _ordinary(adapter, CP1, broken)


def test_a_broken_text_with_values_for_names_is_no_known_text() -> None:
    adapter = V16()
    head = b'{"connectorId":1,"transactionId":4,"meterValue":[{'
    tail = b'"2026-06-01T11:59:58Z","sampledValue":[{"value":"5"}]}]}'
    for _ in range(3):
        _read(adapter, CP1, head + b'"timestamp":' + tail)
    broken = head + b'"value":"1""timestamp":""value":"2"' + tail[21:]
    assert _read(adapter, CP1, broken) == _ordinary(adapter, CP1, broken)


def test_a_time_after_the_values_that_is_that_of_the_receipt_is_read_each_time() -> (
    None
):
    adapter = V201()
    payload = (
        b'{"eventType":"Updated","triggerReason":"MeterValuePeriodic","seqNo":%d,'
        b'"transactionInfo":{"transactionId":"tx"},"meterValue":[{"timestamp":'
        b'"2026-06-01T11:59:58Z","sampledValue":[{"value":5}]}],'
        b'"timestamp":"2026-06-01T12:00:00Z"}'
    )
    later = NOW + timedelta(seconds=3)
    for number, now in ((1, NOW), (2, NOW), (3, later)):
        raw = b'[2,"m","TransactionEvent",%b]' % (payload % number)
        call = adapter.read(raw, CP1, now)
        assert isinstance(call, Call)
        (event,) = adapter.decode(CP1, call, now).events
        assert event.occurred_at == NOW


def test_long_texts_are_not_kept_however_often_they_come() -> None:
    adapter = V201()
    payload = (
        b'{"timestamp":"2026-06-01T11:59:59Z","seqNo":1,"eventType":"Updated",'
        b'"triggerReason":"MeterValuePeriodic","transactionInfo":{"transactionId":"tx"'
        b'},"customData":{"vendorId":"%b"},"meterValue":[{"timestamp":'
        b'"2026-06-01T11:59:58Z","sampledValue":[{"value":5}]}]}' % (b"x" * 9_000)
    )
    for _ in range(3):
        assert _read(adapter, CP1, payload) == _ordinary(adapter, CP1, payload)
    assert not adapter._templates._known
    assert not adapter._templates._seen


def test_texts_that_always_differ_are_not_learnt_and_not_kept_for_ever() -> None:
    adapter = V16()
    for number in range(2 * MAX_TEMPLATES + 5):
        for _ in range(1 + number % 2):
            payload = (
                b'{"connectorId":%d,"transactionId":5,"meterValue":[{"timestamp":'
                b'"2026-06-01T11:59:58Z","sampledValue":[{"value":"1"}]}]}' % number
            )
            _read(adapter, CP1, payload)
    known = adapter._templates._known
    assert len(known) == MAX_TEMPLATES
    assert all(int(key[0].split(":")[1].partition(",")[0]) % 2 for key in known)
