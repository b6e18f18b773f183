from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain import envelope as env
from gateway.domain.envelope import Rung, Staircase, UnixS, unix_s
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.topology import CurrentType, Evse
from gateway.services import group_limits
from gateway.services.group_state import GroupState
from gateway.services.safe_limits import Board
from gateway.services.wishes import Wish
from tests.property.safety.world import OPS, Op, World
from tests.support.plain_limits import PlainBoard, plain_worsened

NOW = datetime(2026, 1, 5, 8, 0, 0, 250_000, tzinfo=UTC)
NOW_S = unix_s(NOW)
ROOT, BELOW = CabinetId("A"), CabinetId("B")


def relaxed(n_example: int) -> settings:
    """Many shapes matter here, and each costs little."""
    return settings(
        deadline=None,
        max_examples=n_example,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


SEEDS = st.integers(0, 2**32)
"""Of boards: shapes that matter need many numbers that fit to each other."""


def staircase(random: Random, *highest_da: int, may_rise: bool = False) -> Staircase:
    """Steps at random instants that fall, or do not."""
    rungs = [Rung(UnixS(NOW_S - random.randrange(300)), _row(random, highest_da))]
    for at_s in sorted(random.sample(range(NOW_S + 1, NOW_S + 2000), 3)):
        row = _row(random, highest_da)
        if not may_rise:
            row = _lowest(row, rungs[-1].draw)
        rungs.append(Rung(UnixS(at_s), row))
    return tuple(rungs[: random.randint(1, 4)])


def _row(random: Random, highest_da: Sequence[int]) -> env.Draw:
    return env.with_total(
        (
            random.choice(highest_da) - random.randrange(20),
            random.choice(highest_da) - random.randrange(20),
            random.choice(highest_da) - random.randrange(20),
        )
    )


def _wish(random: Random, index: int) -> Wish:
    """Of one EVSE: any unit, wiring, floor, levels and way to count schedules."""
    is_dc = random.random() < 0.15
    evse = Evse(
        ref=EvseRef(station_id=StationId(f"CP{index}"), evse_id=1),
        cabinet_id=random.choice([ROOT, BELOW]),
        phases=random.choice([(0, 1, 2), (0, 1, 2), (1, 2, 0), (0, 1), (2,)]),
        current_type=CurrentType.DC if is_dc else CurrentType.AC,
        max_da=random.choice([160, 320]),
        floor_da=random.choice([0, 0, 0, 60]),
        efficiency=0.95 if is_dc else 1.0,
        auxiliary_w=100 if is_dc else 0,
    )
    level_da = random.randrange(60, 400)
    levels = [(NOW_S - 900, level_da)]
    for at_s in sorted(random.sample(range(NOW_S - 60, NOW_S + 2400), 2)):
        level_da -= random.randrange(level_da + 1)
        levels.append((at_s, level_da))
    return Wish(
        evse=evse,
        unit=LimitUnit.W if is_dc else random.choice([LimitUnit.A, LimitUnit.W]),
        levels=tuple(levels[: random.randint(1, 3)]),
        hold_until_s=NOW_S + random.randint(1, 2400),
        skew_s=random.choice([0, 25, 60]),
        is_reserved=random.random() < 0.1,
        max_period=random.choice([1, 3, 6, 6]),
        relative_to=NOW - timedelta(seconds=77) if random.random() < 0.2 else None,
        sent=staircase(random, 100, 200) if random.random() < 0.5 else None,
    )


def _board(random: Random) -> dict[str, Any]:
    """What a board is made of: from plenty of room to far too little."""
    wishes = [_wish(random, index) for index in range(random.randint(2, 6))]
    paths: dict[EvseRef, tuple[CabinetId, ...]] = {}
    envelopes: dict[EvseRef, Staircase] = {}
    for one in wishes:
        ref = one.evse.ref
        paths[ref] = (BELOW, ROOT) if one.evse.cabinet_id == BELOW else (ROOT,)
        stairs = staircase(random, 30, 100, 200, may_rise=random.random() < 0.1)
        floor = env.draw_of(one.evse, one.evse.floor_da)
        if random.random() < 0.95:
            stairs = tuple(Rung(r.at_s, env.highest((floor, r.draw))) for r in stairs)
        envelopes[ref] = stairs
    most_da = random.choice([150, 300, 600, 1200])
    rooms = {
        cabinet_id: staircase(random, most_da, most_da // 2, most_da + 200, may_rise=x)
        for cabinet_id, x in ((ROOT, True), (BELOW, random.random() < 0.5))
    }
    return {
        "envelopes": envelopes,
        "paths": paths,
        "rooms": rooms,
        "wishes": wishes,
        "now": NOW,
    }


def _lowest(one: env.Draw, other: env.Draw) -> env.Draw:
    return env.with_total(
        (min(one[0], other[0]), min(one[1], other[1]), min(one[2], other[2]))
    )


@relaxed(400)
@given(SEEDS)
def test_a_wish_gets_what_it_gets_when_every_instant_is_looked_at(seed: int) -> None:
    given_ = _board(Random(seed))  # noqa: S311 - shapes, not secrets
    quick, plain = Board(**given_), PlainBoard(**given_)
    for wish in given_["wishes"]:
        assert quick.headroom(wish.evse.ref) == plain.headroom(wish.evse.ref)
        assert quick.place(wish) == plain.place(wish)
    for wish in given_["wishes"]:  # placed twice: what it has counts
        assert quick.place(wish) == plain.place(wish)
    for wish in given_["wishes"]:
        ref, phases = wish.evse.ref, wish.evse.phases
        rating = env.with_total(wish.evse.rating)
        assert quick.has_room(ref, rating, phases) == plain.has_room(
            ref, rating, phases
        )


@relaxed(300)
@given(SEEDS)
def test_what_got_worse_is_what_got_worse_when_every_instant_is_looked_at(
    seed: int,
) -> None:
    random = Random(seed)  # noqa: S311 - shapes, not secrets
    given_ = _board(random)
    before = given_["envelopes"]
    after = {
        ref: staircase(random, 30, 100, 250, may_rise=True)
        if random.random() < 0.4
        else stairs
        for ref, stairs in before.items()
    }
    rest = (before, after, given_["paths"], given_["rooms"])
    assert env.worsened(*rest, from_s=NOW_S) == plain_worsened(*rest, from_s=NOW_S)


@relaxed(40)
@given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 4), st.integers(0, 99))))
def test_a_history_finds_the_same_envelopes_and_limits_as_the_plain_way(
    history: list[Op],
) -> None:
    world = World()
    for op in history:
        world.apply(op)
        now = world.now
        assert world.state.envelopes(now) == plain_envelopes(world.state, now)
        quick = group_limits.next_limits(world.state, now)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(group_limits, "Board", PlainBoard)
            patch.setattr(GroupState, "envelopes", plain_envelopes)
            assert group_limits.next_limits(world.state, now) == quick


def plain_envelopes(state: GroupState, now: datetime) -> dict[EvseRef, Staircase]:
    """Every envelope worked out anew."""
    return dict(_plain(state, now))


def _plain(state: GroupState, now: datetime) -> Iterator[tuple[EvseRef, Staircase]]:
    for ref, one in state.evses.items():
        yield (
            ref,
            env.envelope(
                one.evse,
                state.holding(one),
                skew_s=state.skew_s(one),
                from_s=unix_s(now),
            ),
        )
    yield from ((one.ref, one.stairs) for one in state.departed)
