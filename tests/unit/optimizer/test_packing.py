"""The packing of one step: exact where it says so, and close to it elsewhere."""

from itertools import product
from random import Random

import pytest

from optimizer import packing
from optimizer.layout import Layout, Room
from optimizer.packing import Offer
from optimizer.parts import CabinetLimit, EvSession
from optimizer.problem import CabinetProblem
from tests.support.optimizer_problems import START, flat


def one_step(rng: Random, *, tree: bool) -> CabinetProblem:
    cars = [
        EvSession(
            session_id=f"s{index}",
            cabinet_id=rng.choice(["A", "B"]) if tree else "A",
            phases=rng.choice([(0,), (1,), (2,), (0, 1, 2), (0, 1, 2)]),
            energy_wh=rng.randrange(500, 20_000),
            departure_step=1,
            max_a=rng.choice([8.0, 10.0, 13.0]),
            floor_a=rng.choice([0.0, 0.0, 3.0]),
        )
        for index in range(5)
    ]
    limits = [
        CabinetLimit(
            cabinet_id="A",
            limit_a=[[float(rng.randrange(15, 40))] for _ in range(3)],
            reserved_a=flat(1, 0.0),
        )
    ]
    if tree:
        limits.append(
            CabinetLimit(
                cabinet_id="B",
                parent="A",
                limit_a=[[float(rng.randrange(10, 25))] for _ in range(3)],
                limit_w=[float(rng.randrange(4_000, 9_000))],
                reserved_a=flat(1, 0.0),
            )
        )
    return CabinetProblem(
        group_id="g",
        start=START,
        step_s=900,
        n_step=1,
        cabinets=tuple(limits),
        sessions=tuple(cars),
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
            for v in range(60, high + 1, 10)
        ]
        found.append(Offer(index=index, values=tuple(values)))
    return found


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


def fits(layout: Layout, chosen: list[int]) -> bool:
    room = Room(layout, 0)
    for index, current_da in enumerate(chosen):
        if current_da > room.bound_da(index)[0]:
            return False
        room.take(index, current_da)
    return True


@pytest.mark.parametrize("seed", range(25))
def test_the_exact_packing_is_as_good_as_trying_everything(seed: int) -> None:
    rng = Random(seed)  # noqa: S311 - a seeded test, no secret
    layout = Layout.of(one_step(rng, tree=False))
    offers = random_offers(rng, layout)
    chosen = packing.exact(layout, 0, offers, "A")
    assert fits(layout, chosen)
    assert packing.worth(offers, chosen) == brute_force(layout, offers)


def test_exchange_in_a_tree_fits_and_comes_close_to_trying_everything() -> None:
    reached, possible = 0, 0
    for seed in range(25):
        rng = Random(seed)  # noqa: S311 - a seeded test, no secret
        layout = Layout.of(one_step(rng, tree=True))
        offers = random_offers(rng, layout)
        chosen = packing.exchange(layout, 0, offers)
        assert fits(layout, chosen)
        best = brute_force(layout, offers)
        assert packing.worth(offers, chosen) <= best
        reached += packing.worth(offers, chosen)
        possible += best
    assert reached >= 0.97 * possible


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
    chosen = packing.exact(layout, 0, offers, "A")
    assert chosen[2] >= 130
