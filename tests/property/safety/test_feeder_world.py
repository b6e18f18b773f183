"""The fast loop against stations that stop to obey, clouds, and a meter that dies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.claim import bound_s, disobedient
from tests.property.safety.feeder_world import (
    TICK_S,
    YARD,
    FeederWorld,
    yard,
)

SETTLED_S = 300
FEW = settings(max_examples=6, deadline=None)


def settled(world: FeederWorld) -> FeederWorld:
    """Let everybody get what fits."""
    world.run(SETTLED_S)
    assert world.sums.net_over_s == 0
    assert world.net_da() > 700
    return world


@FEW
@given(st.integers(0, 60), st.sampled_from([2, 4, 10]))
def test_no_second_above_the_limit_while_at_most_k_newly_disobey(
    after_s: int, interval_s: int
) -> None:
    world = settled(FeederWorld(yard(), n_station=6, interval_s=interval_s))
    assert disobedient(world.site.group(YARD), world.cabinet) == 1
    world.run(after_s)
    world.lie(1)
    world.run(300)
    assert (world.sums.net_over_s, world.sums.gross_over_s) == (0, 0)
    assert "cut" not in world.kinds()


@FEW
@given(st.integers(2, 3), st.integers(0, 60), st.sampled_from([2, 4, 10]))
def test_beyond_k_the_time_above_the_limit_is_what_was_stated(
    n_liar: int, after_s: int, interval_s: int
) -> None:
    world = settled(FeederWorld(yard(), n_station=6, interval_s=interval_s))
    world.run(after_s)
    world.lie(n_liar)
    world.run(400)
    bound = bound_s(world.cabinet, fast_loop_s=TICK_S)
    assert bound is not None
    assert 0 <= world.sums.net_over_s <= bound
    assert world.net_da() <= 1250
    assert world.kinds().count("cut") <= 1  # it does not swing


def test_liars_that_stop_give_back_what_was_held() -> None:
    world = settled(FeederWorld(yard(margin_a=0), n_station=6, interval_s=4))
    before_da = world.net_da()
    world.lie(2)
    world.run(600)
    assert world.kinds() == ["cut"]
    assert world.state.withheld
    over_s = world.sums.net_over_s
    assert 0 < over_s <= 84
    world.lie(2, on=False)
    world.run(900)
    assert world.kinds() == ["cut", "released"]
    assert world.state.withheld == {}
    assert world.net_da() == before_da
    assert world.sums.net_over_s == over_s


def test_while_cuts_are_on_their_way_nobody_is_raised_or_cut_twice() -> None:
    world = settled(FeederWorld(yard(margin_a=0), n_station=6, interval_s=4))
    world.lie(2)
    honest = [world.sims[name] for name in world.ids[:4]]
    before = [sim.limit_da(world.now) for sim in honest]
    seen: set[tuple[int, ...]] = set()
    for _ in range(45):
        world.run(2)
        after = [sim.limit_da(world.now) for sim in honest]
        if world.state.violations(world.now):
            assert all(a <= b for a, b in zip(after, before, strict=True))
            seen.add(tuple(after))
        before = after
    assert len(seen) == 2  # as they were, and cut once
    cut = min(seen)
    assert max(cut) - min(cut) <= 80  # in proportion to 32, 32, 32 and 16 A


def test_what_no_limit_can_shed_is_named() -> None:
    world = settled(FeederWorld(yard(margin_a=0), n_station=6, interval_s=4))
    world.unmetered_da = 1300
    world.run(200)
    assert world.kinds()[:2] == ["cut", "cannot_shed"]
    stuck = world.bus.said[1].text
    assert "stay above the limit" in stuck
    drawn = world.net_da()
    assert drawn == 1400  # every car is at its floor: the pump and what nobody metered


@pytest.mark.parametrize("source", ["sun_da", "cell_da"])
def test_a_cloud_or_a_battery_that_stops_exceeds_nothing(source: str) -> None:
    world = FeederWorld(yard(net_limit_a=90, margin_a=2), n_station=6, interval_s=4)
    setattr(world, source, 400)
    world.run(SETTLED_S)
    assert world.net_da() > 300  # the cars have what the supply gives, not more
    setattr(world, source, 0)
    world.run(600)
    assert (world.sums.net_over_s, world.sums.gross_over_s) == (0, 0)
    assert world.kinds() == []


def test_when_a_cloud_uncovers_what_nobody_counted_the_rest_is_cut_in_time() -> None:
    world = FeederWorld(yard(net_limit_a=90, margin_a=2), n_station=6, interval_s=4)
    world.sun_da = 400
    world.unmetered_da = 300
    world.run(SETTLED_S)
    assert world.sums.net_over_s == 0
    world.sun_da = 0
    world.run(600)
    bound = bound_s(world.cabinet, fast_loop_s=TICK_S)
    assert bound is not None
    assert 0 < world.sums.net_over_s <= bound
    assert world.net_da() <= 900
    assert world.kinds() == ["cut"]


def test_the_sun_hides_no_overload_of_the_busbars() -> None:
    world = FeederWorld(yard(margin_a=0), n_station=6, interval_s=4)
    world.run(SETTLED_S)
    world.sun_da = 700
    world.lie(2)
    world.run(600)
    assert world.sums.net_over_s == 0
    assert 0 < world.sums.gross_over_s <= 84
    assert world.kinds() == ["cut"]


def test_a_lost_meter_gives_nothing_back_and_counts_the_worst_case() -> None:
    world = settled(FeederWorld(yard(margin_a=0), n_station=6, interval_s=4))
    world.lie(2)
    world.run(300)
    held = dict(world.state.withheld)
    assert held
    world.is_meter_dead = True
    world.lie(2, on=False)
    world.run(3600)
    assert world.state.withheld == held
    assert world.kinds() == ["cut", "feeder_lost"]
    world.is_meter_dead = False
    world.run(900)
    assert world.kinds() == ["cut", "feeder_lost", "feeder_back", "released"]
    assert world.state.withheld == {}
