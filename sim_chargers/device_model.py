"""A small OCPP 2.0.1 device model: components, variables, and who may write them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

READ_ONLY: Final = "ReadOnly"
READ_WRITE: Final = "ReadWrite"
WRITE_ONLY: Final = "WriteOnly"


@dataclass(slots=True, kw_only=True)
class Variable:
    """One variable with its Actual attribute."""

    component: str
    name: str
    value: str
    kind: str = "string"
    mutability: str = READ_WRITE
    evse_id: int | None = None
    instance: str | None = None

    def fits(self, text: str) -> bool:
        """Whether a text is a value of the variable's type."""
        if self.kind == "boolean":
            return text.casefold() in ("true", "false")
        return self.kind != "integer" or text.isdigit()

    def report(self) -> dict[str, Any]:
        """Write the variable as ReportData."""
        component: dict[str, Any] = {"name": self.component}
        if self.evse_id is not None:
            component["evse"] = {"id": self.evse_id}
        variable: dict[str, Any] = {"name": self.name}
        if self.instance is not None:
            variable["instance"] = self.instance
        attribute: dict[str, Any] = {"type": "Actual", "mutability": self.mutability}
        if self.mutability != WRITE_ONLY:
            attribute["value"] = self.value
        return {
            "component": component,
            "variable": variable,
            "variableAttribute": [attribute],
            "variableCharacteristics": {
                "dataType": self.kind,
                "supportsMonitoring": False,
            },
        }


class DeviceModel:
    """All variables of a station."""

    def __init__(self, variables: list[Variable]) -> None:
        """Take the variables in the order of the report."""
        self._variables = variables

    def __iter__(self) -> Iterator[Variable]:
        """Go through the variables in the order of the report."""
        return iter(self._variables)

    def has_component(self, component: str) -> bool:
        """Whether any variable belongs to the component."""
        name = component.casefold()
        return any(v.component.casefold() == name for v in self._variables)

    def find(
        self,
        component: str,
        name: str,
        *,
        evse_id: int | None = None,
        instance: str | None = None,
    ) -> Variable | None:
        """Find a variable; names are case-insensitive."""
        for variable in self._variables:
            if (
                variable.component.casefold() == component.casefold()
                and variable.name.casefold() == name.casefold()
                and variable.evse_id == evse_id
                and variable.instance == instance
            ):
                return variable
        return None

    def text(self, component: str, name: str) -> str:
        """Read the value of a station-wide variable that exists."""
        variable = self.find(component, name)
        assert variable is not None, f"{component}.{name}"
        return variable.value

    def is_true(self, component: str, name: str) -> bool:
        """Read a boolean variable that exists."""
        return self.text(component, name).casefold() == "true"


def standard(*, evses: list[tuple[int, float, int]]) -> DeviceModel:
    """Make the variables of a station.

    Args:
        evses: Id, rated power in W, and number of phases of each EVSE.
    """
    measurands = (
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,"
        "Current.Offered,SoC"
    )
    rows: list[tuple[str, str, str, str, str]] = [
        ("ChargingStation", "Available", "true", "boolean", READ_ONLY),
        ("ChargingStation", "AvailabilityState", "Available", "string", READ_ONLY),
        ("ChargingStation", "SupplyPhases", "3", "integer", READ_ONLY),
        ("AlignedDataCtrlr", "Interval", "0", "integer", READ_WRITE),
        ("AuthCtrlr", "AuthorizeRemoteStart", "false", "boolean", READ_WRITE),
        ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "false", "boolean", READ_WRITE),
        ("AuthCacheCtrlr", "Enabled", "true", "boolean", READ_WRITE),
        ("DeviceDataCtrlr", "BytesPerMessage", "65000", "integer", READ_ONLY),
        ("DeviceDataCtrlr", "ItemsPerMessage", "20", "integer", READ_ONLY),
        ("LocalAuthListCtrlr", "Enabled", "true", "boolean", READ_WRITE),
        ("LocalAuthListCtrlr", "Entries", "0", "integer", READ_ONLY),
        ("OCPPCommCtrlr", "HeartbeatInterval", "300", "integer", READ_WRITE),
        ("OCPPCommCtrlr", "WebSocketPingInterval", "20", "integer", READ_WRITE),
        ("OCPPCommCtrlr", "MessageAttemptInterval", "60", "integer", READ_WRITE),
        ("OCPPCommCtrlr", "MessageAttempts", "3", "integer", READ_WRITE),
        ("OCPPCommCtrlr", "OfflineThreshold", "60", "integer", READ_WRITE),
        ("SampledDataCtrlr", "TxUpdatedInterval", "60", "integer", READ_WRITE),
        ("SampledDataCtrlr", "TxEndedInterval", "0", "integer", READ_WRITE),
        (
            "SampledDataCtrlr",
            "TxStartedMeasurands",
            measurands,
            "MemberList",
            READ_WRITE,
        ),
        (
            "SampledDataCtrlr",
            "TxUpdatedMeasurands",
            measurands,
            "MemberList",
            READ_WRITE,
        ),
        ("SampledDataCtrlr", "TxEndedMeasurands", measurands, "MemberList", READ_WRITE),
        ("SecurityCtrlr", "BasicAuthPassword", "", "string", WRITE_ONLY),
        ("SecurityCtrlr", "SecurityProfile", "1", "integer", READ_ONLY),
        ("SmartChargingCtrlr", "Enabled", "true", "boolean", READ_WRITE),
        ("SmartChargingCtrlr", "LimitChangeSignificance", "0.5", "decimal", READ_WRITE),
        ("SmartChargingCtrlr", "PeriodsPerSchedule", "200", "integer", READ_ONLY),
        ("SmartChargingCtrlr", "ProfileStackLevel", "10", "integer", READ_ONLY),
        ("SmartChargingCtrlr", "RateUnit", "A,W", "MemberList", READ_ONLY),
        ("TxCtrlr", "EVConnectionTimeOut", "120", "integer", READ_WRITE),
        ("TxCtrlr", "StopTxOnInvalidId", "true", "boolean", READ_WRITE),
        ("TxCtrlr", "StopTxOnEVSideDisconnect", "true", "boolean", READ_WRITE),
        ("TxCtrlr", "TxStartPoint", "PowerPathClosed", "OptionList", READ_ONLY),
        ("TxCtrlr", "TxStopPoint", "EVConnected,Authorized", "OptionList", READ_ONLY),
    ]
    variables = [
        Variable(component=c, name=n, value=v, kind=k, mutability=m)
        for c, n, v, k, m in rows
    ]
    for evse_id, power_w, n_phase in evses:
        for name, value, kind in (
            ("AvailabilityState", "Available", "string"),
            ("Power", f"{power_w:.0f}", "decimal"),
            ("SupplyPhases", str(n_phase), "integer"),
        ):
            variables.append(
                Variable(
                    component="EVSE",
                    name=name,
                    value=value,
                    kind=kind,
                    mutability=READ_ONLY,
                    evse_id=evse_id,
                )
            )
    return DeviceModel(variables)
