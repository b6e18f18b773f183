"""Configuration keys of 1.6 and the device model of 2.0.1."""

from typing import Any

import pytest

from sim_chargers.factory_v201 import ITEMS_PER_MESSAGE
from sim_chargers.outcomes import RefusedError
from tests.integration.sim.authority import Authority
from tests.unit.sim.desk import Payload, ask, said, status, v16, v201


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("HeartbeatInterval", "120", "Accepted"),
        ("heartbeatinterval", "120", "Accepted"),
        ("HeartbeatInterval", "soon", "Rejected"),
        ("NumberOfConnectors", "3", "Rejected"),
        ("ConnectorPhaseRotation", "1.RST", "RebootRequired"),
        ("Unheard", "1", "NotSupported"),
        ("AuthorizationKey", "x" * 41, "Rejected"),
        ("SecurityProfile", "0", "Rejected"),
        ("SecurityProfile", "1", "Accepted"),
        ("SecurityProfile", "2", "Rejected"),
    ],
)
def test_a_key_is_changed_or_refused_for_a_reason(
    key: str, value: str, expected: str
) -> None:
    assert status(v16(), "ChangeConfiguration", key=key, value=value) == expected


def test_a_key_that_needs_a_reboot_counts_after_it() -> None:
    cp = v16()
    ask(cp, "ChangeConfiguration", key="ConnectorPhaseRotation", value="1.RST")
    assert cp.keys["ConnectorPhaseRotation"] == "NotApplicable"
    cp.restarted()
    assert cp.keys["ConnectorPhaseRotation"] == "1.RST"


def test_a_higher_security_profile_needs_its_certificates() -> None:
    cp, root = v16(), Authority()
    raise_ = {"key": "SecurityProfile", "value": "2"}
    assert cp.on_call("ChangeConfiguration", raise_).payload["status"] == "Rejected"
    kind = "CentralSystemRootCertificate"
    install = {"certificateType": kind, "certificate": root.pem}
    assert status(cp, "InstallCertificate", **install) == "Accepted"
    reply = cp.on_call("ChangeConfiguration", raise_)
    assert reply.payload["status"] == "Accepted"
    assert reply.after is not None
    mutual = {"key": "SecurityProfile", "value": "3"}
    assert status(cp, "ChangeConfiguration", **mutual) == "Rejected"


@pytest.mark.parametrize(
    "payload",
    [
        {"evse": "first", "requestedMessage": "Heartbeat"},
        {"evse": {"id": []}, "requestedMessage": "MeterValues"},
        {"requestedMessage": None},
        {},
    ],
)
def test_a_call_of_the_wrong_shape_is_refused_and_harms_nobody(
    payload: Payload,
) -> None:
    cp = v201()
    try:
        answer = cp.on_call("TriggerMessage", payload).payload["status"]
    except RefusedError as refused:
        answer = refused.code
    assert answer in {"FormatViolation", "NotImplemented", "Rejected"}


def named(component: str, variable: str, **more: object) -> Payload:
    return {"component": {"name": component}, "variable": {"name": variable}, **more}


@pytest.mark.parametrize(
    ("component", "variable", "value", "expected"),
    [
        ("OCPPCommCtrlr", "HeartbeatInterval", "120", "Accepted"),
        ("OCPPCommCtrlr", "HeartbeatInterval", "soon", "Rejected"),
        ("OCPPCommCtrlr", "Nothing", "1", "UnknownVariable"),
        ("NoCtrlr", "Nothing", "1", "UnknownComponent"),
        ("DeviceDataCtrlr", "BytesPerMessage", "1", "Rejected"),
        ("ChargingStation", "PilotReaction", "4", "RebootRequired"),
        ("TxCtrlr", "TxStartPoint", "EVConnected,Authorized", "Accepted"),
        ("TxCtrlr", "TxStartPoint", "DataSigned", "Rejected"),
        ("OCPPCommCtrlr", "NetworkConfigurationPriority", "2", "Rejected"),
        ("SecurityCtrlr", "BasicAuthPassword", "", "Rejected"),
    ],
)
def test_a_variable_is_set_or_refused_for_a_reason(
    component: str, variable: str, value: str, expected: str
) -> None:
    row = named(component, variable, attributeValue=value)
    answer = ask(v201(), "SetVariables", setVariableData=[row])
    assert answer["setVariableResult"][0]["attributeStatus"] == expected


