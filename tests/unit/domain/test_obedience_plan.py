from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import StationId
from gateway.domain.obedience_plan import NIGHT, ObediencePlan

DUE = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plan(
    window: tuple[int, int] | None = None, every_days: int | None = None
) -> ObediencePlan:
    return ObediencePlan(
        station_id=StationId("CP1"), due_at=DUE, window=window, every_days=every_days
    )


@pytest.mark.parametrize(
    ("window", "hour", "is_due"),
    [
        (None, 12, True),
        (None, 11, False),
        (NIGHT, 24, False),
        (NIGHT, 25, True),
        (NIGHT, 28, True),
        (NIGHT, 29, False),
        ((22 * 60, 2 * 60), 21, False),
        ((22 * 60, 2 * 60), 22, True),
        ((22 * 60, 2 * 60), 25, True),
        ((22 * 60, 2 * 60), 26, False),
    ],
)
def test_it_waits_for_its_day_and_its_hours(
    window: tuple[int, int] | None, hour: int, *, is_due: bool
) -> None:
    local = DUE.replace(hour=0) + timedelta(hours=hour)
    assert plan(window).is_due(local) is is_due


def test_once_is_once() -> None:
    assert plan().after(DUE) is None


@given(days=st.integers(1, 366), hours=st.integers(0, 20_000))
def test_again_is_the_first_of_its_days_that_is_to_come(days: int, hours: int) -> None:
    now = DUE + timedelta(hours=hours)
    then = plan(every_days=days).after(now)
    assert then is not None
    every = timedelta(days=days)
    assert now < then.due_at <= now + every
    assert (then.due_at - DUE) % every == timedelta(0)
