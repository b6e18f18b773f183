"""Scenario files: the site, its stations and its drivers, read and checked."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from sim_chargers.evse import EvseSpec
from sim_chargers.faults import FAULTS
from sim_chargers.meter_spec import MeterSpec
from sim_chargers.scenario_table import ScenarioError, Table

VERSIONS: Final = ("1.6", "2.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CabinetSpec:
    """A cabinet; ``limit_a`` per phase or ``limit_w`` in total (gross loads)."""

    id: str
    parent: str | None = None
    limit_a: tuple[float, float, float] | None = None
    limit_w: float | None = None
    feeder_meter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSpec:
    """A station with its EVSEs."""

    id: str
    ocpp: str
    evses: tuple[EvseSpec, ...]
    password: str | None = None
    cabinet: str | None = None
    vendor: str = "Wattproof Sim"
    model: str = "SIM-22"
    firmware: str = "1.0.0"
    faults: frozenset[str] = frozenset()
    meter: MeterSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """Other equipment: between ``base_a`` and ``peak_a`` on each of its phases."""

    id: str
    cabinet: str
    phases: tuple[int, ...] = (0, 1, 2)
    base_a: float = 2.0
    peak_a: float = 8.0
    worst_case_a: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PvSpec:
    """A PV inverter."""

    id: str
    cabinet: str
    peak_w: float
    phases: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatterySpec:
    """A stationary battery with its own zero-export controller."""

    id: str
    cabinet: str
    capacity_wh: float
    max_charge_w: float
    max_discharge_w: float
    phases: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriversSpec:
    """How drivers behave; durations are site minutes.

    Attributes:
        at_start_share: Share of EVSEs with a car in the first seconds.
        gap_min: Mean time an EVSE stays free between two cars.
        states_need_share: Share of drivers who tell their need through the API.
        early_share: Share that leaves earlier than said; ``late_share`` likewise.
        unplug_share: Share that just unplugs instead of showing the token again.
        plug_on_remote_start: A remote start at a free EVSE brings a car.
    """

    enabled: bool = True
    at_start_share: float = 0.7
    gap_min: float = 12.0
    stay_min: tuple[float, float] = (40.0, 150.0)
    need_wh: tuple[float, float] = (4_000.0, 30_000.0)
    states_need_share: float = 0.65
    early_share: float = 0.1
    late_share: float = 0.1
    unplug_share: float = 0.3
    plug_on_remote_start: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that is simulated."""

    stations: tuple[StationSpec, ...]
    cabinets: tuple[CabinetSpec, ...] = ()
    loads: tuple[LoadSpec, ...] = ()
    pv: tuple[PvSpec, ...] = ()
    batteries: tuple[BatterySpec, ...] = ()
    tokens: tuple[str, ...] = ()
    drivers: DriversSpec = field(default_factory=DriversSpec)
    nominal_v: float = 230.0
    timezone: str = "UTC"


