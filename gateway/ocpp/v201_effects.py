"""OCPP 2.0.1: what shows that a charging station did what it accepted."""

from collections.abc import Mapping
from datetime import datetime

from gateway.domain.effects import (
    AtOnce,
    Boots,
    EndsSession,
    Expectation,
    SendsMessage,
    SendsReport,
    ShowsAvailability,
    StartsSession,
)
from gateway.domain.ids import IdToken
from gateway.ocpp.adapter import Command
from gateway.ocpp.device_words import report_asked
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
        case "RequestStartTransaction":
            token = payload["idToken"]
            assert isinstance(token, Mapping), "the schema was checked"
            return StartsSession(
                evse_id=number_of(payload, "evseId"),
                token_key=IdToken(value=str(token["idToken"])).key,
                remote_start_id=number_of(payload, "remoteStartId"),
            )
        case "RequestStopTransaction":
            return EndsSession(transaction_id=str(payload["transactionId"]))
        case "Reset":
            # Of one EVSE only: nothing boots, and nothing else must be told (B11).
            return AtOnce() if "evseId" in payload else Boots()
        case "ChangeAvailability":
            return ShowsAvailability(
                evse_id=_evse_id(payload) or 0,
                is_operative=payload["operationalStatus"] == "Operative",
            )
        case "TriggerMessage":
            return _triggered(payload)
        case "SetChargingProfile":
            profile = payload["chargingProfile"]
            assert isinstance(profile, Mapping), "the schema was checked"
            if profile["chargingProfileKind"] == "Recurring":
                return AtOnce()
            return holds_limit(payload["evseId"], profile["chargingSchedule"], now)
        case "UpdateFirmware":
            topic = "FirmwareStatusNotification"
            request_id = payload["requestId"]
            return reports(topic, request_id, ("Installed",), FIRMWARE_WRONG)
        case "PublishFirmware":
            topic = "PublishFirmwareStatusNotification"
            wrong = ("DownloadFailed", "InvalidChecksum", "PublishFailed")
            return reports(topic, payload["requestId"], ("Published",), wrong)
        case "GetLog":
            topic = "LogStatusNotification"
            return reports(topic, payload["requestId"], ("Uploaded",), LOG_WRONG)
        case _:
            report = report_asked(command)
            if report is None:
                return AtOnce()
            return SendsReport(about=report.kind, request_id=report.request_id)


def _triggered(payload: Mapping[str, object]) -> Expectation:
    """A heartbeat leaves no fact: its acceptance has to do."""
    message = str(payload["requestedMessage"])
    if message == "Heartbeat":
        return AtOnce()
    if message.startswith("Sign"):
        message = "SignCertificate"
    return SendsMessage(message=message, evse_id=_evse_id(payload))


def _evse_id(payload: Mapping[str, object]) -> int | None:
    evse = payload.get("evse")
    return number_of(evse, "id") if isinstance(evse, Mapping) else None
