"""The device model calls that an OCPP 2.0.1 station serves."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED
from sim_chargers.clock import to_wire
from sim_chargers.device_model import READ_ONLY, WRITE_ONLY
from sim_chargers.wire import Reply

if TYPE_CHECKING:
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

REPORT_PART: Final = 12  # variables per NotifyReport
MAX_SECRET_LENGTH: Final = 40


def get_base_report(station: ChargerV201, payload: Payload) -> Reply:
    """Report the whole device model in parts (B07)."""
    rows = [variable.report() for variable in station.model]
    if payload["reportBase"] == "SummaryInventory":
        rows = [r for r in rows if r["variable"]["name"] == "AvailabilityState"]

    def report() -> None:
        generated_at = to_wire(station.now())
        for seq_no, first in enumerate(range(0, len(rows), REPORT_PART)):
            message = {
                "requestId": payload["requestId"],
                "generatedAt": generated_at,
                "reportData": rows[first : first + REPORT_PART],
                "tbc": first + REPORT_PART < len(rows),
                "seqNo": seq_no,
            }
            station.enqueue("NotifyReport", partial(dict, message))

    return Reply(payload=ACCEPTED, after=report)


def get_variables(station: ChargerV201, payload: Payload) -> Reply:
    """Read variables (B06)."""
    results = [_get_variable(station, asked) for asked in payload["getVariableData"]]
    return Reply(payload={"getVariableResult": results})


def _get_variable(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    result = _echo(asked)
    found = _find(station, asked)
    if isinstance(found, str):
        return {"attributeStatus": found, **result}
    if asked.get("attributeType", "Actual") != "Actual":
        return {"attributeStatus": "NotSupportedAttributeType", **result}
    if found.mutability == WRITE_ONLY:
        return {"attributeStatus": "Rejected", **result}
    return {"attributeStatus": "Accepted", "attributeValue": found.value, **result}


def set_variables(station: ChargerV201, payload: Payload) -> Reply:
    """Change variables (B05); a new password asks for a reconnect."""
    results = [_set_variable(station, asked) for asked in payload["setVariableData"]]
    station.apply_variables()
    password = station.model.text("SecurityCtrlr", "BasicAuthPassword")
    after = None
    if password and password != station.link.password:
        station.link.password = password
        after = partial(_reconnect, station)
    return Reply(payload={"setVariableResult": results}, after=after)


def _reconnect(station: ChargerV201) -> None:
    station.spawn(station.link.drop())


def _set_variable(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    result = _echo(asked)
    found = _find(station, asked)
    if isinstance(found, str):
        return {"attributeStatus": found, **result}
    if asked.get("attributeType", "Actual") != "Actual":
        return {"attributeStatus": "NotSupportedAttributeType", **result}
    value = str(asked["attributeValue"])
    is_secret = found.mutability == WRITE_ONLY
    is_bad_secret = is_secret and not 0 < len(value) <= MAX_SECRET_LENGTH
    if found.mutability == READ_ONLY or is_bad_secret or not found.fits(value):
        return {"attributeStatus": "Rejected", **result}
    found.value = value
    return {"attributeStatus": "Accepted", **result}


def _echo(asked: dict[str, Any]) -> dict[str, Any]:
    result = {"component": asked["component"], "variable": asked["variable"]}
    if "attributeType" in asked:
        result["attributeType"] = asked["attributeType"]
    return result


def _find(station: ChargerV201, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - Variable or status word
    component, variable = asked["component"], asked["variable"]
    found = station.model.find(
        component["name"],
        variable["name"],
        evse_id=component.get("evse", {}).get("id"),
        instance=variable.get("instance"),
    )
    if found is not None:
        return found
    known = station.model.has_component(component["name"])
    return "UnknownVariable" if known else "UnknownComponent"
