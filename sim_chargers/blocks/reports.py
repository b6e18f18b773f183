"""Reports of the device model, in parts (B07, B08)."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED
from sim_chargers.clock import to_wire
from sim_chargers.device_model import READ_ONLY
from sim_chargers.outcomes import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.device_model import Variable
    from sim_chargers.frames import Payload

REPORT_PART: Final = 12  # variables per NotifyReport
EMPTY: Final[dict[str, Any]] = {"status": "EmptyResultSet"}
SUMMARY: Final = frozenset({"AvailabilityState", "Available", "Problem"})


def get_base_report(station: ChargerV201, payload: Payload) -> Reply:
    """Report all, all that can be set, or what is available (B07)."""
    rows = list(station.model)
    match payload["reportBase"]:
        case "ConfigurationInventory":
            rows = [v for v in rows if v.mutability != READ_ONLY]
        case "SummaryInventory":
            rows = [v for v in rows if v.name in SUMMARY]
        case _:
            pass
    return _report(station, payload, rows)


def get_report(station: ChargerV201, payload: Payload) -> Reply:
    """Report what matches the criteria and the named variables (B08)."""
    asked = payload.get("componentVariable")
    rows = [
        v for v in station.model if asked is None or any(matches(v, a) for a in asked)
    ]
    criteria = payload.get("componentCriteria")
    if criteria is not None:
        good = _components(station, criteria)
        rows = [v for v in rows if (v.component, v.evse_id) in good]
    return _report(station, payload, rows)


def matches(variable: Variable, asked: dict[str, Any]) -> bool:
    """Whether a ComponentVariable of a request means a variable (B08.FR.20 to .23)."""
    component, wanted = asked["component"], asked.get("variable")
    if component["name"].casefold() != variable.component.casefold():
        return False
    if component.get("evse", {}).get("id") not in (None, variable.evse_id):
        return False
    if wanted is None:
        return True
    is_named = wanted["name"].casefold() == variable.name.casefold()
    return is_named and wanted.get("instance") in (None, variable.instance)


def paged(
    station: ChargerV201,
    action: str,
    member: str,
    rows: list[dict[str, Any]],
    request_id: int,
    *,
    part: int = REPORT_PART,
) -> None:
    """Send rows in parts with ``seqNo`` and ``tbc``."""
    generated_at = to_wire(station.now())
    for seq_no, first in enumerate(range(0, len(rows), part)):
        message = {
            "requestId": request_id,
            "generatedAt": generated_at,
            member: rows[first : first + part],
            "tbc": first + part < len(rows),
            "seqNo": seq_no,
        }
        station.enqueue(action, partial(dict, message))


def _report(station: ChargerV201, payload: Payload, found: Iterable[Variable]) -> Reply:
    rows = [variable.report() for variable in found]
    if not rows:
        return Reply(payload=EMPTY)
    request_id = int(payload["requestId"])
    after = partial(paged, station, "NotifyReport", "reportData", rows, request_id)
    return Reply(payload=ACCEPTED, after=after)


def _components(
    station: ChargerV201, criteria: list[str]
) -> set[tuple[str, int | None]]:
    """List the components for which one of the criteria is true (B08.FR.07)."""
    good: set[tuple[str, int | None]] = set()
    for criterion in criteria:
        for variable in station.model:
            is_it = variable.name == criterion
            if is_it and variable.text.casefold() == "true":
                good.add((variable.component, variable.evse_id))
    return good
