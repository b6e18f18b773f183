"""Reads every meter in its own time, and hands on what it says.

A meter that fails costs nobody but itself: it is asked again after a pause that grows,
said once to be lost and once to be back, and its last reading ends by itself when it is
stale: then its worst case counts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

import structlog

from gateway.clock import Clock
from gateway.config.meters import MeterPart
from gateway.domain.phases import PerPhase, Rotation
from gateway.errors import DeviceError, WattproofError
from gateway.meters.port import Device, Measured, checked
from gateway.services.loads import LoadReading

MAX_PAUSE_S: Final = 60.0
"""Real seconds between two attempts to read a meter that is lost."""
MAX_DOUBLINGS: Final = 16
CLOCK_AHEAD: Final = timedelta(seconds=60)
"""A device's clock may be ahead by so much; its reading counts as of now."""

GAUGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "meters_read": "Meters, inverters and batteries that are read by us",
        "meters_lost": "Of those, how many give no usable answer now",
        "meters_stale": "Of those, how many count at their worst case",
    }
)

Put: TypeAlias = Callable[[LoadReading], Awaitable[bool]]
"""Takes a measurement, as ``PUT /loads/{id}/reading`` does."""

Held: TypeAlias = Callable[[str, "Measured", datetime], None]
"""Is told what a battery says: its id, the values, and of when they are."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A device and what it measures.

    Attributes:
        phases: Supply phases of its own L1.. in order.
        interval_s: Site seconds between two readings.
        deadline_s: Real seconds for one reading.
        stale_after_s: Site seconds after which a reading no longer counts.
        nominal_v: To neutral.
    """

    id: str
    part: MeterPart
    device: Device
    phases: Rotation
    interval_s: float
    deadline_s: float
    stale_after_s: int
    nominal_v: float


@dataclass(slots=True, kw_only=True)
class MeterState:
    """How a meter is doing.

    Attributes:
        read_at: Site time of the newest reading that was taken.
        trouble: Why it is lost, or ``None``.
        failures: In a row.
    """

    read_at: datetime | None = None
    trouble: str | None = None
    failures: int = 0
    is_stale: bool = False


