"""The site as a tree: what feeds what, and what hangs behind each cabinet.

One import for everybody who reads the site: the parts of `gateway.domain.assets` and
the current arithmetic of `gateway.domain.phases` can be had from here.
"""

from dataclasses import dataclass, field, replace
from typing import Self

from gateway.domain.assets import (
    Battery,
    Cabinet,
    CurrentType,
    Evse,
    Load,
    LoadSource,
    Mode,
    Position,
    Pv,
    ServiceStatus,
    Station,
)
from gateway.domain.dwell import Dwell
from gateway.domain.ids import CabinetId, StationId
from gateway.domain.phases import (
    ALL_PHASES,
    ZERO,
    Grid,
    PerPhase,
    Rotation,
    dc_input_da,
    phase_voltage,
    plus,
    rotation,
    rotation_text,
    spread,
)

__all__ = [
    "ALL_PHASES",
    "ZERO",
    "Battery",
    "Cabinet",
    "CurrentType",
    "Evse",
    "Grid",
    "Group",
    "Load",
    "LoadSource",
    "Mode",
    "PerPhase",
    "Position",
    "Pv",
    "Rotation",
    "ServiceStatus",
    "Site",
    "Station",
    "dc_input_da",
    "exceeds",
    "phase_voltage",
    "plus",
    "rotation",
    "rotation_text",
    "spread",
]


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
        owner: Account of the owner of all assets that name none, in the registry.
        nominal_v: Phase to neutral on TN, line to line on IT and delta.
        hold_time_s: Within this time after the gateway dies every limit is its floor.
        default_energy_wh: Need of a driver who states none; ``None``: as its history.
        default_stay_s: Stay of a driver who states none; ``None``: as its history.
        dwell: How long a car stays on or off at least.
        free_unused_phases: A car that surely uses only some phases of its EVSE counts
            on these only.
    """

    name: str = "Site"
    timezone: str = "UTC"
    position: Position | None = None
    owner: str | None = None
    grid: Grid = Grid.TN
    nominal_v: float = 230.0
    hold_time_s: int = 1800
    default_energy_wh: int | None = None
    default_stay_s: int | None = None
    dwell: Dwell = Dwell()  # noqa: RUF009 - it is frozen
    free_unused_phases: bool = True
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
    limits = cabinet.committed_da
    if limits is not None and any(
        drawn + margin > limit for drawn, limit in zip(load, limits, strict=True)
    ):
        return True
    if cabinet.limit_w is None:
        return False
    total_da = sum(load) + margin * len(ALL_PHASES)
    return total_da * phase_v > cabinet.limit_w * 10
