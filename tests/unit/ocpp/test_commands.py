"""What we send is valid by the schemas and never allows more than was meant."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import IdToken, StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    LimitUnit,
    Purpose,
    SetLimit,
)
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp import frames
from gateway.ocpp.adapter import Adapter, CallOutcome, Command, Durability
from gateway.ocpp.quirks import NONE, quirks_of
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
BOTH = pytest.mark.parametrize(
    "adapter", [V16(), V201()], ids=lambda adapter: adapter.version
)


def limit(
    *steps_da: int,
    purpose: Purpose = Purpose.SESSION,
    unit: LimitUnit = LimitUnit.A,
    number_phases: int = 3,
    nominal_v: float = 230.0,
    transaction_id: str | None = "4711",
) -> SetLimit:
    return SetLimit(
        evse_id=1,
        purpose=purpose,
        schedule=LimitSchedule(
            start=NOW,
            steps=tuple(
                LimitStep(offset_s=900 * index, limit_da=step)
                for index, step in enumerate(steps_da)
            ),
        ),
        transaction_id=transaction_id,
        profile_id=7,
        unit=unit,
        number_phases=number_phases,
        nominal_v=nominal_v,
    )


def wire(adapter: Adapter, command: Command) -> Any:
    payload = frames.encode_payload(command.payload)
    adapter.check_request(command.action, payload)
    return json.loads(payload, parse_float=Decimal)


def test_a_session_limit_in_1_6_names_its_transaction() -> None:
    assert wire(V16(), V16().encode_limit(limit(165, 60))) == {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 7,
            "transactionId": 4711,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "startSchedule": "2026-11-23T10:00:00.000Z",
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": Decimal("16.5"), "numberPhases": 3},
                    {"startPeriod": 900, "limit": 6, "numberPhases": 3},
                ],
            },
        },
    }


def test_a_session_limit_in_2_0_1_names_its_transaction() -> None:
    command = V201().encode_limit(limit(165, transaction_id="tx-1"))
    assert wire(V201(), command) == {
        "evseId": 1,
        "chargingProfile": {
            "id": 7,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "transactionId": "tx-1",
            "chargingSchedule": [
                {
                    "id": 7,
                    "startSchedule": "2026-11-23T10:00:00.000Z",
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [
                        {"startPeriod": 0, "limit": Decimal("16.5"), "numberPhases": 3}
                    ],
                }
            ],
        },
    }


@BOTH
def test_a_limit_for_all_sessions_names_none(adapter: Adapter) -> None:
    command = adapter.encode_limit(limit(60, purpose=Purpose.DEFAULT))
    text = json.dumps(wire(adapter, command))
    assert "transactionId" not in text
    assert "TxDefaultProfile" in text


@pytest.mark.parametrize(
    ("adapter", "where", "purpose"),
    [
        (V16(), "connectorId", "ChargePointMaxProfile"),
        (V201(), "evseId", "ChargingStationMaxProfile"),
    ],
)
def test_a_limit_of_the_whole_station_goes_to_0(
    adapter: Adapter, where: str, purpose: str
) -> None:
    sent = wire(adapter, adapter.encode_limit(limit(60, purpose=Purpose.STATION_MAX)))
    assert sent[where] == 0
    assert purpose in json.dumps(sent)


@BOTH
def test_a_session_limit_needs_a_transaction(adapter: Adapter) -> None:
    with pytest.raises(ValueError, match="transaction"):
        adapter.encode_limit(limit(60, transaction_id=None))


@given(
    da=st.integers(0, 10_000),
    phases=st.integers(1, 3),
    volts=st.floats(100, 420).map(lambda one: round(one, 1)),
    unit=st.sampled_from(LimitUnit),
)
def test_a_limit_is_never_rounded_up(
    da: int, phases: int, volts: float, unit: LimitUnit
) -> None:
    command = limit(da, unit=unit, number_phases=phases, nominal_v=volts)
    for adapter in (V16(), V201()):
        text = json.dumps(wire(adapter, adapter.encode_limit(command)), default=str)
        sent = Decimal(text.split('"limit": ')[1].split(",")[0].strip('"'))
        meant = Decimal(da) / 10
        if unit is LimitUnit.A:
            assert sent == meant
        else:
            watts = meant * Decimal(str(volts)) * phases
            assert 0 <= watts - sent < 1


@BOTH
def test_every_other_command_is_valid_by_its_schema(adapter: Adapter) -> None:
    token = IdToken(value="ABC", kind=None)
    commands = [
        *adapter.encode_clear_limits(),
        adapter.encode_composite(1, 900),
        adapter.encode_trigger("StatusNotification", 1),
        adapter.encode_trigger("Heartbeat", None),
        adapter.encode_sample_trigger(1),
        adapter.encode_remote_start(1, token, 5),
        adapter.encode_remote_start(None, token, 5),
        adapter.encode_remote_stop("4711"),
        *adapter.encode_setup(sample_interval_s=60),
        adapter.encode_ping_interval(60),
        adapter.encode_resending("MessageAttempts/TransactionEvent", 10),
    ]
    for command in commands:
        wire(adapter, command)


@BOTH
def test_a_check_refuses_what_a_central_system_does_not_send(adapter: Adapter) -> None:
    for action in ("BootNotification", "Heartbeat", "Nonsense"):
        with pytest.raises(RemoteError) as caught:
            adapter.check_request(action, b"{}")
        assert caught.value.kind is ErrorKind.NOT_IMPLEMENTED


@BOTH
def test_a_check_names_what_is_wrong(adapter: Adapter) -> None:
    adapter.check_request(
        "Reset", b'{"type":"Immediate"}' if is_201(adapter) else (b'{"type":"Hard"}')
    )
    for payload, kind in (
        (b'{"type":"Cold"}', ErrorKind.PROPERTY),
        (b'{"type":5}', ErrorKind.TYPE),
        (b"{}", ErrorKind.OCCURRENCE),
        (b'{"type":"Hard","x":1}', None),
        (b"[]", ErrorKind.FORMAT),
        (b"{", ErrorKind.FORMAT),
    ):
        with pytest.raises(RemoteError) as caught:
            adapter.check_request("Reset", payload)
        assert kind is None or caught.value.kind is kind
    adapter.check_response("Reset", b'{"status":"Accepted"}')
    with pytest.raises(RemoteError):
        adapter.check_response("Reset", b'{"status":"Perhaps"}')


@BOTH
def test_a_status_is_read(adapter: Adapter) -> None:
    read = adapter.outcome
    assert read("Reset", {"status": "Accepted"}) is CallOutcome.ACCEPTED
    assert read("Reset", {"status": "Rejected"}) is CallOutcome.REJECTED
    assert read("Reset", {"status": "NotSupported"}) is CallOutcome.NOT_SUPPORTED
    assert read("Reset", {"status": "Scheduled"}) is CallOutcome.OTHER
    assert read("Reset", {}) is CallOutcome.OTHER


def test_of_several_variables_the_first_refusal_counts() -> None:
    results = [{"attributeStatus": "Accepted"}, {"attributeStatus": "UnknownVariable"}]
    read = V201().outcome
    assert read("SetVariables", {"setVariableResult": results}) is (
        CallOutcome.NOT_SUPPORTED
    )
    assert read("SetVariables", {"setVariableResult": results[:1]}) is (
        CallOutcome.ACCEPTED
    )
    assert read("SetVariables", {}) is CallOutcome.OTHER


@BOTH
def test_every_kind_of_error_has_a_spelling(adapter: Adapter) -> None:
    assert all(adapter.error_code(kind) for kind in ErrorKind)


@BOTH
def test_only_a_heartbeat_is_answered_without_the_store(adapter: Adapter) -> None:
    payloads = {
        "Heartbeat": b"{}",
        "Authorize": (
            b'{"idToken":{"idToken":"A","type":"Central"}}'
            if is_201(adapter)
            else b'{"idTag":"A"}'
        ),
        "DataTransfer": b'{"vendorId":"v"}',
    }
    needs = {
        action: adapter.decode(
            StationId("CP-1"), frames.Call("1", action, payload), NOW
        ).durability
        for action, payload in payloads.items()
    }
    assert needs == {
        "Heartbeat": Durability.NONE,
        "Authorize": Durability.COMMIT,
        "DataTransfer": Durability.COMMIT,
    }


def test_quirks_are_found_by_prefix_and_case() -> None:
    assert quirks_of("ABB", "Terra AC").max_stack_level == 0
    assert quirks_of("go-e", "Gemini").units == {LimitUnit.A}
    assert quirks_of("Nobody", "Nothing") is NONE


def is_201(adapter: Adapter) -> bool:
    return adapter.version == "2.0.1"


@BOTH
def test_clearing_reaches_every_purpose_and_level(adapter: Adapter) -> None:
    commands = adapter.encode_clear_limits()
    sent = [wire(adapter, command) for command in commands]
    if not is_201(adapter):
        assert sent == [{}]
        return
    criteria = [payload["chargingProfileCriteria"] for payload in sent]
    assert criteria == [
        {"chargingProfilePurpose": purpose}
        for purpose in ("ChargingStationMaxProfile", "TxProfile", "TxDefaultProfile")
    ]


@BOTH
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Accepted", CallOutcome.ACCEPTED),
        ("Unknown", CallOutcome.ACCEPTED),
        ("Rejected", CallOutcome.REJECTED),
        ("Later", CallOutcome.OTHER),
        (None, CallOutcome.OTHER),
    ],
)
def test_only_gone_or_never_there_means_cleared(
    adapter: Adapter, status: str | None, outcome: CallOutcome
) -> None:
    assert adapter.outcome("ClearChargingProfile", {"status": status}) is outcome


@pytest.mark.parametrize("key", ["AuthorizationKey", "authorizationKEY"])
def test_a_password_set_under_any_spelling_of_its_key_is_noticed(key: str) -> None:
    command = Command(
        action="ChangeConfiguration", payload={"key": key, "value": "0123456789abcdef"}
    )
    adapter = V16()
    assert adapter.password_set(command, {"status": "Accepted"}) == b"0123456789abcdef"
    assert adapter.password_set(command, {"status": "Rejected"}) is None
