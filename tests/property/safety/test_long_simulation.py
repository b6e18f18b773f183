"""Hours of a site with physical stations behind the real dispatch, in virtual time.

Short here; ``make soak-dispatch`` plays days.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.dispatch_days import hard_day, visits
from benchmarks.dispatch_setting import Setting, Trouble
from benchmarks.dispatch_station import Visit
from benchmarks.dispatch_world import World
from gateway.domain.claim import least_trip_s
from gateway.services import obedience
from tests.property.safety.test_envelopes_bound_reality import (
    increases_do_not_wait,
    restarts_change_nothing,
)
from tests.property.safety.test_freed_phases import nothing_is_spare

REACTION_S = 210
"""One sample interval, what a car may take to obey with its clock's error, two calls,
and the slowest pilot: longer, nobody draws what it was forbidden beside a liar."""


def lies(*stations: int, at_s: float) -> list[Trouble]:
    return [Trouble(at_s=at_s, kind="lie", station=one) for one in stations]


@pytest.mark.parametrize(
    "setting",
    [
        pytest.param(hard_day(1, hours=2), id="troubles"),
        pytest.param(
            hard_day(2, n=6, hours=2, has_leftovers=True, has_drop=True),
            id="leftovers and a lower limit",
        ),
        pytest.param(
            hard_day(3, n=6, hours=2, limit_a=90, k=1, n_forgetful=2),
            id="stations that forget everything when they restart",
        ),
        pytest.param(
            hard_day(
                4,
                n=6,
                hours=2,
                limit_a=120,
                k=1,
                liars=[*lies(1, at_s=3600), *lies(4, at_s=5400)],
            ),
            id="one after the other stops obeying",
        ),
    ],
)
def test_no_second_is_above_the_limit_while_at_most_k_newly_disobey(
    setting: Setting,
) -> None:
    world = World(setting)
    tally = world.run()
    assert tally.above_s == 0, tally.overloads
    liars = {one.station for one in setting.troubles if one.kind == "lie"}
    assert tally.events["station.disobeyed"] <= len(liars)
    delivered_wh = sum(tally.delivered_wh.values())
    limit_da = setting.site.cabinets[0].limit_da
    assert limit_da is not None
    assert tally.peak_a > 0.5 * (limit_da[0] - setting.site.cabinets[0].margin_da) / 10
    assert delivered_wh > 20_000  # it does not keep the limit by charging nobody


def test_beyond_k_the_time_above_the_limit_ends_with_detection_and_reaction() -> None:
    cars = tuple(
        Visit(
            station=one,
            arrival_s=60.0,
            departure_s=7000.0,
            energy_wh=40_000,
            stated_wh=40_000,
            stated_departure_s=7000.0 + 600 * one,
        )
        for one in range(6)
    )
    day = hard_day(5, n=6, hours=2, limit_a=120, k=1, per_hour=0.01)
    liars = lies(3, 4, 5, at_s=4000)
    tally = World(replace(day, visits=cars, troubles=[*day.troubles, *liars])).run()
    assert tally.overloads, "three liars beside a margin for one shall show"
    assert max(one.seconds for one in tally.overloads) <= REACTION_S
    assert tally.worst_a <= 2 * 32
    assert tally.events["station.disobeyed"] == len(liars)
    for one in tally.overloads:
        assert one.trip_margin == least_trip_s(one.worst_ratio) / one.seconds
        assert 0 < one.trip_margin < math.inf


def cars_that_switch(seed: int) -> Setting:
    """Cars on one and two phases that take all phases one after the other."""
    day = hard_day(seed, n=8, hours=3, limit_a=70, per_hour=0.01)
    return replace(
        day,
        visits=visits(
            8, hours=3, seed=seed, cars=((1, 32.0), (1, 16.0), (2, 16.0), (3, 16.0))
        ),
        troubles=[
            *day.troubles,
            *(
                Trouble(at_s=3000.0 + 420 * n, kind="phases", station=n % 8, value=3)
                for n in range(16)
            ),
        ],
    )


def test_cars_that_take_all_phases_one_after_the_other_lead_above_no_limit() -> None:
    events: Counter[str] = Counter()
    for seed in (6, 7):
        tally = World(cars_that_switch(seed)).run()
        assert tally.above_s == 0, tally.overloads
        assert tally.events["station.disobeyed"] == 0
        events.update(tally.events)
    assert events["car.phases_known"] >= 4
    assert events["car.phases_taken_back"] >= 2


def test_without_spare_room_they_would(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_is_spare(monkeypatch)
    assert any(World(cars_that_switch(seed)).run().above_s for seed in range(6, 12))


def nobody_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a meter shows never costs a station its trust."""
    monkeypatch.setattr(obedience, "misbehaves", lambda *_: False)


@pytest.mark.parametrize(
    "mutate", [increases_do_not_wait, restarts_change_nothing, nobody_is_caught]
)
def test_a_broken_rule_shows_as_seconds_above_the_limit(
    mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    is_about_liars = mutate is nobody_is_caught
    for seed in range(1, 5):
        setting = hard_day(
            seed,
            hours=1.5,
            per_hour=80,
            limit_a=100 if is_about_liars else 60,
            k=int(is_about_liars),
            liars=[
                Trouble(at_s=2400.0 + 400 * one, kind="lie", station=one)
                for one in range(4 * is_about_liars)
            ],
            n_forgetful=2,
        )
        if World(setting).run().above_s > 0:
            return
    pytest.fail("no day showed the fault")
