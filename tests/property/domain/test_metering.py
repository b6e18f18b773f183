"""Energy is the same however it is told, never invented, and adds up on its meter."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.events import Deviation, Reading
from gateway.domain.ids import SessionId
from gateway.domain.meter_timeline import Timeline, timeline
from gateway.domain.metering import BEGIN, CLOCK, END, samples_of
from gateway.domain.neighbours import Before, gap, most_milliwh, rolls_over
from gateway.domain.reasons import REASONS, Verdict
from gateway.domain.session import EndedBy, Session, SessionPhase, empty
from gateway.domain.told_energy import Told, ToldEnergy, told_energy
from gateway.domain.verdict import Judgement, judge
from gateway.ocpp.readings import reading, with_totals
from tests.support.journal import CP1, NOON, at

RATED_W = 22_000.0
Way: TypeAlias = list[tuple[Decimal, str | None, int | None, str | None]]
"""Values of one moment: value, unit, multiplier, phase."""
REGISTERS = st.none() | st.integers(0, 10**9) | st.sampled_from([0, 1000, 10**6])
MINUTES = st.integers(-5, 130)
SAMPLES = st.lists(
    st.builds(
        Told,
        at=MINUTES.map(at),
        context=st.sampled_from(["Sample.Periodic", CLOCK, BEGIN, END]),
        register_milliwh=REGISTERS,
        power_w=st.none() | st.floats(-100, 30_000),
        interval_wh=st.none() | st.decimals(-1, 6000, places=3),
        clock_interval_wh=st.none() | st.decimals(-1, 6000, places=3),
        summed=st.sampled_from([None, "L1", "L1+L2+L3"]),
    ),
    max_size=12,
)
BEFORE = st.builds(
    Before,
    start_milliwh=REGISTERS,
    end_milliwh=REGISTERS,
    ended_at=st.none() | st.integers(-600, 0).map(at),
)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """An ended session with whatever registers."""
    starts = draw(st.integers(0, 5))
    return replace(
        empty(SessionId("s"), CP1, "1"),
        phase=SessionPhase.ENDED,
        ended_by=EndedBy.STATION,
        has_start=draw(st.booleans()),
        started_at=at(starts),
        ended_at=at(starts + draw(st.integers(0, 120))),
        register_start_milliwh=draw(REGISTERS),
        register_end_milliwh=draw(REGISTERS),
    )


def judged(session: Session, samples: Sequence[Told], before: Before) -> Judgement:
    found = told(session, samples)
    return judge(session, rated_w=RATED_W, told=found, before=before)


def told(session: Session, samples: Sequence[Told]) -> ToldEnergy:
    return told_energy(
        samples,
        start_milliwh=session.register_start_milliwh,
        started_at=session.started_at,
        ended_at=session.ended_at,
        rated_w=RATED_W,
    )


@given(sessions(), SAMPLES, BEFORE)
def test_energy_is_never_negative_and_every_word_is_explained(
    session: Session, samples: list[Told], before: Before
) -> None:
    found = judged(session, samples, before)
    assert found.energy_milliwh >= 0
    assert set(found.reasons) <= REASONS.keys()
    if found.verdict is Verdict.UNBILLABLE:
        assert found.energy_milliwh == 0
    if found.verdict in {Verdict.OK, Verdict.OK_UNSIGNED}:
        start, end = session.register_start_milliwh, session.register_end_milliwh
        assert start is not None
        assert end is not None
        assert found.energy_milliwh == end - start
        assert session.ended_at is not None
        assert session.started_at is not None
        duration = session.ended_at - session.started_at
        assert found.energy_milliwh <= most_milliwh(duration, RATED_W)


@given(sessions(), SAMPLES, BEFORE, st.randoms(use_true_random=False))
def test_samples_shuffled_and_told_twice_change_no_verdict(
    session: Session, samples: list[Told], before: Before, rng: Random
) -> None:
    again = samples + samples
    rng.shuffle(again)
    assert judged(session, again, before) == judged(session, samples, before)


@given(SAMPLES, st.integers(20_000, 10**9))
def test_no_number_comes_from_a_zero_after_a_register(
    samples: list[Told], start_milliwh: int
) -> None:
    session = replace(
        empty(SessionId("s"), CP1, "1"),
        phase=SessionPhase.ENDED,
        ended_by=EndedBy.STATION,
        has_start=True,
        started_at=at(0),
        ended_at=at(60),
        register_start_milliwh=start_milliwh,
        register_end_milliwh=0,
    )
    found = judged(session, samples, Before())
    if "interval_sum" in found.reasons:
        return  # counted from 0, and said to be
    assert found.register_end_milliwh is None or found.register_end_milliwh > 0
    assert told(session, samples).low_milliwh != 0
    assert "placeholder_end" in found.reasons


@given(
    st.lists(st.decimals(0, 1_000_000, places=4), min_size=3, max_size=3),
    st.sampled_from(["", "-N"]),
    st.integers(-9, 9),
    st.permutations([0, 1, 2]),
)
def test_the_same_energy_in_any_unit_multiplier_and_phases_is_the_same_register(
    phases_wh: list[Decimal], suffix: str, multiplier: int, order: list[int]
) -> None:
    total = sum(phases_wh, Decimal(0))
    ways: list[Way] = [
        [(total, "Wh", None, None)],
        [(total / 1000, "kWh", None, None)],
        [(total.scaleb(-multiplier), "Wh", multiplier, None)],
        [(total.scaleb(-multiplier - 3), "kWh", multiplier, None)],
        [(phases_wh[number], "Wh", None, f"L{number + 1}{suffix}") for number in order],
        [(total, None, None, None), (phases_wh[0], None, None, f"L1{suffix}")],
    ]
    registers = {_register(way) for way in ways}
    assert registers == {int(total * 1000)}


def _register(way: Way) -> int | None:
    notes: list[Deviation] = []
    found: list[Reading] = []
    for value, unit, multiplier, phase in way:
        one = reading(
            value, NOON, None, unit, multiplier, phase, None, None, "$", notes
        )
        assert one is not None
        found.append(one)
    assert notes == []
    (sample,) = samples_of(with_totals(found))
    return sample.register_milliwh


@st.composite
def lives(draw: st.DrawFn) -> list[Session]:
    """Sessions of one meter that counts its lifetime, with gaps between them."""
    register, moment = draw(st.integers(20_000, 10**8)), NOON
    found = []
    for number in range(draw(st.integers(1, 8))):
        register += draw(st.sampled_from([0, 0, 5_000, 40_000, 3_000_000]))
        energy = draw(st.integers(0, 10_000_000))
        ends = moment + timedelta(hours=1)
        found.append(_hour(number, moment, ends, (register, register + energy)))
        register, moment = register + energy, ends + timedelta(hours=1)
    return found


def _hour(
    number: int, starts: datetime, ends: datetime, registers: tuple[int, int]
) -> Session:
    return replace(
        empty(SessionId(f"s{number}"), CP1, "1"),
        phase=SessionPhase.ENDED,
        ended_by=EndedBy.STATION,
        has_start=True,
        started_at=starts,
        ended_at=ends,
        evse_id=1,
        register_start_milliwh=registers[0],
        register_end_milliwh=registers[1],
        register_last_milliwh=registers[1],
    )


@given(lives())
def test_sessions_and_what_lies_between_them_add_up_to_the_meter(
    life: list[Session],
) -> None:
    found = timeline(life, rated_w=RATED_W)
    (segment,) = found.segments
    billed = sum(judge(one, rated_w=RATED_W).energy_milliwh for one in life)
    assert segment.sessions_milliwh == billed
    assert _added(found) == segment.to_milliwh - segment.from_milliwh
    assert segment.to_milliwh == life[-1].register_end_milliwh


@given(st.lists(sessions(), max_size=8))
def test_whatever_a_meter_says_its_segments_add_up(found: list[Session]) -> None:
    rows = [
        replace(
            one,
            session_id=SessionId(f"s{number}"),
            started_at=at(150 * number),
            ended_at=at(150 * number + 60),
        )
        for number, one in enumerate(found)
    ]
    seen = timeline(rows, rated_w=RATED_W)
    assert _added(seen) == sum(
        one.to_milliwh - one.from_milliwh for one in seen.segments
    )


def _added(seen: Timeline) -> int:
    return sum(
        one.sessions_milliwh + one.idle_milliwh + one.missing_milliwh
        for one in seen.segments
    )


@given(BEFORE, st.integers(0, 10**9), st.none() | st.integers(0, 600).map(at))
def test_a_gap_is_named_by_its_sign(
    before: Before, start_milliwh: int, started_at: datetime | None
) -> None:
    kind, advance = gap(before, start_milliwh, started_at)
    is_back = kind.value in {
        "register_overlap",
        "register_rollover",
        "register_rebased",
    }
    assert not (is_back and advance >= 0)
    assert not (kind.value in {"idle", "missing_energy"} and advance <= 0)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0, 1e9))
def test_a_counter_runs_over_only_near_its_last_digit(
    from_milliwh: int, to_milliwh: int, most: float
) -> None:
    if rolls_over(from_milliwh, to_milliwh, most):
        assert to_milliwh <= most
