import dataclasses
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from gateway.domain import envelope as env
from gateway.domain.envelope import UnixS, unix_s
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.session import Session, SessionPhase
from gateway.domain.topology import Cabinet, CurrentType, Evse, Load, Site, Station
from gateway.services import group_limits, group_problem, obedience
from gateway.services.evse_state import Need, Trust, sample_of, sampled_at
from gateway.services.group_state import GroupState
from gateway.services.group_succession import depart, resume
from gateway.services.loads import Consumer, LoadReading, load_staircase

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
CP1 = StationId("CP1")
REF = EvseRef(station_id=CP1, evse_id=1)
ROOT, INNER, OTHER = CabinetId("A"), CabinetId("B"), CabinetId("C")


def site(cabinet: CabinetId = INNER, **evse: object) -> Site:
    one = Evse(
        ref=REF,
        cabinet_id=cabinet,
        max_da=320,
        **evse,  # type: ignore[arg-type]  # keywords of one dataclass
    )
    return Site(
        cabinets=(
            Cabinet(id=ROOT, limit_da=(1000,) * 3),
            Cabinet(id=INNER, parent=ROOT, limit_da=(400,) * 3),
            Cabinet(id=OTHER, parent=ROOT, limit_da=(400,) * 3),
        ),
        stations=(Station(id=CP1, cabinet_id=cabinet, clock_skew_s=5, evses=(one,)),),
    )


def state_of(place: Site, trust: Trust | None = None) -> GroupState:
    trust = trust or Trust(station_id=CP1, is_proven=True, leftovers_known=True)
    state = GroupState(place.group(ROOT), site=place, trusts={CP1: trust})
    state.link(CP1, is_online=True)
    return state


def set_up(state: GroupState, now: datetime = NOW) -> None:
    for outgoing in group_limits.defaults_of(state.stations[CP1], now):
        state.add_sent(outgoing, 1)
        state.accepted(outgoing, 1, now)
    state.stations[CP1].blocks_sessions = False


def sampled(now: datetime, current_a: float | None, **changes: object) -> Session:
    session = Session(
        session_id=SessionId("s1"),
        station_id=CP1,
        evse_id=1,
        connector_id=1,
        phase=SessionPhase.RUNNING,
        transaction_id="7",
        started_at=NOW,
        received_at=now,
        current_a=None if current_a is None else (current_a,) * 3,
        current_at=None if current_a is None else now,
        sampled_at=now,
    )
    return replace(session, **changes)


def report(state: GroupState, session: Session, now: datetime) -> bool:
    need = Need(energy_wh=20_000, departure_at=NOW + timedelta(hours=4))
    state.session(session, need, now)
    return obedience.misbehaves(state, REF, now)


def grant(state: GroupState, sequence: int, limit_da: int, now: datetime) -> None:
    one = state.evses[REF]
    one.levels = ((int(unix_s(now)), limit_da),)
    for outgoing in group_limits.next_limits(state, now):
        state.add_sent(outgoing, sequence)
        state.accepted(outgoing, sequence, now)


def bound_da(state: GroupState, now: datetime) -> int:
    return env.value_at(state.envelope(state.evses[REF], now), unix_s(now))[0]


def test_a_station_that_ignores_limits_is_found_out_however_often_they_change() -> None:
    state = state_of(site())
    set_up(state)
    now, caught = NOW, False
    for turn in range(20):
        now += timedelta(seconds=15)
        grant(state, 10 + turn, 60 + 10 * (turn % 2), now)
        caught = caught or report(state, sampled(now, 32.0), now)
    assert caught


def test_a_car_that_follows_changing_limits_within_a_minute_is_not_accused() -> None:
    state = state_of(site())
    set_up(state)
    report(state, sampled(NOW, 0.0), NOW)
    now = NOW
    for turn in range(40):
        now += timedelta(seconds=45)
        before = bound_da(state, now)
        grant(state, 10 + turn, 320 if turn % 2 else 60, now)
        late = now + timedelta(seconds=30)  # still what was allowed before
        assert not report(state, sampled(late, before / 10), late)
        done = now + timedelta(seconds=40)
        assert not report(state, sampled(done, 6.0), done)


def test_a_station_that_ignores_its_safe_default_is_found_out() -> None:
    state = state_of(site())
    set_up(state)
    now, caught = NOW, False
    for _ in range(20):
        now += timedelta(seconds=15)
        caught = caught or report(state, sampled(now, 16.0), now)
    assert caught


def test_what_was_proven_just_now_counts_at_its_rating_until_the_meter_agrees() -> None:
    old = state_of(site(), Trust(station_id=CP1, leftovers_known=True))
    set_up(old)
    report(old, sampled(NOW, 32.0), NOW)
    later = NOW + timedelta(seconds=30)
    state = state_of(site())
    set_up(state)
    session = sampled(NOW, 32.0)
    state.session(session, None, later, is_live=False)
    resume(state, session, old, later)
    assert bound_da(state, later) == 320
    at = later + timedelta(seconds=30)
    report(state, sampled(at, 0.0), at)
    assert bound_da(state, at) == 320  # a sample after a limit was accepted counts
    grant(state, 9, 60, at)
    at += timedelta(seconds=30)
    report(state, sampled(at, 6.0), at)
    assert state.is_trusted(state.evses[REF])


