"""The site's tables of ``config.toml`` turned into the topology and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from gateway.config.meters import BatteryControl
from gateway.config.reader import read
from gateway.config.tables import (
    BatteryTable,
    CabinetTable,
    EvseTable,
    LoadTable,
    OcppVersion,
    PvTable,
    SiteTable,
    StationTable,
    wired_to,
)
from gateway.domain.dwell import Dwell
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.topology import (
    Battery,
    Cabinet,
    CurrentType,
    Evse,
    Grid,
    Load,
    PerPhase,
    Position,
    Pv,
    Site,
    Station,
    dc_input_da,
    phase_voltage,
    rotation_text,
)
from gateway.errors import ConfigError

_NAMES: Final = {"cabinet_id": "cabinet", "evses": "evse"}
_TABLE_ONLY: Final = frozenset(
    {"id", "cabinet", "evse", "password_file", "password_env"}
)
DEFAULT_MIN_A: Final = Decimal(6)
MAX_NAME_CHARS: Final = 100
"""Of a member's name that an error repeats."""
STATION_MEMBERS: Final = tuple(
    sorted({one.name for one in fields(StationTable)} - _TABLE_ONLY | _NAMES.keys())
)
"""Members of a station's wiring in JSON."""
EVSE_MEMBERS: Final = tuple(
    sorted({one.name for one in fields(EvseTable)} - {"id"} | {"evse_id"})
)
"""Members of one of its EVSEs in JSON."""


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
        owner=_owner(table.owner),
        grid=table.grid,
        nominal_v=table.nominal_v,
        hold_time_s=table.hold_time_s,
        default_energy_wh=table.default_energy_wh,
        dwell=Dwell(min_on_s=table.min_on_s, min_off_s=table.min_off_s),
        default_stay_s=table.default_stay_s,
        free_unused_phases=table.free_unused_phases,
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
        assume_version=_value(table.assume_version),
        pin_version=_value(table.pin_version),
        main_meter=table.main_meter,
        strict=table.strict,
        compression=table.compression,
        position=_position(table),
        owner=_owner(table.owner),
        service_status=table.service_status,
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
        _check_evses(evses)
        table["evses"] = [_renamed(evse, {"evse_id": "id"}) for evse in evses]
    try:
        read_table = read(StationTable, _renamed(table, _NAMES), "", Path())
    except ConfigError as error:
        raise ConfigError(_json_key(error.key), error.problem) from None
    return station_of(
        read_table,
        grid=site.grid,
        nominal_v=site.nominal_v,
        origin="api" if known is None else known.origin,
    )


def no_member(key: str, path: str, known: Sequence[str]) -> ConfigError:
    """The error for a member of a body that does not exist."""
    close = get_close_matches(key[:MAX_NAME_CHARS], known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    return ConfigError(f"{path}{key[:MAX_NAME_CHARS]}", f"no such member; {hint}")


def _check_evses(evses: Sequence[object]) -> None:
    """Name members of EVSEs that do not exist as JSON has them, not as the tables."""
    for index, evse in enumerate(evses):
        if isinstance(evse, Mapping):
            for key in evse:
                if key not in EVSE_MEMBERS:
                    raise no_member(key, f"evses[{index}].", EVSE_MEMBERS)


def _json_key(key: str) -> str:
    """The JSON member behind a key of the ``[[station]]`` table."""
    if key.startswith("evse"):
        where, dot, name = key.partition(".")
        name = "evse_id" if name == "id" else name
        return f"evses{where.removeprefix('evse')}{dot}{name}"
    return "cabinet_id" if key == "cabinet" else key


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
        "assume_version": station.assume_version,
        "pin_version": station.pin_version,
        "main_meter": station.main_meter,
        "strict": station.strict,
        "compression": station.compression,
        "owner": station.owner,
        "service_status": station.service_status.value,
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
        "phases_confirmed": evse.phases_confirmed,
        "max_a": evse.max_a,
        "min_a": evse.min_a,
        "max_w": evse.max_w,
        "floor_a": evse.floor_a,
        "public": evse.public,
    }
    for name, word in (
        ("connector", evse.connector),
        ("connector_format", evse.connector_format),
    ):
        if word is not None:
            document[name] = word.value
    if evse.current_type is CurrentType.DC:
        if evse.min_w is not None:
            document["min_w"] = evse.min_w
        document["efficiency"] = evse.efficiency
        document["auxiliary_w"] = evse.auxiliary_w
    return document


