"""The site's tables of ``config.toml`` as they are written: types, defaults, ranges."""

import zoneinfo
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from gateway.config.meters import (
    BatteryControl,
    ModbusTable,
    MqttTable,
    check_controlled,
    check_measures_only,
    check_source,
)
from gateway.config.reader import Range
from gateway.config.registered import check_owner, check_place
from gateway.domain.connectors import ConnectorFormat, ConnectorStandard
from gateway.domain.ids import STATION_ID
from gateway.domain.limits import LimitUnit
from gateway.domain.topology import (
    ALL_PHASES,
    CurrentType,
    Grid,
    LoadSource,
    Mode,
    Rotation,
    ServiceStatus,
    rotation,
)
from gateway.errors import ConfigError

Latitude: TypeAlias = Annotated[float | None, Range(low=-90, high=90)]
Longitude: TypeAlias = Annotated[float | None, Range(low=-180, high=180)]

MAX_A: Final = 10_000
MAX_W: Final = 100_000_000
MAX_PLANNED_WH: Final = 10_000_000
MAX_WH: Final = 10_000_000
WEEK_S: Final = 604_800
HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTable:
    """``[site]``.

    Attributes:
        name: Shown in the cockpit.
        timezone: IANA name; windows of tariffs and hours of profiles are in it.
        latitude_deg: Place on the map, WGS 84.
        longitude_deg: Place on the map, WGS 84.
        owner: Account of the owner of all assets that name no other, as ``0x...``.
        grid: ``TN`` (also for TT); ``IT`` or ``delta`` have no neutral.
        nominal_v: To neutral on ``TN``, line to line otherwise.
        hold_time_s: With everything dead, stations are at their floors after this time.
        default_energy_wh: Need of a driver who states none; without it what sessions
            of this hour of the week needed, at first 15 kWh.
        default_stay_s: Stay of a driver who states none; without it how long such
            sessions lasted, at first 4 hours.
        min_on_s: A car is switched on only where the plan has this long for it.
        min_off_s: A car that was paused stays so for this long.
        free_unused_phases: What a car surely does not use of the phases of an EVSE
            whose ``phases_confirmed`` is set, others may have.
    """

    name: str = "Site"
    timezone: str = "UTC"
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    owner: str | None = None
    grid: Grid = Grid.TN
    nominal_v: Annotated[float, Range(low=50, high=1_000)] = 230.0
    hold_time_s: Annotated[int, Range(low=60, high=86_400)] = 1_800
    default_energy_wh: Annotated[int | None, Range(low=0, high=MAX_WH)] = None
    default_stay_s: Annotated[int | None, Range(low=900, high=WEEK_S)] = None
    min_on_s: Annotated[int, Range(low=0, high=3_600)] = 300
    min_off_s: Annotated[int, Range(low=0, high=3_600)] = 300
    free_unused_phases: bool = False

    def __post_init__(self) -> None:
        check_place(self.latitude_deg, self.longitude_deg)
        check_owner(self.owner)
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(
                "timezone", f'no such zone: {self.timezone!r}, as in "Europe/Berlin"'
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetTable:
    """``[[cabinet]]``.

    Attributes:
        id: Its name in the API.
        parent: Id of the cabinet that feeds this one; limits nest.
        limit_a: On L1, L2 and L3, as ``[63, 63, 63]``; this, ``limit_w`` or both. What
            busbars and cables carry: PV and batteries behind the cabinet do not count.
        limit_w: Over all phases.
        net_limit_a: What the supply gives per phase, where that is less: import less
            generation. Limits never count on generation; the fast loop measures it.
        export_limit_a: What may be fed in per phase; more is an alarm.
        margin_a: Kept free on every phase; says how many EVSEs may disobey at once.
        breaker_a: Rated current of the overcurrent protection; without it the lowest
            of the limits per phase.
        feeder_meter: Id for ``PUT /loads/ID/reading`` of the meter that sees the whole
            cabinet; needed where ratings exceed the limit.
        imbalance_a: What cars may load one phase more than another, as far as plans
            know on which phases they draw: 20 where 4.6 kVA are allowed.
        feeder_stale_after_s: An older reading of it does not count: the meter is lost.
        feeder_source: What reads the feeder meter: ``api``, ``modbus`` or ``mqtt``;
            ``simulated``: the sum of what else is simulated behind it.
        modbus: One table ``[cabinet.modbus]``: where the feeder meter is.
        mqtt: One table ``[cabinet.mqtt]``: where the feeder meter publishes.
        mode: ``control``, or ``advise``: plans are shown and nothing is sent.
        latitude_deg: Place on the map, WGS 84.
        longitude_deg: Place on the map, WGS 84.
        public: It is registered on chain, and what its feeder meter shows anchored, in
            the open.
        owner: Account of its owner in the registry, instead of that of ``[site]``.
        service_status: What the registry says of it; changes nothing else. One that
            leaves the configuration is retired by that.
    """

    id: str
    parent: str | None = None
    limit_a: Annotated[tuple[Decimal, ...] | None, Range(low=0, high=MAX_A)] = None
    limit_w: Annotated[int | None, Range(low=0, high=MAX_W)] = None
    net_limit_a: Annotated[tuple[Decimal, ...] | None, Range(low=0, high=MAX_A)] = None
    export_limit_a: Annotated[tuple[Decimal, ...] | None, Range(low=0, high=MAX_A)] = (
        None
    )
    margin_a: Annotated[Decimal, Range(low=0, high=MAX_A)] = Decimal(0)
    breaker_a: Annotated[Decimal | None, Range(low=1, high=MAX_A)] = None
    feeder_meter: str | None = None
    imbalance_a: Annotated[Decimal | None, Range(low=0, high=MAX_A)] = None
    feeder_stale_after_s: Annotated[int, Range(low=2, high=3_600)] = 120
    feeder_source: LoadSource = LoadSource.API
    modbus: ModbusTable | None = None
    mqtt: MqttTable | None = None
    mode: Mode = Mode.CONTROL
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    public: bool = False
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE

    def __post_init__(self) -> None:
        _check_id(self.id)
        check_place(self.latitude_deg, self.longitude_deg)
        check_owner(self.owner)
        for key in ("limit_a", "net_limit_a", "export_limit_a"):
            limits = getattr(self, key)
            if limits is not None and len(limits) != len(ALL_PHASES):
                raise ConfigError(key, "one limit per phase, as [63, 63, 63]")
        if self.limit_a is None and self.limit_w is None:
            raise ConfigError("limit_a", "a cabinet needs limit_a or limit_w")
        _check_read(self.feeder_source, self.modbus, self.mqtt, key="feeder_source")
        if self.feeder_source is not LoadSource.API and self.feeder_meter is None:
            raise ConfigError("feeder_meter", "the meter that is read needs an id")
        check_measures_only(self.modbus, self.mqtt)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseTable:
    """``[[station.evse]]``.

    Attributes:
        id: Number from 1; in OCPP 1.6 the connector.
        current_type: What the car gets.
        phases: Supply phases in the order of the terminals, as ``L2L3L1`` or ``L3``.
        phases_confirmed: With a car on one phase, the current that the station reports
            was seen on the phase of the supply that ``phases`` says.
        max_a: Rating per phase; an AC EVSE needs it.
        min_a: A car charges with at least this: of AC 6 A; of DC at the grid, 0.
        max_w: Rating of a DC EVSE, which needs it; of an AC one it is only shown.
        min_w: Least that a DC EVSE delivers; less is planned and told as 0.
        floor_a: Reserved for ever, idle or offline: 0, or at least ``min_a``.
        efficiency: Of DC: delivered over drawn power.
        auxiliary_w: Of DC: drawn by cooling and electronics.
        public: It is registered on chain, and its status anchored, in the open.
        connector: OCPI's name for what cars plug into, as ``IEC_62196_T2``; without it
            what the station says, else that of ``[cpo]``.
        connector_format: ``SOCKET`` or ``CABLE``; found likewise.
    """

    id: Annotated[int, Range(low=1, high=1_000)]
    current_type: CurrentType = CurrentType.AC
    phases: str = "L1L2L3"
    phases_confirmed: bool = False
    max_a: Annotated[Decimal | None, Range(low=0, high=MAX_A, decimals=1)] = None
    min_a: Annotated[Decimal | None, Range(low=0, high=MAX_A, decimals=1)] = None
    max_w: Annotated[int | None, Range(low=1, high=MAX_W)] = None
    min_w: Annotated[int | None, Range(low=0, high=MAX_W)] = None
    floor_a: Annotated[Decimal, Range(low=0, high=MAX_A, decimals=1)] = Decimal(0)
    efficiency: Annotated[float, Range(low=0.5, high=1)] = 0.94
    auxiliary_w: Annotated[int, Range(low=0, high=MAX_W)] = 300
    public: bool = False
    connector: ConnectorStandard | None = None
    connector_format: ConnectorFormat | None = None

    def __post_init__(self) -> None:
        wired_to(self.phases)
        if self.current_type is CurrentType.AC and self.max_a is None:
            raise ConfigError("max_a", "an AC EVSE needs its rating in A per phase")
        if self.current_type is CurrentType.DC and self.max_w is None:
            raise ConfigError("max_w", "a DC EVSE needs its rating in W")
        if self.min_w is not None and self.current_type is CurrentType.AC:
            raise ConfigError("min_w", "of a DC EVSE; one of AC has min_a")


class OcppVersion(StrEnum):
    """What a station may be assumed or bound to speak."""

    V16 = "1.6"
    V201 = "2.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationTable:
    """``[[station]]``.

    Attributes:
        id: Last part of its URL and its Basic user name: 1 to 48 letters, digits or
            ``. _ : @ = + -``.
        cabinet: Id of the cabinet that feeds it; without one it is never limited.
        latitude_deg: Place on the map, WGS 84.
        longitude_deg: Place on the map, WGS 84.
        owner: Account of its owner in the registry, instead of that of ``[site]``.
        service_status: What the registry says of it; changes nothing else. One that
            leaves the configuration is retired by that.
        managed: ``false``: nothing is sent unasked, and its rating is reserved.
        unit: What it wants limits in.
        clock_skew_s: How wrong its clock may be.
        tariff_id: Instead of ``billing.default_tariff``.
        default_energy_wh: Instead of that of ``[site]``.
        default_stay_s: Instead of that of ``[site]``.
        password_file: File with its password; this, ``password_env``, or by the API.
        password_env: Name of the environment variable with its password.
        assume_version: Spoken where it offers no version when it connects.
        pin_version: The only version that it may speak.
        main_meter: Id of the load or feeder meter that its main meter (connector 0)
            measures.
        strict: Instead of that of ``[ocpp]``.
        compression: Instead of that of ``[server]``.
        evse: One table ``[[station.evse]]`` for each of its EVSEs.
    """

    id: str
    cabinet: str | None = None
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE
    managed: bool = True
    unit: LimitUnit = LimitUnit.A
    clock_skew_s: Annotated[int, Range(low=0, high=3_600)] = 60
    tariff_id: str | None = None
    default_energy_wh: Annotated[int | None, Range(low=0, high=MAX_WH)] = None
    default_stay_s: Annotated[int | None, Range(low=900, high=WEEK_S)] = None
    password_file: Path | None = None
    password_env: str | None = None
    assume_version: OcppVersion | None = None
    pin_version: OcppVersion | None = None
    main_meter: str | None = None
    strict: bool | None = None
    compression: bool | None = None
    evse: tuple[EvseTable, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        check_place(self.latitude_deg, self.longitude_deg)
        check_owner(self.owner)
        if None not in {self.assume_version, self.pin_version} and (
            self.assume_version is not self.pin_version
        ):
            raise ConfigError("assume_version", "is another one than pin_version")
        if self.password_file is not None and self.password_env is not None:
            raise ConfigError("password_env", "give password_file or password_env")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTable:
    """``[[load]]``.

    Attributes:
        id: For ``PUT /loads/ID/reading``.
        cabinet: Id of the cabinet that feeds it.
        phases: As of an EVSE.
        source: ``api``: readings come by PUT; ``modbus``, ``mqtt``: it is read as the
            table of that name says; ``profile``: plans expect ``profile_a``;
            ``simulated``: made up, for trying out.
        worst_case_a: Per phase; counts against the limit whenever no reading is fresh.
        stale_after_s: Age from which a reading does not count.
        profile_a: With ``source = "profile"``: 24 currents per phase, one per hour of
            the day; for planning only.
        modbus: One table ``[load.modbus]``.
        mqtt: One table ``[load.mqtt]``.
    """

    id: str
    cabinet: str
    phases: str = "L1L2L3"
    source: LoadSource = LoadSource.API
    worst_case_a: Annotated[Decimal, Range(low=0, high=MAX_A)]
    stale_after_s: Annotated[int, Range(low=1, high=86_400)] = 300
    profile_a: Annotated[tuple[Decimal, ...], Range(low=0, high=MAX_A)] = ()
    modbus: ModbusTable | None = None
    mqtt: MqttTable | None = None

    def __post_init__(self) -> None:
        _check_id(self.id)
        wired_to(self.phases)
        check_source(self.source, self.modbus, self.mqtt)
        check_measures_only(self.modbus, self.mqtt)
        wanted = HOURS if self.source is LoadSource.PROFILE else 0
        if len(self.profile_a) != wanted:
            raise ConfigError(
                "profile_a", 'with source = "profile": one current per hour of the day'
            )
        if any(value > self.worst_case_a for value in self.profile_a):
            raise ConfigError("profile_a", "is above worst_case_a")


@dataclass(frozen=True, slots=True, kw_only=True)
class PvTable:
    """``[[pv]]``.

    Attributes:
        id: For ``PUT /loads/ID/reading``.
        cabinet: Id of the cabinet that it feeds into; it never raises a limit.
        phases: As of an EVSE.
        peak_w: Most that it gives; readings above it count as this.
        profile_w: 24 usual powers, by local hour of the day: what plans expect beyond
            what is measured. For cost only, never for a limit.
        source: ``api``: readings come by PUT; ``modbus``, ``mqtt``: it is read as the
            table of that name says; ``simulated``: made up, for trying out.
        stale_after_s: Age from which a reading does not count.
        latitude_deg: Place on the map, WGS 84.
        longitude_deg: Place on the map, WGS 84.
        public: It is registered on chain, and its status anchored, in the open; else
            it is registered as a salted hash.
        owner: Account of its owner in the registry, instead of that of ``[site]``.
        service_status: What the registry says of it; changes nothing else. One that
            leaves the configuration is retired by that.
        modbus: One table ``[pv.modbus]``.
        mqtt: One table ``[pv.mqtt]``.
    """

    id: str
    cabinet: str
    phases: str = "L1L2L3"
    peak_w: Annotated[int, Range(low=0, high=MAX_W)]
    profile_w: Annotated[tuple[int, ...], Range(low=0, high=MAX_W)] = ()
    source: LoadSource = LoadSource.API
    stale_after_s: Annotated[int, Range(low=1, high=86_400)] = 300
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    public: bool = False
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE
    modbus: ModbusTable | None = None
    mqtt: MqttTable | None = None

    def __post_init__(self) -> None:
        _check_id(self.id)
        wired_to(self.phases)
        check_place(self.latitude_deg, self.longitude_deg)
        check_owner(self.owner)
        _check_read(self.source, self.modbus, self.mqtt)
        check_measures_only(self.modbus, self.mqtt)
        if len(self.profile_w) not in {0, HOURS}:
            raise ConfigError("profile_w", "one power per hour of the day: 24")
        if any(value > self.peak_w for value in self.profile_w):
            raise ConfigError("profile_w", "is above peak_w")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryTable:
    """``[[battery]]``.

    Attributes:
        id: For ``PUT /loads/ID/reading``.
        cabinet: Id of the cabinet that it hangs on.
        phases: As of an EVSE.
        capacity_wh: What it holds.
        max_charge_w: Counts against the limit whenever no reading is fresh.
        max_discharge_w: Most that it gives; never raises a limit.
        efficiency: Of storing and giving back together.
        control: ``surplus``: we tell it to store what would be fed in, and to give it
            back while energy is dear or the cabinet is full; its discharge never raises
            a limit. ``plan``: it is planned with the cars, by prices; without a plan it
            does as with ``surplus``.
        reserve_percent: Of its capacity; what is below is never discharged by us.
        target_percent: Of its capacity; what plans leave in it at their end.
        source: ``api``: readings come by PUT; ``modbus``, ``mqtt``: it is read as the
            table of that name says; ``simulated``: made up, for trying out.
        stale_after_s: Age from which a reading does not count.
        latitude_deg: Place on the map, WGS 84.
        longitude_deg: Place on the map, WGS 84.
        public: It is registered on chain, and its status anchored, in the open; else
            it is registered as a salted hash.
        owner: Account of its owner in the registry, instead of that of ``[site]``.
        service_status: What the registry says of it; changes nothing else. One that
            leaves the configuration is retired by that.
        modbus: One table ``[battery.modbus]``.
        mqtt: One table ``[battery.mqtt]``.
    """

    id: str
    cabinet: str
    phases: str = "L1L2L3"
    capacity_wh: Annotated[int, Range(low=1, high=10**9)]
    max_charge_w: Annotated[int, Range(low=0, high=MAX_W)]
    max_discharge_w: Annotated[int, Range(low=0, high=MAX_W)]
    efficiency: Annotated[float, Range(low=0.1, high=1)] = 0.9
    control: BatteryControl = BatteryControl.OFF
    reserve_percent: Annotated[int, Range(low=0, high=100)] = 20
    target_percent: Annotated[int, Range(low=0, high=100)] = 50
    source: LoadSource = LoadSource.API
    stale_after_s: Annotated[int, Range(low=1, high=86_400)] = 300
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    public: bool = False
    owner: str | None = None
    service_status: ServiceStatus = ServiceStatus.IN_SERVICE
    modbus: ModbusTable | None = None
    mqtt: MqttTable | None = None

    def __post_init__(self) -> None:
        _check_id(self.id)
        wired_to(self.phases)
        check_place(self.latitude_deg, self.longitude_deg)
        check_owner(self.owner)
        _check_read(self.source, self.modbus, self.mqtt)
        if self.control is not BatteryControl.OFF:
            check_controlled(self.source, self.modbus, self.mqtt)
        if self.control is BatteryControl.PLAN and self.capacity_wh > MAX_PLANNED_WH:
            raise ConfigError("capacity_wh", f"at most {MAX_PLANNED_WH} can be planned")


def wired_to(text: str) -> Rotation:
    """Read a rotation of phases.

    Raises:
        ConfigError: It is none; ``key`` is ``phases``.
    """
    try:
        return rotation(text)
    except ValueError:
        raise ConfigError(
            "phases",
            f"{text!r} is not a rotation: supply phases in the order of the terminals, "
            'as "L1L2L3", "L2L3L1" or "L3"',
        ) from None


def _check_read(
    source: LoadSource,
    modbus: ModbusTable | None,
    mqtt: MqttTable | None,
    *,
    key: str = "source",
) -> None:
    """As `check_source`, where nothing is planned by a profile."""
    if source is LoadSource.PROFILE:
        raise ConfigError(key, 'only a load has a profile: "api", "modbus" or "mqtt"')
    check_source(source, modbus, mqtt, key=key)


def _check_id(text: str) -> None:
    if STATION_ID.fullmatch(text) is None:
        raise ConfigError(
            "id", f"{text!r}: 1 to 48 letters, digits or . _ : @ = + - are allowed"
        )
