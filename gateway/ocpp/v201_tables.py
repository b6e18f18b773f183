"""OCPP 2.0.1: spellings, states and essential members, as tables."""

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
        ErrorKind.FORMAT: "FormatViolation",
        ErrorKind.PROPERTY: "PropertyConstraintViolation",
        ErrorKind.OCCURRENCE: "OccurrenceConstraintViolation",
        ErrorKind.TYPE: "TypeConstraintViolation",
        ErrorKind.GENERIC: "GenericError",
        ErrorKind.MESSAGE_TYPE: "MessageTypeNotSupported",
        ErrorKind.RPC_FRAMEWORK: "RpcFrameworkError",
    }
)
"""2.0.1 part 4 (2020-03-31), table 8; the errata of 2023-12 leave it as it is."""

_SAMPLE_ESSENTIALS: Final = frozenset(
    {
        "meterValue.timestamp",
        "meterValue.sampledValue",
        "meterValue.sampledValue.value",
        "meterValue.sampledValue.signedMeterValue.signedMeterData",
    }
)
ESSENTIALS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "BootNotification": frozenset(
            {
                "chargingStation",
                "chargingStation.model",
                "chargingStation.vendorName",
            }
        ),
        "StatusNotification": frozenset(
            {"evseId", "connectorId", "connectorStatus", "connectorStatus!"}
        ),
        "MeterValues": _SAMPLE_ESSENTIALS | {"evseId", "meterValue"},
        "TransactionEvent": _SAMPLE_ESSENTIALS
        | {
            "eventType",
            "eventType!",
            "timestamp",
            "transactionInfo",
            "transactionInfo.transactionId",
            "evse.id",
            "idToken.idToken",
        },
    }
)

STATUSES: Final[Mapping[str, Availability]] = MappingProxyType(
    {
        "Available": Availability.AVAILABLE,
        "Occupied": Availability.OCCUPIED,
        "Reserved": Availability.RESERVED,
        "Unavailable": Availability.UNAVAILABLE,
        "Faulted": Availability.FAULTED,
    }
)
STATES: Final[Mapping[str, ChargingState]] = MappingProxyType(
    {
        "Charging": ChargingState.CHARGING,
        "EVConnected": ChargingState.PREPARING,
        "SuspendedEV": ChargingState.SUSPENDED_EV,
        "SuspendedEVSE": ChargingState.SUSPENDED_EVSE,
        "Idle": ChargingState.IDLE,
    }
)
TOKEN_WORDS: Final[Mapping[TokenStatus, str]] = MappingProxyType(
    {
        TokenStatus.ACCEPTED: "Accepted",
        TokenStatus.BLOCKED: "Blocked",
        TokenStatus.EXPIRED: "Expired",
        TokenStatus.INVALID: "Invalid",
        TokenStatus.CONCURRENT: "ConcurrentTx",
        TokenStatus.NO_CREDIT: "NoCredit",
        TokenStatus.NOT_HERE: "NotAtThisLocation",
        TokenStatus.NOT_NOW: "NotAtThisTime",
        TokenStatus.NOT_TYPE: "NotAllowedTypeEVSE",
    }
)
MAX_GROUP_CHARS: Final = 36
"""Longest ``groupIdToken`` (2.0.1, IdTokenType)."""
MAX_LANGUAGE_CHARS: Final = 8
MAX_MESSAGE_CHARS: Final = 512
"""Longest ``language1`` (2.0.1, IdTokenInfoType) and text (MessageContentType)."""
