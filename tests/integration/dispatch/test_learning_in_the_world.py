"""Learned cars in a world of physical stations: more is delivered, never too much."""

import pytest

from benchmarks.dispatch_days import site_of, visits
from benchmarks.dispatch_setting import Setting
from benchmarks.dispatch_tally import Tally
from benchmarks.dispatch_world import World
from gateway.services import car_watch

HOURS = 4.0
SMALL_CARS = ((1, 16.0), (3, 11.0), (3, 32.0))


def played() -> tuple[Tally, float]:
    """Six sockets of 32 A behind 50 A; what cars got of what they wanted, Wh."""
    setting = Setting(
        site=site_of(6, limit_a=50),
        visits=visits(6, hours=HOURS, seed=3, cars=SMALL_CARS),
        hours=HOURS,
        step_s=10.0,
    )
    tally = World(setting).run()
    got = sum(
        min(tally.delivered_wh.get(index, 0.0), visit.energy_wh)
        for index, visit in enumerate(setting.visits)
    )
    return tally, got


def test_what_cars_do_not_take_is_delivered_to_others_and_no_limit_is_exceeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned, with_learning = played()
    monkeypatch.setattr(car_watch, "watch", lambda *_, **__: False)
    _, without = played()
    assert learned.above_s == 0
    assert with_learning > 1.03 * without
