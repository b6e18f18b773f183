"""A day of a simulated site: meters, the rule for batteries and the cabinet's limit."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.bus import Bus
from gateway.config.meters import MeterPart
from gateway.domain.ids import CabinetId
from gateway.domain.phases import ALL_PHASES, PerPhase
from gateway.domain.topology import Battery, Cabinet, Load, Mode, Pv, Site
from gateway.errors import DeviceError
from gateway.meters.poller import Meter, reading_of
from gateway.meters.simulated import SimulatedSite
from gateway.services import loads
from gateway.services.batteries import Batteries
from gateway.services.group_view import CabinetState, CabinetView
from gateway.services.loads import Consumer, LoadReading

A = CabinetId("A")
MIDNIGHT = datetime(2026, 3, 20, tzinfo=UTC)
BATTERY = Battery(
    id="cellar",
    cabinet_id=A,
    capacity_wh=10_000,
    max_charge_w=5_000,
    max_discharge_w=5_000,
    efficiency=0.9,
    is_controlled=True,
    reserve_percent=10,
)
LOAD = Load(id="hall", cabinet_id=A, worst_case_da=150)
PV = Pv(id="roof", cabinet_id=A, peak_w=15_000)
CABINET = Cabinet(id=A, limit_da=(400, 400, 400), feeder_meter="grid")
SITE = Site(cabinets=(CABINET,), loads=(LOAD,), pvs=(PV,), batteries=(BATTERY,))


@dataclass
class Day:
    """A site whose time is moved by hand; cars take what the limits leave."""

    at: datetime = MIDNIGHT
    speed: float = 1.0
    cars_share: float = 1.0
    fed_in_wh: float = 0.0
    drawn_dear_wh: float = 0.0
    energies_wh: list[float] = field(default_factory=list)
    told_w: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.simulated = SimulatedSite(
            SITE, clock=self, made_up={"hall", "roof", "cellar", "grid"}
        )
        self.batteries = Batteries(
            site=SITE,
            cabinets=self,
            bus=Bus(),
            clock=self,
            put=self._put,
            tell=self._tell,
            prices=self._prices,
        )
        self.readings = self.batteries._readings

    def now(self) -> datetime:
        return self.at

    def real_s(self, site_s: float) -> float:
        return site_s

    def cabinet(self, cabinet_id: CabinetId) -> CabinetView:
        counted = self.counted()
        left = [max(0, 400 - counted[p]) for p in range(3)]
        cars = [int(self.cars_share * one) for one in left]
        headroom: PerPhase = (
            left[0] - cars[0],
            left[1] - cars[1],
            left[2] - cars[2],
        )
        return CabinetView(
            cabinet_id=cabinet_id,
            parent=None,
            mode=Mode.CONTROL,
            state=CabinetState.CONTROL,
            limit_da=(400, 400, 400),
            limit_w=None,
            margin_da=0,
            load_da=(0, 0, 0),
            load_w=0,
            load_source="feeder",
            worst_case_da=(0, 0, 0),
            headroom_da=headroom,
            unproven=(),
        )

    def counted(self) -> PerPhase:
        """What other equipment counts now."""
        total = [0, 0, 0]
        for consumer in (Consumer.of(LOAD), Consumer.of(BATTERY)):
            draw = loads.load_staircase(
                consumer, self.readings.get(consumer.id), now=self.at, phase_v=230.0
            )[0].draw
            total = [one + draw[p] for p, one in enumerate(total)]
        return (total[0], total[1], total[2])

    async def run(self, hours: float, *, every_s: float = 60.0) -> None:
        """Let time pass: meters are read, the rule decides, energy flows."""
        for _ in range(round(hours * 3600 / every_s)):
            for part, name in (
                (MeterPart.LOAD, "hall"),
                (MeterPart.FEEDER, "grid"),
                (MeterPart.BATTERY, "cellar"),
            ):
                await self.read(part, name)
            self.at += timedelta(seconds=1)
            await self.batteries.tick(BATTERY)
            self.at += timedelta(seconds=every_s - 1)
            feeder_w = self.simulated.feeder_w(CABINET)
            share_h = every_s / 3600
            self.fed_in_wh += max(0.0, -feeder_w) * share_h
            if self.at.hour >= 18:
                self.drawn_dear_wh += max(0.0, feeder_w) * share_h
            self.energies_wh.append(self.simulated.batteries["cellar"].energy_wh)
            self.check()

    def check(self) -> None:
        """Cars at their envelope, the load and the battery are under the limit."""
        power_w = self.simulated.batteries["cellar"].power_w
        drawn_da = max(0.0, power_w) / 3 / 230 * 10
        load_da = self.simulated.load_w(LOAD) / 3 / 230 * 10
        left = max(0, 400 - self.counted()[0])
        cars_da = int(self.cars_share * left)
        assert cars_da + drawn_da + load_da <= 400

    async def read(self, part: MeterPart, name: str) -> None:
        meter = Meter(
            id=name,
            part=part,
            device=self.simulated.device(name),
            phases=ALL_PHASES,
            interval_s=5,
            deadline_s=1,
            stale_after_s=300,
            nominal_v=230,
        )
        try:
            measured = await meter.device.read()
        except DeviceError:
            return
        if part is MeterPart.BATTERY:
            self.batteries.heard(
                name,
                power_w=measured.power_w,
                energy_wh=measured.energy_wh,
                soc_percent=measured.soc_percent,
                at=self.at,
            )
        await self.batteries.put(reading_of(meter, measured, self.at))

    async def _put(self, reading: LoadReading) -> bool:
        self.readings[reading.load_id] = reading
        return True

    async def _tell(self, battery_id: str, power_w: int) -> None:
        self.told_w.append(power_w)
        await self.simulated.batteries[battery_id].set_power_w(power_w)

    def _prices(self, start: datetime, step_s: int, n_step: int) -> list[int]:
        hours = ((start + timedelta(seconds=step_s * i)).hour for i in range(n_step))
        return [400_000 if hour >= 18 else 200_000 for hour in hours]


async def test_over_a_day_the_sun_is_stored_and_replaces_dear_energy() -> None:
    day, idle = Day(cars_share=0.5), Day(cars_share=0.5)
    await day.run(24)
    idle.batteries.set_by_hand("cellar", 0, None)
    await idle.run(24)
    assert day.fed_in_wh < idle.fed_in_wh - 4_000
    assert day.drawn_dear_wh < idle.drawn_dear_wh - 4_000
    assert min(day.energies_wh) >= BATTERY.reserve_wh - 1
    assert max(day.energies_wh) <= BATTERY.capacity_wh


async def test_where_cars_take_all_that_limits_leave_it_does_not_charge() -> None:
    start = MIDNIGHT + timedelta(hours=10)
    day = Day(cars_share=1.0, at=start)
    day.batteries.set_by_hand("cellar", 0, start + timedelta(minutes=5))
    await day.run(3)
    assert max(day.told_w) <= 350, "no more than the 1 A that its reading counts"


async def test_out_of_reach_it_counts_at_its_highest_rate() -> None:
    day = Day(at=MIDNIGHT + timedelta(hours=12))
    await day.run(0.5)
    day.simulated.batteries["cellar"].is_reachable = False
    await day.run(0.2)
    battery = day.readings["cellar"]
    assert day.batteries.states["cellar"].is_lost
    assert loads.fresh_end(300, battery, day.at) is None
    counted = loads.load_staircase(
        Consumer.of(BATTERY), battery, now=day.at, phase_v=230.0
    )[0].draw
    assert counted[:3] == BATTERY.charging


async def test_what_is_no_battery_cannot_be_told_and_an_unknown_id_is_none() -> None:
    simulated = Day().simulated
    with pytest.raises(DeviceError, match="no battery"):
        await simulated.device("roof").set_power_w(5)
    with pytest.raises(KeyError):
        simulated.device("attic")
