from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace as told

from benchmarks.dispatch_station import samples_of
from gateway.domain import envelope as env
from gateway.domain.capability import Capability, Feature
from gateway.domain.car_facts import CarFacts
from gateway.domain.envelope import unix_s
from gateway.domain.events import ChargingState
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.phase_use import QUIET_DA, STALE_AFTER
from gateway.domain.phases import Grid
from gateway.domain.session import Session, SessionPhase
from gateway.domain.spare import spare_ref
from gateway.domain.topology import Cabinet, Evse, Site, Station
from gateway.services import group_limits, group_problem, obedience, phase_watch
from gateway.services.evse_state import EvseState, Need, Trust
from gateway.services.group_state import GroupState
from gateway.services.plan_basis import plan_basis, round_basis

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ROOT = CabinetId("A")
NAMES = [StationId("CP1"), StationId("CP2")]
REFS = [EvseRef(station_id=name, evse_id=1) for name in NAMES]
MINUTE = timedelta(minutes=1)
LEARNED = NOW + 3 * MINUTE


def site(margin_da: int = 0, unit: LimitUnit = LimitUnit.A, **evse: Any) -> Site:
    given = {"phases": (1, 2, 0), "phases_confirmed": True, "max_da": 320, **evse}
    return Site(
        cabinets=(
            Cabinet(id=ROOT, limit_da=(500 + margin_da,) * 3, margin_da=margin_da),
        ),
        stations=tuple(
            Station(
                id=ref.station_id,
                cabinet_id=ROOT,
                clock_skew_s=5,
                unit=unit,
                evses=(Evse(ref=ref, cabinet_id=ROOT, **given),),
            )
            for ref in REFS
        ),
    )


def yard(place: Site) -> GroupState:
    """Two cars; the first may draw 16 A."""
    trusts = {
        name: Trust(station_id=name, is_proven=True, leftovers_known=True)
        for name in NAMES
    }
    state = GroupState(place.group(ROOT), site=place, trusts=trusts)
    for index, name in enumerate(NAMES):
        state.link(name, is_online=True)
        for outgoing in group_limits.defaults_of(state.stations[name], NOW):
            state.add_sent(outgoing, 1 + index)
            state.accepted(outgoing, 1 + index, NOW)
        state.stations[name].blocks_sessions = False
    tell(state, NOW, (0, 0, 0))
    one_of(state).levels = ((int(unix_s(NOW)), 160),)
    for outgoing in group_limits.next_limits(state, NOW):
        state.add_sent(outgoing, 10)
        state.accepted(outgoing, 10, NOW)
    return state


def one_of(state: GroupState) -> EvseState:
    return state.evses[REFS[0]]


def tell(
    state: GroupState,
    now: datetime,
    current_a: tuple[float, float, float],
    **changes: Any,
) -> None:
    session = told(running(now, current_a), **changes)
    need = Need(energy_wh=30_000, departure_at=NOW + timedelta(hours=4))
    state.session(session, need, now, samples=samples_of(session))


def running(now: datetime, current_a: tuple[float, float, float]) -> Session:
    return Session(
        session_id=SessionId("s1"),
        station_id=NAMES[0],
        evse_id=1,
        connector_id=1,
        phase=SessionPhase.RUNNING,
        transaction_id="7",
        started_at=NOW,
        received_at=now,
        sampled_at=now,
        current_a=current_a,
        current_at=now,
        power_w=230 * sum(current_a),
        power_at=now,
        charging_state=ChargingState.CHARGING,
    )


def learned(place: Site) -> GroupState:
    state = yard(place)
    for minute in range(1, 4):
        tell(state, NOW + minute * MINUTE, (16.0, 0.1, 0.0))
    return state


def counted(state: GroupState, now: datetime = LEARNED) -> tuple[int, ...]:
    return env.value_at(state.envelopes(now)[REFS[0]], unix_s(now))[:3]


def spare(state: GroupState, now: datetime = LEARNED) -> tuple[int, ...] | None:
    stairs = state.envelopes(now).get(spare_ref(ROOT))
    return None if stairs is None else env.value_at(stairs, unix_s(now))[:3]


def test_a_car_on_one_phase_counts_there_with_room_for_its_taking_the_others() -> None:
    state = learned(site())
    assert counted(state) == (QUIET_DA, 160, QUIET_DA)
    assert spare(state) == (160 - QUIET_DA, 0, 160 - QUIET_DA)
    assert env.value_at(state.envelope(one_of(state), LEARNED), unix_s(LEARNED))[
        :3
    ] == (
        160,
        160,
        160,
    )


