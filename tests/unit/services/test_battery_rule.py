"""What a battery shall do: surplus in, dear energy out, within everything it has."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import CabinetId
from gateway.domain.topology import Battery
from gateway.services import loads
from gateway.services.battery_rule import Facts, decide, is_dear, room_w
from gateway.services.loads import Consumer, LoadReading
from tests.unit.services.test_batteries import NOW

BATTERY = Battery(
    id="cellar",
    cabinet_id=CabinetId("A"),
    capacity_wh=10_000,
    max_charge_w=3_000,
    max_discharge_w=4_000,
    efficiency=0.9,
    is_controlled=True,
    reserve_percent=20,
)
SUNNY = Facts(energy_wh=5_000, power_w=0, feeder_w=-2_000, room_w=3_000)


def test_a_surplus_is_stored_but_for_a_margin() -> None:
    assert decide(BATTERY, SUNNY).power_w == 1_900


def test_what_it_already_stores_is_part_of_the_surplus() -> None:
    facts = replace(SUNNY, power_w=1_000, feeder_w=-1_000)
    assert decide(BATTERY, facts).power_w == 1_900


@pytest.mark.parametrize(
    ("facts", "power_w"),
    [
        (replace(SUNNY, feeder_w=-9_000), 3_000),
        (replace(SUNNY, room_w=700), 700),
        (replace(SUNNY, room_w=0), 0),
        (replace(SUNNY, energy_wh=10_000), 0),
        (replace(SUNNY, energy_wh=9_999.0), 66),
        (replace(SUNNY, energy_wh=None), 0),
        (replace(SUNNY, feeder_w=None), 0),
        (replace(SUNNY, power_w=None), 0),
        (replace(SUNNY, feeder_w=-99), 0),
        (replace(SUNNY, feeder_w=5_000), 0),
        (replace(SUNNY, feeder_w=5_000, is_dear=True), -4_000),
        (replace(SUNNY, feeder_w=1_500, is_dear=True), -1_500),
        (replace(SUNNY, feeder_w=1_500, is_congested=True), -1_500),
        (replace(SUNNY, feeder_w=50, is_dear=True), 0),
        (replace(SUNNY, feeder_w=-2_000, is_dear=True), 1_900),
        (replace(SUNNY, feeder_w=5_000, is_dear=True, energy_wh=2_000), 0),
        (replace(SUNNY, feeder_w=5_000, is_dear=True, energy_wh=2_010.0), -600),
        (replace(SUNNY, feeder_w=500, power_w=-1_000, is_dear=True), -1_500),
        (replace(SUNNY, planned_w=1_000), 1_000),
        (replace(SUNNY, planned_w=0), 0),
        (replace(SUNNY, planned_w=9_000), 3_000),
        (replace(SUNNY, planned_w=2_000, room_w=600), 600),
        (replace(SUNNY, planned_w=2_000, feeder_w=None), 2_000),
        (replace(SUNNY, planned_w=2_000, energy_wh=None), 0),
        (replace(SUNNY, planned_w=2_000, by_hand_w=500), 500),
        (replace(SUNNY, planned_w=-2_000), 0),
        (replace(SUNNY, planned_w=-2_000, feeder_w=None), 0),
        (replace(SUNNY, planned_w=-2_000, feeder_w=5_000), -2_000),
        (replace(SUNNY, planned_w=-2_000, feeder_w=1_500), -1_500),
        (replace(SUNNY, planned_w=-2_000, feeder_w=500, power_w=-1_000), -1_500),
        (replace(SUNNY, planned_w=-9_000, feeder_w=9_000), -4_000),
        (replace(SUNNY, planned_w=-2_000, feeder_w=9_000, energy_wh=2_010.0), -600),
        (replace(SUNNY, by_hand_w=2_500), 2_500),
        (replace(SUNNY, by_hand_w=2_500, room_w=600), 600),
        (replace(SUNNY, by_hand_w=-2_500, feeder_w=None), -2_500),
        (replace(SUNNY, by_hand_w=-2_500, energy_wh=1_000), 0),
    ],
)
def test_it_does_what_facts_allow(facts: Facts, power_w: int) -> None:
    assert decide(BATTERY, facts).power_w == power_w


FACTS = st.builds(
    Facts,
    energy_wh=st.none() | st.floats(0, 12_000),
    power_w=st.none() | st.floats(-5_000, 5_000),
    feeder_w=st.none() | st.floats(-20_000, 20_000),
    room_w=st.integers(0, 6_000),
    is_dear=st.booleans(),
    is_congested=st.booleans(),
    by_hand_w=st.none() | st.integers(-4_000, 3_000),
)


@given(FACTS)
def test_whatever_is_known_it_stays_within_rates_room_energy_and_reserve(
    facts: Facts,
) -> None:
    found = decide(BATTERY, facts).power_w
    assert -4_000 <= found <= 3_000
    assert max(0, found) <= facts.room_w
    if facts.energy_wh is None:
        assert found == 0
        return
    minute_h = 1 / 60
    assert (
        facts.energy_wh + max(0, found) * 0.9 * minute_h
        <= max(10_000, facts.energy_wh) + 1e-6
    )
    assert facts.energy_wh + min(0, found) * minute_h >= min(2_000, facts.energy_wh)
    if facts.by_hand_w is None and None not in {facts.feeder_w, facts.power_w}:
        assert facts.feeder_w is not None
        assert facts.power_w is not None
        without_w = facts.feeder_w - facts.power_w
        if found < 0:
            assert without_w + found >= 0, "its discharge is never fed in"
        if found > 0:
            assert without_w + found <= 0, "it never charges from the grid"


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))
def test_what_fits_a_room_counts_within_it(one: int, two: int, three: int) -> None:
    power_w = room_w(BATTERY, (one, two, three))
    if power_w == 0:
        return
    reading = LoadReading(
        load_id="cellar",
        measured_at=NOW,
        current_da=replace(BATTERY, max_charge_w=power_w).charging,
    )
    counted = loads.load_staircase(
        Consumer.of(BATTERY), reading, now=NOW, phase_v=BATTERY.phase_v
    )[0].draw
    assert counted[0] <= one
    assert counted[1] <= two
    assert counted[2] <= three


@pytest.mark.parametrize(
    ("prices", "efficiency", "dear"),
    [
        ([310, 220, 160], 0.9, True),
        ([220, 310, 160], 0.9, False),
        ([160, 220, 310], 0.9, False),
        ([200, 200, 200], 0.9, False),
        ([102, 100, 100], 0.9, False),
        ([], 0.9, False),
    ],
)
def test_energy_is_dear_where_storing_pays(
    prices: list[int], efficiency: float, dear: bool
) -> None:
    assert is_dear(prices, efficiency) is dear
