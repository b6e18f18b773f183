"""What calls make stations send, what they take, which settings are equal."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.ocpp.adapter import Command, SecurityUpgrade
from gateway.ocpp.device_words import expects, report_asked
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.services.configuration import is_same
from gateway.services.splitting import MessageLimits, reported_limits
from gateway.store.records import DeviceVariable

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}, {"Heartbeat"}),
        (
            "ExtendedTriggerMessage",
            {"requestedMessage": "SignChargePointCertificate"},
            {"SignCertificate"},
        ),
        ("GetBaseReport", {"requestId": 1, "reportBase": "A"}, {"NotifyReport"}),
        ("GetReport", {"requestId": 1}, {"NotifyReport"}),
        ("SetVariables", {}, set()),
    ],
)
def test_a_station_that_waits_may_send_what_it_was_asked_for(
    action: str, payload: dict[str, Any], expected: set[str]
) -> None:
    assert expects(Command(action=action, payload=payload)) == expected


@pytest.mark.parametrize(
    ("action", "payload", "is_whole"),
    [
        ("GetBaseReport", {"reportBase": "FullInventory"}, True),
        ("GetBaseReport", {"reportBase": "ConfigurationInventory"}, True),
        ("GetBaseReport", {"reportBase": "SummaryInventory"}, False),
        ("GetReport", {"componentCriteria": ["Problem"]}, False),
        ("GetMonitoringReport", {}, True),
        ("GetMonitoringReport", {"monitoringCriteria": ["DeltaMonitoring"]}, False),
        ("GetDisplayMessages", {}, True),
        ("GetDisplayMessages", {"state": "Idle"}, False),
        ("GetChargingProfiles", {"chargingProfile": {}}, True),
        ("GetChargingProfiles", {"evseId": 1, "chargingProfile": {}}, False),
        ("GetChargingProfiles", {"chargingProfile": {"stackLevel": 0}}, False),
    ],
)
def test_only_a_report_without_a_filter_replaces_what_was_known(
    action: str, payload: dict[str, Any], is_whole: bool
) -> None:
    asked = report_asked(Command(action=action, payload={"requestId": 1, **payload}))
    assert asked is not None
    assert asked.is_whole is is_whole


def test_a_request_about_a_customer_is_kept_without_naming_the_customer() -> None:
    payload = {"requestId": 1, "report": True, "clear": False}
    command = Command(
        action="CustomerInformation", payload={**payload, "customerIdentifier": "Jane"}
    )
    asked = report_asked(command)
    assert asked is not None
    assert asked.asked == payload
    cleared = Command(
        action="CustomerInformation", payload={**payload, "report": False}
    )
    assert report_asked(cleared) is None


def variable(component: str, name: str, instance: str | None, value: str) -> Any:
    """A row of the device model."""
    wire = {"name": name} | ({} if instance is None else {"instance": instance})
    return DeviceVariable(
        station_id="CP1",
        component=component,
        variable=name if instance is None else f"{name}/{instance}",
        attribute="Actual",
        value=value,
        mutability=None,
        detail={"variable": wire},
        reported_at=NOON,
    )


def test_limits_of_messages_are_found_under_every_spelling() -> None:
    rows = [
        variable("DeviceDataCtrlr", "ItemsPerMessage", "GetReport", "4"),
        variable("DeviceDataCtrlr", "BytesPerMessage", "GetReport", "900"),
        variable("MonitoringCtrlr", "ItemsPerMessage", "SetVariableMonitoring", "2"),
        variable("DeviceDataCtrlr", "ItemsPerMessageGetVariables", None, "7"),
        variable("Other", "ItemsPerMessage", "SetVariables", "1"),
        variable("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables", "many"),
    ]
    assert reported_limits("GetReport", rows) == MessageLimits(items=4, n_bytes=900)
    assert reported_limits("SetVariableMonitoring", rows) == MessageLimits(items=2)
    assert reported_limits("GetVariables", rows) == MessageLimits(items=7)
    assert reported_limits("SetVariables", rows) == MessageLimits()
    assert reported_limits("GetMonitoringReport", rows) == MessageLimits(
        items=4, n_bytes=900
    )


@pytest.mark.parametrize(
    ("wanted", "value", "same"),
    [
        ("300", "300", True),
        ("300", "0300", True),
        ("0", "00", True),
        ("TRUE", "true", True),
        ("true", "false", False),
        ("true", "1", False),
        ("A,B", "A, B", False),
        ("a", "A", False),
        (" a", "a ", True),
        ("", None, False),
        ("", "", True),
    ],
)
def test_settings_are_the_same_when_they_mean_the_same(
    wanted: str, value: str | None, same: bool
) -> None:
    assert is_same(wanted, value) is same


def test_an_upgrade_puts_the_new_slot_before_the_known_ones() -> None:
    asked = SecurityUpgrade(profile=2, slot=3, url="wss://x/ocpp")
    steps = V201().encode_upgrade(asked, known_slots="1, 3,2")
    assert [state for state, _ in steps] == ["profile_set", "selected", "resetting"]
    data = steps[1][1].payload["setVariableData"]
    assert isinstance(data, list)
    assert [one["attributeValue"] for one in data] == ["3,1,2"]
    ((state, command),) = V16().encode_upgrade(asked, known_slots="")
    assert (state, command.payload) == (
        "resetting",
        {"key": "SecurityProfile", "value": "2"},
    )
