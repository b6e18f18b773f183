from datetime import UTC, datetime, timedelta

import pytest

from gateway.services.clock_watch import ClockWatch

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_steady_clock_is_never_doubted(speed: float) -> None:
    watch = ClockWatch(speed)
    for second in range(200):
        now = NOW + timedelta(seconds=second * speed)
        assert not watch.look(now, 100.0 + second, 1800)
    assert watch.doubt_s == 0


def test_a_jump_forward_is_doubted_for_two_hold_times_and_jumps_add_up() -> None:
    watch = ClockWatch(1.0)
    watch.look(NOW, 0.0, 1800)
    assert watch.look(NOW + timedelta(hours=1), 1.0, 1800)
    assert watch.doubt_s == 3599
    assert watch.look(NOW + timedelta(hours=2), 2.0, 1800)
    assert watch.doubt_s == 7198
    late = NOW + timedelta(hours=2, seconds=3599)
    assert not watch.look(late, 3601.0, 1800)
    assert watch.doubt_s == 7198
    watch.look(late + timedelta(seconds=2), 3603.0, 1800)
    assert watch.doubt_s == 0


def test_a_jump_backward_makes_limits_end_sooner_and_needs_no_doubt() -> None:
    watch = ClockWatch(1.0)
    watch.look(NOW, 0.0, 1800)
    assert not watch.look(NOW - timedelta(hours=1), 1.0, 1800)
    assert watch.doubt_s == 0
