"""What a station watches in its device model, and when it speaks up (N02-N08)."""

from __future__ import annotations  # the station and its stories know each other

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.clock import to_wire

if TYPE_CHECKING:
    from datetime import datetime

    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.device_model import Variable

THRESHOLDS: Final = frozenset({"UpperThreshold", "LowerThreshold"})
PERIODIC: Final = frozenset({"Periodic", "PeriodicClockAligned"})
CUSTOM: Final = "CustomMonitor"
PRECONFIGURED: Final = "PreconfiguredMonitor"
LOWEST_LEVEL: Final = 9


@dataclass(slots=True, kw_only=True)
class Monitor:
    """One monitor.

    Attributes:
        origin: CustomMonitor, or PreconfiguredMonitor from the factory.
        is_raised: A threshold is exceeded and that was reported.
        reference: The value that a delta counts from.
        due: When a periodic monitor reports next.
    """

    monitor_id: int
    variable: Variable
    kind: str
    value: float
    severity: int
    transaction: bool = False
    origin: str = CUSTOM
    is_raised: bool = False
    reference: str | None = None
    due: datetime | None = None

    def report(self) -> dict[str, Any]:
        """Write the monitor as VariableMonitoring."""
        return {
            "id": self.monitor_id,
            "transaction": self.transaction,
            "value": self.value,
            "type": self.kind,
            "severity": self.severity,
        }

    def look(self, now: datetime) -> tuple[str, bool | None] | None:
        """Look at the variable.

        Returns:
            Trigger of the event and whether it clears an alert; None for no event.
        """
        if self.kind in PERIODIC:
            return self._look_at_clock(now)
        if self.kind in THRESHOLDS:
            return self._look_at_threshold()
        return self._look_at_delta()

    def _look_at_threshold(self) -> tuple[str, bool | None] | None:
        number = self.variable.number
        assert number is not None, "thresholds are for numbers"
        is_over = (
            number > self.value
            if self.kind == "UpperThreshold"
            else number < self.value
        )
        if is_over is self.is_raised:
            return None
        self.is_raised = is_over
        return ("Alerting", None if is_over else True)

    def _look_at_delta(self) -> tuple[str, bool | None] | None:
        text = self.variable.text
        if self.reference is None:
            self.reference = text
            return None
        number = self.variable.number
        if number is None:
            has_moved = text != self.reference
        else:
            has_moved = abs(number - float(self.reference)) >= self.value
        if not has_moved:
            return None
        self.reference = text
        return ("Delta", None)

    def _look_at_clock(self, now: datetime) -> tuple[str, bool | None] | None:
        if self.due is not None and now < self.due:
            return None
        is_first = self.due is None
        step_s = self.value
        if self.kind == "PeriodicClockAligned":
            left_s = step_s - now.timestamp() % step_s
            self.due = now + timedelta(seconds=left_s)
        else:
            self.due = now + timedelta(seconds=step_s)
        return None if is_first else ("Periodic", None)


@dataclass(slots=True)
class Monitors:
    """All monitors of a station, the base and the level in force."""

    rows: dict[int, Monitor] = field(default_factory=dict)
    level: int = LOWEST_LEVEL
    base: str = "All"
    n_event: int = 0

    def next_id(self) -> int:
        """Return an id that is free."""
        return max(self.rows, default=0) + 1

    def twin(self, wanted: Monitor) -> Monitor | None:
        """Find another monitor of the same variable, kind and severity."""
        for row in self.rows.values():
            is_same = (row.variable, row.kind, row.severity) == (
                wanted.variable,
                wanted.kind,
                wanted.severity,
            )
            if is_same and row.monitor_id != wanted.monitor_id:
                return row
        return None


def factory_monitors(temperature: Variable) -> list[Monitor]:
    """Make the monitors that a station leaves the factory with."""
    return [
        Monitor(
            monitor_id=1,
            variable=temperature,
            kind="UpperThreshold",
            value=85.0,
            severity=2,
            origin=PRECONFIGURED,
        )
    ]


def watch(station: ChargerV201) -> None:
    """Look at all monitors and report what they have to say (N07, N08)."""
    if not station.model.is_true("MonitoringCtrlr", "Enabled"):
        return
    now = station.now()
    state = station.monitors
    rows: list[dict[str, Any]] = []
    for monitor in list(state.rows.values()):
        if monitor.transaction and not _is_charging(station, monitor.variable):
            continue
        found = monitor.look(now)
        if found is None or monitor.severity > state.level:
            continue
        rows.append(_event(station, monitor, *found))
    if rows:
        message = {"generatedAt": to_wire(now), "seqNo": 0, "eventData": rows}
        station.enqueue("NotifyEvent", lambda: message, durable=True)


def _is_charging(station: ChargerV201, variable: Variable) -> bool:
    """Whether a transaction runs where a variable belongs."""
    return any(
        c.transaction is not None
        for c in station.connectors.values()
        if variable.evse_id in (None, c.number)
    )


def _event(
    station: ChargerV201, monitor: Monitor, trigger: str, cleared: bool | None
) -> dict[str, Any]:
    state = station.monitors
    state.n_event += 1
    row: dict[str, Any] = {
        "eventId": state.n_event,
        "timestamp": to_wire(station.now()),
        "trigger": trigger,
        "actualValue": monitor.variable.text,
        "variableMonitoringId": monitor.monitor_id,
        "eventNotificationType": monitor.origin,
        **monitor.variable.names(),
    }
    if cleared is not None:
        row["cleared"] = cleared
    return row
