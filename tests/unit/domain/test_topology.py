"""The site tree and the currents of its assets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.topology import (
    Battery,
    Cabinet,
    CurrentType,
    Evse,
    Grid,
    Site,
    Station,
    dc_input_da,
    exceeds,
    phase_voltage,
    rotation,
    rotation_text,
)


def cabinet(name: str, parent: str | None = None, limit_da: int = 630) -> Cabinet:
    return Cabinet(
        id=CabinetId(name),
        parent=None if parent is None else CabinetId(parent),
        limit_da=(limit_da, limit_da, limit_da),
    )


def evse(name: str = "CP1", **changes: object) -> Evse:
    values: dict[str, object] = {
        "ref": EvseRef(station_id=StationId(name), evse_id=1),
        "cabinet_id": CabinetId("A"),
        "max_da": 320,
    }
    return Evse(**(values | changes))  # type: ignore[arg-type]  # test builder


def test_a_rotation_is_read_and_written() -> None:
    assert rotation("L2L3L1") == (1, 2, 0)
    assert rotation("L3") == (2,)
    assert rotation_text((1, 2, 0)) == "L2L3L1"


@pytest.mark.parametrize("text", ["", "L1L1", "L4", "L1L2L3L1", "L1L", "l1", "RST"])
def test_anything_else_is_no_rotation(text: str) -> None:
    with pytest.raises(ValueError, match="rotation"):
        rotation(text)


def test_currents_land_on_the_supply_phases_they_are_wired_to() -> None:
    rotated = evse(phases=(1, 2, 0))
    assert rotated.measured_on_supply((10, 20, 30)) == (30, 10, 20)
    single = evse(phases=(2,))
    assert single.rating == (0, 0, 320)
    assert single.measured_on_supply((10, 0, 0)) == (0, 0, 10)


def test_a_current_on_a_terminal_that_is_not_wired_counts_everywhere() -> None:
    assert evse(phases=(2,)).measured_on_supply((10, 5, 0)) == (5, 5, 15)


def test_an_ac_limit_in_watt_counts_in_full_on_each_phase() -> None:
    assert evse().input_da(2300) == 100
    assert evse().input_da(50_000) == 320


def test_a_dc_evse_counts_its_ac_input_at_undervoltage() -> None:
    current_da = dc_input_da(
        50_000, phase_v=230, n_phase=3, efficiency=0.94, auxiliary_w=300
    )
    exact_a = (50_000 / 0.94 + 300) / (3 * 0.9 * 230)
    assert current_da == math.ceil(exact_a * 10)


@given(st.integers(0, 400), st.floats(0.5, 1), st.integers(0, 1000))
def test_a_dc_limit_back_to_current_never_exceeds_what_was_granted(
    current_da: int, efficiency: float, auxiliary_w: int
) -> None:
    dc = evse(
        current_type=CurrentType.DC,
        efficiency=efficiency,
        auxiliary_w=auxiliary_w,
    )
    power_w = dc.power_w(current_da)
    if power_w > 0:
        assert dc.input_da(math.floor(power_w)) <= current_da


def test_power_on_an_it_grid_follows_the_lines() -> None:
    three_v = phase_voltage(Grid.IT, 230, 3)
    assert three_v * 3 * 16 == pytest.approx(math.sqrt(3) * 230 * 16)
    assert phase_voltage(Grid.IT, 230, 2) * 2 * 16 == 230 * 16
    assert phase_voltage(Grid.TN, 230, 1) == 230


def test_a_battery_counts_its_charging_at_undervoltage() -> None:
    battery = Battery(
        id="B",
        cabinet_id=CabinetId("A"),
        capacity_wh=1,
        max_charge_w=3000,
        max_discharge_w=3000,
    )
    assert battery.charging == (49, 49, 49)


def test_groups_are_the_trees_below_the_roots() -> None:
    site = Site(
        cabinets=(cabinet("C", "B"), cabinet("B", "A"), cabinet("A"), cabinet("X")),
        stations=(
            Station(
                id=StationId("CP1"), cabinet_id=CabinetId("C"), evses=(evse("CP1"),)
            ),
            Station(id=StationId("CP2"), cabinet_id=CabinetId("X")),
        ),
    )
    first, second = site.groups()
    assert [c.id for c in first.cabinets] == ["A", "B", "C"]
    assert [s.id for s in first.stations] == ["CP1"]
    assert second.id == "X"
    assert site.group_of(CabinetId("C")).id == "A"
    assert [c.id for c in site.path(CabinetId("C"))] == ["C", "B", "A"]
    with pytest.raises(KeyError):
        site.group_of(CabinetId("none"))


def test_cabinets_in_a_circle_end_every_walk() -> None:
    site = Site(cabinets=(cabinet("A", "B"), cabinet("B", "A")))
    assert len(site.path(CabinetId("A"))) == 2
    assert len(site.subtree(CabinetId("A"))) == 2


def test_a_replaced_station_is_found_anew() -> None:
    site = Site(stations=(Station(id=StationId("CP1")),))
    changed = site.with_station(Station(id=StationId("CP1"), clock_skew_s=5))
    found = changed.station(StationId("CP1"))
    assert found is not None
    assert found.clock_skew_s == 5
    assert changed.without_station(StationId("CP1")).stations == ()


@given(
    st.tuples(*[st.integers(0, 700)] * 3), st.integers(0, 50), st.integers(0, 50_000)
)
def test_whatever_fits_stays_under_every_limit(
    load: tuple[int, int, int], margin_da: int, limit_w: int
) -> None:
    both = Cabinet(
        id=CabinetId("A"),
        limit_da=(630, 400, 200),
        limit_w=limit_w,
        margin_da=margin_da,
    )
    fits = not exceeds(both, load, phase_v=230)
    expected = (
        load[0] + margin_da <= 630
        and load[1] + margin_da <= 400
        and load[2] + margin_da <= 200
        and (sum(load) + 3 * margin_da) * 23 <= limit_w
    )
    assert fits == expected
