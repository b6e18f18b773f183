"""The site as a tree: cabinets, what hangs behind them, and on which phases.

Currents are integers in 0.1 A (``_da``), so that sums against limits are exact: limits
count rounded down, everything that may be drawn rounded up. A triple of currents is
always (L1, L2, L3) *of the supply*; ``phases`` says to which supply phases an asset's
own terminals are wired.
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self, TypeAlias

from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.limits import LimitUnit

PerPhase: TypeAlias = tuple[int, int, int]
"""0.1 A on supply phases L1, L2, L3."""

Rotation: TypeAlias = tuple[int, ...]
"""Supply phases (0 to 2) of terminals 1, 2, 3, in order; 1 to 3 of them."""

ZERO: Final[PerPhase] = (0, 0, 0)
ALL_PHASES: Final[Rotation] = (0, 1, 2)
DC_UNDERVOLTAGE: Final = 0.9
"""A rectifier draws constant power: at 0.9 U its current is highest."""


class CurrentType(StrEnum):
    """What an EVSE delivers."""

    AC = "AC"
    DC = "DC"


class Grid(StrEnum):
    """Earthing of the supply: what ``nominal_v`` is measured between.

    TN (and TT): phase to neutral. IT and delta: line to line, no neutral, so an asset
    names two lines or all three.
    """

    TN = "TN"
    IT = "IT"
    DELTA = "delta"


class Mode(StrEnum):
    """Whether plans of a cabinet are carried out."""

    CONTROL = "control"
    ADVISE = "advise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """WGS 84 coordinates, degrees."""

    latitude_deg: float
    longitude_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cabinet:
    """A distribution cabinet and its limit; every limit given applies.

    Attributes:
        parent: The cabinet that feeds this one, or ``None`` for a root.
        limit_da: Limit per phase, 0.1 A, or ``None``.
        limit_w: Limit of the sum over all phases, W, or ``None``.
        margin_da: Kept free on every phase, 0.1 A.
        feeder_meter: Id of the meter that measures the whole feeder, if there is one.
    """

    id: CabinetId
    parent: CabinetId | None = None
    limit_da: PerPhase | None = None
    limit_w: int | None = None
    margin_da: int = 0
    feeder_meter: str | None = None
    mode: Mode = Mode.CONTROL
    position: Position | None = None

    @property
    def limit_a(self) -> tuple[float, float, float] | None:
        """Limit per phase in A."""
        if self.limit_da is None:
            return None
        one, two, three = self.limit_da
        return (one / 10, two / 10, three / 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evse:
    """One EVSE as wired.

    Attributes:
        cabinet_id: What feeds it; ``None``: outside every cabinet, never limited.
        phases: Supply phases of its terminals L1.. in order.
        max_da: Most it draws on any of its phases, 0.1 A AC; its rating.
        min_da: Least current at which a car charges, 0.1 A; below it means 0.
        floor_da: Reserved for ever, 0.1 A: what it may draw with everything dead.
        max_w: DC: most it delivers, W. AC: rated power, W, or ``None``.
        phase_v: Effective V per listed phase: power is this times number of phases
            times current, on every grid type.
        efficiency: DC: delivered power over AC power, without auxiliaries.
        auxiliary_w: DC: cooling and electronics, W AC.
        public: May appear on a public chain.
    """

    ref: EvseRef
    cabinet_id: CabinetId | None
    phases: Rotation = ALL_PHASES
    current_type: CurrentType = CurrentType.AC
    max_da: int
    min_da: int = 60
    floor_da: int = 0
    max_w: int | None = None
    phase_v: float = 230.0
    efficiency: float = 1.0
    auxiliary_w: int = 0
    public: bool = False

    @property
    def max_a(self) -> float:
        """Rating per phase, A."""
        return self.max_da / 10

    @property
    def min_a(self) -> float:
        """Least charging current, A."""
        return self.min_da / 10

    @property
    def floor_a(self) -> float:
        """Reserved current, A."""
        return self.floor_da / 10

    @property
    def rating_w(self) -> int:
        """Most power it delivers, W."""
        if self.max_w is not None:
            return self.max_w
        return int(self.power_w(self.max_da))

    @property
    def rating(self) -> PerPhase:
        """What it may draw at most, whoever is obeyed."""
        return self.on_supply(self.max_da)

    @property
    def floor(self) -> PerPhase:
        """What is reserved for it, always."""
        return self.on_supply(self.floor_da)

    def on_supply(self, current_da: int) -> PerPhase:
        """A current on each of its terminals, as the supply sees it."""
        return spread(self.phases, current_da)

    def measured_on_supply(self, current_da: PerPhase) -> PerPhase:
        """Currents of its terminals L1..L3 turned to the phases of the supply.

        What is reported on a terminal that is not wired counts on every phase.
        """
        seen = [0, 0, 0]
        stray = sum(current_da[len(self.phases) :])
        for phase, value in zip(self.phases, current_da, strict=False):
            seen[phase] += value
        return (seen[0] + stray, seen[1] + stray, seen[2] + stray)

    def power_w(self, current_da: int) -> float:
        """Power delivered at ``current_da`` per phase, at nominal voltage.

        For DC the inverse of `input_da`: the 0.9 U of the bound stays in it.
        """
        input_w = current_da / 10 * self.phase_v * len(self.phases)
        if self.current_type is CurrentType.AC:
            return input_w
        output_w = (input_w * DC_UNDERVOLTAGE - self.auxiliary_w) * self.efficiency
        return max(0.0, output_w)

    def input_da(self, power_w: float) -> int:
        """Upper bound of the AC current per phase while delivering ``power_w``.

        AC: a limit in W may be drawn on one phase alone, so it counts on each in full,
        up to the rating. DC: (power / efficiency + auxiliaries) at 0.9 U.
        """
        if self.current_type is CurrentType.AC:
            return min(self.max_da, math.ceil(power_w / self.phase_v * 10))
        return dc_input_da(
            power_w,
            phase_v=self.phase_v,
            n_phase=len(self.phases),
            efficiency=self.efficiency,
            auxiliary_w=self.auxiliary_w,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A charging station with its EVSEs.

    Attributes:
        managed: False: nothing is ever sent unasked, so its rating counts.
        unit: What it wants limits in.
        clock_skew_s: Its clock may be wrong by this much, either way.
        tariff_id: ``None``: the site's default tariff.
        default_energy_wh: Need of a driver who states none; ``None``: the site's.
        default_stay_s: Stay of a driver who states none; ``None``: the site's.
        origin: ``config`` or ``api``.
    """

    id: StationId
    cabinet_id: CabinetId | None = None
    evses: tuple[Evse, ...] = ()
    managed: bool = True
    unit: LimitUnit = LimitUnit.A
    clock_skew_s: int = 60
    tariff_id: str | None = None
    default_energy_wh: int | None = None
    default_stay_s: int | None = None
    position: Position | None = None
    origin: str = "config"


