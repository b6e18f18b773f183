"""Every CALL a central system can make, in both versions, as the station hears it."""

import json
from typing import Any

import pytest

from gateway.ocpp import v16_commands, v201_commands
from tests.conformance.desk import Operator

LATER = "2036-01-01T00:00:00Z"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
ACCEPTED = {"status": "Accepted"}
HASHES = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "0a" * 32,
    "issuerKeyHash": "0b" * 32,
    "serialNumber": "1f",
}
TOKEN = {"idToken": "EVERYBODY", "type": "ISO14443"}
PERIODS = [{"startPeriod": 0, "limit": 6.1}]
VARIABLE = {"component": {"name": "C"}, "variable": {"name": "V"}}

Exchange = tuple[dict[str, Any], dict[str, Any]]

CALLS_16: dict[str, Exchange] = {
    "CancelReservation": ({"reservationId": 1}, ACCEPTED),
    "CertificateSigned": ({"certificateChain": PEM}, ACCEPTED),
    "ChangeAvailability": ({"connectorId": 1, "type": "Inoperative"}, ACCEPTED),
    "ChangeConfiguration": ({"key": "HeartbeatInterval", "value": "60"}, ACCEPTED),
    "ClearCache": ({}, ACCEPTED),
    "ClearChargingProfile": ({"stackLevel": 3, "id": 2}, {"status": "Unknown"}),
    "DataTransfer": ({"vendorId": "org.example"}, {"status": "UnknownVendorId"}),
    "DeleteCertificate": ({"certificateHashData": HASHES}, {"status": "NotFound"}),
    "ExtendedTriggerMessage": (
        {"requestedMessage": "SignChargePointCertificate"},
        {"status": "NotImplemented"},
    ),
    "GetCompositeSchedule": ({"duration": 60, "connectorId": 1}, ACCEPTED),
    "GetConfiguration": ({"key": ["A"]}, {"unknownKey": ["A"]}),
    "GetDiagnostics": ({"retries": 1, "location": "ftp://x.example/"}, {}),
    "GetInstalledCertificateIds": (
        {"certificateType": "CentralSystemRootCertificate"},
        {"status": "NotFound"},
    ),
    "GetLocalListVersion": ({}, {"listVersion": 3}),
    "GetLog": (
        {
            "log": {"remoteLocation": "ftp://x.example/"},
            "logType": "SecurityLog",
            "requestId": 1,
        },
        ACCEPTED,
    ),
    "InstallCertificate": (
        {"certificateType": "ManufacturerRootCertificate", "certificate": PEM},
        {"status": "Failed"},
    ),
    "RemoteStartTransaction": ({"idTag": "EVERYBODY", "connectorId": 1}, ACCEPTED),
    "RemoteStopTransaction": ({"transactionId": 1}, {"status": "Rejected"}),
    "ReserveNow": (
        {
            "reservationId": 5,
            "connectorId": 1,
            "expiryDate": LATER,
            "idTag": "EVERYBODY",
        },
        {"status": "Occupied"},
    ),
    "Reset": ({"type": "Soft"}, {"status": "Rejected"}),
    "SendLocalList": (
        {"updateType": "Full", "listVersion": 1},
        {"status": "VersionMismatch"},
    ),
    "SetChargingProfile": (
        {
            "csChargingProfiles": {
                "stackLevel": 0,
                "chargingProfileId": 1,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": PERIODS,
                },
            },
            "connectorId": 1,
        },
        {"status": "NotSupported"},
    ),
    "SignedUpdateFirmware": (
        {
            "requestId": 1,
            "firmware": {
                "signature": "c2ln",
                "signingCertificate": PEM,
                "retrieveDateTime": LATER,
                "location": "https://x.example/",
            },
        },
        ACCEPTED,
    ),
    "TriggerMessage": ({"requestedMessage": "Heartbeat"}, ACCEPTED),
    "UnlockConnector": ({"connectorId": 1}, {"status": "Unlocked"}),
    "UpdateFirmware": ({"retrieveDate": LATER, "location": "ftp://x.example/"}, {}),
}
CALLS_201: dict[str, Exchange] = {
    "CancelReservation": ({"reservationId": 1}, ACCEPTED),
    "CertificateSigned": ({"certificateChain": PEM}, ACCEPTED),
    "ChangeAvailability": (
        {"operationalStatus": "Inoperative", "evse": {"connectorId": 1, "id": 1}},
        {"status": "Scheduled"},
    ),
    "ClearCache": ({}, ACCEPTED),
    "ClearChargingProfile": ({"chargingProfileId": 2}, {"status": "Unknown"}),
    "ClearDisplayMessage": ({"id": 1}, {"status": "Unknown"}),
    "ClearVariableMonitoring": (
        {"id": [1]},
        {"clearMonitoringResult": [{"status": "NotFound", "id": 1}]},
    ),
    "CostUpdated": ({"transactionId": "t", "totalCost": 1.25}, {}),
    "CustomerInformation": (
        {"report": True, "clear": False, "requestId": 1},
        {"status": "Invalid"},
    ),
    "DataTransfer": (
        {"data": {"b": 1, "a": [None]}, "vendorId": "org.example"},
        {"status": "UnknownVendorId"},
    ),
    "DeleteCertificate": ({"certificateHashData": HASHES}, {"status": "NotFound"}),
    "GetBaseReport": (
        {"reportBase": "SummaryInventory", "requestId": 1},
        {"status": "NotSupported"},
    ),
    "GetChargingProfiles": (
        {"requestId": 1, "chargingProfile": {"stackLevel": 0}},
        {"status": "NoProfiles"},
    ),
    "GetCompositeSchedule": ({"evseId": 1, "duration": 60}, {"status": "Rejected"}),
    "GetDisplayMessages": ({"requestId": 1}, {"status": "Unknown"}),
    "GetInstalledCertificateIds": ({}, {"status": "NotFound"}),
    "GetLocalListVersion": ({}, {"versionNumber": 3}),
    "GetLog": (
        {
            "log": {"remoteLocation": "ftp://x.example/"},
            "logType": "SecurityLog",
            "requestId": 1,
        },
        ACCEPTED,
    ),
    "GetMonitoringReport": ({"requestId": 1}, {"status": "EmptyResultSet"}),
    "GetReport": ({"requestId": 1}, {"status": "EmptyResultSet"}),
    "GetTransactionStatus": ({"transactionId": "t"}, {"messagesInQueue": False}),
    "GetVariables": (
        {"getVariableData": [VARIABLE]},
        {"getVariableResult": [{"attributeStatus": "UnknownComponent", **VARIABLE}]},
    ),
    "InstallCertificate": (
        {"certificateType": "V2GRootCertificate", "certificate": PEM},
        {"status": "Rejected"},
    ),
    "PublishFirmware": (
        {"location": "https://x.example/", "checksum": "0" * 32, "requestId": 1},
        {"status": "Rejected"},
    ),
    "RequestStartTransaction": (
        {"remoteStartId": 1, "idToken": TOKEN, "evseId": 1},
        ACCEPTED,
    ),
    "RequestStopTransaction": ({"transactionId": "t"}, {"status": "Rejected"}),
    "ReserveNow": (
        {"id": 6, "expiryDateTime": LATER, "idToken": TOKEN},
        {"status": "Occupied"},
    ),
    "Reset": ({"type": "OnIdle", "evseId": 1}, {"status": "Scheduled"}),
    "SendLocalList": (
        {"versionNumber": 1, "updateType": "Full"},
        {"status": "VersionMismatch"},
    ),
    "SetChargingProfile": (
        {
            "evseId": 1,
            "chargingProfile": {
                "id": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": [
                    {
                        "id": 1,
                        "chargingRateUnit": "A",
                        "chargingSchedulePeriod": PERIODS,
                    }
                ],
            },
        },
        {"status": "Rejected"},
    ),
    "SetDisplayMessage": (
        {
            "message": {
                "id": 1,
                "priority": "NormalCycle",
                "message": {"format": "UTF8", "content": "Grüße ☀"},
            }
        },
        {"status": "NotSupportedPriority"},
    ),
    "SetMonitoringBase": ({"monitoringBase": "All"}, {"status": "NotSupported"}),
    "SetMonitoringLevel": ({"severity": 3}, {"status": "Rejected"}),
    "SetNetworkProfile": (
        {
            "configurationSlot": 1,
            "connectionData": {
                "ocppVersion": "OCPP20",
                "ocppTransport": "JSON",
                "ocppCsmsUrl": "wss://x.example/",
                "messageTimeout": 30,
                "securityProfile": 2,
                "ocppInterface": "Wired0",
            },
        },
        {"status": "Rejected"},
    ),
    "SetVariableMonitoring": (
        {
            "setMonitoringData": [
                {"value": 1, "type": "Delta", "severity": 5, **VARIABLE}
            ]
        },
        {
            "setMonitoringResult": [
                {"status": "Rejected", "type": "Delta", "severity": 5, **VARIABLE}
            ]
        },
    ),
    "SetVariables": (
        {"setVariableData": [{"attributeValue": "1", **VARIABLE}]},
        {"setVariableResult": [{"attributeStatus": "Rejected", **VARIABLE}]},
    ),
    "TriggerMessage": ({"requestedMessage": "Heartbeat"}, ACCEPTED),
    "UnlockConnector": ({"evseId": 1, "connectorId": 1}, {"status": "UnlockFailed"}),
    "UnpublishFirmware": ({"checksum": "0" * 32}, {"status": "NoFirmware"}),
    "UpdateFirmware": (
        {
            "requestId": 1,
            "firmware": {"location": "https://x.example/", "retrieveDateTime": LATER},
        },
        ACCEPTED,
    ),
}


