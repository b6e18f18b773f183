"""What the fast loop knows of a cabinet, and what it says."""

from datetime import timedelta

import pytest

from gateway.domain.envelope import NO_LIMIT, Rung, UnixS, with_total
from gateway.domain.ids import CabinetId
from gateway.domain.topology import Cabinet, Group, Mode
from gateway.services import feeder, loads
from gateway.services.loads import LoadReading
from tests.property.safety.feeder_world import YARD, FeederWorld, yard
from tests.property.safety.world import START


def test_power_alone_is_taken_as_balanced_and_currents_keep_their_signs() -> None:
    power = LoadReading(load_id="meter", measured_at=START, power_w=-6_900)
    assert feeder.signed_draw(power, 230.0) == (-100, -100, -100, -300)
    current = LoadReading(load_id="meter", measured_at=START, current_da=(10, -20, 30))
    assert feeder.signed_draw(current, 230.0) == (10, -20, 30, 20)


def test_who_cannot_be_reached_is_not_counted_on_and_is_named() -> None:
    world = FeederWorld(yard(margin_a=0), n_station=4, interval_s=4)
    world.run(200)
    away = world.ids[0]
    world.state.link(away, is_online=False)
    seen = feeder.measure(world.state, world.cabinet, world.now)
    assert seen.others[0] == 320 + 115 + 10  # with pump and battery, and their margins
    assert seen.steered[0] == sum(
        sim.draw_da(world.now) for name, sim in world.sims.items() if name != away
    )
    world.unmetered_da = 1_300
    world.run(100)
    (stuck,) = [one.text for one in world.bus.said if one.kind == "cannot_shed"]
    assert f"{away}" in stuck
    assert f"{world.ids[1]}" not in stuck


def test_where_only_advice_is_given_nothing_is_withheld_and_that_is_said() -> None:
    world = FeederWorld(yard(margin_a=0), n_station=4, interval_s=4)
    world.run(100)
    world.state.modes[YARD] = Mode.ADVISE
    world.unmetered_da = 600
    world.run(20)
    assert world.state.withheld == {}
    (told,) = world.bus.said
    assert told.kind == "cut"
    assert "only advises" in told.text


def test_a_meter_has_its_time_to_tell_something_after_a_start() -> None:
    world = FeederWorld(yard(stale_s=60), n_station=2, interval_s=4)
    world.is_meter_dead = True
    world.state.readings.pop("meter")
    world.run(50)
    assert world.kinds() == []
    world.run(20)
    assert world.kinds() == ["feeder_lost"]


def test_a_look_at_a_meter_that_is_well_asks_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = FeederWorld(yard(), n_station=2, interval_s=4)
    world.run(100)
    monkeypatch.setattr(world.state, "envelopes", lambda _now: pytest.fail("asked"))
    world.loop.look()


def test_what_is_withheld_below_is_withheld_above_as_well() -> None:
    root, left, right = CabinetId("root"), CabinetId("left"), CabinetId("right")
    cabinets = (
        Cabinet(id=root),
        Cabinet(id=left, parent=root),
        Cabinet(id=right, parent=root),
    )
    group = Group(
        root=cabinets[0],
        cabinets=cabinets,
        stations=(),
        loads=(),
        pvs=(),
        batteries=(),
    )
    at_s = UnixS(int((START + timedelta(hours=1)).timestamp()))
    room = (Rung(at_s, (500, 500, 500, NO_LIMIT)),)
    rooms = dict.fromkeys((root, left, right), room)
    taken = {left: with_total((100, 0, 0)), right: with_total((50, 0, 20))}

    def after(more: dict[CabinetId, tuple[int, int, int, int]]) -> list[int]:
        found = loads.less(rooms, taken | more, group)
        return [found[one][0].draw[0] for one in (root, left, right)]

    assert after({}) == [350, 400, 450]
    assert after({root: with_total((120, 0, 0))}) == [350, 400, 450]
    assert after({root: with_total((220, 0, 0))}) == [280, 400, 450]
