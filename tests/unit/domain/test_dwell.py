from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import dwell
from gateway.domain.capability import AtZero
from gateway.domain.dwell import Dwell, Rhythm

RULE = Dwell(min_on_s=300, min_off_s=600)
NOW = 10_000


@st.composite
def plans(draw: st.DrawFn) -> list[tuple[int, int]]:
    das = sorted(draw(st.lists(st.sampled_from([0, 60, 100, 320]), min_size=1)))
    gaps = draw(st.lists(st.integers(1, 900), min_size=len(das), max_size=len(das)))
    levels, at_s = [], NOW
    for gap_s, da in zip(gaps, reversed(das), strict=True):
        levels.append((at_s, da))
        at_s += gap_s
    return levels


rhythms = st.builds(
    Rhythm,
    is_on=st.sampled_from([None, True, False]),
    since_s=st.integers(NOW - 2000, NOW),
    was_paused=st.booleans(),
    nap_until_s=st.none() | st.integers(NOW - 60, NOW + 60),
    has_napped=st.booleans(),
)


def level(levels: list[tuple[int, int]] | tuple[tuple[int, int], ...], at: int) -> int:
    return [da for at_s, da in levels if at_s <= at][-1]


@given(plans(), rhythms, st.integers(NOW, NOW + 20_000))
def test_nothing_is_ever_allowed_beyond_the_plan(
    levels: list[tuple[int, int]], rhythm: Rhythm, at: int
) -> None:
    held = dwell.hold(levels, rhythm, RULE, least_da=60, now_s=NOW)
    assert level(held, at) <= level(levels, at)
    assert held[0][0] == levels[0][0]


def test_a_paused_car_stays_off_and_a_short_chance_is_not_worth_switching() -> None:
    off = Rhythm(is_on=False, since_s=NOW - 599)
    plan = ((NOW, 100), (NOW + 300, 0))
    assert dwell.hold(plan, off, RULE, least_da=60, now_s=NOW) == ((NOW, 0),)
    assert dwell.next_s(off, RULE, NOW) == NOW + 1
    rested = Rhythm(is_on=False, since_s=NOW - 600)
    assert dwell.hold(plan, rested, RULE, least_da=60, now_s=NOW) == plan
    short = ((NOW, 100), (NOW + 299, 0))
    assert dwell.hold(short, rested, RULE, least_da=60, now_s=NOW) == ((NOW, 0),)
    assert dwell.next_s(rested, RULE, NOW) is None


def test_a_plan_that_says_off_is_obeyed_at_once() -> None:
    on = Rhythm(is_on=True, since_s=NOW - 1)
    assert dwell.hold(((NOW, 0),), on, RULE, least_da=60, now_s=NOW) == ((NOW, 0),)


def test_a_session_that_begins_waits_for_nothing() -> None:
    plan = ((NOW, 100), (NOW + 10, 0))
    assert dwell.hold(plan, Rhythm(), RULE, least_da=60, now_s=NOW) == plan


def test_a_car_that_sleeps_after_a_pause_is_woken_once() -> None:
    one = dwell.told(Rhythm(), is_on=True, at_s=0)
    one = dwell.seen(one, current_da=160, at_s=60)
    one = dwell.told(one, is_on=False, at_s=100)
    one = dwell.told(one, is_on=True, at_s=1000)
    assert dwell.seen(one, current_da=3, at_s=1179) == one
    one = dwell.seen(one, current_da=3, at_s=1180)
    assert one.nap_until_s == 1180 + dwell.NAP_S
    plan = ((1181, 100),)
    assert dwell.hold(plan, one, RULE, least_da=60, now_s=1181) == ((1181, 0),)
    one = dwell.told(one, is_on=False, at_s=1182)
    plan = ((1210, 100),)  # the pause of the nap asks for no further rest
    assert dwell.hold(plan, one, RULE, least_da=60, now_s=1210) == plan
    one = dwell.told(one, is_on=True, at_s=1211)
    assert dwell.seen(one, current_da=0, at_s=5000).nap_until_s is None


def test_a_car_that_charges_is_left_alone() -> None:
    one = Rhythm(is_on=True, since_s=0, was_paused=True)
    one = dwell.seen(one, current_da=60, at_s=500)
    assert dwell.seen(one, current_da=0, at_s=900).nap_until_s is None
    never_paused = Rhythm(is_on=True, since_s=0)
    assert dwell.seen(never_paused, current_da=0, at_s=900) == never_paused


def test_what_0_a_does_is_seen_from_sessions() -> None:
    paused = Rhythm(is_on=False, since_s=1000, was_paused=True)
    ends = dwell.shown_at_zero(paused, at_s=1060, current_da=0, has_ended_itself=True)
    assert ends is AtZero.ENDS
    later = dwell.shown_at_zero(paused, at_s=1121, current_da=0, has_ended_itself=True)
    assert later is None
    back = Rhythm(is_on=True, since_s=2000, was_paused=True)
    pauses = dwell.shown_at_zero(
        back, at_s=2060, current_da=160, has_ended_itself=False
    )
    assert pauses is AtZero.PAUSES
