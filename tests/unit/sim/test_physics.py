"""Cars, EVSEs and cabinets: what flows, what is counted, what is too much."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_chargers.evse import Charging, Evse, EvseSpec, parse_rotation
from sim_chargers.scenario import (
    BatterySpec,
    CabinetSpec,
    LoadSpec,
    PvSpec,
    Scenario,
    StationSpec,
)
from sim_chargers.sharing import share
from sim_chargers.site import Site
from sim_chargers.vehicle import Vehicle

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def car(**changes: float) -> Vehicle:
    values: dict[str, float] = {
        "capacity_wh": 50_000.0,
        "stored_wh": 10_000.0,
        "wake_s": 0.0,
    }
    made = Vehicle(**{**values, **changes})  # type: ignore[arg-type] # phases is an int
    made.phases = int(made.phases)
    return made


def evse(rotation: str = "L1L2L3", **spec: float) -> Evse:
    made = Evse(
        spec=EvseSpec(evse_id=1, phases=parse_rotation(rotation), **spec),  # type: ignore[arg-type] # numbers only
        register_milliwh=1_000_000,
        reaction_s=2.0,
    )
    made.energised = True
    return made


def run(
    hardware: Evse, limit: float, seconds: int, start: datetime = START
) -> datetime:
    for second in range(1, seconds + 1):
        hardware.step(limit, start + timedelta(seconds=second), 1.0)
    return start + timedelta(seconds=seconds)


def test_the_meter_counts_current_times_voltage_times_time() -> None:
    hardware = evse()
    hardware.vehicle = car(max_a=16.0)
    now = run(hardware, 16.0, 60)
    before = hardware.register_milliwh
    run(hardware, 16.0, 3600, now)
    assert hardware.register_milliwh - before == pytest.approx(3 * 230 * 16_000, abs=2)


def test_the_car_stores_what_the_meter_counts() -> None:
    hardware = evse()
    hardware.vehicle = car()
    run(hardware, 12.0, 1800)
    stored_milliwh = (hardware.vehicle.stored_wh - 10_000.0) * 1000
    assert hardware.register_milliwh - 1_000_000 == pytest.approx(stored_milliwh, abs=2)


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0.01, 5)), max_size=60))
def test_the_register_never_decreases_whatever_is_offered(
    offers: list[tuple[float, float]],
) -> None:
    hardware = evse()
    hardware.vehicle = car(stored_wh=49_900.0)
    now, last = START, hardware.register_milliwh
    for limit, dt_s in offers:
        now += timedelta(seconds=dt_s)
        hardware.step(limit, now, dt_s)
        assert hardware.register_milliwh >= last
        assert max(hardware.site_a) <= 32.0
        last = hardware.register_milliwh


def test_below_six_amperes_the_car_gets_nothing_and_the_evse_is_to_blame() -> None:
    hardware = evse()
    hardware.vehicle = car()
    run(hardware, 5.9, 20)
    assert hardware.charging.value == "SuspendedEVSE"
    assert hardware.site_a == (0.0, 0.0, 0.0)
    run(hardware, 6.0, 20, START + timedelta(seconds=20))
    assert hardware.charging.value == "Charging"


def test_a_full_car_suspends_by_itself() -> None:
    hardware = evse()
    hardware.vehicle = car(stored_wh=50_000.0)
    run(hardware, 16.0, 20)
    assert hardware.charging is Charging.SUSPENDED_EV


def test_near_full_the_car_takes_less() -> None:
    hardware = evse()
    hardware.vehicle = car(stored_wh=48_500.0, max_a=32.0)
    run(hardware, 32.0, 30)
    assert 6.0 <= hardware.site_a[0] < 20.0


def test_a_lower_limit_works_after_the_reaction_time_and_within_five_seconds() -> None:
    hardware = evse()
    hardware.vehicle = car(max_a=32.0)
    now = run(hardware, 32.0, 60)
    assert hardware.site_a[0] == pytest.approx(32.0)
    now = run(hardware, 10.0, 1, now)
    assert hardware.site_a[0] == pytest.approx(32.0)
    run(hardware, 10.0, 4, now)
    assert hardware.site_a[0] == pytest.approx(10.0)


def test_the_limit_holds_from_the_first_second_of_a_transaction() -> None:
    hardware = evse()
    hardware.energised = False
    hardware.vehicle = car(max_a=32.0)
    now = run(hardware, 32.0, 10)
    hardware.energised = True
    for _ in range(20):
        now = run(hardware, 8.0, 1, now)
        assert hardware.site_a[0] <= 8.0


def test_a_one_phase_car_loads_the_first_phase_of_the_rotation() -> None:
    hardware = evse("L2L3L1")
    hardware.vehicle = car(phases=1)
    run(hardware, 16.0, 30)
    assert hardware.site_a[0] == 0.0
    assert hardware.site_a[1] == pytest.approx(16.0)


def test_a_dc_station_draws_more_from_the_grid_than_the_car_gets() -> None:
    hardware = Evse(
        spec=EvseSpec(evse_id=1, is_dc=True, max_w=50_000.0), register_milliwh=0
    )
    hardware.energised = True
    hardware.vehicle = car(max_dc_w=50_000.0)
    run(hardware, 23_000.0, 30)
    assert hardware.draw.power_w == pytest.approx(23_000.0)
    assert sum(hardware.site_a) * 230.0 > 23_000.0


@pytest.mark.parametrize("text", ["", "L1L1", "L4", "L1L2L"])
def test_nonsense_is_no_rotation(text: str) -> None:
    with pytest.raises(ValueError, match="rotation"):
        parse_rotation(text)


def site(evses: dict[str, list[Evse]], **parts: object) -> Site:
    plan = Scenario(
        stations=(StationSpec(id="A", ocpp="1.6", evses=(EvseSpec(evse_id=1),)),),
        cabinets=(
            CabinetSpec(id="main", limit_a=(30.0, 30.0, 30.0)),
            CabinetSpec(id="yard", parent="main", limit_a=(20.0, 20.0, 20.0)),
        ),
        **parts,  # type: ignore[arg-type] # parts of a scenario
    )
    return Site(plan, evses)


def fixed(current_a: float) -> Evse:
    made = evse()
    made.site_a = (current_a, 0.0, 0.0)
    return made


def test_seconds_above_a_limit_are_counted_per_cabinet_and_reported_once() -> None:
    hardware = fixed(25.0)
    truth = site({"yard": [hardware]})
    now = START
    for _ in range(10):
        now += timedelta(seconds=1)
        assert truth.step(now, 1.0) == []
    hardware.site_a = (19.0, 0.0, 0.0)
    (ended,) = truth.step(now + timedelta(seconds=1), 1.0)
    assert (ended.cabinet, ended.phase, ended.amps) == ("yard", "L1", 25.0)
    assert ended.seconds == 10.0
    assert truth.violation_s == {"main": 0.0, "yard": 10.0}


def test_exactly_the_limit_is_no_violation() -> None:
    truth = site({"yard": [fixed(20.0)]})
    truth.step(START, 1.0)
    assert truth.violation_s == {"main": 0.0, "yard": 0.0}


def test_currents_of_a_child_count_in_its_parent() -> None:
    truth = site({"yard": [fixed(18.0)], "main": [fixed(13.0)]})
    truth.step(START, 1.0)
    assert truth.violation_s == {"main": 1.0, "yard": 0.0}
    assert truth.flush(START)[0].cabinet == "main"


def test_pv_never_makes_room_under_a_limit() -> None:
    pv = (PvSpec(id="roof", cabinet="yard", peak_w=20_000.0),)
    truth = site({"yard": [fixed(25.0)]}, pv=pv)
    truth.step(START, 1.0)
    assert truth.net_a["yard"][0] < truth.gross_a["yard"][0]
    assert truth.violation_s["yard"] == 1.0


def test_loads_stay_below_their_peak_and_the_battery_below_the_limit() -> None:
    truth = site(
        {"yard": [fixed(18.0)]},
        loads=(LoadSpec(id="hall", cabinet="yard", base_a=0.5, peak_a=1.5),),
        pv=(PvSpec(id="roof", cabinet="yard", peak_w=40_000.0),),
        batteries=(
            BatterySpec(
                id="box",
                cabinet="yard",
                capacity_wh=10_000.0,
                max_charge_w=20_000.0,
                max_discharge_w=20_000.0,
            ),
        ),
    )
    for minute in range(24 * 60):
        truth.step(START + timedelta(minutes=minute), 60.0)
        assert max(truth.loads[0].current_a) <= 1.5
        assert 0.0 <= truth.batteries[0].stored_wh <= 10_000.1
    assert truth.violation_s == {"main": 0.0, "yard": 0.0}


@given(
    st.floats(0, 100),
    st.dictionaries(st.integers(1, 6), st.floats(0, 32), min_size=1),
)
def test_shares_never_exceed_the_cap_nor_what_is_wanted(
    cap: float, wanted: dict[int, float]
) -> None:
    given_ = share(cap, wanted, 6.0)
    assert sum(given_.values()) <= cap + 1e-6
    for number, amount in given_.items():
        assert amount == 0.0 or 6.0 - 1e-9 <= amount <= wanted[number]
