from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.phase_use import (
    NOTHING_SEEN,
    QUIET_DA,
    STALE_AFTER,
    PhaseSample,
    PhaseUse,
    observe,
    restarted,
    witness,
)
from gateway.domain.phases import PerPhase

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WIRED = (1, 2, 0)
ONE: PerPhase = (160, 2, 0)


def sample(
    terminals_da: PerPhase,
    minute: float,
    *,
    power_w: float | None = -1.0,
    n_wired: int = 3,
) -> PhaseSample:
    at = NOW + minute * MINUTE
    if power_w is not None and power_w < 0:
        power_w = 23.0 * sum(terminals_da)
    return PhaseSample(
        at=at,
        heard_at=at,
        terminals_da=terminals_da,
        power_w=power_w,
        phase_v=230.0,
        n_wired=n_wired,
    )


def after(*terminals_da: PerPhase) -> PhaseUse:
    use = NOTHING_SEEN
    for minute, one in enumerate(terminals_da):
        use = observe(use, sample(one, minute))
    return use


def phases(use: PhaseUse, minute: float = 2) -> tuple[int, ...] | None:
    return use.phases(WIRED, NOW + minute * MINUTE)


def test_three_samples_over_two_minutes_tell_the_phases_of_a_car() -> None:
    assert phases(after(ONE, ONE)) is None
    assert phases(after(ONE, ONE, ONE)) == (1,)
    assert phases(after((100, 98, 1), (60, 60, 0), (90, 90, 0))) == (1, 2)
    assert phases(after((100, 0, 100), (60, 0, 60), (90, 0, 90))) == (1, 0)


def test_many_samples_in_a_short_time_do_not() -> None:
    use = NOTHING_SEEN
    for number in range(20):
        use = observe(use, sample(ONE, number / 12))
    assert not use.is_known


def test_a_car_on_all_phases_leaves_nothing_to_others() -> None:
    assert phases(after((160, 160, 160), (160, 160, 160), (160, 160, 160))) is None


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(sample((40, 0, 0), 1), id="too little to be sure"),
        pytest.param(sample((0, 0, 0), 1), id="it does not charge"),
        pytest.param(sample(ONE, 1, power_w=None), id="no power says the same"),
        pytest.param(sample(ONE, 1, power_w=11_040.0), id="power of three phases"),
        pytest.param(sample((160, 20, 0), 1), id="something on another phase"),
    ],
)
def test_a_sample_that_is_not_clear_starts_anew(odd: PhaseSample) -> None:
    use = observe(observe(NOTHING_SEEN, sample(ONE, 0)), odd)
    assert not observe(use, sample(ONE, 2)).is_known


def test_what_was_ever_drawn_on_a_phase_is_never_taken_for_noise() -> None:
    use = after((160, 160, 160), ONE, ONE, ONE, ONE)
    assert not use.is_known
    assert use.used == {0, 1, 2}


@pytest.mark.parametrize(
    "terminals_da", [(160, QUIET_DA + 1, 0), (160, 160, 160), (0, 0, 60)]
)
def test_the_first_sample_of_another_phase_ends_it_for_the_session(
    terminals_da: PerPhase,
) -> None:
    use = observe(after(ONE, ONE, ONE), sample(terminals_da, 3))
    assert phases(use, 3) is None
    for minute in range(4, 20):
        use = observe(use, sample(ONE, minute))
    assert phases(use, 19) is None
    assert observe(restarted(use), sample(ONE, 21)).is_barred


def test_power_that_its_currents_do_not_explain_ends_it_as_well() -> None:
    use = observe(after(ONE, ONE, ONE), sample(ONE, 3, power_w=11_040.0))
    assert use.is_barred


def test_a_pause_leaves_what_is_known() -> None:
    use = observe(after(ONE, ONE, ONE), sample((0, 0, 0), 3))
    assert phases(use, 3) == (1,)


def test_without_samples_it_counts_on_all_phases_and_has_to_be_seen_anew() -> None:
    use = after(ONE, ONE, ONE)
    stale = STALE_AFTER / MINUTE + 2
    assert phases(use, stale - 0.1) == (1,)
    assert phases(use, stale) is None
    use = observe(use, sample(ONE, stale))
    assert phases(use, stale) is None


def test_an_old_sample_teaches_nothing_but_speaks_against() -> None:
    use = after(ONE, ONE, ONE)
    assert observe(use, sample(ONE, 1.5)) == use
    assert observe(use, sample((160, 160, 160), 2)).is_barred
    assert witness(use, sample(ONE, 3)) == use


L1_ONLY = frozenset({0})


def test_a_phase_that_is_not_reported_is_not_taken_for_unused() -> None:
    use = NOTHING_SEEN
    for minute in range(10):
        use = observe(use, replace(sample((160, 0, 0), minute), told=L1_ONLY))
    assert not use.is_known


def test_samples_without_all_phases_keep_nothing_known() -> None:
    use = after(ONE, ONE, ONE)
    for minute in range(3, 6):
        use = observe(use, replace(sample((160, 0, 0), minute), told=L1_ONLY))
    assert phases(use, 2 + STALE_AFTER / MINUTE) is None


def test_samples_without_all_phases_speak_against_all_the_same() -> None:
    other = replace(sample((0, 160, 0), 3), told=frozenset({1}))
    assert observe(after(ONE, ONE, ONE), other).is_barred
    power = replace(sample((160, 0, 0), 3, power_w=11_040.0), told=L1_ONLY)
    assert observe(after(ONE, ONE, ONE), power).is_barred


def test_what_speaks_against_survives_restarts_and_silence() -> None:
    use = restarted(after((160, 160, 160)))
    for minute in range(4, 20):
        use = observe(use, sample(ONE, minute))
    assert not use.is_known
    use = after((160, 160, 160))
    for minute in range(10, 20):
        use = observe(use, sample(ONE, minute))
    assert not use.is_known


def test_what_was_sampled_before_a_restart_is_not_the_first_of_a_new_car() -> None:
    use = restarted(after(ONE), NOW + 5 * MINUTE)
    for minute in (4, 5, 6, 7):
        use = observe(use, sample(ONE, minute))
    assert not use.is_known
    assert observe(use, sample(ONE, 8)).is_known


def test_samples_that_come_all_at_once_do_not_tell_the_phases_of_a_car() -> None:
    use = NOTHING_SEEN
    for minute in range(4):
        late = replace(sample(ONE, minute), heard_at=NOW + 4 * MINUTE)
        use = observe(use, late)
    assert not use.is_known


def test_a_clock_that_was_set_back_makes_nothing_last_longer() -> None:
    assert phases(after(ONE, ONE, ONE), 1.9) is None


def test_a_terminal_that_is_not_wired_bars() -> None:
    use = observe(NOTHING_SEEN, sample((160, 0, 160), 0, n_wired=2))
    assert use.is_barred


@given(
    st.lists(
        st.tuples(
            st.tuples(*(st.sampled_from((0, 2, 4, 60, 160)),) * 3),
            st.integers(1, 240),
        ),
        max_size=25,
    )
)
def test_nothing_is_known_that_any_sample_contradicts(
    told: list[tuple[PerPhase, int]],
) -> None:
    use, seconds, seen = NOTHING_SEEN, 0, set[int]()
    for terminals_da, wait_s in told:
        seconds += wait_s
        use = observe(use, sample(terminals_da, seconds / 60))
        seen |= {index for index, da in enumerate(terminals_da) if da > QUIET_DA}
        if use.is_known:
            assert seen <= use.used
