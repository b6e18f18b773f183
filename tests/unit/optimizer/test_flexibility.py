"""What waiting is worth, and that no game with words or plugs is worth more."""

import pytest

from optimizer.flexibility import (
    Claim,
    Departure,
    Interval,
    contribution,
    reliability_after,
    shares,
)

HOUR_S = 3_600
DEAR, CHEAP = 400_000, 100_000
FULL = 11_000_000
"""What the car takes in an hour, mWh."""


def hour(
    delivered: int, limit: int | None = None, price: int = CHEAP, n: int = 1
) -> Interval:
    return Interval(
        duration_s=n * HOUR_S,
        delivered_milliwh=delivered,
        limit_milliwh=limit,
        price_micro_per_kwh=price,
    )


def waited() -> list[Interval]:
    """Paused for two dear hours, charged in the cheap ones that follow."""
    return [
        hour(0, 0, DEAR),
        hour(0, 0, DEAR),
        hour(FULL),
        hour(FULL),
        hour(0),
    ]


def test_energy_that_waited_for_a_cheap_hour_counts_by_the_difference() -> None:
    found = contribution(waited())
    assert found.uncontrolled_milliwh == (FULL, FULL, 0, 0, 0)
    assert found.shifted_milliwh == 2 * FULL
    assert found.value_micro == 22 * (DEAR - CHEAP)
    assert found.held_back == (True, True, False, False, False)


def test_a_car_that_nobody_held_back_gave_nothing() -> None:
    free = [hour(FULL, None, DEAR), hour(FULL, 2 * FULL, CHEAP), hour(0)]
    found = contribution(free)
    assert (found.shifted_milliwh, found.value_micro) == (0, 0)
    assert found.uncontrolled_milliwh == (FULL, FULL, 0)


def test_a_car_that_waits_by_its_own_timer_gave_nothing() -> None:
    """It takes nothing though it may; after a pause, too."""
    by_timer = [hour(0, FULL, DEAR), hour(FULL), hour(0)]
    assert contribution(by_timer).shifted_milliwh == 0
    paused_too = [hour(0, 0, DEAR), hour(0, FULL, DEAR), hour(FULL), hour(0)]
    assert contribution(paused_too).shifted_milliwh == 0


def test_taper_is_not_flexibility() -> None:
    tapering = [hour(FULL), hour(FULL // 2, FULL), hour(FULL // 4, FULL // 2)]
    assert contribution(tapering).shifted_milliwh == 0


def test_half_a_limit_that_was_followed_is_half_an_hour_of_waiting() -> None:
    held = [hour(FULL // 2, FULL // 2, DEAR), hour(FULL), hour(0)]
    found = contribution(held)
    assert found.shifted_milliwh == FULL // 2
    assert found.held_back == (True, False, False)


def test_energy_never_delivered_earns_nothing() -> None:
    """A claim to stay long, and gone before anything flowed."""
    gone = [hour(0, 0, DEAR), hour(0, 0, DEAR)]
    found = contribution(gone, Departure(requested_milliwh=5 * FULL))
    assert (found.shifted_milliwh, found.value_micro) == (0, 0)


def test_a_false_departure_costs_what_was_not_delivered_for_it() -> None:
    """Eight hours were claimed, two were stayed: the plan put the energy too late."""
    lied = [hour(0, 0, DEAR), hour(FULL, None, CHEAP)]
    honest = contribution(lied)
    liar = contribution(lied, Departure(requested_milliwh=3 * FULL))
    assert honest.shifted_milliwh == FULL
    assert liar.shortfall_milliwh == FULL, "two hours could have given two"
    assert liar.shifted_milliwh == 0


def test_a_later_departure_that_is_kept_earns_what_was_done_not_what_was_said() -> None:
    assert contribution(waited()) == contribution(waited(), None)


def test_asking_for_less_than_was_taken_changes_nothing() -> None:
    kept = contribution(waited())
    small = contribution(waited(), Departure(requested_milliwh=1))
    assert small == kept


def test_plugging_in_anew_earns_no_more_than_one_stay() -> None:
    first = [hour(0, 0, DEAR), hour(FULL, None, CHEAP)]
    second = [hour(0, 0, DEAR), hour(FULL, None, CHEAP)]
    apart = contribution(first).value_micro + contribution(second).value_micro
    together = contribution([*first, hour(0, None, CHEAP), *second])
    assert together.value_micro < apart, "why close sessions are one stay"
    assert together.shifted_milliwh == FULL


def test_moving_into_dearer_hours_is_worth_nothing() -> None:
    dearer = [hour(0, 0, CHEAP), hour(FULL, None, DEAR), hour(0)]
    found = contribution(dearer)
    assert found.shifted_milliwh == FULL
    assert found.value_micro == 0


def test_the_pool_is_divided_by_value_and_trust_and_never_exceeded() -> None:
    claims = [
        Claim(shifted_milliwh=FULL, value_micro=300, reliability_permille=1_000),
        Claim(shifted_milliwh=FULL, value_micro=600, reliability_permille=500),
        Claim(shifted_milliwh=0, value_micro=900, reliability_permille=1_000),
        Claim(shifted_milliwh=FULL, value_micro=0, reliability_permille=1_000),
    ]
    assert shares(1_000_001, claims) == (500_000, 500_000, 0, 0)
    assert shares(100 * FULL, claims) == (FULL, FULL, 0, 0), "no more than shifted"
    assert shares(0, claims) == (0, 0, 0, 0)
    assert shares(5, []) == ()


def test_trust_is_earned_departure_by_departure() -> None:
    assert reliability_after([]) == 500
    assert reliability_after([True]) == 550
    assert reliability_after([False]) == 450
    assert reliability_after([True] * 50) > 980
    assert reliability_after([True] * 50 + [False] * 5) < 600


@pytest.mark.parametrize(
    ("duration", "delivered", "limit"), [(0, 1, None), (1, -1, None), (1, 1, -1)]
)
def test_what_no_meter_says_is_refused(
    duration: int, delivered: int, limit: int | None
) -> None:
    with pytest.raises(ValueError, match=r"lasts|negative"):
        Interval(
            duration_s=duration,
            delivered_milliwh=delivered,
            limit_milliwh=limit,
            price_micro_per_kwh=1,
        )