def test_no_call_is_left_out() -> None:
    assert CALLS_16.keys() == v16_commands.REQUESTS
    assert CALLS_201.keys() == v201_commands.REQUESTS


@pytest.mark.parametrize(
    ("version", "action"),
    [("1.6", action) for action in CALLS_16]
    + [("2.0.1", action) for action in CALLS_201],
)
async def test_a_call_goes_out_compact_in_the_order_given_and_its_answer_comes_back(
    operator: Operator, version: str, action: str
) -> None:
    calls = CALLS_16 if version == "1.6" else CALLS_201
    payload, answer = calls[action]
    async with operator.booted(version=version) as station:
        station.handlers[action] = lambda _: answer
        assert await operator.accepted(station, action, payload) == answer
        (raw,) = [text for name, _, text in station.heard if name == action]
    message_id = json.loads(raw)[1]
    frame = [2, message_id, action, payload]
    assert raw == json.dumps(frame, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_what_a_station_does_not_support_is_told_as_an_error(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        station.handlers["ClearCache"] = lambda _: ("NotSupported", "no cache")
        outcome = await operator.call(station, "ClearCache", {})
    assert (outcome["outcome"], outcome["code"]) == ("error", "NotSupported")


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_what_a_station_begins_cannot_be_sent_to_it(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        answer = await operator.http.post(
            f"/stations/{station.station_id}/calls",
            json={"action": "Heartbeat", "payload": {}},
        )
        assert answer.status_code == 422
        assert station.calls("Heartbeat") == []