class LoadSource(StrEnum):
    """Where the current of other equipment comes from."""

    API = "api"
    PROFILE = "profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Other equipment that shares a cabinet.

    Attributes:
        worst_case_da: Counts on each of its phases when the reading is stale.
        stale_after_s: Site seconds after which a reading no longer counts.
        profile_da: 24 expected currents per phase, one per local hour; for planning
            only, and only with ``LoadSource.PROFILE``.
    """

    id: str
    cabinet_id: CabinetId
    phases: Rotation = ALL_PHASES
    source: LoadSource = LoadSource.API
    worst_case_da: int
    stale_after_s: int = 300
    profile_da: tuple[int, ...] = ()

    @property
    def worst_case(self) -> PerPhase:
        """What it may draw at most."""
        return spread(self.phases, self.worst_case_da)

    def expected(self, local_hour: int) -> PerPhase:
        """What it draws in an hour of the day, by its profile or at worst."""
        if not self.profile_da:
            return self.worst_case
        return spread(self.phases, self.profile_da[local_hour])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pv:
    """A PV inverter: never raises a limit, may lower cost."""

    id: str
    cabinet_id: CabinetId
    phases: Rotation = ALL_PHASES
    peak_w: int
    stale_after_s: int = 300
    position: Position | None = None
    public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A stationary battery; ``charging`` is what it may draw from the cabinet."""

    id: str
    cabinet_id: CabinetId
    phases: Rotation = ALL_PHASES
    capacity_wh: int
    max_charge_w: int
    max_discharge_w: int
    efficiency: float = 0.9
    stale_after_s: int = 300
    phase_v: float = 230.0
    position: Position | None = None
    public: bool = False

    @property
    def charging(self) -> PerPhase:
        """Upper bound of its current while it charges: constant power at 0.9 U."""
        per_phase_da = dc_input_da(
            self.max_charge_w,
            phase_v=self.phase_v,
            n_phase=len(self.phases),
            efficiency=1.0,
            auxiliary_w=0,
        )
        return spread(self.phases, per_phase_da)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A root cabinet with its subtree: one independent problem.

    Attributes:
        cabinets: Root first, every parent before its children.
        evses: Of managed and unmanaged stations alike.
    """

    root: Cabinet
    cabinets: tuple[Cabinet, ...]
    stations: tuple[Station, ...]
    loads: tuple[Load, ...]
    pvs: tuple[Pv, ...]
    batteries: tuple[Battery, ...]

    @property
    def id(self) -> CabinetId:
        """The root's id names the group."""
        return self.root.id

    @property
    def evses(self) -> tuple[Evse, ...]:
        """All EVSEs, station by station."""
        return tuple(evse for station in self.stations for evse in station.evses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that is wired; frozen, changes make a new one.

    Attributes:
        nominal_v: Phase to neutral on TN, line to line on IT and delta.
        hold_time_s: Within this time after the gateway dies every limit is its floor.
        default_energy_wh: Need of a driver who states none.
        default_stay_s: Stay of a driver who states none.
    """

    name: str = "Site"
    timezone: str = "UTC"
    position: Position | None = None
    grid: Grid = Grid.TN
    nominal_v: float = 230.0
    hold_time_s: int = 1800
    default_energy_wh: int = 15_000
    default_stay_s: int = 14_400
    cabinets: tuple[Cabinet, ...] = ()
    stations: tuple[Station, ...] = ()
    loads: tuple[Load, ...] = ()
    pvs: tuple[Pv, ...] = ()
    batteries: tuple[Battery, ...] = ()
    _cabinets: dict[CabinetId, Cabinet] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _stations: dict[StationId, Station] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        self._cabinets.update({cabinet.id: cabinet for cabinet in self.cabinets})
        self._stations.update({station.id: station for station in self.stations})

    @property
    def phase_v(self) -> float:
        """Effective V per phase for a load on three phases (see `Evse.phase_v`)."""
        return phase_voltage(self.grid, self.nominal_v, 3)

    @property
    def evses(self) -> tuple[Evse, ...]:
        """All EVSEs of the site, station by station."""
        return tuple(evse for station in self.stations for evse in station.evses)

    def cabinet(self, cabinet_id: CabinetId) -> Cabinet | None:
        """Find a cabinet."""
        return self._cabinets.get(cabinet_id)

    def station(self, station_id: StationId) -> Station | None:
        """Find a station."""
        return self._stations.get(station_id)

    def evse(self, station_id: StationId, evse_id: int) -> Evse | None:
        """Find an EVSE."""
        station = self.station(station_id)
        if station is None:
            return None
        return next((e for e in station.evses if e.ref.evse_id == evse_id), None)

    def path(self, cabinet_id: CabinetId) -> tuple[Cabinet, ...]:
        """A cabinet and everything that feeds it, innermost first."""
        found: list[Cabinet] = []
        current = self.cabinet(cabinet_id)
        while current is not None and current not in found:
            found.append(current)
            current = None if current.parent is None else self.cabinet(current.parent)
        return tuple(found)

    def subtree(self, cabinet_id: CabinetId) -> tuple[Cabinet, ...]:
        """A cabinet and everything it feeds, parents before children."""
        found = [cabinet for cabinet in self.cabinets if cabinet.id == cabinet_id]
        for above in found:
            found.extend(
                c for c in self.cabinets if c.parent == above.id and c not in found
            )
        return tuple(found)

    def group(self, cabinet_id: CabinetId) -> Group:
        """The subtree of one cabinet with its assets.

        Raises:
            KeyError: No such cabinet.
        """
        cabinets = self.subtree(cabinet_id)
        if not cabinets:
            raise KeyError(cabinet_id)
        ids = {cabinet.id for cabinet in cabinets}
        return Group(
            root=cabinets[0],
            cabinets=cabinets,
            stations=tuple(s for s in self.stations if s.cabinet_id in ids),
            loads=tuple(load for load in self.loads if load.cabinet_id in ids),
            pvs=tuple(pv for pv in self.pvs if pv.cabinet_id in ids),
            batteries=tuple(b for b in self.batteries if b.cabinet_id in ids),
        )

    def groups(self) -> tuple[Group, ...]:
        """One group per root cabinet."""
        return tuple(self.group(c.id) for c in self.cabinets if c.parent is None)

    def group_of(self, cabinet_id: CabinetId) -> Group:
        """The group a cabinet belongs to.

        Raises:
            KeyError: No such cabinet.
        """
        path = self.path(cabinet_id)
        if not path:
            raise KeyError(cabinet_id)
        return self.group(path[-1].id)

    def with_station(self, station: Station) -> Self:
        """A site in which the station is new or replaced; check it before use."""
        kept = tuple(s for s in self.stations if s.id != station.id)
        return replace(self, stations=(*kept, station))

    def without_station(self, station_id: StationId) -> Self:
        """A site without the station."""
        kept = tuple(s for s in self.stations if s.id != station_id)
        return replace(self, stations=kept)

    def with_cabinet(self, cabinet: Cabinet) -> Self:
        """A site in which a known cabinet is replaced; check it before use."""
        cabinets = tuple(cabinet if c.id == cabinet.id else c for c in self.cabinets)
        return replace(self, cabinets=cabinets)


def rotation(text: str) -> Rotation:
    """Read ``L2L3L1`` as (1, 2, 0): terminal 1 is wired to L2, and so on.

    Raises:
        ValueError: Not one to three different phases.
    """
    words = [text[i : i + 2] for i in range(0, len(text), 2)]
    if (
        not 1 <= len(words) <= len(ALL_PHASES)
        or len(set(words)) != len(words)
        or not set(words) <= {"L1", "L2", "L3"}
    ):
        raise ValueError(f"not a rotation of phases: {text!r}")
    return tuple(int(word[1]) - 1 for word in words)


def rotation_text(phases: Rotation) -> str:
    """The inverse of `rotation`."""
    return "".join(f"L{phase + 1}" for phase in phases)


def phase_voltage(grid: Grid, nominal_v: float, n_phase: int) -> float:
    """Effective V per listed phase, so that power is V times phases times current.

    Args:
        grid: What ``nominal_v`` is measured between.
        nominal_v: V.
        n_phase: Phases (TN) or lines (IT, delta) the asset is wired to.
    """
    if grid is Grid.TN:
        return nominal_v
    return nominal_v / math.sqrt(3) if n_phase == len(ALL_PHASES) else nominal_v / 2


def dc_input_da(
    power_w: float,
    *,
    phase_v: float,
    n_phase: int,
    efficiency: float,
    auxiliary_w: float,
) -> int:
    """AC current per phase of a converter at 0.9 U, 0.1 A, rounded up."""
    input_w = power_w / efficiency + auxiliary_w
    exact_da = input_w / (phase_v * DC_UNDERVOLTAGE * n_phase) * 10
    return math.ceil(round(exact_da, 6))


def spread(phases: Rotation, current_da: int) -> PerPhase:
    """The same current on each listed phase."""
    return (
        current_da if 0 in phases else 0,
        current_da if 1 in phases else 0,
        current_da if 2 in phases else 0,  # noqa: PLR2004 - the third phase
    )


def plus(*currents: PerPhase) -> PerPhase:
    """Sum phase by phase."""
    return (
        sum(c[0] for c in currents),
        sum(c[1] for c in currents),
        sum(c[2] for c in currents),
    )


def exceeds(
    cabinet: Cabinet, load: PerPhase, *, phase_v: float, margin_da: int | None = None
) -> bool:
    """Whether a load does not fit under a cabinet's limit less its margin.

    Args:
        cabinet: Whose limits apply, all that it has.
        load: 0.1 A per phase.
        phase_v: Effective V per phase, for a limit in W.
        margin_da: Instead of the cabinet's own margin.
    """
    margin = cabinet.margin_da if margin_da is None else margin_da
    if cabinet.limit_da is not None and any(
        drawn + margin > limit
        for drawn, limit in zip(load, cabinet.limit_da, strict=True)
    ):
        return True
    if cabinet.limit_w is None:
        return False
    total_da = sum(load) + margin * len(ALL_PHASES)
    return total_da * phase_v > cabinet.limit_w * 10
