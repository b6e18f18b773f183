"""The physical truth of the site: every ampere on every phase of every cabinet.

Limits concern the gross load current: what EVSEs, other loads and charging batteries
draw. PV and battery discharge never make room on a busbar, so they are not subtracted
when seconds above a limit are counted; a feeder meter sees the net current.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from sim_chargers.evse import Evse
from sim_chargers.scenario import BatterySpec, CabinetSpec, LoadSpec, PvSpec, Scenario

Phases: TypeAlias = tuple[float, float, float]

ZERO: Final[Phases] = (0.0, 0.0, 0.0)
TOLERANCE_A: Final = 0.01  # rounding of floats, not a margin
NOISE_TIME_S: Final = 900.0
NOISE_SHARE: Final = 0.02
CLOUD_TIME_S: Final = 600.0
BATTERY_RESERVE_A: Final = 2.0
HOUR_S: Final = 3600.0
# Share of the way from base to peak at each hour of the day, interpolated.
DAY_SHAPE: Final = (
    0.1, 0.1, 0.1, 0.1, 0.15, 0.3, 0.55, 0.7, 0.8, 0.85, 0.8, 0.85,
    0.95, 0.9, 0.85, 0.8, 0.8, 0.85, 0.95, 0.9, 0.7, 0.5, 0.3, 0.15,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A stretch of time above a limit in one cabinet.

    Attributes:
        phase: Phase with the highest excess, or ``sum`` for a limit in watts.
        amps: Highest current seen there (``sum``: watts divided by the voltage).
    """

    cabinet: str
    phase: str
    amps: float
    limit: float
    seconds: float
    ended_at: datetime


@dataclass(slots=True, kw_only=True)
class Drift:
    """Noise that wanders slowly around zero with a standard deviation of one."""

    rng: Random
    time_s: float
    value: float = 0.0

    def step(self, dt_s: float) -> float:
        """Advance and return the value, kept within three deviations."""
        keep = math.exp(-dt_s / self.time_s)
        self.value *= keep
        self.value += math.sqrt(1.0 - keep * keep) * self.rng.gauss(0.0, 1.0)
        self.value = max(-3.0, min(3.0, self.value))
        return self.value


@dataclass(slots=True, kw_only=True)
class Load:
    """Other equipment of a cabinet."""

    spec: LoadSpec
    drifts: tuple[Drift, ...]
    current_a: Phases = ZERO

    def step(self, local: datetime, dt_s: float) -> None:
        """Follow the hour of the day with a little noise; never above the peak."""
        span_a = self.spec.peak_a - self.spec.base_a
        level_a = self.spec.base_a + span_a * day_share(local)
        currents = [0.0, 0.0, 0.0]
        for phase, drift in zip(self.spec.phases, self.drifts, strict=True):
            noisy_a = level_a + span_a * NOISE_SHARE * drift.step(dt_s)
            currents[phase] = max(0.0, min(self.spec.peak_a, noisy_a))
        self.current_a = (currents[0], currents[1], currents[2])


@dataclass(slots=True, kw_only=True)
class Pv:
    """A PV inverter; ``power_w`` is what it feeds in, from 0 on."""

    spec: PvSpec
    cloud: Drift
    power_w: float = 0.0

    def step(self, local: datetime, dt_s: float) -> None:
        """Follow the sun between 6 and 20 o'clock, behind drifting clouds."""
        hour = local.hour + local.minute / 60 + local.second / HOUR_S
        sun = max(0.0, math.sin(math.pi * (hour - 6.0) / 14.0))
        clear = max(0.15, min(1.0, 0.8 + 0.2 * self.cloud.step(dt_s)))
        self.power_w = self.spec.peak_w * sun**1.3 * clear


