"""What each version's CALLs promise, what their answers mean, and what is hidden."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.effects import (
    AtOnce,
    Boots,
    EndsSession,
    Expectation,
    HoldsLimit,
    SendsMessage,
    ShowsAvailability,
    StartsSession,
)
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.effects import (
    carries_secret,
    holds_limit,
    read_answer,
    redacted,
    replace_key,
)
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = {"idToken": "Tag", "type": "ISO14443"}


@pytest.mark.parametrize(
    ("adapter", "action", "payload", "expected"),
    [
        (
            V16(),
            "RemoteStartTransaction",
            {"idTag": "Tag"},
            StartsSession(evse_id=None, token_key="tag"),
        ),
        (
            V201(),
            "RequestStartTransaction",
            {"evseId": 2, "remoteStartId": 9, "idToken": TOKEN},
            StartsSession(evse_id=2, token_key="tag", remote_start_id=9),
        ),
        (
            V16(),
            "RemoteStopTransaction",
            {"transactionId": 5},
            EndsSession(transaction_id="5"),
        ),
        (V16(), "Reset", {"type": "Soft"}, Boots()),
        (V201(), "Reset", {"type": "OnIdle"}, Boots()),
        (V201(), "Reset", {"type": "OnIdle", "evseId": 1}, AtOnce()),
        (
            V16(),
            "ChangeAvailability",
            {"connectorId": 0, "type": "Operative"},
            ShowsAvailability(evse_id=0, is_operative=True),
        ),
        (
            V16(),
            "ExtendedTriggerMessage",
            {"requestedMessage": "SignChargePointCertificate"},
            SendsMessage(message="SignCertificate"),
        ),
        (
            V201(),
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "evse": {"id": 3}},
            SendsMessage(message="MeterValues", evse_id=3),
        ),
        (
            V201(),
            "TriggerMessage",
            {"requestedMessage": "SignV2GCertificate"},
            SendsMessage(message="SignCertificate"),
        ),
        (V16(), "ClearCache", {}, AtOnce()),
    ],
)
def test_a_call_says_what_will_show_its_effect(
    adapter: Adapter, action: str, payload: dict[str, Any], expected: Expectation
) -> None:
    assert adapter.expected(Command(action=action, payload=payload), NOW) == expected


@pytest.mark.parametrize(
    ("action", "answer", "accepted", "scheduled", "word"),
    [
        ("Reset", {"status": "Accepted"}, True, False, ""),
        ("Reset", {"status": "Scheduled"}, True, True, "Scheduled"),
        ("Reset", {"status": "Rejected"}, False, False, "Rejected"),
        ("ClearChargingProfile", {"status": "Unknown"}, True, False, "Unknown"),
        ("ClearDisplayMessage", {"status": "Unknown"}, False, False, "Unknown"),
        ("GetConfiguration", {"unknownKey": ["A"]}, True, False, ""),
        ("UpdateFirmware", {}, True, False, ""),
        ("GetDiagnostics", {}, True, False, "nothing to upload"),
        (
            "SetVariables",
            {
                "setVariableResult": [
                    {"attributeStatus": "Accepted"},
                    {"attributeStatus": "UnknownVariable"},
                ]
            },
            False,
            False,
            "UnknownVariable",
        ),
        (
            "GetInstalledCertificateIds",
            {"status": "NotFound"},
            True,
            False,
            "NotFound",
        ),
    ],
)
def test_an_answer_is_read_alike_in_both_versions(
    action: str, answer: dict[str, Any], accepted: bool, scheduled: bool, word: str
) -> None:
    read = read_answer(action, answer)
    assert (read.is_accepted, read.is_scheduled, read.word) == (
        accepted,
        scheduled,
        word,
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"key": "authorizationKey", "value": "geheim"},
        {"configurationKey": [{"key": "AuthorizationKey", "value": "geheim"}]},
        {
            "setVariableData": [
                {
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                    "attributeValue": "geheim",
                }
            ]
        },
        {"location": "ftp://me:geheim@host/x"},
        {"log": {"remoteLocation": "https://geheim@host"}},
        {"log": {"remoteLocation": "https://host/uploads/geheim/log"}},
        {"location": "https://host/x?signature=geheim"},
        {"location": "https://[geheim"},
        {"key": "WifiPassword", "value": "geheim"},
        {"connectionData": {"vpn": {"key": "geheim", "password": "geheim"}}},
        {"connectionData": {"apn": {"apnPassword": "geheim"}}},
    ],
)
def test_no_password_is_shown(payload: dict[str, Any]) -> None:
    shown = str(redacted(payload))
    assert "geheim" not in shown
    assert "***" in shown


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from(["AuthorizationKey", "vendorSecret", "BasicAuthPassword"]))
def test_a_secret_is_hidden_however_deep_and_the_rest_keeps_its_shape(
    other: Any, key: str
) -> None:
    nested = {"a": [other, {"b": {"key": key, "value": "geheim"}}]}
    hidden = redacted(nested)
    assert hidden["a"][1]["b"] == {"key": key, "value": "***"}
    assert redacted(hidden) == hidden
    assert carries_secret(nested)


def test_what_is_no_secret_stays_as_it_is() -> None:
    payload = {
        "key": "HeartbeatInterval",
        "value": "300",
        "location": "https://host/x#a",
        "items": [1, None, {"value": 2.5}],
    }
    assert redacted(payload) == payload
    assert not carries_secret(payload)


@pytest.mark.parametrize(
    ("schedule", "limit"),
    [
        ({"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}, 6),
        (
            {
                "startSchedule": "2026-03-01T11:59:00Z",
                "chargingSchedulePeriod": [
                    {"startPeriod": 0, "limit": 6},
                    {"startPeriod": 60, "limit": 9},
                    {"startPeriod": 61, "limit": 12},
                ],
            },
            9,
        ),
        (
            {
                "startSchedule": "2026-03-01T13:00:00Z",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
            },
            None,
        ),
        (
            {
                "startSchedule": "2026-03-01T11:00:00Z",
                "duration": 60,
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
            },
            None,
        ),
        (
            {
                "startSchedule": "noon",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
            },
            None,
        ),
    ],
)
def test_the_limit_in_force_now_is_the_one_to_be_seen(
    schedule: dict[str, Any], limit: float | None
) -> None:
    unit = {"chargingRateUnit": "A"}
    expected: Expectation = AtOnce()
    if limit is not None:
        expected = HoldsLimit(evse_id=1, limit=limit, is_power=False)
    assert holds_limit(1, schedule | unit, NOW) == expected
    assert holds_limit(1, [schedule | unit], NOW) == expected


def test_only_what_overwrites_is_replaced() -> None:
    def profile(connector: int, level: int) -> dict[str, Any]:
        body = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": level}
        return {"connectorId": connector, "csChargingProfiles": body}

    action = "SetChargingProfile"
    assert replace_key(action, profile(1, 0)) == replace_key(action, profile(1, 0))
    assert replace_key(action, profile(1, 0)) != replace_key(action, profile(2, 0))
    assert replace_key(action, profile(1, 0)) != replace_key(action, profile(1, 1))
    assert replace_key(action, {}) is None
    assert replace_key("DataTransfer", {"vendorId": "x"}) is None
    keys = [
        replace_key("ChangeConfiguration", {"key": key, "value": "1"})
        for key in ("A", "a", "B")
    ]
    assert keys[0] == keys[1] != keys[2]
