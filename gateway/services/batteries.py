"""Tells batteries what to do, and sees to it that they fit under the limits meanwhile.

A battery that is told to charge counts with what it is told from before it is told:
first its readings count at least that, then, once that fits, it is told. What cannot be
told any more counts at the highest rate it has. Its discharge never counts.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

import structlog

from gateway.bus import Bus, LoadMeasured
from gateway.clock import Clock
from gateway.domain.envelope import TOTAL
from gateway.domain.ids import CabinetId
from gateway.domain.phases import PerPhase
from gateway.domain.topology import Battery, Mode, Site
from gateway.errors import DeviceError, RequestError, WattproofError
from gateway.services import loads
from gateway.services.battery_plans import BatteryPlans
from gateway.services.battery_rule import (
    DEADBAND_W,
    FULL_SHARE,
    Facts,
    Wanted,
    decide,
    is_dear,
    is_settled,
    room_w,
)
from gateway.services.group_problem import Prices
from gateway.services.group_view import CabinetView
from gateway.services.loads import Consumer, LoadReading

TICK_S: Final = 5.0
"""Site seconds between two decisions."""
REPEAT_S: Final = 30.0
"""Site seconds after which a battery is told the same again: many go idle alone."""
FRESH_S: Final = 60
"""Site seconds for which what a battery or feeder says is decided by."""
TAKEN_IN_S: Final = 0.2
"""Site seconds in which a reading that was handed on reaches its group."""
SETTLES_S: Final = 5.0
"""Site seconds after a command from which on meters show what came of it."""
OBEYS_WITHIN_S: Final = 30
"""Site seconds in which a battery does what it was told."""
OBEYS_SHARE: Final = 1.1
OBEYS_EXTRA_W: Final = 200
"""More charge than 1.1 times what it was told, and this, is disobedience."""
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_HISTORY: Final = 50
PRICE_STEP_S: Final = 3_600
PRICE_STEPS: Final = 24

Tell: TypeAlias = Callable[[str, int], Awaitable[None]]
"""Tells a battery its power, W, charging positive; raises ``DeviceError``."""
Put: TypeAlias = Callable[[LoadReading], Awaitable[bool]]

_log = structlog.get_logger()


class Cabinets(Protocol):
    """What the dispatch shows of cabinets."""

    def cabinet(self, cabinet_id: CabinetId) -> CabinetView | None:
        """One cabinet now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A command to a battery and what came of it.

    Attributes:
        trouble: Why it was not taken, or ``None``.
    """

    at: datetime
    power_w: int
    why: str
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class BatteryState:
    """A controlled battery now.

    Attributes:
        energy_wh: What it held at ``heard_at``.
        power_w: What it drew at ``heard_at``; negative: what it gave.
        reserved_w: Its readings count at least this, because it may charge so.
        counted_w: What its newest reading that was handed on counts at least.
        handed_at: When that rose; its group takes it in a moment later.
        wanted: What the rule says.
        by_hand_w: What an operator wants until ``by_hand_until``.
        disobeys: It charges more than it was told: its highest rate is reserved.
        changed_at: When it was told something else than before.
        history: What it was told, oldest first; the same again is not repeated.
        is_lost: It did not take the last command: its highest rate is reserved.
    """

    energy_wh: float | None = None
    power_w: float | None = None
    heard_at: datetime | None = None
    reserved_w: int = 0
    counted_w: int = 0
    handed_at: datetime | None = None
    wanted: Wanted | None = None
    by_hand_w: int | None = None
    by_hand_until: datetime | None = None
    is_lost: bool = False
    disobeys: bool = False
    changed_at: datetime = LONG_AGO
    told: Told | None = None
    history: deque[Told] = field(default_factory=lambda: deque(maxlen=MAX_HISTORY))


class Batteries:
    """All batteries that are told their power. Run it as a task. Loop thread only."""

    def __init__(
        self,
        *,
        site: Site,
        cabinets: Cabinets,
        bus: Bus,
        clock: Clock,
        put: Put,
        tell: Tell,
        prices: Prices | None,
        plans: BatteryPlans | None = None,
    ) -> None:
        self._site = site
        self._cabinets = cabinets
        self._bus = bus
        self._clock = clock
        self._put = put
        self._tell = tell
        self._prices = prices
        self._plans = plans or BatteryPlans()
        self._batteries = {b.id: b for b in site.batteries if b.is_controlled}
        self._states = {
            name: BatteryState(reserved_w=battery.max_charge_w)
            for name, battery in self._batteries.items()
        }
        self._readings: dict[str, LoadReading] = {}

    @property
    def states(self) -> Mapping[str, BatteryState]:
        """Every controlled battery by its id."""
        return self._states

    # What is heard

    def heard(
        self,
        battery_id: str,
        *,
        power_w: float | None,
        energy_wh: float | None,
        soc_percent: float | None,
        at: datetime,
    ) -> None:
        """A battery said what it does and holds."""
        state = self._states.get(battery_id)
        if state is None:
            return
        if energy_wh is None and soc_percent is not None:
            energy_wh = self._batteries[battery_id].capacity_wh * soc_percent / 100
        state.power_w, state.energy_wh, state.heard_at = power_w, energy_wh, at
        self._hold_to_its_word(self._batteries[battery_id], state, at)

    async def put(self, reading: LoadReading) -> bool:
        """Hand a reading on; that of a controlled battery counts what it may charge."""
        state = self._states.get(reading.load_id)
        if state is None:
            return await self._put(reading)
        battery, reserved_w = self._batteries[reading.load_id], state.reserved_w
        state.counted_w = min(state.counted_w, reserved_w)  # until it is handed on
        is_new = await self._put(_at_least(reading, battery, reserved_w))
        if state.handed_at is None or reserved_w > state.counted_w:
            state.handed_at = self._clock.now()
        state.counted_w = reserved_w
        return is_new

    # What is told

    async def run(self) -> None:
        """Decide for all of them every few seconds, for ever."""
        with self._bus.subscribe("batteries", of=(LoadMeasured,)) as readings:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ticking(), name="batteries.tick")
                async for notice in readings:
                    if isinstance(notice, LoadMeasured):
                        self._readings[notice.load_id] = loads.reading_of(notice)

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(self._clock.real_s(TICK_S))
            for battery in self._longest_unchanged_first():
                try:
                    await self.tick(battery)
                except WattproofError as error:
                    _log.warning(
                        "battery.skipped", battery_id=battery.id, why=str(error)
                    )

    async def tick(self, battery: Battery) -> None:
        """Decide for one battery, reserve what it may charge, and tell it."""
        state = self._states[battery.id]
        self._show_to_plans(battery, state)
        wanted = decide(battery, self.facts(battery))
        wanted = replace(wanted, power_w=_calm(wanted.power_w, state.told))
        state.wanted = wanted
        if self._is_only_advised(battery):
            told = state.told
            state.reserved_w = 0 if told is None else max(0, told.power_w)
            return
        asked_w = wanted.power_w
        state.reserved_w = max(state.reserved_w, asked_w)
        most_w = self._may_charge_w(state)
        if asked_w > most_w:
            wanted = replace(wanted, power_w=most_w)
        if self._is_due(state, wanted.power_w):
            await self._command(battery, state, wanted, asked_w=asked_w)

    async def stop(self) -> None:
        """Leave every battery idle, as far as it can be told."""
        for battery in self._batteries.values():
            if not self._is_only_advised(battery):
                wanted = Wanted(power_w=0, why="the gateway stops")
                await self._command(battery, self._states[battery.id], wanted)

    def set_by_hand(
        self, battery_id: str, power_w: int | None, until: datetime | None
    ) -> None:
        """Let an operator say what it does; ``None`` gives it back to the rule.

        Raises:
            RequestError: 404 no such controlled battery; 422 more than it can.
        """
        self.check_by_hand(battery_id, power_w)
        state = self.required(battery_id)
        state.by_hand_w, state.by_hand_until = power_w, until

    def check_by_hand(self, battery_id: str, power_w: int | None) -> None:
        """Whether a battery can be told so.

        Raises:
            RequestError: 404 no such controlled battery; 422 more than it can.
        """
        self.required(battery_id)
        battery = self._batteries[battery_id]
        least_w, most_w = -battery.max_discharge_w, battery.max_charge_w
        if power_w is not None and not least_w <= power_w <= most_w:
            raise RequestError(
                422, "beyond_rate", f"power_w is from {least_w} to {most_w}"
            )

    def required(self, battery_id: str) -> BatteryState:
        """A controlled battery.

        Raises:
            RequestError: 404: there is none of that id.
        """
        state = self._states.get(battery_id)
        if state is None:
            raise RequestError(
                404, "unknown_battery", f"no battery {battery_id!r} is controlled"
            )
        return state

    def facts(self, battery: Battery) -> Facts:
        """What is known of a battery now."""
        state, now = self._states[battery.id], self._clock.now()
        is_fresh = state.heard_at is not None and now - state.heard_at <= timedelta(
            seconds=FRESH_S
        )
        until = state.by_hand_until
        if until is not None and until <= now:
            state.by_hand_w = state.by_hand_until = None
        views = self._views(battery)
        feeder = self._feeder(battery, now)
        return Facts(
            energy_wh=state.energy_wh if is_fresh else None,
            power_w=state.power_w if is_fresh else None,
            feeder_w=None if feeder is None else self._feeder_w(feeder),
            room_w=self._room_w(battery, views, now),
            is_dear=self._is_dear(battery, now),
            is_congested=any(_is_nearly_full(view) for view in views),
            by_hand_w=state.by_hand_w,
            held=self._held(state, feeder),
            planned_w=(
                self._plans.power_w(battery.id, now) if battery.follows_plan else None
            ),
        )

    # Inside

    def _show_to_plans(self, battery: Battery, state: BatteryState) -> None:
        """Let plans count with a battery that does what it is told."""
        is_free = not (state.is_lost or state.disobeys or state.by_hand_w is not None)
        if not battery.follows_plan or state.energy_wh is None or not is_free:
            self._plans.is_gone(battery.id)
        elif state.heard_at is not None:
            self._plans.holds(battery.id, state.energy_wh, state.heard_at)

    async def _command(
        self,
        battery: Battery,
        state: BatteryState,
        wanted: Wanted,
        *,
        asked_w: int = 0,
    ) -> None:
        """Tell a battery its power; one that cannot be told may do anything.

        Args:
            battery: Which.
            state: Its state.
            wanted: What it is told.
            asked_w: What it shall be told once it counts; reserved already.
        """
        trouble: str | None = None
        try:
            await self._tell(battery.id, wanted.power_w)
        except DeviceError as error:
            trouble = str(error)
            state.reserved_w = battery.max_charge_w
            if not state.is_lost:
                _log.warning("battery.lost", battery_id=battery.id, why=trouble)
        else:
            state.reserved_w = (
                battery.max_charge_w
                if state.disobeys
                else max(0, wanted.power_w, asked_w)
            )
        told = Told(
            at=self._clock.now(),
            power_w=wanted.power_w,
            why=wanted.why,
            trouble=trouble,
        )
        before = state.told
        is_news = (
            trouble is not None or before is None or before.power_w != told.power_w
        )
        say = _log.info if is_news else _log.debug
        say(
            "battery.told",
            battery_id=battery.id,
            power_w=wanted.power_w,
            why=wanted.why,
            reserved_w=state.reserved_w,
            trouble=trouble,
        )
        state.is_lost, state.told = trouble is not None, told
        if is_news:
            state.history.append(told)
        if is_news or (before is not None and before.trouble is not None):
            state.changed_at = told.at

    def _may_charge_w(self, state: BatteryState) -> int:
        """What it may be told: what it counts with, once its group knows that."""
        told_w = 0 if state.told is None else max(0, state.told.power_w)
        taken_in = timedelta(seconds=TAKEN_IN_S)
        if state.handed_at is None or self._clock.now() - state.handed_at < taken_in:
            return min(told_w, state.counted_w)
        return state.counted_w

    def _hold_to_its_word(
        self, battery: Battery, state: BatteryState, at: datetime
    ) -> None:
        """One that charges more than it was told may do anything: it counts so."""
        told, power_w = state.told, state.power_w
        if told is None or power_w is None:
            return
        most_w = max(0, told.power_w) * OBEYS_SHARE + OBEYS_EXTRA_W
        if power_w <= most_w:
            state.disobeys = False
            return
        if at - state.changed_at < timedelta(seconds=OBEYS_WITHIN_S):
            return
        state.reserved_w = battery.max_charge_w
        if not state.disobeys:
            _log.warning(
                "battery.disobeys",
                battery_id=battery.id,
                told_w=told.power_w,
                power_w=power_w,
            )
        state.disobeys = True

    def _is_due(self, state: BatteryState, power_w: int) -> bool:
        told = state.told
        if told is None or told.trouble is not None or told.power_w != power_w:
            return True
        return self._clock.now() - told.at >= timedelta(seconds=REPEAT_S)

    def _is_only_advised(self, battery: Battery) -> bool:
        return any(v.mode is Mode.ADVISE for v in self._views(battery))

    def _views(self, battery: Battery) -> list[CabinetView]:
        path = self._site.path(battery.cabinet_id)
        found = (self._cabinets.cabinet(cabinet.id) for cabinet in path)
        return [view for view in found if view is not None]

    def _longest_unchanged_first(self) -> list[Battery]:
        """A battery whose commands change all the time keeps no other from its turn."""
        return sorted(
            self._batteries.values(), key=lambda b: self._states[b.id].changed_at
        )

    def _held(self, state: BatteryState, feeder: LoadReading | None) -> Wanted | None:
        """What it was told last, while readings are older than what came of it."""
        told, heard_at = state.told, state.heard_at
        if told is None or told.trouble is not None:
            return None
        if feeder is None or heard_at is None:
            return None
        others = (
            self._states[other.id]
            for other in self._batteries.values()
            if self._feeder_meter(other) == feeder.load_id
        )
        if is_settled(
            state.changed_at,
            [other.changed_at for other in others if not other.is_lost],
            heard_at=heard_at,
            feeder_at=feeder.measured_at,
            within=timedelta(seconds=SETTLES_S),
        ):
            return None
        return Wanted(power_w=told.power_w, why=told.why)

    def _feeder_meter(self, battery: Battery) -> str | None:
        """The meter of the outermost cabinet above it that has one."""
        path = self._site.path(battery.cabinet_id)
        metered = [c.feeder_meter for c in path if c.feeder_meter is not None]
        return metered[-1] if metered else None

    def _feeder(self, battery: Battery, now: datetime) -> LoadReading | None:
        """The reading of its feeder meter, if that is fresh."""
        meter = self._feeder_meter(battery)
        reading = None if meter is None else self._readings.get(meter)
        if reading is None or now - reading.measured_at > timedelta(seconds=FRESH_S):
            return None
        return reading

    def _feeder_w(self, reading: LoadReading) -> float | None:
        if reading.power_w is not None:
            return reading.power_w
        if reading.current_da is None:
            return None
        return sum(reading.current_da) / 10 * self._site.phase_v

    def _room_w(
        self, battery: Battery, views: Sequence[CabinetView], now: datetime
    ) -> int:
        """What all limits above it leave, with what is counted for it already."""
        if len(views) < len(self._site.path(battery.cabinet_id)):
            return 0
        counted = loads.load_staircase(
            Consumer.of(battery),
            self._readings.get(battery.id),
            now=now,
            phase_v=self._site.phase_v,
        )[0].draw
        most_w = battery.max_charge_w
        for view in views:
            if view.headroom_da is not None:
                room = (
                    view.headroom_da[0] + counted[0],
                    view.headroom_da[1] + counted[1],
                    view.headroom_da[2] + counted[2],
                )
                most_w = min(most_w, room_w(battery, room))
            if view.limit_w is not None:
                limit_da = int(view.limit_w / self._site.phase_v * 10)
                left_da = limit_da - 3 * view.margin_da - sum(view.worst_case_da)
                share_da = (left_da + counted[TOTAL]) // len(battery.phases)
                most_w = min(most_w, room_w(battery, (share_da,) * 3))
        return most_w

    def _is_dear(self, battery: Battery, now: datetime) -> bool:
        if self._prices is None:
            return False
        prices = self._prices(now, PRICE_STEP_S, PRICE_STEPS)
        return is_dear(prices or (), battery.efficiency)


def _at_least(reading: LoadReading, battery: Battery, reserved_w: int) -> LoadReading:
    """A reading that counts at least what its battery may charge with."""
    if reserved_w <= 0:
        return reading
    least = battery.drawing(reserved_w)
    measured = loads.measured_draw(
        Consumer.of(battery), reading, phase_v=battery.phase_v
    )
    most: PerPhase = (
        max(least[0], measured[0]),
        max(least[1], measured[1]),
        max(least[2], measured[2]),
    )
    return replace(reading, current_da=most)


def _calm(power_w: int, told: Told | None) -> int:
    """Stay with what it was told while the change is a trifle, and upwards."""
    if told is None or told.trouble is not None or not power_w * told.power_w > 0:
        return power_w
    is_trifle = abs(power_w - told.power_w) < DEADBAND_W
    return told.power_w if is_trifle and abs(power_w) >= abs(told.power_w) else power_w


def _is_nearly_full(view: CabinetView) -> bool:
    if view.limit_da is None:
        return False
    return any(
        load >= FULL_SHARE * limit
        for load, limit in zip(view.load_da, view.limit_da, strict=True)
    )
