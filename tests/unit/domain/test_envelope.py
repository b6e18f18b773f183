from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import envelope as env
from gateway.domain.envelope import (
    HeldLimit,
    Holding,
    Progress,
    Rung,
    UnixS,
    unix_s,
)
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitSchedule, LimitStep, LimitUnit, Purpose
from gateway.domain.topology import CurrentType, Evse

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
NOW_S = unix_s(NOW)
REF = EvseRef(station_id=StationId("CP1"), evse_id=1)
AC = Evse(ref=REF, cabinet_id=CabinetId("A"), max_da=320)
ONE_PHASE = Evse(ref=REF, cabinet_id=CabinetId("A"), phases=(1,), max_da=320)
DC = Evse(
    ref=REF,
    cabinet_id=CabinetId("A"),
    current_type=CurrentType.DC,
    max_da=1000,
    max_w=50_000,
    efficiency=0.94,
    auxiliary_w=300,
)
SESSION = SessionId("s1")


def held(
    sequence: int,
    *steps: tuple[int, int],
    progress: Progress = Progress.ACCEPTED,
    purpose: Purpose = Purpose.SESSION,
    unit: LimitUnit = LimitUnit.A,
) -> HeldLimit:
    return HeldLimit(
        sequence=sequence,
        purpose=purpose,
        schedule=LimitSchedule(
            start=NOW, steps=tuple(LimitStep(offset_s=o, limit_da=d) for o, d in steps)
        ),
        progress=progress,
        session_id=SESSION if purpose is Purpose.SESSION else None,
        unit=unit,
    )


DEFAULT = held(0, (0, 0), purpose=Purpose.DEFAULT)


def phase_one(limits: tuple[HeldLimit, ...], after_s: int = 0, skew_s: int = 0) -> int:
    holding = Holding(is_trusted=True, limits=limits)
    stairs = env.envelope(AC, holding, skew_s=skew_s, from_s=NOW_S)
    return env.value_at(stairs, NOW_S + after_s)[0]


def test_the_old_limit_counts_until_the_new_one_is_accepted_and_seen() -> None:
    old = held(1, (0, 320), progress=Progress.SEEN)
    sent = (DEFAULT, old, held(2, (0, 60), progress=Progress.SENT))
    assert phase_one(sent) == 320
    accepted = env.accept(sent, 2)
    assert phase_one(accepted) == 320
    assert phase_one(env.see(accepted, 2)) == 60


def test_an_increase_counts_from_before_it_is_sent() -> None:
    old = held(1, (0, 60), progress=Progress.SEEN)
    sent = (DEFAULT, old, held(2, (0, 320), progress=Progress.SENT))
    assert phase_one(sent) == 320
    assert phase_one(env.refuse(sent, 2)) == 60


def test_a_late_refusal_of_an_accepted_limit_changes_nothing() -> None:
    limits = (DEFAULT, held(1, (0, 320)))
    assert env.refuse(limits, 1) == limits


def test_an_ended_session_leaves_the_default() -> None:
    limits = (DEFAULT, held(1, (0, 320)), held(2, (0, 160), progress=Progress.SENT))
    assert phase_one(env.end_session(limits, SESSION)) == 0


def test_a_step_down_counts_later_by_the_clock_skew() -> None:
    limits = (DEFAULT, held(1, (0, 320), (600, 0)))
    assert phase_one(limits, after_s=659, skew_s=60) == 320
    assert phase_one(limits, after_s=660, skew_s=60) == 0


def test_without_trust_or_a_surely_stored_default_the_rating_counts() -> None:
    unsure = held(0, (0, 0), purpose=Purpose.DEFAULT, progress=Progress.SENT)
    for holding in (
        Holding(is_trusted=False, limits=(DEFAULT,)),
        Holding(is_trusted=True, limits=(unsure,)),
        Holding(is_trusted=True, limits=(held(1, (0, 60)),)),
    ):
        stairs = env.envelope(AC, holding, skew_s=0, from_s=NOW_S)
        assert stairs == (Rung(NOW_S, (320, 320, 320, 960)),)


def test_the_floor_is_reserved_whatever_was_sent() -> None:
    floored = Evse(ref=REF, cabinet_id=CabinetId("A"), max_da=320, floor_da=60)
    holding = Holding(is_trusted=True, limits=(DEFAULT,))
    stairs = env.envelope(floored, holding, skew_s=0, from_s=NOW_S)
    assert env.value_at(stairs, NOW_S) == (60, 60, 60, 180)


