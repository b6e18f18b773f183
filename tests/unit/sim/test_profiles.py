"""Composite schedules of the simulator against cases made by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_chargers.profile_store import ProfileError, ProfileStore, read_profile
from sim_chargers.profiles import (
    Context,
    Kind,
    Period,
    Profile,
    Purpose,
    Scale,
    composite,
    limit_at,
    station_cap_at,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AC = Scale(is_dc=False, nominal_v=230.0)
RUNNING = Context(target=1, scale=AC, transaction_id="7", transaction_start=NOON)


def profile(
    purpose: Purpose, *periods: tuple[int, float], number: int = 1, **given_: Any
) -> Profile:
    values: dict[str, Any] = {
        "profile_id": number,
        "target": 1,
        "stack_level": 0,
        "purpose": purpose,
        "kind": Kind.ABSOLUTE,
        "unit": "A",
        "periods": tuple(Period(start_s=s, limit=v) for s, v in periods),
        "received_at": NOON,
        "start": NOON,
    }
    return Profile(**{**values, **given_})


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_without_a_profile_nothing_limits() -> None:
    assert limit_at([], RUNNING, NOON) is None


def test_a_transaction_profile_rules_over_a_default_one_even_upwards() -> None:
    profiles = [
        profile(Purpose.TX_DEFAULT, (0, 6.0), target=0, stack_level=9),
        profile(Purpose.TX, (0, 20.0), number=2),
    ]
    assert limit_at(profiles, RUNNING, at(10)) == 20.0
    idle = Context(target=1, scale=AC)
    assert limit_at(profiles, idle, at(10)) == 6.0


def test_after_its_duration_a_transaction_profile_leaves_the_default() -> None:
    default = profile(Purpose.TX_DEFAULT, (0, 6.0), target=0)
    tx = profile(Purpose.TX, (0, 20.0), number=2, duration_s=60)
    assert limit_at([default, tx], RUNNING, at(59)) == 20.0
    assert limit_at([default, tx], RUNNING, at(60)) == 6.0
    assert limit_at([tx], RUNNING, at(60)) is None


def test_the_highest_stack_level_with_a_period_now_rules() -> None:
    low = profile(Purpose.TX_DEFAULT, (0, 10.0), stack_level=1)
    high = profile(
        Purpose.TX_DEFAULT, (0, 16.0), number=2, stack_level=2, valid_to=at(100)
    )
    assert limit_at([low, high], RUNNING, at(99)) == 16.0
    assert limit_at([low, high], RUNNING, at(100)) == 10.0


def test_a_default_of_the_connector_replaces_the_one_of_the_station() -> None:
    whole = profile(Purpose.TX_DEFAULT, (0, 6.0), target=0)
    own = profile(Purpose.TX_DEFAULT, (0, 12.0), number=2)
    assert limit_at([own, whole], RUNNING, NOON) == 12.0
    other = Context(target=2, scale=AC)
    assert limit_at([own, whole], other, NOON) == 6.0


def test_a_profile_of_another_transaction_does_not_count() -> None:
    tx = profile(Purpose.TX, (0, 8.0), transaction_id="6")
    assert limit_at([tx], RUNNING, NOON) is None


def test_a_profile_not_yet_valid_leaves_a_gap() -> None:
    tx = profile(Purpose.TX, (0, 8.0), valid_from=at(30))
    assert limit_at([tx], RUNNING, at(29)) is None
    assert limit_at([tx], RUNNING, at(30)) == 8.0


def test_watts_on_ac_are_the_power_of_all_phases_of_the_period() -> None:
    three = profile(Purpose.TX, (0, 6900.0), unit="W")
    assert limit_at([three], RUNNING, NOON) == pytest.approx(10.0)
    periods = (Period(start_s=0, limit=2300.0, phases=1),)
    one = profile(Purpose.TX, unit="W", periods=periods)
    assert limit_at([one], RUNNING, NOON) == pytest.approx(10.0)


def test_a_relative_profile_counts_from_the_start_of_the_transaction() -> None:
    tx = profile(Purpose.TX, (0, 16.0), (600, 8.0), kind=Kind.RELATIVE, start=None)
    assert limit_at([tx], RUNNING, at(599)) == 16.0
    assert limit_at([tx], RUNNING, at(600)) == 8.0


def test_a_daily_profile_comes_back_every_day() -> None:
    daily = profile(
        Purpose.TX_DEFAULT,
        (0, 16.0),
        (3600, 8.0),
        kind=Kind.RECURRING,
        recurrency_s=86400,
        start=NOON - timedelta(days=3, hours=2),
    )
    assert limit_at([daily], RUNNING, NOON) == 8.0
    assert limit_at([daily], RUNNING, at(22 * 3600)) == 16.0
    assert limit_at([daily], RUNNING, at(23 * 3600)) == 8.0


def test_the_composite_is_the_least_of_all_purposes() -> None:
    profiles = [
        profile(Purpose.STATION_MAX, (0, 20.0), (200, 9.0), target=0),
        profile(Purpose.TX, (0, 25.0), (100, 12.0), number=2, duration_s=300),
        profile(Purpose.TX_DEFAULT, (0, 6.0), number=3, target=0),
    ]
    assert station_cap_at(profiles, AC, at(150)) == 20.0
    assert composite(profiles, RUNNING, NOON, 400, 32.0) == [
        (0, 20.0),
        (100, 12.0),
        (200, 9.0),
        (300, 6.0),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Purpose.TX, Purpose.TX_DEFAULT]),
            st.integers(0, 3),
            st.lists(st.integers(0, 32), min_size=1, max_size=4),
            st.integers(-120, 120),
            st.none() | st.integers(1, 200),
        ),
        max_size=5,
    ),
    st.integers(0, 299),
)
def test_the_reported_schedule_is_the_limit_at_every_second(
    rows: list[tuple[Purpose, int, list[int], int, int | None]], second: int
) -> None:
    profiles = [
        profile(
            purpose,
            *((index * 40, float(limit)) for index, limit in enumerate(limits)),
            number=number,
            stack_level=stack,
            start=at(offset),
            duration_s=duration,
        )
        for number, (purpose, stack, limits, offset, duration) in enumerate(rows)
    ]
    steps = composite(profiles, RUNNING, NOON, 300, 32.0)
    reported = [limit for start, limit in steps if start <= second][-1]
    actual = limit_at(profiles, RUNNING, at(second))
    assert reported == (32.0 if actual is None else actual)


def wire(**changes: Any) -> dict[str, Any]:
    return {
        "chargingProfileId": 5,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "startSchedule": "2026-03-01T12:00:00Z",
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
        },
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"stackLevel": 11},
        {"chargingProfilePurpose": "ChargePointMaxProfile"},
        {"chargingProfileKind": "Recurring"},
        {"chargingProfileKind": "Sometimes"},
        {"chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": []}},
    ],
)
def test_an_unusable_profile_is_refused(changes: dict[str, Any]) -> None:
    read_profile(wire(), target=1, received_at=NOON)
    with pytest.raises(ProfileError):
        read_profile(wire(**changes), target=1, received_at=NOON)


def test_a_profile_takes_the_place_of_its_equal_only() -> None:
    store = ProfileStore()
    for number, target in ((1, 1), (2, 2), (3, 1)):
        store.install(
            profile(Purpose.TX_DEFAULT, (0, 6.0), number=number, target=target)
        )
    assert sorted(p.profile_id for p in store) == [2, 3]
    assert store.clear(profile_id=9) == 0
    assert store.clear(purpose=Purpose.TX_DEFAULT) == 2
