"""What the fast loop decides, for any cabinet: pure properties."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.envelope import NO_LIMIT, NOTHING, ROWS, Draw, add, with_total
from gateway.domain.ids import CabinetId
from gateway.services.shedding import (
    RELEASE_AFTER_S,
    SETTLE_S,
    Measured,
    Shed,
    decide,
    withheld,
)

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
TICK_S = 2
LIMIT_DA = 630
MARGIN_DA = 20

currents = st.integers(0, 900)
draws = st.tuples(currents, currents, currents).map(with_total)
small = st.tuples(*(st.integers(0, 120),) * 3).map(with_total)


def cabinet(
    *,
    feeder: Draw | None,
    steered: Draw = NOTHING,
    others: Draw = NOTHING,
    floors: Draw = NOTHING,
    at: datetime = START,
    generation: Draw = NOTHING,
    net_da: int = LIMIT_DA,
) -> Measured:
    """A cabinet of 63 A per phase without a limit on the sum."""
    return Measured(
        cabinet_id=CabinetId("A"),
        limit=(net_da, net_da, net_da, NO_LIMIT),
        gross=(LIMIT_DA, LIMIT_DA, LIMIT_DA, NO_LIMIT),
        margin_da=MARGIN_DA,
        feeder=feeder,
        measured_at=at,
        generation=generation,
        steered=steered,
        least=steered,
        others=others,
        bound=add(steered, others),
        floors=floors,
    )


@given(draws, draws, draws, st.tuples(small, small), st.integers(300, LIMIT_DA))
def test_room_is_only_taken_away_and_no_limit_rises(
    feeder: Draw, steered: Draw, others: Draw, parts: tuple[Draw, Draw], net_da: int
) -> None:
    floors, sun = parts
    held: Shed | None = None
    for seconds in (0, SETTLE_S + 1, 2 * RELEASE_AFTER_S):
        now = START + timedelta(seconds=seconds)
        seen = cabinet(
            feeder=feeder,
            steered=steered,
            others=others,
            floors=floors,
            at=now,
            generation=sun,
            net_da=net_da,
        )
        held = decide(seen, held, now)
        if held is not None:
            assert min(withheld(seen, held)) >= 0


@given(draws, draws, draws, small, small)
def test_what_is_withheld_is_enough_or_what_stays_is_named(
    steered: Draw, unsteered: Draw, others: Draw, floors: Draw, sun: Draw
) -> None:
    drawn = add(steered, unsteered)
    feeder = tuple(a - b for a, b in zip(drawn, sun, strict=True))
    seen = cabinet(
        feeder=(feeder[0], feeder[1], feeder[2], feeder[3]),
        steered=steered,
        others=others,
        floors=floors,
        generation=sun,
    )
    held = decide(seen, None, START)
    assert (held is not None) == any(seen.over)
    if held is None:
        return
    taken = withheld(seen, held)
    for row in ROWS[:3]:
        if not seen.over[row] or seen.is_explained(row):
            continue
        room = LIMIT_DA - MARGIN_DA - others[row] - taken[row]
        allowed = max(room, floors[row])
        assert unsteered[row] - sun[row] + allowed <= LIMIT_DA or held.residual[row] > 0
        assert unsteered[row] + allowed <= LIMIT_DA or held.residual[row] > 0


@given(st.integers(1, 400), st.integers(0, 600), st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_one_cut_is_enough_nothing_swings_and_all_is_given_back_in_the_end(
    liar_da: int, steered_da: int, others_da: int
) -> None:
    """Cars follow their room within 5 s, up as well; the liar draws for ten minutes."""
    allowed_da = max(0, min(steered_da, LIMIT_DA - MARGIN_DA - others_da))
    held: Shed | None = None
    cuts: set[datetime] = set()
    trail: list[int] = []
    rooms = [allowed_da] * 3
    over_s = 0
    for tick in range(900):
        now = START + timedelta(seconds=tick * TICK_S)
        drawn_da = min(allowed_da, rooms[-3])
        lie_da = liar_da if tick < 300 else 0
        feeder_da = drawn_da + others_da + lie_da
        over_s += TICK_S * (feeder_da > LIMIT_DA)
        seen = replace(
            cabinet(
                feeder=with_total((feeder_da, 0, 0)),
                steered=with_total((drawn_da, 0, 0)),
                others=with_total((others_da, 0, 0)),
                at=now,
            ),
            bound=with_total((min(allowed_da, rooms[-1]) + others_da, 0, 0)),
        )
        held = decide(seen, held, now)
        taken_da = 0 if held is None else withheld(seen, held)[0]
        if held is not None:
            cuts.add(held.since)
        trail.append(taken_da)
        rooms.append(max(0, LIMIT_DA - MARGIN_DA - others_da - taken_da))
    is_over = allowed_da + others_da + liar_da > LIMIT_DA
    can_shed = others_da + liar_da <= LIMIT_DA
    assert len(cuts) == int(is_over)
    if can_shed:
        assert over_s <= 3 * TICK_S
    after = trail[1:300] if can_shed else []
    assert after == sorted(after, reverse=True)  # never cut again, never swings
    assert trail[300:] == sorted(trail[300:], reverse=True)
    assert trail[-1] == 0


def test_a_cut_that_does_not_show_sends_everything_to_its_floor() -> None:
    seen = cabinet(feeder=with_total((700, 0, 0)), steered=with_total((600, 0, 0)))
    first = decide(seen, None, START)
    assert first is not None
    assert withheld(seen, first)[0] == 100
    again = START + timedelta(seconds=SETTLE_S - 1)
    same = decide(replace(seen, measured_at=again), first, again)
    assert same is not None
    assert not same.is_whole
    later = START + timedelta(seconds=SETTLE_S)
    whole = decide(replace(seen, measured_at=later), same, later)
    assert whole is not None
    assert whole.is_whole
    assert withheld(seen, whole)[0] == LIMIT_DA - MARGIN_DA


def test_nothing_is_given_back_unseen() -> None:
    over = cabinet(feeder=with_total((900, 0, 0)), others=with_total((100, 0, 0)))
    held = decide(over, None, START)
    lost = replace(over, feeder=None, measured_at=None)
    assert held is not None
    for hours in range(1, 5):
        assert decide(lost, held, START + timedelta(hours=hours)) == held


def test_a_cut_that_is_on_its_way_already_is_not_made_twice() -> None:
    """After a lower threshold the meter is above it until cars have followed."""
    seen = replace(
        cabinet(feeder=with_total((600, 0, 0)), net_da=400),
        bound=with_total((620, 0, 0)),
    )
    held = decide(seen, None, START)
    assert held is not None
    assert withheld(seen, held) == NOTHING


def test_generation_hides_nothing_from_the_busbars() -> None:
    """The meter shows 40 A, but 30 A more are generated and drawn behind it."""
    sun = with_total((300, 300, 300))
    seen = cabinet(feeder=with_total((400, 0, 0)), generation=sun)
    assert seen.over[:3] == (70, 0, 0)
    held = decide(seen, None, START)
    assert held is not None
    assert withheld(seen, held)[0] == 700
