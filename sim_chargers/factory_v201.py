"""The device model with which a station leaves the factory (appendix 3 of part 2)."""

from collections.abc import Callable
from typing import Final, TypeAlias

from sim_chargers.device_model import READ_ONLY, READ_WRITE, WRITE_ONLY, Variable

Row: TypeAlias = tuple[str, str, str, str, str]

ITEMS_PER_MESSAGE: Final = 50
BYTES_PER_MESSAGE: Final = 65_000
MEASURANDS: Final = (
    "Energy.Active.Import.Register,Power.Active.Import,Current.Import,"
    "Current.Offered,Power.Offered,SoC"
)
START_POINTS: Final = ("EVConnected", "Authorized", "PowerPathClosed")

_ROWS: Final[tuple[Row, ...]] = (
    ("ChargingStation", "Available", "true", "boolean", READ_ONLY),
    ("ChargingStation", "SupplyPhases", "3", "integer", READ_ONLY),
    ("AlignedDataCtrlr", "Interval", "0", "integer", READ_WRITE),
    ("AuthCtrlr", "AuthorizeRemoteStart", "false", "boolean", READ_WRITE),
    ("AuthCtrlr", "LocalAuthorizeOffline", "true", "boolean", READ_WRITE),
    ("AuthCtrlr", "LocalPreAuthorize", "false", "boolean", READ_WRITE),
    ("AuthCtrlr", "MasterPassGroupId", "", "string", READ_WRITE),
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "false", "boolean", READ_WRITE),
    ("AuthCacheCtrlr", "Enabled", "true", "boolean", READ_WRITE),
    ("DeviceDataCtrlr", "BytesPerMessage", "65000", "integer", READ_ONLY),
    ("DisplayMessageCtrlr", "Enabled", "true", "boolean", READ_WRITE),
    ("DisplayMessageCtrlr", "NumberOfDisplayMessages", "20", "integer", READ_ONLY),
    (
        "DisplayMessageCtrlr",
        "SupportedFormats",
        "ASCII,UTF8,URI",
        "MemberList",
        READ_ONLY,
    ),
    (
        "DisplayMessageCtrlr",
        "SupportedPriorities",
        "AlwaysFront,InFront,NormalCycle",
        "MemberList",
        READ_ONLY,
    ),
    ("LocalAuthListCtrlr", "Enabled", "true", "boolean", READ_WRITE),
    ("MonitoringCtrlr", "Enabled", "true", "boolean", READ_WRITE),
    ("MonitoringCtrlr", "ActiveMonitoringBase", "All", "string", READ_ONLY),
    ("MonitoringCtrlr", "ActiveMonitoringLevel", "9", "integer", READ_ONLY),
    ("OCPPCommCtrlr", "HeartbeatInterval", "300", "integer", READ_WRITE),
    ("OCPPCommCtrlr", "WebSocketPingInterval", "20", "integer", READ_WRITE),
    ("OCPPCommCtrlr", "MessageAttemptInterval", "60", "integer", READ_WRITE),
    ("OCPPCommCtrlr", "MessageAttempts", "3", "integer", READ_WRITE),
    ("OCPPCommCtrlr", "NetworkConfigurationPriority", "0", "SequenceList", READ_WRITE),
    (
        "OCPPCommCtrlr",
        "NetworkProfileConnectionAttempts",
        "3",
        "integer",
        READ_WRITE,
    ),
    ("OCPPCommCtrlr", "OfflineThreshold", "60", "integer", READ_WRITE),
    ("ReservationCtrlr", "Enabled", "true", "boolean", READ_WRITE),
    ("SampledDataCtrlr", "TxUpdatedInterval", "60", "integer", READ_WRITE),
    ("SampledDataCtrlr", "TxEndedInterval", "0", "integer", READ_WRITE),
    ("SampledDataCtrlr", "TxStartedMeasurands", MEASURANDS, "MemberList", READ_WRITE),
    ("SampledDataCtrlr", "TxUpdatedMeasurands", MEASURANDS, "MemberList", READ_WRITE),
    ("SampledDataCtrlr", "TxEndedMeasurands", MEASURANDS, "MemberList", READ_WRITE),
    ("SecurityCtrlr", "BasicAuthPassword", "", "string", WRITE_ONLY),
    ("SecurityCtrlr", "CertificateEntries", "0", "integer", READ_ONLY),
    ("SecurityCtrlr", "OrganizationName", "Wattproof Sim", "string", READ_WRITE),
    ("SecurityCtrlr", "SecurityProfile", "1", "integer", READ_ONLY),
    ("SmartChargingCtrlr", "Enabled", "true", "boolean", READ_WRITE),
    ("SmartChargingCtrlr", "LimitChangeSignificance", "0.5", "decimal", READ_WRITE),
    ("SmartChargingCtrlr", "PeriodsPerSchedule", "200", "integer", READ_ONLY),
    ("SmartChargingCtrlr", "ProfileStackLevel", "10", "integer", READ_ONLY),
    ("SmartChargingCtrlr", "RateUnit", "A,W", "MemberList", READ_ONLY),
    ("TariffCostCtrlr", "Currency", "EUR", "string", READ_ONLY),
    ("TxCtrlr", "EVConnectionTimeOut", "120", "integer", READ_WRITE),
    ("TxCtrlr", "StopTxOnInvalidId", "true", "boolean", READ_WRITE),
    ("TxCtrlr", "StopTxOnEVSideDisconnect", "true", "boolean", READ_WRITE),
)