def test_a_password_cannot_be_read() -> None:
    cp = v201()
    row = named("SecurityCtrlr", "BasicAuthPassword")
    answer = ask(cp, "GetVariables", getVariableData=[row])
    assert answer["getVariableResult"][0]["attributeStatus"] == "Rejected"
    assert "attributeValue" not in answer["getVariableResult"][0]


@pytest.mark.parametrize("action", ["GetVariables", "SetVariables"])
def test_more_items_than_announced_are_a_call_error(action: str) -> None:
    cp = v201()
    row = named("OCPPCommCtrlr", "HeartbeatInterval")
    if action == "SetVariables":
        row["attributeValue"] = "60"
    member = "getVariableData" if action == "GetVariables" else "setVariableData"
    limit = named("DeviceDataCtrlr", "ItemsPerMessage")
    limit["variable"]["instance"] = action
    answer = ask(cp, "GetVariables", getVariableData=[limit])
    assert answer["getVariableResult"][0]["attributeValue"] == str(ITEMS_PER_MESSAGE)
    ask(cp, action, **{member: [row] * ITEMS_PER_MESSAGE})
    with pytest.raises(RefusedError, match="OccurrenceConstraintViolation"):
        ask(cp, action, **{member: [row] * (ITEMS_PER_MESSAGE + 1)})


def names(parts: list[Payload]) -> list[tuple[str, str]]:
    return [
        (row["component"]["name"], row["variable"]["name"])
        for part in parts
        for row in part["reportData"]
    ]


def test_a_report_comes_in_numbered_parts_and_the_last_one_says_so() -> None:
    cp = v201()
    answer = status(cp, "GetBaseReport", requestId=1, reportBase="FullInventory")
    assert answer == "Accepted"
    parts = said(cp, "NotifyReport")
    assert [p["seqNo"] for p in parts] == list(range(len(parts)))
    assert [p["tbc"] for p in parts] == [True] * (len(parts) - 1) + [False]
    assert len(names(parts)) == len(list(cp.model))


def test_the_configuration_inventory_holds_what_can_be_set() -> None:
    cp = v201()
    ask(cp, "GetBaseReport", requestId=1, reportBase="ConfigurationInventory")
    found = names(said(cp, "NotifyReport"))
    assert ("OCPPCommCtrlr", "HeartbeatInterval") in found
    assert ("DeviceDataCtrlr", "BytesPerMessage") not in found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"component": {"name": "EVSE", "evse": {"id": 2}}}, {"EVSE"}),
        (named("TxCtrlr", "TxStartPoint"), {"TxCtrlr"}),
        ({"component": {"name": "NoCtrlr"}}, set()),
    ],
)
def test_a_custom_report_holds_what_was_named(
    asked: Payload, expected: set[str]
) -> None:
    cp = v201(n_evse=2)
    answer = status(cp, "GetReport", requestId=1, componentVariable=[asked])
    assert answer == ("Accepted" if expected else "EmptyResultSet")
    assert {component for component, _ in names(said(cp, "NotifyReport"))} == expected


def profile(**changes: Any) -> Payload:
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://csms.example.com/ocpp",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wired0",
        **changes,
    }
    return {"configurationSlot": 1, "connectionData": data}


def test_a_network_profile_is_used_after_a_restart_and_the_old_one_stays_behind() -> (
    None
):
    cp = v201()
    assert status(cp, "SetNetworkProfile", **profile()) == "Accepted"
    row = named("OCPPCommCtrlr", "NetworkConfigurationPriority", attributeValue="1,0")
    ask(cp, "SetVariables", setVariableData=[row])
    assert cp.link.url == cp.around.url
    cp.restarted()
    assert cp.link.urls == ["wss://csms.example.com/ocpp", cp.around.url]


@pytest.mark.parametrize(
    "changes",
    [
        {"ocppCsmsUrl": "http://csms.example.com"},
        {"ocppTransport": "SOAP"},
        {"securityProfile": 0},
    ],
)
def test_a_network_profile_that_cannot_work_is_rejected(
    changes: dict[str, Any],
) -> None:
    assert status(v201(), "SetNetworkProfile", **profile(**changes)) == "Rejected"
