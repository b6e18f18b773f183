"""Problems for the tests of the optimizer: drawn at random, and one typical day."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import strategies as st

from optimizer.battery import BatteryUnit
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem, Mode

START = datetime(2026, 3, 1, 18, tzinfo=UTC)
PHASE_SETS = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2), (0, 1, 2)]


def flat(n_step: int, current_a: float) -> list[list[float]]:
    """One current on all phases at all steps."""
    return [[current_a] * n_step for _ in range(3)]


def amps(high: float) -> st.SearchStrategy[float]:
    """Amperes with milliampere noise, so that rounding matters."""
    return st.integers(0, int(high * 1000)).map(lambda milli: milli / 1000)


def phase_rows(n_step: int, high: float) -> st.SearchStrategy[list[list[float]]]:
    row = st.lists(amps(high), min_size=n_step, max_size=n_step)
    return st.lists(row, min_size=3, max_size=3)


@st.composite
def cabinets(draw: st.DrawFn, n_step: int, n_cabinet: int) -> tuple[CabinetLimit, ...]:
    found = []
    for index in range(n_cabinet):
        in_watts = draw(st.booleans())
        in_amps = not in_watts or draw(st.booleans())
        above = draw(st.integers(-1, index - 1))
        watts = st.lists(
            st.integers(0, 40_000).map(float), min_size=n_step, max_size=n_step
        )
        found.append(
            CabinetLimit(
                cabinet_id=f"C{index}",
                parent=f"C{above}" if above >= 0 else None,
                limit_a=draw(phase_rows(n_step, 80)) if in_amps else None,
                limit_w=draw(watts) if in_watts else None,
                reserved_a=draw(st.just(flat(n_step, 0.0)) | phase_rows(n_step, 40)),
                imbalance_a=draw(st.sampled_from([None, None, None, 20.0, 10.05, 0.0])),
            )
        )
    return tuple(found)


@st.composite
def sessions(draw: st.DrawFn, index: int, n_step: int, n_cabinet: int) -> EvSession:
    phases = draw(st.sampled_from(PHASE_SETS))
    return EvSession(
        session_id=f"s{index}",
        cabinet_id=f"C{draw(st.integers(0, n_cabinet - 1))}",
        phases=phases,
        energy_wh=draw(st.just(0) | st.integers(0, 60_000) | st.integers(1, 3_000)),
        departure_step=draw(st.integers(1, n_step) | st.integers(-3, n_step + 5)),
        min_a=draw(st.sampled_from([6.0, 6.0, 6.0, 0.0, 6.5, 8.0, 10.0])),
        max_a=draw(st.sampled_from([32.0, 16.0, 16.0, 13.3, 6.0, 3.0])),
        step_a=draw(st.sampled_from([1.0, 1.0, 0.1, 0.5, 2.0, 0.7])),
        present_a=draw(st.sampled_from([0.0, 6.0, 16.0])),
        floor_a=draw(st.sampled_from([0.0, 0.0, 6.0, 4.0, 40.0])),
        weight=draw(st.sampled_from([1.0, 1.0, 3.0, 0.001])),
        n_power_phase=draw(st.integers(1, len(phases))),
        leaving_steps=tuple(
            draw(
                st.just([]) | st.lists(st.integers(-1, n_step), min_size=1, max_size=4)
            )
        ),
    )


@st.composite
def batteries(
    draw: st.DrawFn, index: int, cabinets: tuple[CabinetLimit, ...]
) -> BatteryUnit:
    """Empty, full, small, one-sided; three phases where an imbalance is limited."""
    place = draw(st.sampled_from(cabinets))
    parents = {cabinet.cabinet_id: cabinet for cabinet in cabinets}
    path = [place]
    while (above := path[-1].parent) is not None:
        path.append(parents[above])
    is_even = any(cabinet.imbalance_a is not None for cabinet in path)
    phases = (0, 1, 2) if is_even else draw(st.sampled_from(PHASE_SETS))
    reserved_a = min(
        cabinet.reserved_a[phase][0] for cabinet in path for phase in phases
    )
    capacity_wh = draw(st.sampled_from([1, 500, 10_000, 60_000]))
    share = st.sampled_from([0, 0, 10, 50, 100, 100]) | st.integers(0, 100)
    watts = st.sampled_from([0, 1, 3_000, 11_000, 40_000])
    return BatteryUnit(
        battery_id=f"b{index}",
        cabinet_id=place.cabinet_id,
        phases=phases,
        capacity_wh=capacity_wh,
        energy_wh=capacity_wh * draw(share) // 100,
        reserve_wh=capacity_wh * draw(share) // 100,
        target_wh=capacity_wh * draw(share) // 100,
        max_charge_w=draw(watts),
        max_discharge_w=draw(watts),
        efficiency_permille=draw(st.sampled_from([1000, 900, 870, 1])),
        wear_micro_per_kwh=draw(st.sampled_from([0, 10_000, 10_000, 1_000_000])),
        held_a=int(reserved_a * 2) / 10 * draw(st.sampled_from([0, 1])),
    )


@st.composite
def problems(
    draw: st.DrawFn, max_session: int = 6, max_battery: int = 0
) -> CabinetProblem:
    """Small, nasty problems: trees, W limits, floors that do not fit, gone cars."""
    n_step = draw(st.integers(1, 8))
    n_cabinet = draw(st.integers(1, 3))
    n_session = draw(st.integers(0, max_session))
    places = draw(cabinets(n_step, n_cabinet))
    n_battery = draw(st.integers(1, max_battery)) if max_battery else 0
    load = st.lists(st.integers(0, 9_000), min_size=n_step, max_size=n_step)
    prices = st.lists(st.integers(-100_000, 600_000), min_size=n_step, max_size=n_step)
    return CabinetProblem(
        group_id="group",
        start=START,
        step_s=draw(st.sampled_from([900, 300, 3600])),
        n_step=n_step,
        nominal_v=draw(st.sampled_from([230, 231, 120])),
        cabinets=places,
        sessions=tuple(
            draw(sessions(index, n_step, n_cabinet)) for index in range(n_session)
        ),
        import_price_micro_per_kwh=draw(st.none() | prices),
        feed_in_price_micro_per_kwh=draw(st.none() | prices),
        pv_w=draw(
            st.none()
            | st.lists(
                st.floats(0, 20_000, allow_subnormal=False),
                min_size=n_step,
                max_size=n_step,
            )
        ),
        mode=draw(st.sampled_from(list(Mode))),
        batteries=tuple(draw(batteries(index, places)) for index in range(n_battery)),
        load_w=draw(st.none() | load) if n_battery else None,
    )


def cellar(**changes: Any) -> BatteryUnit:
    """A battery of 20 kWh at the feeder of the typical day, half full."""
    battery = BatteryUnit(
        battery_id="cellar",
        cabinet_id="feeder",
        capacity_wh=20_000,
        energy_wh=10_000,
        reserve_wh=4_000,
        target_wh=10_000,
        max_charge_w=10_000,
        max_discharge_w=8_000,
    )
    return replace(battery, **changes)


def typical_day(
    seed: int = 1,
    *,
    n_session: int = 12,
    n_step: int = 96,
    limit_a: float = 63.0,
    floor_a: float = 0.0,
    mode: Mode = Mode.AUTO,
    batteries: tuple[BatteryUnit, ...] = (),
) -> CabinetProblem:
    """A feeder with one sub-cabinet, cheap nights, PV at noon, mixed cars."""
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    cars = []
    for index in range(n_session):
        three_phase = rng.random() < 0.6
        cars.append(
            EvSession(
                session_id=f"s{index}",
                cabinet_id=rng.choice(["feeder", "garage"]),
                phases=(0, 1, 2) if three_phase else (rng.randrange(3),),
                energy_wh=rng.randrange(3_000, 40_000),
                departure_step=rng.randrange(8, n_step + 1),
                max_a=rng.choice([16.0, 32.0]),
                floor_a=floor_a,
            )
        )
    return CabinetProblem(
        group_id="day",
        start=START,
        step_s=900,
        n_step=n_step,
        cabinets=(
            CabinetLimit(
                cabinet_id="feeder",
                limit_a=flat(n_step, limit_a),
                reserved_a=flat(n_step, 5.0),
            ),
            CabinetLimit(
                cabinet_id="garage",
                parent="feeder",
                limit_a=flat(n_step, 40.0),
                limit_w=[25_000.0] * n_step,
                reserved_a=flat(n_step, 0.0),
            ),
        ),
        sessions=tuple(cars),
        import_price_micro_per_kwh=[
            300_000 if step < 20 or step > 52 else 150_000 for step in range(n_step)
        ],
        feed_in_price_micro_per_kwh=[80_000] * n_step,
        pv_w=[max(0.0, 8_000.0 - abs(step - 72) * 400) for step in range(n_step)],
        mode=mode,
        batteries=batteries,
        load_w=[2_000.0] * n_step if batteries else None,
    )


def pressed_and_patient() -> CabinetProblem:
    """One car on one phase that cannot wait, one on three that would like its room."""
    return CabinetProblem(
        group_id="A",
        start=START,
        step_s=900,
        n_step=3,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=flat(3, 14.0), reserved_a=flat(3, 0.0)
            ),
        ),
        sessions=tuple(
            EvSession(
                session_id=name,
                cabinet_id="A",
                phases=phases,
                energy_wh=energy_wh,
                departure_step=stay,
                max_a=16.0,
            )
            for name, phases, energy_wh, stay in (
                ("pressed", (0,), 1437, 2),
                ("patient", (0, 1, 2), 2070, 3),
            )
        ),
        import_price_micro_per_kwh=[200_000, 300_000, 300_000],
        mode=Mode.ECONOMY,
    )
