"""A battery is steered by what both meters saw of its last command, never by halves."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.batteries import SETTLES_S
from tests.unit.services.test_batteries import BATTERY, NOW, SITE, World, calm

SUN_W = 2_000.0
STORED_W = 1_900
STEP_S = 0.5


async def charging(world: World) -> None:
    """A surplus came up, and the battery was told to store it a moment ago."""
    await calm(world)
    world.feeder_w = -SUN_W
    for _ in range(2):
        await world.hear()
        await world.tick()
    await world.hear()
    assert world.told == [0, STORED_W]


@pytest.mark.parametrize(
    ("feeder_w", "power_w"),
    [(-100.0, 0.0), (-SUN_W, 1_900.0), (-SUN_W, 0.0), (900.0, 1_900.0)],
    ids=["the battery is late", "the feeder is late", "both are late", "a cloud came"],
)
async def test_right_after_a_command_it_stays_with_it_whatever_meters_say(
    feeder_w: float, power_w: float
) -> None:
    world = World()
    await charging(world)
    world.feeder_w, world.power_w = feeder_w, power_w
    for _ in range(3):
        await world.tick(1.0)
        await world.hear()
    assert world.told == [0, STORED_W]
    assert world.state.reserved_w == STORED_W
    assert world.state.wanted is not None
    assert world.state.wanted.why == "stores a surplus"


@pytest.mark.parametrize("late", ["grid", "cellar"])
async def test_it_is_decided_anew_once_both_meters_spoke_after_it_settled(
    late: str,
) -> None:
    world = World()
    await charging(world)
    world.feeder_w, world.power_w = 950.0, 1_900.0
    await world.tick(SETTLES_S)
    if late == "cellar":
        world.hear_feeder()
    else:
        await world.hear_battery()
    await world.tick(0.1)
    assert world.told == [0, STORED_W], f"{late} says what was before"
    await world.hear()
    await world.tick(0.1)
    assert world.told == [0, STORED_W, 902], "950 W of sun are left"


async def test_while_it_settles_limits_and_hands_are_obeyed_at_once() -> None:
    world = World()
    await charging(world)
    world.free_da = (30, 300, 300)
    await world.tick(0.1)
    assert 0 < world.told[-1] < STORED_W, "a cabinet has less room"
    world.batteries.set_by_hand("cellar", -700, None)
    await world.tick(0.1)
    assert world.told[-1] == -700


async def test_while_it_settles_it_idles_if_the_feeder_is_not_known() -> None:
    world = World()
    await charging(world)
    world.batteries._readings.pop("grid")
    await world.tick(0.1)
    assert world.told[-1] == 0


async def test_the_feeder_settles_after_what_a_battery_beside_it_was_told() -> None:
    attic = replace(BATTERY, id="attic")
    world = World(site=replace(SITE, batteries=(BATTERY, attic)))
    await calm(world)
    world.feeder_w = -SUN_W
    await world.batteries.tick(attic)
    assert world.told == [0, 0]
    for _ in range(3):
        await world.hear()
        await world.tick(1.0)
    assert world.state.reserved_w == 0, "the attic may have changed what is fed in"
    await world.settle()
    await world.tick(0.1)
    assert world.state.reserved_w == STORED_W


async def test_a_battery_that_cannot_be_told_keeps_no_other_waiting() -> None:
    attic = replace(BATTERY, id="attic")
    world = World(site=replace(SITE, batteries=(BATTERY, attic)))
    await calm(world)
    world.feeder_w = -SUN_W
    for _ in range(2):
        world.trouble = "no way to it"
        await world.batteries.tick(attic)
        world.trouble = None
        await world.hear()
        await world.tick(1.0)
    assert world.state.told is not None
    assert world.state.told.power_w == STORED_W


async def test_a_battery_that_is_back_settles_before_it_is_decided_anew() -> None:
    world = World()
    await charging(world)
    world.trouble = "no way to it"
    world.power_w = STORED_W
    await world.settle()
    world.feeder_w = 950.0
    await world.hear()
    await world.tick(0.1)
    assert world.told[-1] == 902
    world.trouble = None
    await world.tick(0.1)
    assert world.state.changed_at == world.clock.at
    world.power_w = 902.0
    await world.hear_battery()
    await world.tick(1.0)
    assert world.told[-1] == 902, "the feeder says what was before"


async def test_of_two_batteries_none_keeps_the_other_from_its_turn() -> None:
    attic = replace(BATTERY, id="attic")
    world = World(site=replace(SITE, batteries=(BATTERY, attic)))
    await calm(world)
    await world.batteries.tick(attic)
    order = [one.id for one in world.batteries._longest_unchanged_first()]
    assert order == ["cellar", "attic"]
    world.batteries.set_by_hand("cellar", -500, NOW + timedelta(hours=1))
    await world.tick()
    order = [one.id for one in world.batteries._longest_unchanged_first()]
    assert order == ["attic", "cellar"]


@given(
    feeder_every=st.integers(1, 40),
    battery_every=st.integers(1, 40),
    obeys_after=st.integers(0, int(SETTLES_S / STEP_S) - 1),
)
async def test_a_steady_surplus_is_one_command_however_old_readings_are(
    feeder_every: int, battery_every: int, obeys_after: int
) -> None:
    """Steps of half a second: both meters are read when it suits them."""
    world = World()
    await calm(world)
    told = [0] * (obeys_after + 1)
    for step in range(400):
        world.power_w = float(told[-1 - obeys_after])
        world.feeder_w = world.power_w - SUN_W
        if step % feeder_every == 0:
            world.hear_feeder()
        if step % battery_every == 0:
            await world.hear_battery()
        await world.tick(STEP_S)
        told.append(world.told[-1])
    assert list(dict.fromkeys(world.told)) == [0, STORED_W]
    assert world.told[-1] == STORED_W
