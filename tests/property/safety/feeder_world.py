"""One cabinet with a feeder meter and stations that may stop to obey, in virtual time.

Physical currents come from what stations hold; the meter sees them all, with what PV
and batteries deliver taken off. The real ``FastLoop``, ``GroupState`` and
``group_limits`` decide; answers come after ``ANSWER_S``, cars follow within ``RAMP_S``.
A station that lies draws its rating and reports its limit, so that only the feeder
meter shows it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from typing_extensions import override

from gateway.bus import Bus, CabinetWatched, Notice
from gateway.domain import envelope as env
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.session import Session, SessionPhase
from gateway.domain.topology import (
    Battery,
    Cabinet,
    Evse,
    Load,
    Pv,
    Site,
    Station,
)
from gateway.services import group_limits
from gateway.services.evse_state import Need, Outgoing, Trust
from gateway.services.fast_loop import FastLoop
from gateway.services.group_items import Withheld
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading
from tests.property.safety.world import START, SimStation

YARD: Final = CabinetId("yard")
TICK_S: Final = 2
ANSWER_S: Final = 2
SAMPLE_EVERY_S: Final = 60
TURN_EVERY_S: Final = 10
PUMP_DA: Final = 100
RATING_DA: Final = 320


@dataclass(slots=True)
class VirtualClock:
    """Site time that a world moves."""

    at: datetime = START
    speed: float = 1.0

    def now(self) -> datetime:
        """Site time."""
        return self.at

    def real_s(self, site_s: float) -> float:
        """The same."""
        return site_s


class Overheard(Bus):
    """Keeps what the fast loop said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[CabinetWatched] = []

    @override
    def publish(self, notice: Notice) -> None:
        """Note it."""
        if isinstance(notice, CabinetWatched):
            self.said.append(notice)


@dataclass(slots=True)
class Runner:
    """A group's runner, as far as the fast loop knows it."""

    state: GroupState

    def offer(self, item: Withheld) -> None:
        """Take it over at once."""
        self.state.withheld = item.taken


@dataclass(slots=True)
class Sums:
    """What was seen of the cabinet.

    Attributes:
        net_over_s: Seconds for which the supply gave more than it may.
        gross_over_s: Seconds for which busbars carried more than they may.
        highest_da: Highest net current of a phase.
    """

    net_over_s: int = 0
    gross_over_s: int = 0
    highest_da: int = 0


