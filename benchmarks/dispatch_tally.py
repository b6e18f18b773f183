"""What a world measures: energy, calls, CPU time, and time above a limit."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.domain.claim import least_trip_s
from gateway.domain.envelope import TOTAL
from gateway.domain.ids import CabinetId, StationId
from gateway.domain.topology import Cabinet, Site

TOLERANCE_A: Final = 1e-6
Phases: TypeAlias = tuple[float, float, float]


@dataclass(slots=True, kw_only=True)
class Overload:
    """A stretch of time above the limit of a cabinet.

    Attributes:
        row: Phase 0 to 2, or 3 for the sum.
        worst_ratio: Largest current over the limit of its phase.
    """

    cabinet_id: CabinetId
    row: int
    began_s: float
    seconds: float = 0.0
    worst_a: float = 0.0
    worst_ratio: float = 1.0

    @property
    def trip_margin(self) -> float:
        """How many times longer the breaker surely holds; below 1: it may trip."""
        return least_trip_s(self.worst_ratio) / max(self.seconds, 1e-9)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was counted and measured.

    Attributes:
        delivered_wh: By visit, at the meter.
        drawn_wh: By quarter of an hour since the start, all cars.
        events: Lines of the gateway's log, by event.
        gateway_cpu_s: Of everything in the loop but physics, solver and store.
    """

    delivered_wh: dict[int, float] = field(default_factory=dict)
    drawn_wh: defaultdict[int, float] = field(
        default_factory=lambda: defaultdict(float)
    )
    overloads: list[Overload] = field(default_factory=list)
    peak_a: float = 0.0
    sent: Counter[str] = field(default_factory=Counter)
    solves: int = 0
    triggers: int = 0
    charging_s: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    lines: list[Mapping[str, object]] = field(default_factory=list)
    gateway_cpu_s: float = 0.0
    solver_cpu_s: float = 0.0
    store_cpu_s: float = 0.0
    hours: float = 0.0

    @property
    def above_s(self) -> float:
        """Seconds above a limit."""
        return sum(one.seconds for one in self.overloads)

    @property
    def worst_a(self) -> float:
        """The most by which a limit was exceeded."""
        return max((one.worst_a for one in self.overloads), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """A lower limit of a cabinet, set by its operator for a while."""

    cabinet_id: CabinetId
    from_s: float
    until_s: float
    limit_a: float

    def applies(self, cabinet_id: CabinetId, row: int, elapsed_s: float) -> bool:
        """Whether it binds a phase now."""
        return (
            self.cabinet_id == cabinet_id
            and row < TOTAL
            and self.from_s <= elapsed_s < self.until_s
        )


class Judge:
    """Compares the sum of all currents with the limits, step by step.

    Attributes:
        drops: Lower limits for a while.
    """

    def __init__(self, site: Site, tally: Tally) -> None:
        self.drops: list[Drop] = []
        self._tally = tally
        self._site = site
        self._limits = [(one, _limit_a(one, site)) for one in site.cabinets]
        self._paths = {
            one.id: [cabinet.id for cabinet in site.path(one.cabinet_id)]
            for one in site.stations
            if one.cabinet_id is not None
        }
        self._open: dict[tuple[CabinetId, int], Overload] = {}

    def look(
        self,
        drawn: Iterable[tuple[StationId, Phases]],
        loads_a: Mapping[str, float],
        elapsed_s: float,
        dt_s: float,
    ) -> None:
        """Take the currents of a step that ends at ``elapsed_s``."""
        sums = {cabinet.id: [0.0, 0.0, 0.0] for cabinet, _ in self._limits}
        for station_id, site_a in drawn:
            for cabinet_id in self._paths.get(station_id, ()):
                for phase, amps in enumerate(site_a):
                    sums[cabinet_id][phase] += amps
        for load in self._site.loads:
            for cabinet in self._site.path(load.cabinet_id):
                for phase in load.phases:
                    sums[cabinet.id][phase] += loads_a[load.id]
        for cabinet, limits in self._limits:
            rows = (*sums[cabinet.id], sum(sums[cabinet.id]))
            self._tally.peak_a = max(self._tally.peak_a, *rows[:TOTAL])
            for row, (amps, fuse_a) in enumerate(zip(rows, limits, strict=True)):
                key = (cabinet.id, row)
                most = min([fuse_a, *self._dropped(key, elapsed_s)])
                if amps > most + TOLERANCE_A:
                    self._above(key, amps, most, elapsed_s - dt_s, dt_s)
                else:
                    self._open.pop(key, None)

    def _dropped(self, key: tuple[CabinetId, int], elapsed_s: float) -> list[float]:
        return [one.limit_a for one in self.drops if one.applies(*key, elapsed_s)]

    def _above(
        self,
        key: tuple[CabinetId, int],
        amps: float,
        most: float,
        began_s: float,
        dt_s: float,
    ) -> None:
        one = self._open.get(key)
        if one is None:
            one = Overload(cabinet_id=key[0], row=key[1], began_s=began_s)
            self._open[key] = one
            self._tally.overloads.append(one)
        one.seconds += dt_s
        one.worst_a = max(one.worst_a, amps - most)
        one.worst_ratio = max(one.worst_ratio, amps / most)


def _limit_a(cabinet: Cabinet, site: Site) -> tuple[float, float, float, float]:
    one, two, three = cabinet.limit_a or (float("inf"),) * 3
    watts = cabinet.limit_w
    total = float("inf") if watts is None else watts / site.phase_v
    return (one, two, three, total)
