"""Reading and writing the device model (B05, B06), and its network profiles (B09)."""

from __future__ import annotations  # the station and its calls know each other

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sim_chargers.answers import ACCEPTED, rejected
from sim_chargers.device_model import READ_ONLY, WRITE_ONLY, Variable, members
from sim_chargers.outcomes import RefusedError, Reply

if TYPE_CHECKING:
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

MAX_SECRET_LENGTH: Final = 40
MAX_SLOT: Final = 3
FACTORY_SLOT: Final = "0"  # the URL that the station was started with


@dataclass(slots=True)
class Network:
    """Stored network profiles by slot, and how the station fares with the first."""

    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)

    def urls(self, priority: str, factory_url: str) -> list[str]:
        """List the addresses to try, the preferred first."""
        found = [
            str(self.profiles[slot]["ocppCsmsUrl"])
            if slot in self.profiles
            else factory_url
            for slot in members(priority)
            if slot in self.profiles or slot == FACTORY_SLOT
        ]
        return found or [factory_url]


def get_variables(station: ChargerV201, payload: Payload) -> Reply:
    """Read variables (B06)."""
    rows = payload["getVariableData"]
    check_length(station, "GetVariables", rows)
    return Reply(payload={"getVariableResult": [_get(station, row) for row in rows]})


def set_variables(station: ChargerV201, payload: Payload) -> Reply:
    """Write variables; a new password is used at once (B05, A01)."""
    rows = payload["setVariableData"]
    check_length(station, "SetVariables", rows)
    results = [_set(station, row) for row in rows]
    station.apply_variables()
    password = station.model.text("SecurityCtrlr", "BasicAuthPassword")
    if not password or password == station.link.password:
        return Reply(payload={"setVariableResult": results})
    station.link.password = password

    def reconnect() -> None:
        station.spawn(station.link.drop())

    return Reply(payload={"setVariableResult": results}, after=reconnect)


def set_network_profile(station: ChargerV201, payload: Payload) -> Reply:
    """Store how to reach the central system; the priority list picks it (B09)."""
    slot, profile = int(payload["configurationSlot"]), payload["connectionData"]
    if not 1 <= slot <= MAX_SLOT:
        return rejected("InvalidConfSlot")
    parts = urlsplit(str(profile["ocppCsmsUrl"]))
    is_url = parts.scheme in {"ws", "wss"} and bool(parts.hostname)
    if not is_url or profile["ocppTransport"] != "JSON":
        return rejected("InvalidNetworkConf")
    current = int(station.model.text("SecurityCtrlr", "SecurityProfile"))
    if int(profile["securityProfile"]) < current:
        return rejected("NoSecurityDowngrade")
    station.network.profiles[str(slot)] = dict(profile)
    return Reply(payload=ACCEPTED)


def check_length(
    station: ChargerV201,
    action: str,
    rows: list[Any],
    component: str = "DeviceDataCtrlr",
) -> None:
    """Refuse more items than ItemsPerMessage allows (B05.FR.11, B06.FR.16)."""
    most = int(station.model.text(component, "ItemsPerMessage", action))
    if len(rows) > most:
        raise RefusedError(
            "OccurrenceConstraintViolation", f"at most {most} items, not {len(rows)}"
        )


def _get(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    result = _echo(asked)
    found = station.model.resolve(asked)
    if isinstance(found, str):
        return {"attributeStatus": found, **result}
    if asked.get("attributeType", "Actual") != "Actual":
        return {"attributeStatus": "NotSupportedAttributeType", **result}
    if found.mutability == WRITE_ONLY:
        return {"attributeStatus": "Rejected", **result}
    return {"attributeStatus": "Accepted", "attributeValue": found.text, **result}


def _set(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    result = _echo(asked)
    found = station.model.resolve(asked)
    if isinstance(found, str):
        return {"attributeStatus": found, **result}
    if asked.get("attributeType", "Actual") != "Actual":
        return {"attributeStatus": "NotSupportedAttributeType", **result}
    value = str(asked["attributeValue"])
    if not _may(station, found, value):
        return {"attributeStatus": "Rejected", **result}
    if found.needs_reboot or "restart-to-set" in station.faults:
        station.values_after_reboot.append((found, value))
        return {"attributeStatus": "RebootRequired", **result}
    found.value = value
    return {"attributeStatus": "Accepted", **result}


def _may(station: ChargerV201, found: Variable, value: str) -> bool:
    if found.mutability == READ_ONLY or not found.fits(value):
        return False
    if found.mutability == WRITE_ONLY:
        return 0 < len(value) <= MAX_SECRET_LENGTH
    if found.name == "NetworkConfigurationPriority":  # B09.FR.04
        slots = members(value)
        known = station.network.profiles.keys() | {FACTORY_SLOT}
        return bool(slots) and known.issuperset(slots)
    return True


def _echo(asked: dict[str, Any]) -> dict[str, Any]:
    result = {"component": asked["component"], "variable": asked["variable"]}
    if "attributeType" in asked:
        result["attributeType"] = asked["attributeType"]
    return result