class FeederWorld:
    """Stations that all want their rating for hours.

    Attributes:
        unmetered_da: What equipment that nobody configured draws on each phase.
        sun_da: What PV delivers on each phase; ``cell_da`` the battery.
        is_meter_dead: The feeder meter tells nothing any more.
    """

    def __init__(self, cabinet: Cabinet, *, n_station: int, interval_s: int) -> None:
        self.clock = VirtualClock()
        self.cabinet = cabinet
        self.site = _site(cabinet, n_station)
        group = self.site.group(YARD)
        trusts = {
            s.id: Trust(station_id=s.id, is_proven=True, leftovers_known=True)
            for s in group.stations
        }
        self.state = GroupState(group, site=self.site, trusts=trusts)
        self.bus = Overheard()
        runner = Runner(self.state)
        self.loop = FastLoop(
            runners=lambda: {YARD: runner},
            bus=self.bus,
            clock=self.clock,
            interval_s=TICK_S,
        )
        self.sims = {
            s.id: SimStation(evse=s.evses[0], unit=LimitUnit.A) for s in group.stations
        }
        self.ids = list(self.sims)
        self.unmetered_da = self.sun_da = self.cell_da = 0
        self.is_meter_dead = False
        self.sums = Sums()
        self._interval_s = interval_s
        self._sequence = 0
        self._answers: list[tuple[datetime, Outgoing, int]] = []
        for index, station_id in enumerate(self.ids):
            self.state.link(station_id, is_online=True)
            state = self.state.stations[station_id]
            for outgoing in group_limits.defaults_of(state, self.now):
                self._add(outgoing)
                self._arrive(outgoing, self._sequence)
            state.needs_setup = state.blocks_sessions = False
            self.sims[station_id].session_id = SessionId(f"s{index}")
            self._report(station_id)
            levels = ((int(self.now.timestamp()), RATING_DA),)
            self.state.evses[_ref(station_id)].levels = levels
        self._measure()

    @property
    def now(self) -> datetime:
        """Site time."""
        return self.clock.at

    def run(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds // TICK_S):
            self._tick()

    def lie(self, n_liar: int, *, on: bool = True) -> None:
        """The last so many, which get the least, stop to obey, or obey again."""
        for station_id in self.ids[-n_liar:]:
            self.sims[station_id].is_lying = on

    def net_da(self) -> int:
        """What the supply gives on the fullest phase."""
        return max(self._gross()[:3]) - self.sun_da - self.cell_da

    def kinds(self) -> list[str]:
        """What the fast loop said, in order."""
        return [one.kind for one in self.bus.said]

    # Inside

    def _tick(self) -> None:
        for sim in self.sims.values():
            sim.settle(self.now)
        self.clock.at += timedelta(seconds=TICK_S)
        elapsed_s = int((self.now - START).total_seconds())
        before = self.state.withheld
        arrived = [one for one in self._answers if one[0] <= self.now]
        self._answers = [one for one in self._answers if one[0] > self.now]
        for _, outgoing, sequence in arrived:
            self._arrive(outgoing, sequence)
            self.state.stations[outgoing.station_id].is_busy = False
        for index, station_id in enumerate(self.ids):
            if (elapsed_s + 6 * index) % SAMPLE_EVERY_S < TICK_S:
                self._report(station_id)
        if elapsed_s % self._interval_s < TICK_S:
            self._measure()
        self.loop.look()
        if arrived or before != self.state.withheld or elapsed_s % TURN_EVERY_S == 0:
            self._turn()
        self._judge()

    def _turn(self) -> None:
        batch = group_limits.next_limits(self.state, self.now)
        assert not group_limits.check(self.state, batch, self.now)
        for outgoing in batch:
            self._add(outgoing)
            self.state.stations[outgoing.station_id].is_busy = True
            at = self.now + timedelta(seconds=ANSWER_S)
            self._answers.append((at, outgoing, self._sequence))

    def _add(self, outgoing: Outgoing) -> None:
        self._sequence += 1
        self.state.add_sent(outgoing, self._sequence)

    def _arrive(self, outgoing: Outgoing, sequence: int) -> None:
        sim = self.sims[outgoing.station_id]
        if outgoing.session_id is None:
            sim.default = outgoing.command.schedule
        else:
            sim.session = outgoing.command.schedule
        self.state.accepted(outgoing, sequence, self.now)

    def _report(self, station_id: StationId) -> None:
        sim = self.sims[station_id]
        assert sim.session_id is not None
        is_lying, sim.is_lying = sim.is_lying, False
        told_da = sim.limit_da(self.now) if is_lying else sim.draw_da(self.now)
        sim.is_lying = is_lying
        session = Session(
            session_id=sim.session_id,
            station_id=station_id,
            evse_id=1,
            connector_id=1,
            phase=SessionPhase.RUNNING,
            transaction_id=sim.session_id,
            current_a=(told_da / 10,) * 3,
            current_at=self.now,
            sampled_at=self.now,
            received_at=self.now,
        )
        need = Need(energy_wh=90_000, departure_at=START + timedelta(hours=12))
        self.state.session(session, need, self.now)

    def _measure(self) -> None:
        def put(load_id: str, current_da: int) -> None:
            self.state.readings[load_id] = LoadReading(
                load_id=load_id, measured_at=self.now, current_da=(current_da,) * 3
            )

        put("pump", PUMP_DA)
        put("roof", self.sun_da)
        put("cell", -self.cell_da)
        if not self.is_meter_dead:
            put("meter", self.net_da())

    def _gross(self) -> env.Draw:
        load_da = PUMP_DA + self.unmetered_da
        total = env.with_total((load_da,) * 3)
        for sim in self.sims.values():
            total = env.add(total, sim.draw(self.now))
        return total

    def _judge(self) -> None:
        limits = self.cabinet.committed_da
        assert limits is not None
        assert self.cabinet.limit_da is not None
        net_da, gross_da = self.net_da(), max(self._gross()[:3])
        self.sums.net_over_s += TICK_S * (net_da > min(limits))
        self.sums.gross_over_s += TICK_S * (gross_da > min(self.cabinet.limit_da))
        self.sums.highest_da = max(self.sums.highest_da, net_da)


def yard(
    *,
    limit_a: int = 125,
    margin_a: int = 32,
    stale_s: int = 10,
    net_limit_a: int | None = None,
) -> Cabinet:
    """A cabinet whose margin covers one EVSE of 32 A."""
    return Cabinet(
        id=YARD,
        limit_da=(limit_a * 10,) * 3,
        net_limit_da=None if net_limit_a is None else (net_limit_a * 10,) * 3,
        margin_da=margin_a * 10,
        feeder_meter="meter",
        feeder_stale_after_s=stale_s,
    )


def _ref(station_id: StationId) -> EvseRef:
    return EvseRef(station_id=station_id, evse_id=1)


def _site(cabinet: Cabinet, n_station: int) -> Site:
    return Site(
        cabinets=(cabinet,),
        stations=tuple(
            Station(
                id=StationId(f"CP{n}"),
                cabinet_id=YARD,
                clock_skew_s=5,
                evses=(
                    Evse(
                        ref=_ref(StationId(f"CP{n}")), cabinet_id=YARD, max_da=RATING_DA
                    ),
                ),
            )
            for n in range(n_station)
        ),
        loads=(Load(id="pump", cabinet_id=YARD, worst_case_da=150, stale_after_s=300),),
        pvs=(Pv(id="roof", cabinet_id=YARD, peak_w=40_000),),
        batteries=(
            Battery(
                id="cell",
                cabinet_id=YARD,
                capacity_wh=20_000,
                max_charge_w=0,
                max_discharge_w=30_000,
            ),
        ),
    )