@dataclass(slots=True, kw_only=True)
class Battery:
    """A battery that stores PV surplus and covers evening loads by itself.

    ``power_w`` is positive while it charges. It never takes more than the surplus, and
    keeps clear of the limits of the cabinets above it.
    """

    spec: BatterySpec
    stored_wh: float
    power_w: float = 0.0

    def step(
        self, *, surplus_w: float, room_w: float, demand_w: float, dt_s: float
    ) -> None:
        """Choose a power for the coming second and account the energy."""
        if surplus_w > 0:
            space_w = (self.spec.capacity_wh - self.stored_wh) * HOUR_S / dt_s
            bounds = (self.spec.max_charge_w, surplus_w, room_w, space_w)
            self.power_w = max(0.0, min(bounds))
        else:
            stock_w = self.stored_wh * HOUR_S / dt_s
            bounds = (self.spec.max_discharge_w, demand_w, stock_w, demand_w)
            self.power_w = -max(0.0, min(bounds))
        self.stored_wh += self.power_w * dt_s / HOUR_S


@dataclass(slots=True)
class _Episode:
    """A violation that goes on."""

    phase: str
    amps: float
    limit: float
    seconds: float = 0.0


@dataclass(slots=True)
class Site:
    """All cabinets with what hangs on them."""

    scenario: Scenario
    evses: Mapping[str, list[Evse]]
    seed: int = 0
    loads: list[Load] = field(init=False)
    pv: list[Pv] = field(init=False)
    batteries: list[Battery] = field(init=False)
    gross_a: dict[str, Phases] = field(init=False)
    net_a: dict[str, Phases] = field(init=False)
    violation_s: dict[str, float] = field(init=False)
    _episodes: dict[str, _Episode] = field(default_factory=dict)
    _above: dict[str, list[str]] = field(init=False)
    _zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        """Build the parts; each has its own seeded noise."""
        scenario = self.scenario
        self._zone = ZoneInfo(scenario.timezone)
        self.loads = [
            Load(
                spec=spec,
                drifts=tuple(
                    Drift(rng=self._rng(spec.id, phase), time_s=NOISE_TIME_S)
                    for phase in spec.phases
                ),
            )
            for spec in scenario.loads
        ]
        self.pv = [
            Pv(spec=s, cloud=Drift(rng=self._rng(s.id, 0), time_s=CLOUD_TIME_S))
            for s in scenario.pv
        ]
        self.batteries = [
            Battery(spec=s, stored_wh=s.capacity_wh * 0.4) for s in scenario.batteries
        ]
        parents = {c.id: c.parent for c in scenario.cabinets}
        self._above = {c: _path(c, parents) for c in parents}
        self.gross_a = dict.fromkeys(parents, ZERO)
        self.net_a = dict.fromkeys(parents, ZERO)
        self.violation_s = dict.fromkeys(parents, 0.0)

    def _rng(self, part: str, phase: int) -> Random:
        return Random(f"{self.seed}/{part}/{phase}")  # noqa: S311 - physics, not secrets

    def step(self, now: datetime, dt_s: float) -> list[Violation]:
        """Compute the currents of the step that ends at ``now``; EVSEs come first.

        Returns:
            The stretches above a limit that ended with this step.
        """
        local = now.astimezone(self._zone)
        for load in self.loads:
            load.step(local, dt_s)
        for inverter in self.pv:
            inverter.step(local, dt_s)
        gross = dict.fromkeys(self._above, ZERO)
        sources = dict.fromkeys(self._above, ZERO)
        for cabinet, evses in self.evses.items():
            for evse in evses:
                self._add(gross, cabinet, evse.site_a)
        for load in self.loads:
            self._add(gross, load.spec.cabinet, load.current_a)
        for inverter in self.pv:
            current = self._spread(inverter.power_w, inverter.spec.phases)
            self._add(sources, inverter.spec.cabinet, current)
        for battery in self.batteries:
            self._step_battery(battery, gross, sources, dt_s)
        self.gross_a = gross
        self.net_a = {c: _sum(gross[c], _scale(sources[c], -1.0)) for c in gross}
        return [v for c in self.scenario.cabinets if (v := self._judge(c, now, dt_s))]

    def flush(self, now: datetime) -> list[Violation]:
        """End what is still going on, for the final report."""
        return [
            self._violation(cabinet, self._episodes.pop(cabinet), now)
            for cabinet in list(self._episodes)
        ]

    def _step_battery(
        self,
        battery: Battery,
        gross: dict[str, Phases],
        sources: dict[str, Phases],
        dt_s: float,
    ) -> None:
        cabinet = battery.spec.cabinet
        volts = self.scenario.nominal_v
        demand_w = volts * (sum(gross[cabinet]) - sum(sources[cabinet]))
        rooms = [math.inf]
        for spec in self.scenario.cabinets:
            if spec.id not in self._above[cabinet]:
                continue
            if spec.limit_a is not None:
                free_a = min(
                    spec.limit_a[p] - gross[spec.id][p] for p in battery.spec.phases
                )
                n_phase = len(battery.spec.phases)
                rooms.append((free_a - BATTERY_RESERVE_A) * volts * n_phase)
            if spec.limit_w is not None:
                rooms.append(spec.limit_w - volts * sum(gross[spec.id]))
        battery.step(
            surplus_w=-demand_w, room_w=min(rooms), demand_w=demand_w, dt_s=dt_s
        )
        current = self._spread(abs(battery.power_w), battery.spec.phases)
        self._add(gross if battery.power_w > 0 else sources, cabinet, current)

    def _spread(self, power_w: float, phases: tuple[int, ...]) -> Phases:
        each_a = power_w / (self.scenario.nominal_v * len(phases))
        a, b, c = (each_a if p in phases else 0.0 for p in range(3))
        return (a, b, c)

    def _add(self, sums: dict[str, Phases], cabinet: str, current: Phases) -> None:
        for above in self._above[cabinet]:
            sums[above] = _sum(sums[above], current)

    def _judge(self, spec: CabinetSpec, now: datetime, dt_s: float) -> Violation | None:
        worst = self._excess(spec)
        if worst is None:
            episode = self._episodes.pop(spec.id, None)
            return None if episode is None else self._violation(spec.id, episode, now)
        phase, amps, limit = worst
        self.violation_s[spec.id] += dt_s
        episode = self._episodes.setdefault(spec.id, _Episode(phase, amps, limit))
        episode.seconds += dt_s
        if amps - limit > episode.amps - episode.limit:
            episode.phase, episode.amps, episode.limit = worst
        return None

    def _excess(self, spec: CabinetSpec) -> tuple[str, float, float] | None:
        found: list[tuple[str, float, float]] = []
        gross = self.gross_a[spec.id]
        if spec.limit_a is not None:
            names = ("L1", "L2", "L3")
            found.extend(zip(names, gross, spec.limit_a, strict=True))
        if spec.limit_w is not None:
            found.append(("sum", sum(gross), spec.limit_w / self.scenario.nominal_v))
        above = [f for f in found if f[1] > f[2] + TOLERANCE_A]
        return max(above, key=lambda f: f[1] - f[2]) if above else None

    def _violation(self, cabinet: str, episode: _Episode, now: datetime) -> Violation:
        return Violation(
            cabinet=cabinet,
            phase=episode.phase,
            amps=round(episode.amps, 3),
            limit=episode.limit,
            seconds=round(episode.seconds, 3),
            ended_at=now,
        )


def day_share(local: datetime) -> float:
    """Interpolate the daily shape, 0 to 1."""
    part = (local.minute * 60 + local.second) / HOUR_S
    here, after = DAY_SHAPE[local.hour], DAY_SHAPE[(local.hour + 1) % 24]
    return here + (after - here) * part


def _path(cabinet: str, parents: Mapping[str, str | None]) -> list[str]:
    """List a cabinet and everything above it."""
    path: list[str] = []
    at: str | None = cabinet
    while at is not None:
        path.append(at)
        at = parents[at]
    return path


def _sum(a: Phases, b: Phases) -> Phases:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _scale(a: Phases, factor: float) -> Phases:
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def total(parts: Iterable[Phases]) -> Phases:
    """Add currents phase by phase."""
    found = ZERO
    for part in parts:
        found = _sum(found, part)
    return found
