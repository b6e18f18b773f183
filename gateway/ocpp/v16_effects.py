"""OCPP 1.6J: what shows that a charge point did what it accepted."""

from collections.abc import Mapping
from datetime import datetime

from gateway.domain.effects import (
    AtOnce,
    Boots,
    EndsSession,
    Expectation,
    SendsMessage,
    ShowsAvailability,
    StartsSession,
)
from gateway.domain.ids import IdToken
from gateway.ocpp.adapter import Command
from gateway.ocpp.effects import (
    FIRMWARE_WRONG,
    LOG_WRONG,
    holds_limit,
    number_of,
    reports,
)


def expected(  # noqa: C901 - one arm per action
    command: Command, now: datetime
) -> Expectation:
    """What to look for after a valid CALL was accepted."""
    payload = command.payload
    match command.action:
        case "RemoteStartTransaction":
            return StartsSession(
                evse_id=number_of(payload, "connectorId"),
                token_key=IdToken(value=str(payload["idTag"])).key,
            )
        case "RemoteStopTransaction":
            return EndsSession(transaction_id=str(payload["transactionId"]))
        case "Reset":
            return Boots()
        case "ChangeAvailability":
            return ShowsAvailability(
                evse_id=number_of(payload, "connectorId") or 0,
                is_operative=payload["type"] == "Operative",
            )
        case "TriggerMessage" | "ExtendedTriggerMessage":
            return _triggered(payload)
        case "SetChargingProfile":
            profile = payload["csChargingProfiles"]
            assert isinstance(profile, Mapping), "the schema was checked"
            if profile["chargingProfileKind"] == "Recurring":
                return AtOnce()
            return holds_limit(payload["connectorId"], profile["chargingSchedule"], now)
        case "UpdateFirmware":
            topic = "FirmwareStatusNotification"
            return reports(topic, None, ("Installed",), FIRMWARE_WRONG)
        case "SignedUpdateFirmware":
            topic = "SignedFirmwareStatusNotification"
            request_id = payload["requestId"]
            return reports(topic, request_id, ("Installed",), FIRMWARE_WRONG)
        case "GetDiagnostics":
            topic = "DiagnosticsStatusNotification"
            return reports(topic, None, ("Uploaded",), ("UploadFailed",))
        case "GetLog":
            topic = "LogStatusNotification"
            return reports(topic, payload["requestId"], ("Uploaded",), LOG_WRONG)
        case _:
            return AtOnce()


def _triggered(payload: Mapping[str, object]) -> Expectation:
    """A heartbeat leaves no fact: its acceptance has to do."""
    message = str(payload["requestedMessage"])
    if message == "Heartbeat":
        return AtOnce()
    if message == "SignChargePointCertificate":
        message = "SignCertificate"
    return SendsMessage(message=message, evse_id=number_of(payload, "connectorId"))