def test_a_station_that_moved_counts_behind_its_old_cabinet_for_the_hold_time() -> None:
    old = state_of(site(INNER))
    set_up(old)
    report(old, sampled(NOW, 0.0), NOW)
    grant(old, 9, 320, NOW)
    moved = state_of(site(OTHER))
    depart(moved, old, NOW)
    counted = {
        ref: stairs
        for ref, stairs in moved.envelopes(NOW).items()
        if INNER in moved.paths[ref]
    }
    (stairs,) = counted.values()
    assert env.value_at(stairs, unix_s(NOW))[0] == 320
    after_s = unix_s(NOW) + moved.site.hold_time_s + 60
    assert env.value_at(stairs, UnixS(after_s)) == env.NOTHING
    at_root = [ref for ref in moved.envelopes(NOW) if ROOT in moved.paths[ref]]
    assert at_root == [REF]  # not twice behind what it never left


def test_a_removed_station_counts_until_its_limits_have_decayed() -> None:
    old = state_of(site())
    set_up(old)
    report(old, sampled(NOW, 0.0), NOW)
    grant(old, 9, 320, NOW)
    bare = site().without_station(CP1)
    state = GroupState(bare.group(ROOT), site=bare, trusts={})
    depart(state, old, NOW)
    (ref,) = state.envelopes(NOW)
    assert state.paths[ref] == (INNER, ROOT)
    again = GroupState(bare.group(ROOT), site=bare, trusts={})
    depart(again, state, NOW + timedelta(minutes=10))
    assert list(again.envelopes(NOW)) == [ref]
    over = GroupState(bare.group(ROOT), site=bare, trusts={})
    depart(over, again, NOW + timedelta(hours=1))
    assert over.envelopes(NOW) == {}


def test_a_clock_in_doubt_makes_limits_hold_longer() -> None:
    state = state_of(site())
    set_up(state)
    report(state, sampled(NOW, 0.0), NOW)
    grant(state, 9, 320, NOW)
    report(state, sampled(NOW, None, phase=SessionPhase.RUNNING), NOW)
    jumped = NOW + timedelta(hours=1)
    assert bound_da(state, jumped) == 0
    state.clock_doubt_s = 3600
    assert bound_da(state, jumped) == 320
    one = state.evses[REF]
    wish = group_limits.wish_of(state, one, jumped, frozenset())
    assert wish.hold_until_s >= unix_s(jumped) + 800  # no storm of refreshes


def test_of_direct_current_only_power_says_what_the_grid_delivers() -> None:
    one = site(current_type=CurrentType.DC, max_w=20_000).stations[0].evses[0]
    at = NOW + timedelta(seconds=9)
    session = sampled(NOW, 20.0, power_w=16_000.0, power_at=at)
    both = replace(session, current_at=at + timedelta(seconds=1))
    sample = sample_of(both, one)
    assert sample == (one.input_da(16_000.0),) * 3
    assert sampled_at(both, one) == at
    assert sample_of(replace(both, power_w=None), one) is None


def test_power_beyond_the_worst_case_counts_in_full() -> None:
    load = Load(id="pump", cabinet_id=ROOT, worst_case_da=100)

    def counted_da(power_w: float) -> int:
        stairs = load_staircase(
            Consumer.of(load),
            LoadReading(load_id="pump", measured_at=NOW, power_w=power_w),
            now=NOW,
            phase_v=230.0,
        )
        return stairs[0].draw[0]

    assert counted_da(5_000.0) == 115  # 10 A on a phase at most, and the margin
    assert counted_da(9_200.0) > 400


def test_other_evses_on_one_phase_take_from_what_plans_may_load_unevenly() -> None:
    """Until the next plan they may draw all they hold."""
    place = site(phases=(0,), floor_da=60)
    uneven = dataclasses.replace(place.cabinets[1], imbalance_da=200)
    place = dataclasses.replace(
        place, cabinets=(place.cabinets[0], uneven, place.cabinets[2])
    )
    state = state_of(place)
    set_up(state)
    asked = group_problem.build(state, NOW, step_s=900, n_step=2)
    found = {one.cabinet_id: one.imbalance_a for one in asked.problem.cabinets}
    assert found == {ROOT: None, INNER: 14.0, OTHER: None}
    report(state, sampled(NOW, 0.0), NOW)
    asked = group_problem.build(state, NOW, step_s=900, n_step=2)
    assert [one.session_id for one in asked.problem.sessions] == ["s1"]
    assert asked.problem.cabinets[1].imbalance_a == 20.0
