from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.events import ChargingState
from gateway.services.enough import AWAKE, SILENT, WAKE, Rest, rest_after

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
S = timedelta(seconds=1)


def told(known: Rest, state: ChargingState | None, after: timedelta) -> Rest:
    return rest_after(known, state, NOW + after, is_by_choice=True)


def test_a_car_that_just_got_an_offer_has_not_had_enough() -> None:
    waking = told(AWAKE, ChargingState.SUSPENDED_EV, 0 * S)
    assert not told(waking, ChargingState.SUSPENDED_EV, WAKE - S).is_long
    assert told(waking, ChargingState.CHARGING, WAKE) == AWAKE


def test_a_full_car_stays_full_when_its_offer_is_gone_until_it_charges() -> None:
    full = told(told(AWAKE, ChargingState.SUSPENDED_EV, 0 * S), SUSPENDED, WAKE)
    assert full.is_long
    paused = told(full, ChargingState.SUSPENDED_EVSE, 2 * WAKE)
    assert paused.is_long
    assert told(paused, ChargingState.SUSPENDED_EV, 3 * WAKE).is_long
    assert not told(paused, ChargingState.CHARGING, 3 * WAKE).is_long


SUSPENDED = ChargingState.SUSPENDED_EV


@pytest.mark.parametrize("state", [None, ChargingState.SUSPENDED_EVSE])
def test_time_without_an_offer_does_not_count(state: ChargingState | None) -> None:
    waking = told(AWAKE, SUSPENDED, 0 * S)
    again = told(told(waking, state, WAKE), SUSPENDED, WAKE + S)
    assert not again.is_long


def test_a_car_that_got_what_was_asked_for_and_stops_has_had_enough_at_once() -> None:
    for state, is_long in ((SUSPENDED, True), (ChargingState.CHARGING, False)):
        found = rest_after(AWAKE, state, NOW, is_by_choice=False, has_need=True)
        assert found.is_long is is_long


def test_without_meter_values_it_takes_longer() -> None:
    waking = rest_after(AWAKE, SUSPENDED, NOW, is_by_choice=False)
    early = rest_after(waking, SUSPENDED, NOW + WAKE, is_by_choice=False)
    assert not early.is_long
    assert rest_after(early, SUSPENDED, NOW + SILENT, is_by_choice=False).is_long