def test_watts_may_all_be_drawn_on_one_phase_up_to_the_rating() -> None:
    limit = held(1, (0, 50), unit=LimitUnit.W)
    assert env.counted(AC, limit, 50) == (150, 150, 150, 150)
    assert env.counted(AC, limit, 160) == (320, 320, 320, 480)


def test_a_direct_current_limit_counts_what_it_takes_from_the_grid() -> None:
    limit = held(1, (0, 500), unit=LimitUnit.W)
    sent_w = 50 * 230 * 3
    on_grid_a = (sent_w / 0.94 + 300) / (0.9 * 230 * 3)
    one, two, three, total = env.counted(DC, limit, 500)
    assert one == two == three
    assert 0 <= one / 10 - on_grid_a < 0.1
    assert total == 3 * one


def test_phases_follow_the_rotation() -> None:
    limit = held(1, (0, 160))
    assert env.counted(ONE_PHASE, limit, 160) == (0, 160, 0, 160)


def test_a_sample_confirms_within_tolerance_and_contradicts_beyond_it() -> None:
    allowed = env.draw_of(AC, 160)
    assert env.confirms(AC, allowed, (162, 158, 0))
    assert not env.confirms(AC, allowed, (200, 0, 0))
    assert env.contradicts(AC, allowed, (200, 0, 0))
    assert not env.contradicts(AC, allowed, (165, 165, 165))


def test_the_first_violation_of_each_row_is_named() -> None:
    other = EvseRef(station_id=StationId("CP2"), evse_id=1)
    cabinet = CabinetId("A")
    stairs = (
        Rung(NOW_S, (160, 160, 160, 480)),
        Rung(UnixS(NOW_S + 60), (0, 0, 0, 0)),
    )
    room = (
        Rung(NOW_S, (320, 320, 320, 960)),
        Rung(UnixS(NOW_S + 30), (320, 200, 320, 960)),
    )
    found = env.violations(
        {REF: stairs, other: stairs},
        {REF: (cabinet,), other: (cabinet,)},
        {cabinet: room},
        from_s=NOW_S,
    )
    assert [(v.row, v.at_s - NOW_S, v.draw_da, v.room_da) for v in found] == [
        (1, 30, 320, 200)
    ]


schedules = st.lists(
    st.tuples(st.integers(1, 3600), st.integers(0, 320)), max_size=4
).map(
    lambda pairs: LimitSchedule(
        start=NOW - timedelta(seconds=100),
        steps=tuple(
            LimitStep(offset_s=offset, limit_da=level)
            for offset, level in zip(
                sorted({0, *(o for o, _ in pairs)}),
                sorted([320, *(d for _, d in pairs)], reverse=True),
                strict=False,
            )
        ),
    )
)
helds = st.builds(
    HeldLimit,
    sequence=st.integers(1, 99),
    purpose=st.just(Purpose.SESSION),
    schedule=schedules,
    progress=st.sampled_from(Progress),
    session_id=st.just(SESSION),
    unit=st.sampled_from(LimitUnit),
)


@given(st.lists(helds, max_size=5), st.integers(0, 120), st.integers(0, 4000))
def test_an_envelope_never_rises_and_bounds_every_candidate(
    limits: list[HeldLimit], skew_s: int, after_s: int
) -> None:
    holding = Holding(is_trusted=True, limits=(DEFAULT, *limits))
    stairs = env.envelope(AC, holding, skew_s=skew_s, from_s=NOW_S)
    assert env.is_falling(stairs)
    bound = env.value_at(stairs, NOW_S + after_s)
    for one in limits:
        for wrong_s in (-skew_s, 0, skew_s):
            moment = NOW + timedelta(seconds=after_s + wrong_s)
            drawn = env.counted(AC, one, one.schedule.at(moment))
            assert all(drawn[row] <= bound[row] for row in env.ROWS)


@given(st.lists(helds, max_size=6, unique_by=lambda h: h.sequence), st.integers(0, 60))
def test_forgetting_dominated_limits_never_lowers_what_the_newest_allows(
    limits: list[HeldLimit], skew_s: int
) -> None:
    kept = env.forget_dominated(AC, limits, skew_s=skew_s, from_s=NOW_S)
    before = Holding(is_trusted=True, limits=(DEFAULT, *limits))
    after = Holding(is_trusted=True, limits=(DEFAULT, *kept))
    for at_s in range(NOW_S, NOW_S + 4000, 200):
        assert env.value_at(
            env.envelope(AC, after, skew_s=skew_s, from_s=NOW_S), at_s
        ) == env.value_at(env.envelope(AC, before, skew_s=skew_s, from_s=NOW_S), at_s)
