"""Which calls of operators may change what a managed station draws."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.envelope import TOTAL, Violation
from gateway.domain.ids import StationId
from gateway.errors import RequestError

ALWAYS: Final = frozenset(
    {
        "ClearChargingProfile",
        "DataTransfer",
        "PublishFirmware",
        "Reset",
        "SetChargingProfile",
        "SetNetworkProfile",
        "SignedUpdateFirmware",
        "UpdateFirmware",
    }
)
"""Limits, firmware, restarts, and what only the vendor understands."""

STARTS: Final = frozenset({"RemoteStartTransaction", "RequestStartTransaction"})
"""Harmless, unless a limit comes along."""

SETTINGS: Final = frozenset({"ChangeConfiguration", "SetVariables"})

HARMLESS_KEYS: Final = frozenset(
    {
        "alignedinterval",
        "authorizationkey",
        "basicauthpassword",
        "clockaligneddatainterval",
        "heartbeatinterval",
        "metervaluesaligneddata",
        "metervaluessampleddata",
        "metervaluesampleinterval",
        "stoptxnaligneddata",
        "stoptxnsampleddata",
        "txendedmeasurands",
        "txstartedmeasurands",
        "txupdatedinterval",
        "txupdatedmeasurands",
        "websocketpinginterval",
    }
)
"""Settings of metering, liveness and credentials: they move no current."""


def may_change_draw(action: str, payload: Mapping[str, object]) -> bool:
    """Whether a call may change what the station lets a car draw.

    Args:
        action: Wire action of either version.
        payload: In wire spelling.
    """
    if action in STARTS:
        return "chargingProfile" in payload
    if action in SETTINGS:
        return not _is_harmless(payload)
    return action in ALWAYS


def would_exceed(
    station_id: StationId, action: str, violation: Violation
) -> RequestError:
    """The refusal of such a call."""
    row = "in total" if violation.row == TOTAL else f"on L{violation.row + 1}"
    over_a = (violation.draw_da - violation.room_da) / 10
    return RequestError(
        409,
        "would_exceed_limit",
        f"after {action} the rating of {station_id} counts until it is proven again:"
        f" {over_a:g} A too much for cabinet {violation.cabinet_id} {row}",
    )


def _is_harmless(payload: Mapping[str, object]) -> bool:
    if "key" in payload:
        return str(payload["key"]).casefold() in HARMLESS_KEYS
    data = payload.get("setVariableData")
    if not isinstance(data, list):
        return False
    names: list[str] = []
    for item in data:
        variable = item.get("variable") if isinstance(item, dict) else None
        name = variable.get("name") if isinstance(variable, dict) else None
        names.append(str(name).casefold())
    return bool(names) and all(name in HARMLESS_KEYS for name in names)
