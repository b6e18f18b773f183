"""Batteries are told only what counts already, and count at worst when in doubt."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.bus import Bus
from gateway.domain.ids import CabinetId
from gateway.domain.phases import PerPhase
from gateway.domain.topology import Battery, Cabinet, Mode, Site
from gateway.errors import DeviceError, RequestError
from gateway.services import loads
from gateway.services.batteries import (
    REPEAT_S,
    SETTLES_S,
    Batteries,
    BatteryState,
)
from gateway.services.battery_plans import BatteryPlans
from gateway.services.group_view import CabinetState, CabinetView
from gateway.services.loads import Consumer, LoadReading
from optimizer import CabinetLimit, CabinetProblem, solve

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
A = CabinetId("A")
BATTERY = Battery(
    id="cellar",
    cabinet_id=A,
    capacity_wh=10_000,
    max_charge_w=3_000,
    max_discharge_w=3_000,
    is_controlled=True,
)
SITE = Site(
    cabinets=(Cabinet(id=A, limit_da=(630, 630, 630), feeder_meter="grid"),),
    batteries=(BATTERY,),
)


class Hand:
    speed = 1.0

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def real_s(self, site_s: float) -> float:
        return site_s


@dataclass
class World:
    """A battery, a feeder and a cabinet that are whatever a test says."""

    clock: Hand = field(default_factory=Hand)
    free_da: PerPhase = (300, 300, 300)
    load_da: PerPhase = (0, 0, 0)
    mode: Mode = Mode.CONTROL
    feeder_w: float = -2_000.0
    power_w: float = 0.0
    energy_wh: float | None = 5_000.0
    told: list[int] = field(default_factory=list)
    handed_on: list[LoadReading] = field(default_factory=list)
    trouble: str | None = None
    prices: list[int] = field(default_factory=lambda: [200])
    site: Site = SITE
    plans: BatteryPlans = field(default_factory=BatteryPlans)

    def __post_init__(self) -> None:
        self.batteries = Batteries(
            site=self.site,
            cabinets=self,
            bus=Bus(),
            clock=self.clock,
            put=self._put,
            tell=self._tell,
            prices=lambda _start, _step_s, _n_step: self.prices,
            plans=self.plans,
        )

    @property
    def state(self) -> BatteryState:
        return self.batteries.states["cellar"]

    def cabinet(self, cabinet_id: CabinetId) -> CabinetView | None:
        counted = loads.load_staircase(
            Consumer.of(BATTERY),
            self.batteries._readings.get("cellar"),
            now=self.clock.at,
            phase_v=SITE.phase_v,
        )[0].draw
        one, two, three = (self.free_da[p] - counted[p] for p in range(3))
        return CabinetView(
            cabinet_id=cabinet_id,
            parent=None,
            mode=self.mode,
            state=CabinetState.CONTROL,
            limit_da=(630, 630, 630),
            limit_w=None,
            margin_da=0,
            load_da=self.load_da,
            load_w=0,
            load_source="feeder",
            worst_case_da=(0, 0, 0),
            headroom_da=(one, two, three),
            unproven=(),
        )

    async def hear(self) -> None:
        """Both meters say how it is."""
        await self.hear_battery()
        self.hear_feeder()

    async def hear_battery(self) -> None:
        """The battery says how it is."""
        self.batteries.heard(
            "cellar",
            power_w=self.power_w,
            energy_wh=self.energy_wh,
            soc_percent=None,
            at=self.clock.at,
        )
        await self.batteries.put(
            LoadReading(
                load_id="cellar", measured_at=self.clock.at, power_w=self.power_w
            )
        )

    def hear_feeder(self) -> None:
        """The feeder meter says how it is."""
        self.batteries._readings["grid"] = LoadReading(
            load_id="grid", measured_at=self.clock.at, power_w=self.feeder_w
        )

    async def settle(self) -> None:
        """Time passes until meters show what it was told."""
        self.clock.at += timedelta(seconds=SETTLES_S)
        await self.hear()

    def counted(self) -> PerPhase | None:
        """Currents of the newest reading that was handed on."""
        return self.handed_on[-1].current_da

    def disobeys(self) -> bool:
        """Whether it charges more than it was told."""
        return self.state.disobeys

    def is_lost(self) -> bool:
        """Whether it did not take its last command."""
        return self.state.is_lost

    async def tick(self, seconds: float = 5.0) -> None:
        self.clock.at += timedelta(seconds=seconds)
        await self.batteries.tick(self.site.batteries[0])

    def plan(self, *powers_w: int) -> None:
        """A plan is there whose steps of a quarter of an hour begin now."""
        problem = CabinetProblem(
            group_id="A",
            start=self.clock.at,
            step_s=900,
            n_step=len(powers_w),
            cabinets=(
                CabinetLimit(
                    cabinet_id="A",
                    limit_w=[0] * len(powers_w),
                    reserved_a=[[0] * len(powers_w)] * 3,
                ),
            ),
        )
        plan = solve(problem, deadline_s=1).plan
        self.plans.take(
            replace(plan, battery_ids=("cellar",), battery_w=(tuple(powers_w),))
        )

    async def _put(self, reading: LoadReading) -> bool:
        self.handed_on.append(reading)
        self.batteries._readings[reading.load_id] = reading
        return True

    async def _tell(self, _battery_id: str, power_w: int) -> None:
        self.told.append(power_w)
        if self.trouble is not None:
            raise DeviceError(self.trouble)


PLANNED = replace(SITE, batteries=(replace(BATTERY, follows_plan=True),))


async def test_a_planned_battery_is_told_what_the_plan_says_once_that_counts() -> None:
    world = World(site=PLANNED, feeder_w=500.0)
    await calm(world)
    world.plan(1_200, -600)
    await world.tick()
    assert world.told == [0]
    assert world.state.reserved_w == 1_200
    await world.hear()
    await world.tick()
    assert world.told == [0, 1_200]
    assert world.state.wanted is not None
    assert world.state.wanted.why == "the plan says so"


async def test_a_planned_battery_gets_no_more_than_the_limits_leave() -> None:
    world = World(site=PLANNED, free_da=(20, 20, 20))
    await calm(world)
    world.plan(3_000)
    for _ in range(4):
        await world.tick()
        await world.hear()
    assert 0 < world.told[-1] < 2 * 690


async def test_without_a_plan_of_now_the_rule_decides() -> None:
    world = World(site=PLANNED)
    await calm(world)
    world.plan(0)
    world.clock.at += timedelta(seconds=901)
    world.feeder_w = -2_000.0
    await world.settle()
    await world.tick()
    assert world.state.wanted is not None
    assert world.state.wanted.why == "stores a surplus"


async def test_plans_count_with_a_battery_only_while_it_does_what_it_is_told() -> None:
    world = World(site=PLANNED)
    await calm(world)
    assert world.plans.energy_wh("cellar", world.clock.at) == 5_000
    world.batteries.set_by_hand("cellar", 100, None)
    await world.tick()
    assert world.plans.energy_wh("cellar", world.clock.at) is None
    world.batteries.set_by_hand("cellar", None, None)
    await world.tick()
    assert world.plans.energy_wh("cellar", world.clock.at) == 5_000
    world.trouble = "does not answer"
    await world.tick(REPEAT_S)
    await world.tick()
    assert world.plans.energy_wh("cellar", world.clock.at) is None


async def test_a_battery_that_follows_no_plan_is_not_shown_to_plans() -> None:
    world = World()
    await calm(world)
    assert world.plans.energy_wh("cellar", world.clock.at) is None


async def calm(world: World) -> None:
    """Past the start: it was told to idle, and counts as what it draws."""
    world.feeder_w = 0.0
    await world.hear()
    await world.tick()
    await world.settle()
    assert world.told == [0]
    assert world.state.reserved_w == 0


async def test_before_it_was_ever_told_it_counts_at_its_highest_rate() -> None:
    world = World()
    await world.hear()
    assert world.counted() == BATTERY.charging


async def test_a_charge_counts_before_it_is_told() -> None:
    world = World()
    await calm(world)
    world.feeder_w = -2_000.0
    await world.hear()
    assert world.counted() is None, "nothing is reserved yet"
    await world.tick()
    assert world.told == [0], "it does not count yet"
    await world.hear()
    assert world.counted() == BATTERY.drawing(1_900)
    await world.tick()
    assert world.told == [0, 1_900]


async def test_a_meter_that_speaks_all_the_time_keeps_no_battery_from_charging() -> (
    None
):
    """What is reserved counts from the first reading on that was handed on with it."""
    world = World()
    await calm(world)
    world.feeder_w = -2_000.0
    await world.hear()
    for _ in range(4):
        await world.tick(0.1)
        await world.hear()
    assert world.told == [0, 1_900]


async def test_what_limits_do_not_leave_is_not_charged() -> None:
    world = World()
    await calm(world)
    world.feeder_w, world.free_da = -9_000.0, (300, 300, 25)
    for _ in range(4):
        await world.settle()
        await world.tick()
        assert world.told[-1] <= 1.5 * 207 * 3, "a reading counts 1 A more"
    assert world.told[-1] > 0
    world.free_da = (5, 300, 300)
    await world.hear()
    await world.tick()
    assert world.told[-1] == 0, "a cabinet that is over its limit takes it back"


async def test_less_is_told_at_once_and_counts_less_from_then_on() -> None:
    world = World()
    await calm(world)
    world.feeder_w = -2_000.0
    for _ in range(2):
        await world.hear()
        await world.tick()
    world.power_w, world.feeder_w = 1_900.0, 1_000.0
    await world.settle()
    await world.tick()
    assert world.told[-1] == 900 * 95 // 100
    await world.hear()
    least = BATTERY.drawing(855)
    counted_da = world.counted()
    assert counted_da is not None
    assert counted_da >= least


async def test_what_cannot_be_told_counts_at_its_highest_rate() -> None:
    world = World()
    await calm(world)
    world.trouble = "no way to it"
    world.feeder_w = -2_000.0
    for _ in range(2):
        await world.hear()
        await world.tick()
    assert world.is_lost()
    await world.hear()
    assert world.counted() == BATTERY.charging
    world.trouble = None
    await world.tick()
    assert not world.is_lost()
    assert world.state.told is not None
    assert world.state.told.trouble is None


async def test_a_battery_that_charges_unasked_counts_at_its_highest_rate() -> None:
    world = World()
    await calm(world)
    world.power_w = 1_500.0
    await world.hear()
    assert not world.disobeys(), "it has a while to obey"
    await world.tick(31)
    await world.hear()
    assert world.disobeys()
    assert world.counted() == BATTERY.charging
    await world.tick()
    await world.hear()
    assert world.counted() == BATTERY.charging, "telling it again proves nothing"
    world.power_w = 0.0
    await world.hear()
    await world.tick(31)
    await world.hear()
    assert not world.disobeys()
    assert world.counted() != BATTERY.charging


async def test_a_battery_that_is_not_heard_is_told_to_idle() -> None:
    world = World()
    await calm(world)
    world.feeder_w = -2_000.0
    for _ in range(2):
        await world.hear()
        await world.tick()
    assert world.told[-1] == 1_900
    await world.tick(61)
    assert world.told[-1] == 0
    assert world.state.wanted is not None
    assert world.state.wanted.why == "what it holds is not known"


async def test_a_discharge_is_never_room_for_others() -> None:
    world = World()
    world.prices = [300, 100]
    await calm(world)
    world.feeder_w = 4_000.0
    await world.hear()
    await world.tick()
    assert world.told[-1] == -3_000
    world.power_w = -3_000.0
    await world.hear()
    reading = world.handed_on[-1]
    assert reading.power_w == -3_000.0
    assert reading.current_da is None, "a meter below zero counts as zero"


async def test_congestion_discharges_it_at_any_price() -> None:
    world = World()
    await calm(world)
    world.feeder_w, world.load_da = 2_000.0, (600, 0, 0)
    await world.hear()
    await world.tick()
    assert world.told[-1] == -2_000


async def test_the_same_is_told_again_after_a_while_and_not_before() -> None:
    world = World()
    await calm(world)
    await world.tick()
    assert world.told == [0]
    await world.hear()
    await world.tick(REPEAT_S)
    assert world.told == [0, 0]


async def test_a_trifle_is_not_told() -> None:
    world = World()
    world.prices = [300, 100]
    await calm(world)
    world.feeder_w = 2_000.0
    await world.hear()
    await world.tick()
    world.feeder_w, world.power_w = 60.0, -2_000.0
    await world.settle()
    await world.tick()
    assert world.told == [0, -2_000]
    world.feeder_w = -40.0
    await world.hear()
    await world.tick()
    assert world.told[-1] == -1_960, "what would be fed in is no trifle"


async def test_a_cabinet_that_only_advises_tells_nothing() -> None:
    world = World()
    world.mode = Mode.ADVISE
    await world.hear()
    await world.tick()
    assert world.told == []
    await world.hear()
    assert world.counted() is None, "it counts as it is measured"
    assert world.state.wanted is not None
    assert world.state.wanted.power_w > 0


async def test_an_operator_sets_it_by_hand_until_a_time() -> None:
    world = World()
    await calm(world)
    world.batteries.set_by_hand("cellar", -1_500, NOW + timedelta(seconds=20))
    await world.tick()
    assert world.told[-1] == -1_500
    await world.settle()
    await world.tick(30)
    assert world.told[-1] == 0
    assert world.state.by_hand_w is None


@pytest.mark.parametrize(
    ("name", "power_w", "status"), [("attic", 0, 404), ("cellar", 3_001, 422)]
)
def test_what_cannot_be_done_by_hand_is_refused(
    name: str, power_w: int, status: int
) -> None:
    world = World()
    with pytest.raises(RequestError) as caught:
        world.batteries.set_by_hand(name, power_w, None)
    assert caught.value.status == status


async def test_the_last_word_is_to_idle_and_every_word_is_kept() -> None:
    world = World()
    await calm(world)
    world.feeder_w = -2_000.0
    for _ in range(2):
        await world.hear()
        await world.tick()
    await world.batteries.stop()
    assert world.told[-1] == 0
    assert [one.power_w for one in world.state.history] == world.told
