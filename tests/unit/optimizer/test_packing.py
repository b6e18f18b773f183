"""The packing of one step: exact where it says so, and close to it elsewhere."""

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from optimizer import packing
from optimizer.grid import PHASES
from optimizer.knapsack import Crowd, choose
from optimizer.layout import Layout, Room
from optimizer.maxplus import Item, Plain
from optimizer.maxplus_fast import Fast
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from optimizer.worth import Offer
from tests.support.optimizer_problems import START, flat

ONE_OR_THREE = [(0,), (1,), (2,), (0, 1, 2), (0, 1, 2)]
ANY_PHASES = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (0, 1, 2)]


def cabinet(
    rng: Random, name: str, low_a: int, high_a: int, *, parent: str | None = None
) -> CabinetLimit:
    return CabinetLimit(
        cabinet_id=name,
        parent=parent,
        limit_a=[[float(rng.randrange(low_a, high_a))] for _ in PHASES],
        reserved_a=flat(1, 0.0),
    )


def total(rng: Random, name: str, *, parent: str | None = None) -> CabinetLimit:
    return CabinetLimit(
        cabinet_id=name,
        parent=parent,
        limit_a=[[float(rng.randrange(20, 40))] for _ in PHASES],
        limit_w=[float(rng.randrange(5_000, 14_000))],
        reserved_a=flat(1, 0.0),
    )


def one_step(
    rng: Random,
    limits: list[CabinetLimit],
    *,
    n_session: int = 5,
    phases: list[tuple[int, ...]],
    step_a: float = 1.0,
    behind: tuple[str, ...] = (),
) -> CabinetProblem:
    homes = behind or tuple(limit.cabinet_id for limit in limits)
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=1,
        cabinets=tuple(limits),
        sessions=tuple(
            EvSession(
                session_id=f"s{index}",
                cabinet_id=rng.choice(homes),
                phases=rng.choice(phases),
                energy_wh=rng.randrange(500, 20_000),
                departure_step=1,
                max_a=rng.choice([8.0, 10.0, 13.0]),
                step_a=step_a,
                floor_a=rng.choice([0.0, 0.0, 3.0]),
            )
            for index in range(n_session)
        ),
    )


def random_offers(rng: Random, layout: Layout) -> list[Offer]:
    found = []
    for index, high in enumerate(layout.high_da):
        slope, bonus = rng.randrange(1, 30), rng.randrange(0, 500)
        turn = rng.randrange(60, high + 1)
        values = [(0, 0)] + [
            (
                v,
                bonus
                + slope * min(v, turn)
                + rng.choice([-1, 0, 1]) * max(0, v - turn),
            )
            for v in range(layout.low_da[index], high + 1, layout.unit_da[index])
        ]
        found.append(Offer(index=index, values=tuple(values)))
    return found


