"""How meters are read: what is handed on, and what a meter that fails costs."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from gateway.config.meters import MeterPart
from gateway.domain.phases import rotation
from gateway.errors import DeviceError, RequestError
from gateway.meters.poller import (
    MAX_PAUSE_S,
    Meter,
    Poller,
    on_supply,
    pause_s,
    reading_of,
)
from gateway.meters.port import Measured, checked
from gateway.services.loads import LoadReading

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(slots=True)
class Hand:
    """A clock that is moved by hand, and runs fast."""

    at: datetime = NOW
    speed: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def real_s(self, site_s: float) -> float:
        return site_s / self.speed


@dataclass(slots=True)
class Script:
    """A device that answers from a list, and then never again."""

    answers: list[Measured | Exception]
    n_read: int = 0

    async def read(self) -> Measured:
        self.n_read += 1
        if not self.answers:
            await asyncio.sleep(3600)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def set_power_w(self, power_w: int) -> None:
        raise DeviceError(f"{power_w}")


@dataclass(slots=True)
class Taken:
    """What was handed on."""

    readings: list[LoadReading] = field(default_factory=list)
    error: Exception | None = None

    async def put(self, reading: LoadReading) -> bool:
        if self.error is not None:
            raise self.error
        self.readings.append(reading)
        return True


def meter(device: Script, **more: object) -> Meter:
    base = Meter(
        id="hall",
        part=MeterPart.LOAD,
        device=device,
        phases=rotation("L1L2L3"),
        interval_s=1.0,
        deadline_s=0.05,
        stale_after_s=60,
        nominal_v=230.0,
    )
    return replace(base, **more)  # type: ignore[arg-type]  # any of its fields


async def follow(poller: Poller, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await poller.run()


async def test_a_reading_is_handed_on_with_the_time_it_was_asked_for() -> None:
    taken = Taken()
    device = Script([Measured(current_a=(1.04, 2.06, 3.0), power_w=1400)])
    await follow(Poller([meter(device)], put=taken.put, clock=Hand()), 0.03)
    assert taken.readings == [
        LoadReading(
            load_id="hall", measured_at=NOW, current_da=(10, 21, 30), power_w=1400
        )
    ]


async def test_a_meter_that_is_lost_is_said_once_and_once_to_be_back() -> None:
    device = Script(
        [DeviceError("gone"), DeviceError("gone"), Measured(power_w=5.0), Measured()]
    )
    poller = Poller([meter(device)], put=Taken().put, clock=Hand())
    with structlog.testing.capture_logs() as logs:
        await follow(poller, 0.04)
    told = [line["event"] for line in logs]
    assert told.count("meter.lost") == 2, "a second loss is another one"
    assert told.count("meter.back") == 1
    assert poller.states["hall"].trouble == "it tells neither power nor current"
    assert {name: value for name, (_, value) in poller.gauges().items()} == {
        "meters_read": 1,
        "meters_lost": 1,
        "meters_stale": 0,
    }


async def test_a_meter_that_says_nothing_is_lost_at_its_deadline_and_then_stale() -> (
    None
):
    clock = Hand()
    device = Script([Measured(power_w=5.0)])
    poller = Poller([meter(device)], put=Taken().put, clock=clock)
    with structlog.testing.capture_logs() as logs:
        await follow(poller, 0.03)
        clock.at += timedelta(seconds=61)
        await follow(poller, 0.15)
    assert poller.states["hall"].trouble is not None
    assert "longer than 0.05 s" in poller.states["hall"].trouble
    assert [line["event"] for line in logs].count("meter.stale") == 1


async def test_what_the_dispatch_refuses_costs_only_this_meter() -> None:
    taken = Taken(error=RequestError(404, "unknown_load", "no load 'hall'"))
    good, bad = Script([]), Script([Measured(power_w=1.0)] * 3)
    good.answers = [Measured(power_w=2.0)]
    other = Taken()
    poller = Poller([meter(bad)], put=taken.put, clock=Hand())
    another = Poller([meter(good)], put=other.put, clock=Hand())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(poller, 0.03))
        tasks.create_task(follow(another, 0.03))
    assert poller.states["hall"].trouble == "no load 'hall'"
    assert [one.power_w for one in other.readings] == [2.0]


async def test_a_clock_that_is_ahead_does_not_make_a_reading_last_longer() -> None:
    taken = Taken()
    device = Script(
        [
            Measured(at=NOW + timedelta(seconds=30), power_w=1.0),
            Measured(at=NOW - timedelta(seconds=30), power_w=2.0),
            Measured(at=NOW + timedelta(hours=1), power_w=3.0),
        ]
    )
    poller = Poller([meter(device)], put=taken.put, clock=Hand())
    await follow(poller, 0.04)
    assert [one.measured_at for one in taken.readings] == [
        NOW,
        NOW - timedelta(seconds=30),
    ]
    assert "its clock is ahead" in str(poller.states["hall"].trouble)


async def test_what_is_stale_when_it_comes_is_no_reading() -> None:
    taken = Taken()
    device = Script([Measured(at=NOW - timedelta(seconds=61), power_w=1.0)])
    poller = Poller([meter(device)], put=taken.put, clock=Hand())
    await follow(poller, 0.03)
    assert taken.readings == []
    assert "its values are of 2026-03-01 11:58:59" in str(poller.states["hall"].trouble)


async def test_what_was_heard_earlier_is_as_old_as_it_is() -> None:
    taken = Taken()
    device = Script(
        [
            Measured(age_s=0.01, power_w=1.0),
            Measured(age_s=0.01, at=NOW - timedelta(seconds=50), power_w=2.0),
        ]
    )
    await follow(Poller([meter(device)], put=taken.put, clock=Hand()), 0.03)
    assert [one.measured_at for one in taken.readings] == [
        NOW - timedelta(seconds=10),
        NOW - timedelta(seconds=50),
    ], "real seconds are site seconds times the speed"


async def test_the_energy_of_a_battery_is_told_besides_its_reading() -> None:
    told: list[tuple[str, float | None]] = []
    device = Script([Measured(power_w=-5.0, energy_wh=700.0)])
    poller = Poller(
        [meter(device, part=MeterPart.BATTERY)],
        put=Taken().put,
        clock=Hand(),
        held=lambda name, found, _at: told.append((name, found.energy_wh)),
    )
    await follow(poller, 0.03)
    assert told == [("hall", 700.0)]


def test_pauses_double_up_to_a_minute_and_never_below_the_interval() -> None:
    assert [pause_s(5, n) for n in (1, 2, 3, 4, 5, 9999)] == [5, 10, 20, 40, 60, 60]
    assert pause_s(300, 7) == 300 > MAX_PAUSE_S


def test_other_equipment_only_draws_whatever_the_sign_of_its_meter() -> None:
    measured = Measured(current_a=(-4.0, 5.0, 0.0), power_w=-900.0)
    reading = reading_of(meter(Script([])), measured, NOW)
    assert (reading.current_da, reading.power_w) == ((40, 50, 0), 900.0)


def test_pv_counts_what_it_delivers() -> None:
    measured = Measured(current_a=(-4.0, -4.0, -4.0), power_w=-2760.0)
    reading = reading_of(meter(Script([]), part=MeterPart.PV), measured, NOW)
    assert (reading.current_da, reading.power_w) == ((40, 40, 40), 2760.0)


@pytest.mark.parametrize(
    ("phases", "current_a", "current_da"),
    [
        ("L1L2L3", (1.0, 2.0, 3.0), (10, 20, 30)),
        ("L2L3L1", (1.0, 2.0, 3.0), (30, 10, 20)),
        ("L3", (4.0,), (0, 0, 40)),
        ("L3", (4.0, 1.0), (10, 10, 50)),
        ("L1L2L3", (4.0,), None),
        ("L1L2L3", (), None),
    ],
)
def test_a_meters_phases_are_turned_to_those_of_the_supply(
    phases: str,
    current_a: tuple[float, ...],
    current_da: tuple[int, int, int] | None,
) -> None:
    one = meter(Script([]), phases=rotation(phases))
    assert on_supply(one, current_a) == current_da


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (Measured(power_w=float("nan")), "power is no number"),
        (Measured(current_a=(1.0, float("inf"), 0.0)), "current L2 is no number"),
        (Measured(power_w=1e9), "cannot be"),
        (Measured(current_a=(20_000.0,)), "cannot be"),
        (Measured(power_w=1.0, soc_percent=101.0), "state of charge"),
        (Measured(power_w=1.0, energy_wh=-1.0), "energy of -1 Wh"),
        (Measured(), "neither power nor current"),
        (Measured(power_w=7000.0, current_a=(1.0, 1.0, 1.0)), "a scale is wrong"),
    ],
)
def test_what_cannot_be_is_refused_by_name(measured: Measured, why: str) -> None:
    with pytest.raises(DeviceError, match=why):
        checked(measured, nominal_v=230)


def test_reactive_current_is_no_wrong_scale() -> None:
    measured = Measured(power_w=100.0, current_a=(30.0, 30.0, 30.0))
    assert checked(measured, nominal_v=230) is measured