def station_variables(temperature: Callable[[], str]) -> list[Variable]:
    """Make the station-wide variables."""
    made = [
        Variable(component=c, name=n, value=v, kind=k, mutability=m)
        for c, n, v, k, m in _ROWS
    ]
    made.extend(
        _limit("DeviceDataCtrlr", "ItemsPerMessage", action)
        for action in ("GetReport", "GetVariables", "SetVariables")
    )
    made.extend(
        _limit("MonitoringCtrlr", "ItemsPerMessage", action)
        for action in ("ClearVariableMonitoring", "SetVariableMonitoring")
    )
    made.append(
        Variable(
            component="ChargingStation",
            name="PilotReaction",
            value="2",
            kind="integer",
            needs_reboot=True,
        )
    )
    for name, value in (
        ("TxStartPoint", "PowerPathClosed"),
        ("TxStopPoint", "EVConnected,Authorized"),
    ):
        made.append(
            Variable(
                component="TxCtrlr",
                name=name,
                value=value,
                kind="MemberList",
                choices=START_POINTS,
            )
        )
    made.append(
        Variable(
            component="TemperatureSensor",
            name="Temperature",
            value="",
            kind="decimal",
            mutability=READ_ONLY,
            unit="Celsius",
            live=temperature,
        )
    )
    return made


def evse_variables(
    evse_id: int,
    *,
    rated_w: float,
    n_phase: int,
    state: Callable[[], str],
    register_wh: Callable[[], str],
) -> list[Variable]:
    """Make the variables of one EVSE."""
    made = [
        Variable(component="EVSE", name=name, value=value, kind=kind, unit=unit)
        for name, value, kind, unit in (
            ("Available", "true", "boolean", None),
            ("AvailabilityState", "", "OptionList", None),
            ("Power", f"{rated_w:.0f}", "decimal", "W"),
            ("SupplyPhases", str(n_phase), "integer", None),
            ("AllowReset", "true", "boolean", None),
        )
    ]
    made[1].live = state
    made[1].choices = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")
    made.append(
        Variable(
            component="FiscalMetering",
            name="EnergyImport",
            value="",
            kind="decimal",
            unit="Wh",
            live=register_wh,
        )
    )
    for variable in made:
        variable.evse_id = evse_id
        variable.mutability = READ_ONLY
    return made


def _limit(component: str, name: str, action: str) -> Variable:
    return Variable(
        component=component,
        name=name,
        instance=action,
        value=str(ITEMS_PER_MESSAGE),
        kind="integer",
        mutability=READ_ONLY,
    )