def load(path: Path) -> Scenario:
    """Read a TOML or JSON scenario.

    Raises:
        ScenarioError: The file is missing, or the dotted key in the text is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        is_json = path.suffix == ".json"
        tree = json.loads(text) if is_json else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    return parse(tree)


def parse(tree: object) -> Scenario:
    """Check a scenario tree.

    Raises:
        ScenarioError: The dotted key in the text is wrong.
    """
    top = Table(tree, "")
    site = Table(top.take("site", {}), "site")
    nominal_v = site.number("nominal_v", 230.0)
    cabinets = tuple(_cabinet(t) for t in site.tables("cabinets"))
    known = {cabinet.id for cabinet in cabinets}
    stations = tuple(_station(t, nominal_v, known) for t in site.tables("stations"))
    if not stations:
        raise ScenarioError("site.stations: at least one station is needed")
    for kind, ids in (
        ("cabinets", [c.id for c in cabinets]),
        ("stations", [s.id for s in stations]),
    ):
        for double in sorted({i for i in ids if ids.count(i) > 1}):
            raise ScenarioError(f"site.{kind}: {double!r} occurs twice")
    scenario = Scenario(
        stations=stations,
        cabinets=cabinets,
        loads=tuple(_load(t, known) for t in site.tables("loads")),
        pv=tuple(_pv(t, known) for t in site.tables("pv")),
        batteries=tuple(_battery(t, known) for t in site.tables("batteries")),
        tokens=top.strings("tokens"),
        drivers=_drivers(Table(top.take("drivers", {}), "drivers")),
        nominal_v=nominal_v,
        timezone=site.text("timezone", "UTC"),
    )
    site.finish()
    top.finish()
    _check_tree(cabinets)
    return scenario


def simple(
    *, n_station: int, versions: tuple[str, ...], password: str | None
) -> Scenario:
    """Make a site of plain 22 kW stations ``SIM-0001`` and so on, without limits."""
    stations = tuple(
        StationSpec(
            id=f"SIM-{number + 1:04d}",
            ocpp=versions[number % len(versions)],
            password=password,
            evses=(EvseSpec(evse_id=1),),
        )
        for number in range(n_station)
    )
    return Scenario(stations=stations)


def adjust(plan: Scenario, *, tokens: tuple[str, ...], has_drivers: bool) -> Scenario:
    """Add tokens from the command line, or send the drivers home."""
    drivers = replace(plan.drivers, enabled=plan.drivers.enabled and has_drivers)
    return replace(plan, tokens=plan.tokens + tokens, drivers=drivers)


def with_meters(plan: Scenario, meters: Mapping[str, MeterSpec]) -> Scenario:
    """Give stations meters that sign."""
    return replace(
        plan,
        stations=tuple(
            replace(one, meter=meters.get(one.id, one.meter)) for one in plan.stations
        ),
    )


def _cabinet(table: Table) -> CabinetSpec:
    limit_a = table.take("limit_a")
    match limit_a:
        case None:
            phases = None
        case int() | float():
            phases = (float(limit_a),) * 3
        case [int() | float() as a, int() | float() as b, int() | float() as c]:
            phases = (float(a), float(b), float(c))
        case _:
            raise ScenarioError(f"{table.key('limit_a')}: three numbers are needed")
    cabinet_id = table.text("id")
    cabinet = CabinetSpec(
        id=cabinet_id,
        parent=table.optional_text("parent"),
        limit_a=phases,
        limit_w=table.optional_number("limit_w"),
        feeder_meter=table.text("feeder_meter", cabinet_id),
    )
    table.finish()
    return cabinet


def _station(table: Table, nominal_v: float, known: set[str]) -> StationSpec:
    version = table.text("ocpp")
    if version not in VERSIONS:
        raise ScenarioError(f"{table.key('ocpp')}: 1.6 or 2.0.1 is needed")
    faults = frozenset(table.strings("faults"))
    for unknown in sorted(faults - FAULTS.keys()):
        raise ScenarioError(f"{table.key('faults')}: no fault {unknown!r}")
    default = StationSpec(id="", ocpp=version, evses=())
    station = StationSpec(
        id=table.text("id"),
        ocpp=version,
        evses=tuple(_evse(t, nominal_v) for t in table.tables("evses")),
        password=table.optional_text("password"),
        cabinet=table.cabinet(known) if known else table.optional_text("cabinet"),
        vendor=table.text("vendor", default.vendor),
        model=table.text("model", default.model),
        firmware=table.text("firmware", default.firmware),
        faults=faults,
        meter=table.meter(),
    )
    if not station.evses:
        raise ScenarioError(f"{table.key('evses')}: at least one EVSE is needed")
    if [e.evse_id for e in station.evses] != list(range(1, len(station.evses) + 1)):
        raise ScenarioError(f"{table.key('evses')}: ids are 1, 2, 3 and so on")
    table.finish()
    return station


def _evse(table: Table, nominal_v: float) -> EvseSpec:
    current_type = table.text("current_type", "AC")
    if current_type not in ("AC", "DC"):
        raise ScenarioError(f"{table.key('current_type')}: AC or DC is needed")
    spec = EvseSpec(
        evse_id=int(table.number("evse_id", 1)),
        is_dc=current_type == "DC",
        phases=table.rotation("phases"),
        max_a=table.number("max_a", 32.0),
        min_a=table.number("min_a", 6.0),
        max_w=table.optional_number("max_w"),
        nominal_v=nominal_v,
    )
    table.finish()
    return spec


def _load(table: Table, known: set[str]) -> LoadSpec:
    load_spec = LoadSpec(
        id=table.text("id"),
        cabinet=table.cabinet(known),
        phases=table.rotation("phases"),
        base_a=table.number("base_a", 2.0),
        peak_a=table.number("peak_a", 8.0),
        worst_case_a=table.optional_number("worst_case_a"),
    )
    table.finish()
    if load_spec.peak_a < load_spec.base_a:
        raise ScenarioError(f"{table.key('peak_a')}: below base_a")
    return load_spec


def _pv(table: Table, known: set[str]) -> PvSpec:
    pv = PvSpec(
        id=table.text("id"),
        cabinet=table.cabinet(known),
        peak_w=table.number("peak_w"),
        phases=table.rotation("phases"),
    )
    table.finish()
    return pv


def _battery(table: Table, known: set[str]) -> BatterySpec:
    battery = BatterySpec(
        id=table.text("id"),
        cabinet=table.cabinet(known),
        capacity_wh=table.number("capacity_wh"),
        max_charge_w=table.number("max_charge_w"),
        max_discharge_w=table.number("max_discharge_w"),
        phases=table.rotation("phases"),
    )
    table.finish()
    return battery


def _drivers(table: Table) -> DriversSpec:
    default = DriversSpec()
    given: dict[str, Any] = {}
    for setting in fields(DriversSpec):
        standard = getattr(default, setting.name)
        if isinstance(standard, bool):
            given[setting.name] = table.flag(setting.name, standard)
        elif isinstance(standard, tuple):
            given[setting.name] = table.pair(setting.name, standard)
        else:
            given[setting.name] = table.number(setting.name, standard)
    table.finish()
    return DriversSpec(**given)


def _check_tree(cabinets: tuple[CabinetSpec, ...]) -> None:
    parents = {cabinet.id: cabinet.parent for cabinet in cabinets}
    for cabinet in cabinets:
        seen = {cabinet.id}
        above = cabinet.parent
        while above is not None:
            if above not in parents:
                raise ScenarioError(f"site.cabinets: {cabinet.id}: no parent {above!r}")
            if above in seen:
                raise ScenarioError(f"site.cabinets: {cabinet.id} feeds itself")
            seen.add(above)
            above = parents[above]