class Poller:
    """Run it as a task. Loop thread only."""

    def __init__(
        self,
        meters: Sequence[Meter],
        *,
        put: Put,
        clock: Clock,
        held: Held | None = None,
    ) -> None:
        self._meters = meters
        self._put = put
        self._clock = clock
        self._held = held
        self._states = {meter.id: MeterState() for meter in meters}

    @property
    def states(self) -> Mapping[str, MeterState]:
        """Every meter by its id."""
        return self._states

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Text and value of each gauge by name."""
        states = self._states.values()
        values = {
            "meters_read": len(states),
            "meters_lost": sum(state.trouble is not None for state in states),
            "meters_stale": sum(state.is_stale for state in states),
        }
        return {name: (GAUGES[name], float(values[name])) for name in GAUGES}

    async def run(self) -> None:
        """Read all of them, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for meter in self._meters:
                tasks.create_task(self._follow(meter), name=f"meter.{meter.id}")

    async def _follow(self, meter: Meter) -> None:
        state = self._states[meter.id]
        while True:
            interval_s = self._clock.real_s(meter.interval_s)
            try:
                await self._take(meter)
            except WattproofError as error:
                self._failed(meter, state, str(error))
                interval_s = pause_s(interval_s, state.failures)
            except Exception as error:  # noqa: BLE001 - the edge to libraries that decode foreign bytes
                _log.exception("meter.failed", meter_id=meter.id)
                self._failed(meter, state, f"{type(error).__name__}: {error}")
                interval_s = pause_s(interval_s, state.failures)
            else:
                self._worked(meter, state)
            await asyncio.sleep(interval_s)

    async def _take(self, meter: Meter) -> None:
        asked_at = self._clock.now()
        try:
            async with asyncio.timeout(meter.deadline_s):
                raw = await meter.device.read()
        except TimeoutError:
            raise DeviceError(f"it takes longer than {meter.deadline_s:g} s") from None
        measured = checked(raw, nominal_v=meter.nominal_v)
        at = self._measured_at(measured, asked_at, meter.stale_after_s)
        reading = reading_of(meter, measured, at)
        await self._put(reading)
        if self._held is not None and meter.part is MeterPart.BATTERY:
            self._held(meter.id, measured, at)
        self._states[meter.id].read_at = at

    def _measured_at(
        self, measured: Measured, asked_at: datetime, stale_after_s: int
    ) -> datetime:
        """When it was measured; a clock that is ahead does not make it last longer."""
        now = self._clock.now()
        if measured.age_s is not None:
            now -= timedelta(seconds=measured.age_s * self._clock.speed)
        elif measured.at is None:
            return asked_at
        if measured.at is None:
            return now
        if measured.at > now + CLOCK_AHEAD:
            raise DeviceError(f"its clock is ahead: {measured.at:%Y-%m-%d %H:%M:%S}")
        if now - measured.at > timedelta(seconds=stale_after_s):
            raise DeviceError(f"its values are of {measured.at:%Y-%m-%d %H:%M:%S}")
        return min(measured.at, now)

    def _failed(self, meter: Meter, state: MeterState, why: str) -> None:
        state.failures += 1
        if state.trouble is None:
            _log.warning("meter.lost", meter_id=meter.id, why=why)
        state.trouble = why
        if not state.is_stale and self._is_stale(meter, state):
            state.is_stale = True
            _log.warning(
                "meter.stale", meter_id=meter.id, after_s=meter.stale_after_s, why=why
            )

    def _worked(self, meter: Meter, state: MeterState) -> None:
        if state.trouble is not None:
            _log.info("meter.back", meter_id=meter.id, failures=state.failures)
        state.trouble, state.failures, state.is_stale = None, 0, False

    def _is_stale(self, meter: Meter, state: MeterState) -> bool:
        since = state.read_at
        limit = timedelta(seconds=meter.stale_after_s)
        return since is None or self._clock.now() - since > limit


def pause_s(interval_s: float, failures: int) -> float:
    """Real seconds until a lost meter is asked again: twice as long every time."""
    longer = 2.0 ** min(failures - 1, MAX_DOUBLINGS)
    return max(interval_s, min(interval_s * longer, MAX_PAUSE_S))


def reading_of(meter: Meter, measured: Measured, at: datetime) -> LoadReading:
    """A measurement as the dispatch takes it.

    Other equipment only draws: what is below zero there is a sign that is wrong, and
    counts as drawn. PV counts what it delivers.
    """
    current_da = on_supply(meter, measured.current_a)
    power_w = measured.power_w
    match meter.part:
        case MeterPart.LOAD:
            power_w = None if power_w is None else abs(power_w)
            if current_da is not None:
                one, two, three = current_da
                current_da = (abs(one), abs(two), abs(three))
        case MeterPart.PV:
            power_w = None if power_w is None else -power_w
            if current_da is not None:
                one, two, three = current_da
                current_da = (-one, -two, -three)
        case MeterPart.FEEDER | MeterPart.BATTERY:
            pass
    return LoadReading(
        load_id=meter.id, measured_at=at, current_da=current_da, power_w=power_w
    )


def on_supply(meter: Meter, current_a: Sequence[float]) -> PerPhase | None:
    """Currents of its terminals on the phases of the supply, 0.1 A.

    Fewer currents than wired phases say nothing about the others: ``None``.
    """
    if not current_a or len(current_a) < len(meter.phases):
        return None
    found = [0, 0, 0]
    for phase, value in zip(meter.phases, current_a, strict=False):
        found[phase] += round(value * 10)
    for value in current_a[len(meter.phases) :]:  # wired otherwise than we were told
        found = [one + round(abs(value) * 10) for one in found]
    one, two, three = found
    return (one, two, three)