def _cabinet(table: CabinetTable) -> Cabinet:
    return Cabinet(
        id=CabinetId(table.id),
        parent=None if table.parent is None else CabinetId(table.parent),
        limit_da=None if table.limit_a is None else _limits_da(table.limit_a),
        limit_w=table.limit_w,
        net_limit_da=(
            None if table.net_limit_a is None else _limits_da(table.net_limit_a)
        ),
        export_limit_da=(
            None if table.export_limit_a is None else _limits_da(table.export_limit_a)
        ),
        margin_da=_up_da(table.margin_a),
        breaker_da=None if table.breaker_a is None else _down_da(table.breaker_a),
        feeder_meter=table.feeder_meter,
        imbalance_da=None if table.imbalance_a is None else _down_da(table.imbalance_a),
        feeder_stale_after_s=table.feeder_stale_after_s,
        mode=table.mode,
        position=_position(table),
        public=table.public,
        owner=_owner(table.owner),
        service_status=table.service_status,
    )


def _limits_da(limit_a: tuple[Decimal, ...]) -> PerPhase:
    one, two, three = (_down_da(value) for value in limit_a)
    return (one, two, three)


def _evse(
    table: EvseTable,
    station_id: StationId,
    cabinet_id: CabinetId | None,
    grid: Grid,
    nominal_v: float,
) -> Evse:
    phases = wired_to(table.phases)
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
        phases_confirmed=table.phases_confirmed,
        current_type=table.current_type,
        max_da=max_da,
        min_da=_min_da(table, phase_v=phase_v, n_phase=len(phases)),
        floor_da=_up_da(table.floor_a),
        max_w=table.max_w,
        min_w=table.min_w,
        phase_v=phase_v,
        efficiency=table.efficiency if is_dc else 1.0,
        auxiliary_w=table.auxiliary_w if is_dc else 0,
        public=table.public,
        connector=table.connector,
        connector_format=table.connector_format,
    )


def _min_da(table: EvseTable, *, phase_v: float, n_phase: int) -> int:
    """Least current, 0.1 A: of DC it is its own, which may be any."""
    if table.current_type is CurrentType.AC:
        return _up_da(DEFAULT_MIN_A if table.min_a is None else table.min_a)
    least_da = 0 if table.min_a is None else _up_da(table.min_a)
    if table.min_w is None:
        return least_da
    step_w = phase_v * n_phase / 10  # limits are told in whole steps of 0.1 A
    of_power_da = dc_input_da(
        math.ceil(table.min_w / step_w) * step_w,
        phase_v=phase_v,
        n_phase=n_phase,
        efficiency=table.efficiency,
        auxiliary_w=table.auxiliary_w,
    )
    return max(least_da, of_power_da)


def _load(table: LoadTable) -> Load:
    return Load(
        id=table.id,
        cabinet_id=CabinetId(table.cabinet),
        phases=wired_to(table.phases),
        source=table.source,
        worst_case_da=_up_da(table.worst_case_a),
        stale_after_s=table.stale_after_s,
        profile_da=tuple(_up_da(value) for value in table.profile_a),
    )


def _pv(table: PvTable) -> Pv:
    return Pv(
        id=table.id,
        cabinet_id=CabinetId(table.cabinet),
        phases=wired_to(table.phases),
        peak_w=table.peak_w,
        profile_w=table.profile_w,
        stale_after_s=table.stale_after_s,
        position=_position(table),
        public=table.public,
        owner=_owner(table.owner),
        service_status=table.service_status,
    )


def _battery(table: BatteryTable, grid: Grid, nominal_v: float) -> Battery:
    phases = wired_to(table.phases)
    return Battery(
        id=table.id,
        cabinet_id=CabinetId(table.cabinet),
        phases=phases,
        capacity_wh=table.capacity_wh,
        max_charge_w=table.max_charge_w,
        max_discharge_w=table.max_discharge_w,
        efficiency=table.efficiency,
        is_controlled=table.control is not BatteryControl.OFF,
        follows_plan=table.control is BatteryControl.PLAN,
        reserve_percent=table.reserve_percent,
        target_percent=table.target_percent,
        stale_after_s=table.stale_after_s,
        phase_v=phase_voltage(grid, nominal_v, len(phases)),
        position=_position(table),
        public=table.public,
        owner=_owner(table.owner),
        service_status=table.service_status,
    )


def _value(version: OcppVersion | None) -> str | None:
    return None if version is None else version.value


def _owner(owner: str | None) -> str | None:
    return None if owner is None else owner.lower()


def _position(table: Positioned) -> Position | None:
    if table.latitude_deg is None or table.longitude_deg is None:
        return None
    return Position(latitude_deg=table.latitude_deg, longitude_deg=table.longitude_deg)


def _down_da(current_a: Decimal) -> int:
    return int((current_a * 10).to_integral_value(rounding=ROUND_FLOOR))


def _up_da(current_a: Decimal) -> int:
    return int((current_a * 10).to_integral_value(rounding=ROUND_CEILING))


def _renamed(table: object, names: Mapping[str, str]) -> object:
    if not isinstance(table, Mapping):
        return table
    return {names.get(key, key): value for key, value in table.items()}
