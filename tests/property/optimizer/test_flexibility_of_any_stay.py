"""Whatever a car does: no more counts than was delivered, and no word adds to it."""

from hypothesis import given
from hypothesis import strategies as st

from optimizer.flexibility import Claim, Departure, Interval, contribution, shares

ENERGY = st.integers(0, 30_000_000)
INTERVALS = st.lists(
    st.builds(
        Interval,
        duration_s=st.integers(1, 20_000),
        delivered_milliwh=st.just(0) | ENERGY,
        limit_milliwh=st.none() | st.just(0) | ENERGY,
        price_micro_per_kwh=st.integers(-200_000, 900_000),
    ),
    max_size=20,
)


@given(INTERVALS)
def test_the_other_course_delivers_the_same_and_is_never_behind(
    intervals: list[Interval],
) -> None:
    found = contribution(intervals)
    ahead = 0
    for taken, one, is_held in zip(
        found.uncontrolled_milliwh, intervals, found.held_back, strict=True
    ):
        ahead += taken - one.delivered_milliwh
        assert ahead >= 0
        assert is_held or taken <= one.delivered_milliwh
    assert ahead == 0
    assert 0 <= found.shifted_milliwh <= sum(one.delivered_milliwh for one in intervals)


@given(INTERVALS, ENERGY)
def test_no_declaration_ever_raises_what_a_stay_gave(
    intervals: list[Interval], requested: int
) -> None:
    said = contribution(intervals, Departure(requested_milliwh=requested))
    unsaid = contribution(intervals)
    assert said.shifted_milliwh <= unsaid.shifted_milliwh
    assert said.value_micro == unsaid.value_micro


@given(INTERVALS, st.integers(1, 20_000))
def test_staying_on_after_charging_adds_nothing(
    intervals: list[Interval], longer_s: int
) -> None:
    idle = Interval(
        duration_s=longer_s,
        delivered_milliwh=0,
        limit_milliwh=0,
        price_micro_per_kwh=-200_000,
    )
    longer = contribution([*intervals, idle])
    assert longer.value_micro == contribution(intervals).value_micro
    assert longer.shifted_milliwh == contribution(intervals).shifted_milliwh


@given(
    st.integers(0, 10**9),
    st.lists(
        st.builds(
            Claim,
            shifted_milliwh=ENERGY,
            value_micro=st.integers(0, 10**9),
            reliability_permille=st.integers(0, 1_000),
        ),
        max_size=12,
    ),
)
def test_a_pool_is_never_overdrawn(pool: int, claims: list[Claim]) -> None:
    parts = shares(pool, claims)
    assert sum(parts) <= pool
    for part, claim in zip(parts, claims, strict=True):
        assert 0 <= part <= claim.shifted_milliwh
