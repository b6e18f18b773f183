"""Firmware and logs on the wire: what calls ask for, what notices say.

The actions differ by name and shape, not by meaning; a payload tells its own version.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.transfer import (
    FirmwareWanted,
    LogWanted,
    TransferAsked,
    TransferKind,
)
from gateway.ocpp.adapter import Command
from gateway.ocpp.effects import UPLOADS, public_address
from gateway.ocpp.outbound import compact, optional_time
from gateway.ocpp.readings import wire_time

NOTICES: Final[Mapping[str, TransferKind]] = MappingProxyType(
    {
        "DiagnosticsStatusNotification": TransferKind.DIAGNOSTICS,
        "FirmwareStatusNotification": TransferKind.FIRMWARE,
        "LogStatusNotification": TransferKind.LOG,
        "SignedFirmwareStatusNotification": TransferKind.FIRMWARE,
    }
)
"""Messages of stations about a transfer, by action."""
MAX_REQUEST_ID: Final = 2**62
REFUSED: Final = frozenset({"Rejected", "InvalidCertificate", "RevokedCertificate"})
"""``status`` of an answer that begins nothing."""


def asked(command: Command) -> TransferAsked | None:
    """What a valid call asks to transfer; ``None`` for other calls.

    The location is told without passwords, signatures and one-time secrets.
    """
    payload = command.payload
    match command.action:
        case "UpdateFirmware" | "SignedUpdateFirmware":
            firmware = payload.get("firmware")
            part = firmware if isinstance(firmware, dict) else payload
            kind = TransferKind.FIRMWARE
        case "GetLog":
            log = payload.get("log")
            part = log if isinstance(log, dict) else {}
            kind = TransferKind.LOG
        case "GetDiagnostics":
            part, kind = payload, TransferKind.DIAGNOSTICS
        case _:
            return None
    location = _location(part)
    return TransferAsked(
        kind=kind,
        location=public_address(location),
        request_id=request_number(payload.get("requestId")),
    )


def upload_secret(command: Command) -> str | None:
    """The secret of a place of ours that a call names; ``None``: it names none."""
    log = command.payload.get("log")
    part = log if isinstance(log, dict) else command.payload
    _, mark, rest = _location(part).partition(UPLOADS)
    secret = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return secret if mark and secret else None


def _location(part: Mapping[str, object]) -> str:
    return str(part.get("location") or part.get("remoteLocation") or "")


def request_number(value: object) -> int | None:
    """A request id that a store can keep, or ``None``: calls may hold any integer."""
    if isinstance(value, int) and abs(value) <= MAX_REQUEST_ID:
        return value
    return None


def answered(asked_for: TransferAsked, answer: Mapping[str, object]) -> str:
    """The station's first word on it, as far as its answer has one.

    Diagnostics without a file name: there are none (1.6, 6.24).
    """
    status = answer.get("status")
    if isinstance(status, str):
        return status
    if asked_for.kind is TransferKind.DIAGNOSTICS and not answer.get("fileName"):
        return "NothingThere"
    return "Accepted"


def file_name(answer: Mapping[str, object]) -> str | None:
    """The name a station gives the file it will upload."""
    name = answer.get("fileName") or answer.get("filename")
    return name if isinstance(name, str) else None


def firmware_call(action: str, wanted: FirmwareWanted, request_id: int) -> Command:
    """UpdateFirmware of 2.0.1 (L01, L02), SignedUpdateFirmware of 1.6: alike."""
    firmware = compact(
        location=wanted.location,
        retrieveDateTime=wire_time(wanted.retrieve_at),
        installDateTime=optional_time(wanted.install_at),
        signingCertificate=wanted.signing_certificate,
        signature=wanted.signature,
    )
    payload = compact(
        retries=wanted.retries,
        retryInterval=wanted.retry_interval_s,
        requestId=request_id,
        firmware=firmware,
    )
    return Command(action=action, payload=payload)


def log_call(wanted: LogWanted, request_id: int) -> Command:
    """GetLog (2.0.1, N01; 1.6 whitepaper)."""
    log = compact(
        remoteLocation=wanted.location,
        oldestTimestamp=optional_time(wanted.oldest_at),
        latestTimestamp=optional_time(wanted.latest_at),
    )
    payload = compact(
        log=log,
        logType="SecurityLog" if wanted.is_security else "DiagnosticsLog",
        requestId=request_id,
        retries=wanted.retries,
        retryInterval=wanted.retry_interval_s,
    )
    return Command(action="GetLog", payload=payload)