def test_a_margin_covers_it_instead() -> None:
    assert spare(learned(site(margin_da=100))) == (60 - QUIET_DA, 0, 60 - QUIET_DA)
    assert spare(learned(site(margin_da=320))) == (0, 0, 0)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(site(phases_confirmed=False), id="wiring not confirmed"),
        pytest.param(site(unit=LimitUnit.W), id="limits in W"),
        pytest.param(replace(site(), free_unused_phases=False), id="not wanted"),
        pytest.param(replace(site(), grid=Grid.IT), id="no neutral"),
    ],
)
def test_where_a_limit_or_current_may_be_on_another_phase_all_count(
    place: Site,
) -> None:
    state = learned(place)
    assert one_of(state).use.is_known
    assert state.own_phases(one_of(state), LEARNED) is None
    assert spare(state) is None


def test_limits_that_outlive_a_session_count_on_all_phases() -> None:
    state = yard(site())
    state.set_capability(NAMES[0], Capability(refused=frozenset({Feature.SESSION})))
    for minute in range(1, 4):
        tell(state, NOW + minute * MINUTE, (16.0, 0.0, 0.0))
    assert state.own_phases(one_of(state), LEARNED) is None


def takes_all_phases(state: GroupState) -> datetime:
    tell(state, LEARNED + MINUTE, (16.0, 16.0, 16.0))
    return LEARNED + MINUTE


def is_silent(_: GroupState) -> datetime:
    return LEARNED + STALE_AFTER


def restarts(state: GroupState) -> datetime:
    state.boot(NAMES[0], None)
    return LEARNED


def has_another_cable(state: GroupState) -> datetime:
    at = LEARNED + MINUTE
    tell(state, at, (0, 0, 0), charging_state=ChargingState.PREPARING)
    return at


def has_another_session(state: GroupState) -> datetime:
    at = LEARNED + MINUTE
    tell(state, at, (16.0, 0, 0), session_id=SessionId("s2"))
    return at


@pytest.mark.parametrize(
    "happens",
    [
        takes_all_phases,
        is_silent,
        restarts,
        has_another_cable,
        has_another_session,
    ],
)
def test_it_counts_on_all_phases_again_at_once(
    happens: Callable[[GroupState], datetime],
) -> None:
    state = learned(site())
    before = round_basis(state), plan_basis(state)
    now = happens(state)
    assert state.own_phases(one_of(state), now) is None
    assert spare(state, now) is None
    if happens is takes_all_phases:
        assert counted(state, now) == (160, 160, 160)
        assert not obedience.misbehaves(state, REFS[0], now)  # its station obeys
    if happens is is_silent:
        assert group_limits.next_deadline(state, LEARNED) <= now  # type: ignore[operator]  # there is one
    else:
        assert (round_basis(state), plan_basis(state)) != before


def pauses(state: GroupState, *, says_so: bool) -> datetime:
    at = LEARNED + MINUTE
    changes = {"charging_state": ChargingState.SUSPENDED_EV} if says_so else {}
    tell(state, at, (0.0, 0.0, 0.0), **changes)
    return at


@pytest.mark.parametrize("says_so", [True, False])
def test_a_pause_may_be_another_cable_where_sessions_do_not_end_by_that(
    says_so: bool,
) -> None:
    state = learned(site())
    assert state.own_phases(one_of(state), pauses(state, says_so=says_so)) is None
    assert one_of(state).use.used == {0}


@pytest.mark.parametrize("says_so", [True, False])
def test_a_pause_is_a_pause_where_sessions_end_when_the_cable_is_out(
    says_so: bool,
) -> None:
    state = learned(site())
    state.set_capability(NAMES[0], Capability(ends_unplugged=True))
    assert state.own_phases(one_of(state), pauses(state, says_so=says_so)) is not None


def test_a_backlog_takes_back_what_it_speaks_against() -> None:
    state = learned(site())
    at = NOW + MINUTE / 2
    session = running(at, (16.0, 16.0, 16.0))
    now = running(LEARNED, (16.0, 0.0, 0.0))
    state.session(now, None, LEARNED, is_live=False, samples=samples_of(session))
    assert spare(state) is None
    assert one_of(state).use.is_barred