def best_by_milp(layout: Layout, offers: list[Offer]) -> int:
    """Solve the step with HiGHS: one binary per session and current."""
    options = [
        (offer.index, value, worth) for offer in offers for value, worth in offer.values
    ]
    rows, caps = [], []
    for row in layout.rows:
        coefficient = dict(row.members)
        floors = layout.floor_da
        rows.append(
            [coefficient.get(i, 0) * max(0, v - floors[i]) for i, v, _ in options]
        )
        caps.append(row.extra_da[0])
    for offer in offers:
        rows.append([int(i == offer.index) for i, _, _ in options])
        caps.append(1)
    result = milp(
        -np.array([worth for _, _, worth in options], dtype=float),
        constraints=LinearConstraint(np.array(rows, dtype=float), ub=np.array(caps)),
        integrality=[1] * len(options),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    assert result.status == 0
    return round(-result.fun)


def fits(layout: Layout, chosen: list[int]) -> bool:
    room = Room(layout, 0)
    for index, current_da in enumerate(chosen):
        if current_da > room.bound_da(index)[0]:
            return False
        room.take(index, current_da)
    return True


def assert_exact(layout: Layout, offers: list[Offer]) -> None:
    found = packing.exact(layout, 0, offers, Fast())
    assert found is not None
    assert fits(layout, found)
    assert packing.worth(offers, found) == best_by_milp(layout, offers)
    assert packing.exact(layout, 0, offers, Plain()) == found


@pytest.mark.parametrize("seed", range(60))
def test_the_packing_of_a_cabinet_is_as_good_as_a_mixed_integer_solver(
    seed: int,
) -> None:
    """Cars on one, two and three phases together, in units of 1, 0.5 and 2 A."""
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    problem = one_step(
        rng,
        [cabinet(rng, "A", 15, 60)],
        n_session=rng.randrange(4, 11),
        phases=ANY_PHASES,
        step_a=rng.choice([1.0, 1.0, 0.5, 2.0]),
    )
    layout = Layout.of(problem)
    assert_exact(layout, random_offers(rng, layout))


@pytest.mark.parametrize("seed", range(20))
def test_a_limit_of_the_imbalance_is_packed_as_well_as_by_a_mixed_integer_solver(
    seed: int,
) -> None:
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    limit = replace(cabinet(rng, "A", 20, 60), imbalance_a=float(rng.randrange(6, 24)))
    problem = one_step(rng, [limit], n_session=8, phases=ONE_OR_THREE)
    layout = Layout.of(problem)
    assert_exact(layout, random_offers(rng, layout))


@pytest.mark.parametrize("seed", range(20))
def test_a_limit_in_watts_is_packed_as_well_as_by_a_mixed_integer_solver(
    seed: int,
) -> None:
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    problem = one_step(rng, [total(rng, "A")], n_session=7, phases=ONE_OR_THREE)
    layout = Layout.of(problem)
    assert_exact(layout, random_offers(rng, layout))


@pytest.mark.parametrize("seed", range(20))
def test_a_cabinet_within_a_cabinet_is_packed_as_well_as_by_a_mixed_integer_solver(
    seed: int,
) -> None:
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    limits = [cabinet(rng, "A", 20, 45), cabinet(rng, "B", 8, 25, parent="A")]
    problem = one_step(rng, limits, n_session=8, phases=ONE_OR_THREE)
    layout = Layout.of(problem)
    assert_exact(layout, random_offers(rng, layout))


@pytest.mark.parametrize("seed", range(10))
def test_cabinets_side_by_side_are_packed_as_well_as_by_a_mixed_integer_solver(
    seed: int,
) -> None:
    """Their common feeder is wide, a second parent has the very same cars."""
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    limits = [
        cabinet(rng, "feeder", 900, 1_000),
        cabinet(rng, "A", 10, 25, parent="feeder"),
        cabinet(rng, "B", 10, 25, parent="feeder"),
        cabinet(rng, "C", 10, 25, parent="B"),
    ]
    problem = one_step(rng, limits, n_session=8, phases=ANY_PHASES, behind=("A", "C"))
    layout = Layout.of(problem)
    assert_exact(layout, random_offers(rng, layout))


def brute_force(layout: Layout, offers: list[Offer]) -> int:
    best = 0
    for picks in product(*(offer.values for offer in offers)):
        worth = sum(value for _, value in picks)
        if worth <= best:
            continue
        room = Room(layout, 0)
        for offer, (current_da, _) in zip(offers, picks, strict=True):
            if current_da > room.bound_da(offer.index)[0]:
                break
            room.take(offer.index, current_da)
        else:
            best = worth
    return best


def test_exchange_in_a_tree_fits_and_comes_close_to_trying_everything() -> None:
    reached, possible = 0, 0
    for seed in range(25):
        rng = Random(seed)  # noqa: S311 - a seeded test, no secret
        limits = [cabinet(rng, "A", 15, 40), total(rng, "B", parent="A")]
        layout = Layout.of(one_step(rng, limits, phases=ONE_OR_THREE))
        offers = random_offers(rng, layout)
        chosen = packing.exchange(layout, 0, offers)
        assert fits(layout, chosen)
        best = brute_force(layout, offers)
        assert packing.worth(offers, chosen) <= best
        reached += packing.worth(offers, chosen)
        possible += best
    assert reached >= 0.97 * possible


@st.composite
def crowds(draw: st.DrawFn) -> Crowd:
    """Any weights and worths, many of them equal, so that ties are common."""
    kind = draw(st.sampled_from(["flat", "total", "nested"]))
    phase_sets = ANY_PHASES if kind == "flat" else ONE_OR_THREE
    items = []
    for number in range(draw(st.integers(0, 8))):
        weights = draw(st.lists(st.integers(0, 9), max_size=5, unique=True))
        options = (0, *sorted(weights))
        worths = st.integers(-3, 6) | st.integers(-(10**14), 10**14)
        items.append(
            Item(
                number=number,
                phases=draw(st.sampled_from(phase_sets)),
                is_inner=kind == "nested" and draw(st.booleans()),
                weights=options,
                worths=tuple(draw(worths) for _ in options),
            )
        )
    caps = st.tuples(*[st.integers(0, 20)] * 3)
    return Crowd(
        items=tuple(items),
        cap=draw(caps),
        total=draw(st.integers(0, 40)) if kind == "total" else None,
        inner_cap=draw(caps) if kind == "nested" else None,
    )


@given(crowds())
def test_whoever_computes_the_tables_the_same_options_are_chosen(crowd: Crowd) -> None:
    assert choose(crowd, Plain()) == choose(crowd, Fast())


def test_worths_at_the_bounds_of_a_problem_do_not_overflow() -> None:
    """2,000 sessions of the highest worth there is share a cabinet."""
    crowd = Crowd(
        items=tuple(
            Item(number=n, phases=(0, 1, 2), weights=(0, 1), worths=(0, 4 * 10**14))
            for n in range(2_000)
        ),
        cap=(2_000, 2_000, 1_999),
    )
    chosen = choose(crowd, Fast())
    assert chosen is not None
    assert chosen.count(1) == 1_999


def test_of_equal_choices_the_last_session_gets_the_least() -> None:
    crowd = Crowd(
        items=tuple(
            Item(number=n, phases=(0,), weights=(0, 6, 7), worths=(0, 6, 7))
            for n in range(3)
        ),
        cap=(14, 14, 14),
    )
    assert choose(crowd, Plain()) == [2, 2, 0]


def test_single_phase_cars_do_not_strand_the_other_phases() -> None:
    """Two single-phase cars on L1 and one three-phase car share 20 A fairly."""
    problem = CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=1,
        cabinets=(
            CabinetLimit(
                cabinet_id="A", limit_a=flat(1, 20.0), reserved_a=flat(1, 0.0)
            ),
        ),
        sessions=tuple(
            EvSession(
                session_id=name,
                cabinet_id="A",
                phases=phases,
                energy_wh=9_000,
                departure_step=1,
                max_a=16.0,
            )
            for name, phases in (("a", (0,)), ("b", (0,)), ("c", (0, 1, 2)))
        ),
    )
    layout = Layout.of(problem)
    offers = [
        Offer(
            index=index,
            values=(
                (0, 0),
                *(
                    (v, v * len(problem.sessions[index].phases))
                    for v in range(60, 170, 10)
                ),
            ),
        )
        for index in range(3)
    ]
    chosen = packing.pack_offers(layout, 0, offers)
    assert chosen[2] >= 130


def test_a_deep_tree_is_packed_nearly_as_well_as_by_a_mixed_integer_solver() -> None:
    """Four cabinets and a total, all crowded; cars on one, two and three phases."""
    reached, greedy, possible = 0, 0, 0
    for seed in range(25):
        rng = Random(seed)  # noqa: S311 - a seeded test, no secret
        limits = [
            cabinet(rng, "A", 40, 70),
            cabinet(rng, "B", 20, 40, parent="A"),
            total(rng, "C", parent="A"),
            cabinet(rng, "D", 10, 20, parent="B"),
        ]
        layout = Layout.of(one_step(rng, limits, n_session=16, phases=ANY_PHASES))
        offers = random_offers(rng, layout)
        chosen = packing.pack_offers(layout, 0, offers, Fast())
        assert chosen == packing.pack_offers(layout, 0, offers, Plain())
        assert fits(layout, chosen)
        reached += packing.worth(offers, chosen)
        greedy += packing.worth(offers, packing.exchange(layout, 0, offers))
        possible += best_by_milp(layout, offers)
    assert greedy < reached <= possible
    assert reached >= 0.97 * possible
