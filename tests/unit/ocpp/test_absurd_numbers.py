"""Numbers from outside are bounded before anything else sees them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.ids import StationId
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.frames import Call
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HUGE = "9" * 4_000


def facts(adapter: V16 | V201, action: str, payload: str) -> Any:
    call = Call("1", action, payload.encode())
    return adapter.decode(StationId("CP-1"), call, NOW)


@pytest.mark.parametrize("number", [HUGE, f"-{HUGE}", "1E+20", str(2**62)])
def test_a_start_with_absurd_numbers_is_kept_without_them(number: str) -> None:
    if "E" in number:
        with pytest.raises(RemoteError):
            facts(V16(), "StartTransaction", start(number))
        return
    decoded = facts(V16(), "StartTransaction", start(number))
    (event,) = decoded.events
    assert [one.kind for one in decoded.deviations] == ["value_range"] * 2
    assert (event.register_milliwh, event.reservation_id) == (None, None)


def test_a_stop_of_an_absurd_transaction_is_kept_as_transaction_0() -> None:
    decoded = facts(
        V16(),
        "StopTransaction",
        f'{{"transactionId":{HUGE},"meterStop":1,"timestamp":"2026-11-23T10:00:00Z"}}',
    )
    assert decoded.events[0].transaction_id == "0"
    assert decoded.events[0].register_milliwh == 1000


def test_an_integer_that_python_would_not_write_is_refused() -> None:
    with pytest.raises(RemoteError) as caught:
        facts(V16(), "StartTransaction", start("9" * 10_000))
    assert caught.value.kind is ErrorKind.FORMAT


def start(register: str) -> str:
    return (
        f'{{"connectorId":1,"idTag":"A","meterStart":{register},'
        f'"reservationId":{HUGE},"timestamp":"2026-11-23T10:00:00Z"}}'
    )


@pytest.mark.parametrize("number", ["-1", "65536", "1634030126", HUGE])
def test_an_absurd_connector_is_kept_as_number_0(number: str) -> None:
    decoded = facts(
        V16(),
        "StatusNotification",
        f'{{"connectorId":{number},"errorCode":"NoError","status":"Charging"}}',
    )
    (event,) = decoded.events
    assert event.evse.evse_id == 0
    assert [one.kind for one in decoded.deviations] == ["value_range"]


@pytest.mark.parametrize("value", [HUGE, "1E+9999", "1E-9999", "-5"])
def test_a_sample_with_an_absurd_value_is_no_reading(value: str) -> None:
    decoded = facts(
        V201(),
        "MeterValues",
        f'{{"evseId":1,"meterValue":[{{"timestamp":"2026-11-23T10:00:00Z",'
        f'"sampledValue":[{{"value":{value}}},{{"value":7}}]}}]}}',
    )
    (event,) = decoded.events
    assert [one.value for one in event.readings] == [7]
    assert [one.kind for one in decoded.deviations] == ["value_range"]


@pytest.mark.parametrize("multiplier", [HUGE, "13", "-13"])
def test_an_absurd_multiplier_is_no_reading(multiplier: str) -> None:
    decoded = facts(
        V201(),
        "MeterValues",
        f'{{"evseId":1,"meterValue":[{{"timestamp":"2026-11-23T10:00:00Z",'
        f'"sampledValue":[{{"value":1,"unitOfMeasure":{{"multiplier":{multiplier}}}}}]}}]}}',
    )
    assert decoded.events[0].readings == ()


def test_a_report_with_an_absurd_number_is_refused() -> None:
    with pytest.raises(RemoteError) as caught:
        facts(
            V201(),
            "NotifyReport",
            f'{{"requestId":{HUGE},"generatedAt":"2026-11-23T10:00:00Z","seqNo":0}}',
        )
    assert caught.value.kind is ErrorKind.PROPERTY


def test_a_huge_integer_where_a_word_belongs_is_refused_in_few_words() -> None:
    with pytest.raises(RemoteError) as caught:
        facts(V16(), "Authorize", f'{{"idTag":{HUGE}}}')
    assert caught.value.kind is ErrorKind.TYPE
    assert len(caught.value.description) < 100
