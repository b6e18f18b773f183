"""Schedules of limits: what is sent never rises by itself and has no end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.limits import LimitSchedule, LimitStep

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def schedule(*limits_da: int, every_s: int = 60) -> LimitSchedule:
    return LimitSchedule(
        start=START,
        steps=tuple(
            LimitStep(offset_s=index * every_s, limit_da=limit_da)
            for index, limit_da in enumerate(limits_da)
        ),
    )


@pytest.mark.parametrize("limits_da", [(60, 61), (160, 60, 160), (0, 1), (), (-1,)])
def test_a_schedule_that_rises_by_itself_cannot_be_made(
    limits_da: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match=r"never rises|offset 0|negative"):
        schedule(*limits_da)


@given(
    st.lists(st.integers(0, 320), min_size=1, max_size=6).map(
        lambda found: sorted(found, reverse=True)
    ),
    st.integers(-3_600, 10**8),
    st.integers(0, 10**8),
)
def test_a_dead_gateway_leaves_less_and_less_and_the_last_step_for_ever(
    limits_da: list[int], at_s: int, later_s: int
) -> None:
    one = schedule(*limits_da)
    at = START + timedelta(seconds=at_s)
    assert one.at(at) >= one.at(at + timedelta(seconds=later_s)) >= one.floor_da
    assert one.at(START + timedelta(days=3650)) == one.floor_da == limits_da[-1]