def test_one_message_with_several_samples_is_heard_to_its_end() -> None:
    state = learned(site())
    first = running(LEARNED + MINUTE / 2, (16.0, 16.0, 0.0))
    last = running(LEARNED + MINUTE, (16.0, 0.0, 0.0))
    samples = (*samples_of(first), *samples_of(last))
    state.session(last, None, LEARNED + MINUTE, samples=samples)
    assert one_of(state).use.is_barred


def test_after_a_restart_of_the_gateway_a_car_is_looked_at_anew() -> None:
    state = yard(site())
    one = one_of(state)
    phase_watch.restore(one, frozenset({0, 1}), is_barred=False)
    for minute in range(1, 6):
        tell(state, NOW + minute * MINUTE, (16.0, 0.0, 0.0))
    assert not one.use.is_known
    phase_watch.restore(one, frozenset({0}), is_barred=True)
    tell(state, NOW + 6 * MINUTE, (16.0, 0.0, 0.0))
    assert one.use.is_barred


def test_a_sample_from_before_a_restart_is_not_the_first_of_a_new_car() -> None:
    state = yard(site())
    old = running(NOW + MINUTE, (16.0, 0.0, 0.0))
    state.session(old, None, NOW + MINUTE, is_live=False)
    phase_watch.restore(one_of(state), frozenset({0}), is_barred=False)
    later = NOW + MINUTE * 3 / 2
    state.session(old, None, later, samples=samples_of(old))
    assert one_of(state).use.n_agree == 0


def test_a_clock_that_is_set_back_makes_all_count_again() -> None:
    state = learned(site())
    assert spare(state, LEARNED - MINUTE / 60) is None
    phase_watch.forget_stale(one_of(state), LEARNED - MINUTE / 60)
    assert spare(state) is None


def test_cars_of_offline_stations_go_stale_in_time() -> None:
    state = learned(site())
    state.link(NAMES[0], is_online=False)
    assert group_limits.next_deadline(state, LEARNED) == LEARNED + STALE_AFTER


def test_a_backlog_teaches_nothing() -> None:
    state = yard(site())
    for minute in range(1, 4):
        at = NOW + minute * MINUTE
        late = NOW + timedelta(hours=2)
        tell(state, late, (16.0, 0.0, 0.0), current_at=at, power_at=at, sampled_at=at)
    assert not one_of(state).use.is_known


def planned(state: GroupState, now: datetime) -> tuple[tuple[int, ...], int | None]:
    asked = group_problem.build(state, now, step_s=900, n_step=16).problem
    return asked.sessions[0].phases, asked.sessions[0].n_power_phase


def test_a_car_that_waits_is_planned_on_the_phases_that_it_was_measured_on() -> None:
    state = learned(site(margin_da=320))
    one_of(state).car = CarFacts(n_phase=1)
    now = pauses(state, says_so=True)
    assert planned(state, now) == ((1,), 1)
    assert state.own_phases(one_of(state), now) is None
    assert spare(state, now) is None


@pytest.mark.parametrize(
    "facts", [CarFacts(), CarFacts(n_phase=2)], ids=["not measured", "measured other"]
)
def test_a_car_that_may_use_more_is_planned_on_all_phases(facts: CarFacts) -> None:
    state = learned(site(margin_da=320))
    one_of(state).car = facts
    assert sorted(planned(state, pauses(state, says_so=True))[0]) == [0, 1, 2]


def test_a_car_that_took_its_phases_back_is_planned_on_all_phases() -> None:
    state = learned(site(margin_da=320))
    one_of(state).car = CarFacts(n_phase=1)
    assert sorted(planned(state, takes_all_phases(state))[0]) == [0, 1, 2]


def test_plans_and_limits_count_a_car_alike() -> None:
    state = learned(site(margin_da=320))
    asked = group_problem.build(state, LEARNED, step_s=900, n_step=16).problem
    assert asked.sessions[0].phases == (1,)
    assert asked.sessions[0].n_power_phase == 1
    reserved = [row[0] for row in asked.cabinets[0].reserved_a]
    margin_a, noise_a = 32.0, QUIET_DA / 10
    assert reserved == [margin_a + noise_a, margin_a, margin_a + noise_a]
    one_of(state).levels = ((int(unix_s(LEARNED)), 320),)
    (outgoing,) = group_limits.next_limits(state, LEARNED)
    assert outgoing.command.schedule.at(LEARNED) == 320
    assert group_limits.check(state, [outgoing], LEARNED) == ()
