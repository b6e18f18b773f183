"""Firmware updates that a station is asked for (2.0.1: L01, L02; 1.6: 5.19)."""

from __future__ import annotations  # the station and its calls know each other

from typing import TYPE_CHECKING, Any, Final

from sim_chargers import installation
from sim_chargers.certificates import BadCertificateError, Certificate
from sim_chargers.clock import from_wire
from sim_chargers.outcomes import Reply
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.frames import Payload

PLAIN: Final = "FirmwareStatusNotification"
SIGNED_V16: Final = "SignedFirmwareStatusNotification"


def update_firmware_v16(station: Charger, payload: Payload) -> Reply:
    """Take an unsigned update; the answer is empty (1.6, 5.19)."""
    order = installation.Order(
        action=PLAIN,
        location=str(payload["location"]),
        retrieve_at=from_wire(payload["retrieveDate"]),
        retries=int(payload.get("retries", 0)),
        retry_interval_s=float(payload.get("retryInterval", 0)),
    )

    def begin() -> None:
        installation.take(station, order)

    return Reply(payload={}, after=begin)


def signed_update_firmware_v16(station: Charger, payload: Payload) -> Reply:
    """Take a signed update (security whitepaper, L01)."""
    return _take(station, payload, SIGNED_V16)


def update_firmware_v201(station: Charger, payload: Payload) -> Reply:
    """Take an update, signed or not (L01, L02)."""
    return _take(station, payload, PLAIN)


def idle_report(station: Charger) -> dict[str, Any]:
    """Write the current state, as a trigger asks for it (F06.FR.08 to .10)."""
    state = station.firmware
    order = state.order
    if not state.is_busy or order is None:
        return {"status": "Idle"}
    if order.request_id is None:
        is_known = state.status in installation.PLAIN_STATES
        return {"status": state.status if is_known else "Idle"}
    return {"status": state.status, "requestId": order.request_id}


def _take(station: Charger, payload: Payload, action: str) -> Reply:
    firmware = payload["firmware"]
    install = firmware.get("installDateTime")
    certificate = firmware.get("signingCertificate")
    order = installation.Order(
        action=action,
        location=str(firmware["location"]),
        retrieve_at=from_wire(firmware["retrieveDateTime"]),
        install_at=None if install is None else from_wire(install),
        retries=int(payload.get("retries", 0)),
        retry_interval_s=float(payload.get("retryInterval", 0)),
        request_id=int(payload["requestId"]),
        signature=firmware.get("signature"),
        certificate=certificate,
    )
    if Twist.REVOKED_CERTIFICATE in station.twists:
        return Reply(payload={"status": "RevokedCertificate"})
    if certificate is not None and not _is_trusted(station, certificate):
        station.security_event("InvalidFirmwareSigningCertificate", order.location)
        return Reply(payload={"status": "InvalidCertificate"})

    def begin() -> None:
        installation.take(station, order)

    is_cancelled = station.firmware.is_busy
    status = "AcceptedCanceled" if is_cancelled else "Accepted"
    return Reply(payload={"status": status}, after=begin)


def _is_trusted(station: Charger, pem: str) -> bool:
    """Valid now, and by an installed manufacturer's root where there is one."""
    if Twist.INVALID_CERTIFICATE in station.twists:
        return False
    try:
        found = Certificate.parse(pem)
    except BadCertificateError:
        return False
    roots = station.trust.of_kind("ManufacturerRootCertificate")
    is_signed = not roots or any(found.is_issued_by(root) for root in roots)
    return is_signed and found.is_valid_at(station.now())
