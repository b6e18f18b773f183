"""Which calls make a station send something later, and what must never be repeated.

Tables by wire action: the actions of both versions are told apart by their names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gateway.ocpp.adapter import Command

PERSONAL: Final = frozenset({"idToken", "customerIdentifier", "customerCertificate"})
TRIGGERS: Final = frozenset({"ExtendedTriggerMessage", "TriggerMessage"})
WHOLE_BASES: Final = frozenset({"ConfigurationInventory", "FullInventory"})
"""Base reports that stand for a model; a SummaryInventory is a small part (B07)."""
ACCEPTED: Final = "Accepted"
_EMPTY: Final = frozenset({"EmptyResultSet", "NoProfiles", "Unknown"})
"""Answers that mean: there is nothing to report."""
_MONITORING_KEYS: Final = frozenset({"componentVariable", "monitoringCriteria"})
_DISPLAY_KEYS: Final = frozenset({"id", "priority", "state"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAsked:
    """A call that is answered in pages.

    Attributes:
        kind: What they are about: ``device``, ``monitors``, ``displays``,
            ``customer`` or ``profiles``.
        base: Of a base report.
        is_whole: Nothing is left out, so what does not come does not exist.
        asked: The payload, without what names a customer.
    """

    kind: str
    request_id: int
    base: str | None
    is_whole: bool
    asked: Mapping[str, object]


def report_asked(command: Command) -> ReportAsked | None:
    """What pages a valid command asks for; ``None``: none."""
    kind = _KINDS.get(command.action)
    payload: Mapping[str, Any] = command.payload
    if kind is None or (kind == "customer" and payload.get("report") is not True):
        return None
    base = payload.get("reportBase")
    return ReportAsked(
        kind=kind,
        request_id=payload["requestId"],
        base=base,
        is_whole=_is_whole(kind, payload),
        asked={name: value for name, value in payload.items() if name not in PERSONAL},
    )


def expects(command: Command) -> frozenset[str]:
    """Actions that the station may send because of a command (2.0.1, B02.FR.02)."""
    if command.action in TRIGGERS:
        asked = str(command.payload.get("requestedMessage"))
        return _TRIGGERED.get(asked, frozenset({asked}))
    if command.action in {"GetBaseReport", "GetReport"}:
        return frozenset({"NotifyReport"})
    return frozenset()


def is_empty(status: str) -> bool:
    """Whether an answer says that there is nothing to report."""
    return status in _EMPTY


def _is_whole(kind: str, payload: Mapping[str, Any]) -> bool:
    match kind:
        case "device":
            return payload.get("reportBase") in WHOLE_BASES
        case "monitors":
            return not _MONITORING_KEYS & payload.keys()
        case "displays":
            return not _DISPLAY_KEYS & payload.keys()
        case "profiles":
            return "evseId" not in payload and not payload["chargingProfile"]
        case _:
            return False


_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CustomerInformation": "customer",
        "GetBaseReport": "device",
        "GetChargingProfiles": "profiles",
        "GetDisplayMessages": "displays",
        "GetMonitoringReport": "monitors",
        "GetReport": "device",
    }
)
_SIGN: Final = frozenset({"SignCertificate"})
_TRIGGERED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "SignChargePointCertificate": _SIGN,
        "SignChargingStationCertificate": _SIGN,
        "SignCombinedCertificate": _SIGN,
        "SignV2GCertificate": _SIGN,
    }
)
