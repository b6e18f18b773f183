"""The site's tables of ``config.toml`` turned into the topology and back."""

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from gateway.config.reader import Range, read
from gateway.domain.ids import STATION_ID, CabinetId, EvseRef, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.topology import (
    ALL_PHASES,
    Battery,
    Cabinet,
    CurrentType,
    Evse,
    Grid,
    Load,
    LoadSource,
    Mode,
    PerPhase,
    Position,
    Pv,
    Rotation,
    Site,
    Station,
    dc_input_da,
    phase_voltage,
    rotation,
    rotation_text,
)
from gateway.errors import ConfigError

Latitude: TypeAlias = Annotated[float | None, Range(low=-90, high=90)]
Longitude: TypeAlias = Annotated[float | None, Range(low=-180, high=180)]

MAX_A: Final = 10_000
MAX_W: Final = 100_000_000
MAX_WH: Final = 10_000_000
WEEK_S: Final = 604_800
HOURS: Final = 24
_NAMES: Final = {"cabinet_id": "cabinet", "evses": "evse"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTable:
    """``[site]``."""

    name: str = "Site"
    timezone: str = "UTC"
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    grid: Grid = Grid.TN
    nominal_v: Annotated[float, Range(low=50, high=1_000)] = 230.0
    hold_time_s: Annotated[int, Range(low=60, high=86_400)] = 1_800
    default_energy_wh: Annotated[int, Range(low=0, high=MAX_WH)] = 15_000
    default_stay_s: Annotated[int, Range(low=900, high=WEEK_S)] = 14_400

    def __post_init__(self) -> None:
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(
                "timezone", f'no such zone: {self.timezone!r}, as in "Europe/Berlin"'
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetTable:
    """``[[cabinet]]``."""

    id: str
    parent: str | None = None
    limit_a: Annotated[tuple[Decimal, ...] | None, Range(low=0, high=MAX_A)] = None
    limit_w: Annotated[int | None, Range(low=0, high=MAX_W)] = None
    margin_a: Annotated[Decimal, Range(low=0, high=MAX_A)] = Decimal(0)
    feeder_meter: str | None = None
    mode: Mode = Mode.CONTROL
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None

    def __post_init__(self) -> None:
        _check_id(self.id)
        if self.limit_a is not None and len(self.limit_a) != len(ALL_PHASES):
            raise ConfigError("limit_a", "one limit per phase, as [63, 63, 63]")
        if self.limit_a is None and self.limit_w is None:
            raise ConfigError("limit_a", "a cabinet needs limit_a or limit_w")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseTable:
    """``[[station.evse]]``."""

    id: Annotated[int, Range(low=1, high=1_000)]
    current_type: CurrentType = CurrentType.AC
    phases: str = "L1L2L3"
    max_a: Annotated[Decimal | None, Range(low=0, high=MAX_A, decimals=1)] = None
    min_a: Annotated[Decimal, Range(low=0, high=MAX_A, decimals=1)] = Decimal(6)
    max_w: Annotated[int | None, Range(low=1, high=MAX_W)] = None
    floor_a: Annotated[Decimal, Range(low=0, high=MAX_A, decimals=1)] = Decimal(0)
    efficiency: Annotated[float, Range(low=0.5, high=1)] = 0.94
    auxiliary_w: Annotated[int, Range(low=0, high=MAX_W)] = 300
    public: bool = False

    def __post_init__(self) -> None:
        _rotation(self.phases)
        if self.current_type is CurrentType.AC and self.max_a is None:
            raise ConfigError("max_a", "an AC EVSE needs its rating in A per phase")
        if self.current_type is CurrentType.DC and self.max_w is None:
            raise ConfigError("max_w", "a DC EVSE needs its rating in W")


@dataclass(frozen=True, slots=True, kw_only=True)
class StationTable:
    """``[[station]]``."""

    id: str
    cabinet: str | None = None
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    managed: bool = True
    unit: LimitUnit = LimitUnit.A
    clock_skew_s: Annotated[int, Range(low=0, high=3_600)] = 60
    tariff_id: str | None = None
    default_energy_wh: Annotated[int | None, Range(low=0, high=MAX_WH)] = None
    default_stay_s: Annotated[int | None, Range(low=900, high=WEEK_S)] = None
    password_file: Path | None = None
    password_env: str | None = None
    evse: tuple[EvseTable, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        if self.password_file is not None and self.password_env is not None:
            raise ConfigError("password_env", "give password_file or password_env")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTable:
    """``[[load]]``."""

    id: str
    cabinet: str
    phases: str = "L1L2L3"
    source: LoadSource = LoadSource.API
    worst_case_a: Annotated[Decimal, Range(low=0, high=MAX_A)]
    stale_after_s: Annotated[int, Range(low=1, high=86_400)] = 300
    profile_a: Annotated[tuple[Decimal, ...], Range(low=0, high=MAX_A)] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        _rotation(self.phases)
        wanted = HOURS if self.source is LoadSource.PROFILE else 0
        if len(self.profile_a) != wanted:
            raise ConfigError(
                "profile_a", 'with source = "profile": one current per hour of the day'
            )
        if any(value > self.worst_case_a for value in self.profile_a):
            raise ConfigError("profile_a", "is above worst_case_a")


@dataclass(frozen=True, slots=True, kw_only=True)
class PvTable:
    """``[[pv]]``."""

    id: str
    cabinet: str
    phases: str = "L1L2L3"
    peak_w: Annotated[int, Range(low=0, high=MAX_W)]
    source: LoadSource = LoadSource.API
    stale_after_s: Annotated[int, Range(low=1, high=86_400)] = 300
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    public: bool = False

    def __post_init__(self) -> None:
        _check_id(self.id)
        _rotation(self.phases)
        if self.source is not LoadSource.API:
            raise ConfigError("source", 'only "api" is available in this version')


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryTable:
    """``[[battery]]``."""

    id: str
    cabinet: str
    phases: str = "L1L2L3"
    capacity_wh: Annotated[int, Range(low=1, high=10**9)]
    max_charge_w: Annotated[int, Range(low=0, high=MAX_W)]
    max_discharge_w: Annotated[int, Range(low=0, high=MAX_W)]
    efficiency: Annotated[float, Range(low=0.1, high=1)] = 0.9
    stale_after_s: Annotated[int, Range(low=1, high=86_400)] = 300
    latitude_deg: Latitude = None
    longitude_deg: Longitude = None
    public: bool = False

    def __post_init__(self) -> None:
        _check_id(self.id)
        _rotation(self.phases)


Positioned = SiteTable | CabinetTable | StationTable | PvTable | BatteryTable


def site_of(
    table: SiteTable,
    *,
    cabinets: tuple[CabinetTable, ...] = (),
    stations: tuple[StationTable, ...] = (),
    loads: tuple[LoadTable, ...] = (),
    pvs: tuple[PvTable, ...] = (),
    batteries: tuple[BatteryTable, ...] = (),
) -> Site:
    """Assemble the site; `gateway.domain.site_check.problems` judges it."""
    return Site(
        name=table.name,
        timezone=table.timezone,
        position=_position(table),
        grid=table.grid,
        nominal_v=table.nominal_v,
        hold_time_s=table.hold_time_s,
        default_energy_wh=table.default_energy_wh,
        default_stay_s=table.default_stay_s,
        cabinets=tuple(_cabinet(cabinet) for cabinet in cabinets),
        stations=tuple(
            station_of(station, grid=table.grid, nominal_v=table.nominal_v)
            for station in stations
        ),
        loads=tuple(_load(load) for load in loads),
        pvs=tuple(_pv(pv) for pv in pvs),
        batteries=tuple(_battery(b, table.grid, table.nominal_v) for b in batteries),
    )


def station_of(
    table: StationTable, *, grid: Grid, nominal_v: float, origin: str = "config"
) -> Station:
    """One station with its EVSEs."""
    cabinet_id = None if table.cabinet is None else CabinetId(table.cabinet)
    return Station(
        id=StationId(table.id),
        cabinet_id=cabinet_id,
        evses=tuple(
            _evse(evse, StationId(table.id), cabinet_id, grid, nominal_v)
            for evse in table.evse
        ),
        managed=table.managed,
        unit=table.unit,
        clock_skew_s=table.clock_skew_s,
        tariff_id=table.tariff_id,
        default_energy_wh=table.default_energy_wh,
        default_stay_s=table.default_stay_s,
        position=_position(table),
        origin=origin,
    )


def station_from_json(
    station_id: str, body: Mapping[str, object], *, known: Station | None, site: Site
) -> Station:
    """A station from an API body; members left out keep their value.

    Args:
        station_id: Its id.
        body: The ``[[station]]`` table as JSON, with ``cabinet_id``, ``evses`` and
            ``evse_id`` for ``cabinet``, ``evse`` and ``id``. Passwords and other
            members that are not about wiring are taken out by the caller.
        known: The station as it is.
        site: For grid and voltage; whether the result fits in is judged by
            `gateway.domain.site_check.problems` of ``site.with_station(...)``.

    Raises:
        ConfigError: A member is unknown or wrong; ``key`` names it.
    """
    table: dict[str, object] = {} if known is None else station_to_json(known)
    table.update(body)
    table["id"] = station_id
    evses = table.get("evses")
    if isinstance(evses, list | tuple):
        table["evses"] = [_renamed(evse, {"evse_id": "id"}) for evse in evses]
    read_table = read(StationTable, _renamed(table, _NAMES), "", Path())
    return station_of(
        read_table,
        grid=site.grid,
        nominal_v=site.nominal_v,
        origin="api" if known is None else known.origin,
    )


def station_to_json(station: Station) -> dict[str, object]:
    """The inverse of `station_from_json`, without the id; keys carry units."""
    document: dict[str, object] = {
        "cabinet_id": station.cabinet_id,
        "managed": station.managed,
        "unit": station.unit.value,
        "clock_skew_s": station.clock_skew_s,
        "tariff_id": station.tariff_id,
        "default_energy_wh": station.default_energy_wh,
        "default_stay_s": station.default_stay_s,
        "evses": [evse_to_json(evse) for evse in station.evses],
    }
    if station.position is not None:
        document["latitude_deg"] = station.position.latitude_deg
        document["longitude_deg"] = station.position.longitude_deg
    return document


def evse_to_json(evse: Evse) -> dict[str, object]:
    """One EVSE as ``[[station.evse]]`` in JSON."""
    document: dict[str, object] = {
        "evse_id": evse.ref.evse_id,
        "current_type": evse.current_type.value,
        "phases": rotation_text(evse.phases),
        "max_a": evse.max_a,
        "min_a": evse.min_a,
        "max_w": evse.max_w,
        "floor_a": evse.floor_a,
        "public": evse.public,
    }
    if evse.current_type is CurrentType.DC:
        document["efficiency"] = evse.efficiency
        document["auxiliary_w"] = evse.auxiliary_w
    return document


def _cabinet(table: CabinetTable) -> Cabinet:
    return Cabinet(
        id=CabinetId(table.id),
        parent=None if table.parent is None else CabinetId(table.parent),
        limit_da=None if table.limit_a is None else _limits_da(table.limit_a),
        limit_w=table.limit_w,
        margin_da=_up_da(table.margin_a),
        feeder_meter=table.feeder_meter,
        mode=table.mode,
        position=_position(table),
    )


def _limits_da(limit_a: tuple[Decimal, ...]) -> PerPhase:
    one, two, three = (
        int((value * 10).to_integral_value(rounding=ROUND_FLOOR)) for value in limit_a
    )
    return (one, two, three)


def _evse(
    table: EvseTable,
    station_id: StationId,
    cabinet_id: CabinetId | None,
    grid: Grid,
    nominal_v: float,
) -> Evse:
    phases = _rotation(table.phases)
    phase_v = phase_voltage(grid, nominal_v, len(phases))
    is_dc = table.current_type is CurrentType.DC
    max_da = 0 if table.max_a is None else _up_da(table.max_a)
    if is_dc and table.max_w is not None:
        input_da = dc_input_da(
            table.max_w,
            phase_v=phase_v,
            n_phase=len(phases),
            efficiency=table.efficiency,
            auxiliary_w=table.auxiliary_w,
        )
        max_da = input_da if table.max_a is None else min(max_da, input_da)
    return Evse(
        ref=EvseRef(station_id=station_id, evse_id=table.id),
        cabinet_id=cabinet_id,
        phases=phases,
        current_type=table.current_type,
        max_da=max_da,
        min_da=_up_da(table.min_a),
        floor_da=_up_da(table.floor_a),
        max_w=table.max_w,
        phase_v=phase_v,
        efficiency=table.efficiency if is_dc else 1.0,
        auxiliary_w=table.auxiliary_w if is_dc else 0,
        public=table.public,
    )


def _load(table: LoadTable) -> Load:
    return Load(
        id=table.id,
        cabinet_id=CabinetId(table.cabinet),
        phases=_rotation(table.phases),
        source=table.source,
        worst_case_da=_up_da(table.worst_case_a),
        stale_after_s=table.stale_after_s,
        profile_da=tuple(_up_da(value) for value in table.profile_a),
    )


def _pv(table: PvTable) -> Pv:
    return Pv(
        id=table.id,
        cabinet_id=CabinetId(table.cabinet),
        phases=_rotation(table.phases),
        peak_w=table.peak_w,
        stale_after_s=table.stale_after_s,
        position=_position(table),
        public=table.public,
    )


def _battery(table: BatteryTable, grid: Grid, nominal_v: float) -> Battery:
    phases = _rotation(table.phases)
    return Battery(
        id=table.id,
        cabinet_id=CabinetId(table.cabinet),
        phases=phases,
        capacity_wh=table.capacity_wh,
        max_charge_w=table.max_charge_w,
        max_discharge_w=table.max_discharge_w,
        efficiency=table.efficiency,
        stale_after_s=table.stale_after_s,
        phase_v=phase_voltage(grid, nominal_v, len(phases)),
        position=_position(table),
        public=table.public,
    )


def _position(table: Positioned) -> Position | None:
    if table.latitude_deg is None or table.longitude_deg is None:
        return None
    return Position(latitude_deg=table.latitude_deg, longitude_deg=table.longitude_deg)


def _up_da(current_a: Decimal) -> int:
    return int((current_a * 10).to_integral_value(rounding=ROUND_CEILING))


def _rotation(text: str) -> Rotation:
    try:
        return rotation(text)
    except ValueError:
        raise ConfigError(
            "phases",
            f"{text!r} is not a rotation: supply phases in the order of the terminals, "
            'as "L1L2L3", "L2L3L1" or "L3"',
        ) from None


def _check_id(text: str) -> None:
    if STATION_ID.fullmatch(text) is None:
        raise ConfigError(
            "id", f"{text!r}: 1 to 48 letters, digits or . _ : @ = + - are allowed"
        )


def _renamed(table: object, names: Mapping[str, str]) -> object:
    if not isinstance(table, Mapping):
        return table
    return {names.get(key, key): value for key, value in table.items()}
