"""Monitors that the central system sets, reads and clears (N02 to N06)."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.blocks.reports import EMPTY, matches, paged
from sim_chargers.blocks.variables import check_length
from sim_chargers.device_model import NUMERIC
from sim_chargers.monitors import (
    CUSTOM,
    LOWEST_LEVEL,
    PERIODIC,
    PRECONFIGURED,
    THRESHOLDS,
    Monitor,
    factory_monitors,
)
from sim_chargers.outcomes import Reply

if TYPE_CHECKING:
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

REPORT_PART: Final = 3  # monitors per NotifyMonitoringReport
_CRITERIA: Final = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": frozenset({"Delta"}),
    "PeriodicMonitoring": PERIODIC,
}


def set_variable_monitoring(station: ChargerV201, payload: Payload) -> Reply:
    """Set or replace monitors (N04)."""
    rows = payload["setMonitoringData"]
    check_length(station, "SetVariableMonitoring", rows, "MonitoringCtrlr")
    return Reply(payload={"setMonitoringResult": [_set(station, row) for row in rows]})


def clear_variable_monitoring(station: ChargerV201, payload: Payload) -> Reply:
    """Remove custom monitors (N06); the factory's stay."""
    ids = payload["id"]
    check_length(station, "ClearVariableMonitoring", ids, "MonitoringCtrlr")
    return Reply(
        payload={"clearMonitoringResult": [_clear(station, int(i)) for i in ids]}
    )


def get_monitoring_report(station: ChargerV201, payload: Payload) -> Reply:
    """Report monitors in parts, by kind and by variable (N02)."""
    criteria = payload.get("monitoringCriteria")
    kinds = None
    if criteria is not None:
        kinds = frozenset[str]().union(*(_CRITERIA[c] for c in criteria))
    asked = payload.get("componentVariable")
    found = [
        m
        for m in station.monitors.rows.values()
        if (kinds is None or m.kind in kinds)
        and (asked is None or any(matches(m.variable, a) for a in asked))
    ]
    if not found:
        return Reply(payload=EMPTY)
    rows = [{**m.variable.names(), "variableMonitoring": [m.report()]} for m in found]
    request_id = int(payload["requestId"])
    after = partial(
        paged,
        station,
        "NotifyMonitoringReport",
        "monitor",
        rows,
        request_id,
        part=REPORT_PART,
    )
    return Reply(payload=ACCEPTED, after=after)


def set_monitoring_base(station: ChargerV201, payload: Payload) -> Reply:
    """Choose which monitors are in force (N05): all, the factory's, the wired ones."""
    state = station.monitors
    base = str(payload["monitoringBase"])
    keeps = {"All": {CUSTOM, PRECONFIGURED}, "FactoryDefault": {PRECONFIGURED}}
    kept = keeps.get(base, set())
    state.rows = {i: m for i, m in state.rows.items() if m.origin in kept}
    if base != "HardWiredOnly":
        temperature = station.model.find("TemperatureSensor", "Temperature")
        assert temperature is not None, "the factory's monitor has its variable"
        for monitor in factory_monitors(temperature):
            if state.twin(monitor) is None:
                state.rows.setdefault(monitor.monitor_id, monitor)
    state.base = base
    station.model.put("MonitoringCtrlr", "ActiveMonitoringBase", base)
    return Reply(payload=ACCEPTED)


def set_monitoring_level(station: ChargerV201, payload: Payload) -> Reply:
    """Say which severities are reported (N03)."""
    level = int(payload["severity"])
    if not 0 <= level <= LOWEST_LEVEL:
        return Reply(payload=REJECTED)
    station.monitors.level = level
    station.model.put("MonitoringCtrlr", "ActiveMonitoringLevel", str(level))
    return Reply(payload=ACCEPTED)


def _set(station: ChargerV201, asked: dict[str, Any]) -> dict[str, Any]:
    state = station.monitors
    result = {k: asked[k] for k in ("type", "severity", "component", "variable")}
    found = station.model.resolve(asked)
    if isinstance(found, str):
        return {"status": found, **result}
    kind, value = str(asked["type"]), float(asked["value"])
    is_number = found.kind in NUMERIC
    if not found.is_monitorable or (kind in THRESHOLDS and not is_number):
        return {"status": "UnsupportedMonitorType", **result}
    old = state.rows.get(int(asked["id"])) if "id" in asked else None
    is_foreign = "id" in asked and (old is None or old.variable is not found)
    is_bad = not 0 <= int(asked["severity"]) <= LOWEST_LEVEL or value < 0
    is_idle = value == 0 and (kind in PERIODIC or (kind == "Delta" and is_number))
    if is_foreign or is_bad or is_idle:
        return {"status": "Rejected", **result}
    monitor = Monitor(
        monitor_id=state.next_id() if old is None else old.monitor_id,
        variable=found,
        kind=kind,
        value=value,
        severity=int(asked["severity"]),
        transaction=bool(asked.get("transaction", False)),
    )
    if state.twin(monitor) is not None:
        return {"status": "Duplicate", **result}
    state.rows[monitor.monitor_id] = monitor
    return {"status": "Accepted", "id": monitor.monitor_id, **result}


def _clear(station: ChargerV201, monitor_id: int) -> dict[str, Any]:
    found = station.monitors.rows.get(monitor_id)
    if found is None:
        return {"status": "NotFound", "id": monitor_id}
    if found.origin != CUSTOM:
        return {"status": "Rejected", "id": monitor_id}
    del station.monitors.rows[monitor_id]
    return {"status": "Accepted", "id": monitor_id}
