"""The days that policies are measured on: the same for everyone, and possible."""

import pytest

from benchmarks.optimizer_days import (
    N_STEP,
    Disturbance,
    Kind,
    Mix,
    disturbed,
    draw,
    undeclared,
)

SUM_WORK_1 = 336_498
SUM_PUBLIC_2001 = 344_741


@pytest.mark.parametrize("kind", Kind)
def test_the_same_seed_draws_the_same_day_and_another_one_does_not(kind: Kind) -> None:
    assert draw(kind, 63, 7) == draw(kind, 63, 7)
    assert draw(kind, 63, 7) != draw(kind, 63, 8)


def test_a_day_of_a_seed_is_what_it_was_when_figures_were_published() -> None:
    cars = draw(Kind.WORK, 63, 1).cars
    assert sum(car.energy_wh for car in cars) == SUM_WORK_1
    cars = draw(Kind.PUBLIC, 50, 2001).cars
    assert sum(car.energy_wh for car in cars) == SUM_PUBLIC_2001


def test_another_limit_changes_nothing_but_the_limit() -> None:
    tight, roomy = draw(Kind.HOME, 60, 3), draw(Kind.HOME, 100, 3)
    assert (tight.cars, tight.load_a, tight.price_micro) == (
        roomy.cars,
        roomy.load_a,
        roomy.price_micro,
    )
    assert set(roomy.limit_a) == {100}


@pytest.mark.parametrize("mix", Mix)
@pytest.mark.parametrize("kind", Kind)
def test_every_car_alone_could_be_served(kind: Kind, mix: Mix) -> None:
    for seed in range(5):
        for car in draw(kind, 63, seed, mix=mix).cars:
            assert 0 <= car.arrival_step < car.departure_step <= N_STEP
            hours = (car.departure_step - car.arrival_step) / 4
            assert car.energy_wh <= 1000 * car.kw_per_a * car.max_a * hours


def test_whoever_leaves_early_told_the_later_time() -> None:
    day = draw(Kind.WORK, 63, 1)
    early = disturbed(day, Disturbance.EARLY)
    changed = [
        (before, after)
        for before, after in zip(day.cars, early.cars, strict=True)
        if before != after
    ]
    assert 1 <= len(changed) <= 15
    for before, after in changed:
        assert after.stated_step == before.departure_step
        assert 1 <= before.departure_step - after.departure_step <= 8


def test_the_limit_drops_for_three_hours_to_two_fifths() -> None:
    day = disturbed(draw(Kind.PUBLIC, 50, 1), Disturbance.DROP)
    assert sorted(set(day.limit_a)) == [20, 50]
    assert day.limit_a.count(20) == 12


def test_about_four_of_five_drivers_say_nothing() -> None:
    cars = [
        car
        for seed in range(20)
        for car in undeclared(draw(Kind.HOME, 60, seed), 0.8).cars
    ]
    silent = sum(not car.is_stated for car in cars)
    assert 0.75 < silent / len(cars) < 0.85
