"""OCPP 1.6J: spellings, states and essential members, as tables."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.events import Availability, ChargingState
from gateway.errors import ErrorKind
from gateway.ocpp.adapter import TokenStatus

ERROR_CODES: Final[Mapping[ErrorKind, str]] = MappingProxyType(
    {
        ErrorKind.NOT_IMPLEMENTED: "NotImplemented",
        ErrorKind.NOT_SUPPORTED: "NotSupported",
        ErrorKind.INTERNAL: "InternalError",
        ErrorKind.PROTOCOL: "ProtocolError",
        ErrorKind.SECURITY: "SecurityError",
        ErrorKind.FORMAT: "FormationViolation",
        ErrorKind.PROPERTY: "PropertyConstraintViolation",
        ErrorKind.OCCURRENCE: "OccurenceConstraintViolation",
        ErrorKind.TYPE: "TypeConstraintViolation",
        ErrorKind.GENERIC: "GenericError",
        ErrorKind.MESSAGE_TYPE: "GenericError",
        ErrorKind.RPC_FRAMEWORK: "FormationViolation",
    }
)
"""OCPP-J 1.6, table 7, misspelling included: the errata sheet (5.1, 5.2) forbids a fix.

1.6 has no code for a broken frame; "not conform the PDU structure" comes nearest.
"""

ESSENTIALS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "BootNotification": frozenset({"chargePointVendor", "chargePointModel"}),
        "StatusNotification": frozenset({"connectorId", "status", "status!"}),
        "StartTransaction": frozenset(
            {"connectorId", "idTag", "meterStart", "timestamp"}
        ),
        "StopTransaction": frozenset(
            {"transactionId", "meterStop", "timestamp"}
            | {
                "transactionData.timestamp",
                "transactionData.sampledValue",
                "transactionData.sampledValue.value",
            }
        ),
        "MeterValues": frozenset(
            {"connectorId", "meterValue"}
            | {
                "meterValue.timestamp",
                "meterValue.sampledValue",
                "meterValue.sampledValue.value",
            }
        ),
    }
)

STATES: Final[Mapping[str, tuple[Availability, ChargingState | None]]] = (
    MappingProxyType(
        {
            "Available": (Availability.AVAILABLE, ChargingState.IDLE),
            "Preparing": (Availability.OCCUPIED, ChargingState.PREPARING),
            "Charging": (Availability.OCCUPIED, ChargingState.CHARGING),
            "SuspendedEV": (Availability.OCCUPIED, ChargingState.SUSPENDED_EV),
            "SuspendedEVSE": (Availability.OCCUPIED, ChargingState.SUSPENDED_EVSE),
            "Finishing": (Availability.OCCUPIED, ChargingState.FINISHING),
            "Reserved": (Availability.RESERVED, ChargingState.IDLE),
            "Unavailable": (Availability.UNAVAILABLE, None),
            "Faulted": (Availability.FAULTED, None),
        }
    )
)
"""1.6, 7.7 ChargePointStatus."""

TOKEN_WORDS: Final[Mapping[TokenStatus, str]] = MappingProxyType(
    {
        TokenStatus.ACCEPTED: "Accepted",
        TokenStatus.BLOCKED: "Blocked",
        TokenStatus.EXPIRED: "Expired",
        TokenStatus.INVALID: "Invalid",
        TokenStatus.CONCURRENT: "ConcurrentTx",
        TokenStatus.NO_CREDIT: "Blocked",
        TokenStatus.NOT_HERE: "Blocked",
        TokenStatus.NOT_NOW: "Blocked",
        TokenStatus.NOT_TYPE: "Blocked",
    }
)
MAX_GROUP_CHARS: Final = 20
"""Longest ``parentIdTag`` (1.6, IdToken)."""
