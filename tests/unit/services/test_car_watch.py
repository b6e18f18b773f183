from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.car_facts import NOTHING_KNOWN, CarFacts
from gateway.domain.events import ChargingState
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.session import Session, SessionPhase
from gateway.domain.topology import Cabinet, CurrentType, Evse, Site, Station
from gateway.services import car_watch, group_limits, group_problem
from gateway.services.evse_state import EvseState, Need, Trust
from gateway.services.group_state import GroupState
from gateway.services.solver_pool import by_rule

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ROOT = CabinetId("A")
NAMES = [StationId("CP1"), StationId("CP2"), StationId("CP3")]
MINUTE = timedelta(minutes=1)


def site(unit: LimitUnit = LimitUnit.A, **evse: object) -> Site:
    return Site(
        cabinets=(Cabinet(id=ROOT, limit_da=(500,) * 3),),
        stations=tuple(
            Station(
                id=name,
                cabinet_id=ROOT,
                clock_skew_s=5,
                unit=unit,
                evses=(
                    Evse(
                        ref=EvseRef(station_id=name, evse_id=1),
                        cabinet_id=ROOT,
                        phases=(1, 2, 0),
                        max_da=320,
                        **evse,  # type: ignore[arg-type]  # keywords of one dataclass
                    ),
                ),
            )
            for name in NAMES
        ),
    )


def session(name: StationId, now: datetime, **changes: object) -> Session:
    running = Session(
        session_id=SessionId(f"s-{name}"),
        station_id=name,
        evse_id=1,
        connector_id=1,
        phase=SessionPhase.RUNNING,
        transaction_id="7",
        started_at=NOW,
        received_at=now,
        sampled_at=now,
    )
    return replace(running, **changes)


def yard(place: Site) -> GroupState:
    trusts = {
        name: Trust(station_id=name, is_proven=True, leftovers_known=True)
        for name in NAMES
    }
    state = GroupState(place.group(ROOT), site=place, trusts=trusts)
    need = Need(energy_wh=30_000, departure_at=NOW + timedelta(hours=4))
    for index, name in enumerate(NAMES):
        state.link(name, is_online=True)
        for outgoing in group_limits.defaults_of(state.stations[name], NOW):
            state.add_sent(outgoing, 1 + index)
            state.accepted(outgoing, 1 + index, NOW)
        state.stations[name].blocks_sessions = False
        state.session(session(name, NOW), need, NOW)
    return state


def one_of(state: GroupState, name: StationId = NAMES[0]) -> EvseState:
    return state.evses[EvseRef(station_id=name, evse_id=1)]


def grant(state: GroupState, limit_da: int, now: datetime, sequence: int) -> None:
    one_of(state).levels = ((int(now.timestamp()), limit_da),)
    for outgoing in group_limits.next_limits(state, now):
        if outgoing.station_id == NAMES[0]:
            state.add_sent(outgoing, sequence)
            state.accepted(outgoing, sequence, now)


def sample(
    state: GroupState, now: datetime, current_a: tuple[float, float, float]
) -> bool:
    told = session(NAMES[0], now, current_a=current_a, current_at=now)
    state.session(told, None, now)
    return car_watch.watch(one_of(state), now, skew_s=5)


def planned(state: GroupState, now: datetime) -> group_problem.Asked:
    return group_problem.build(state, now, step_s=900, n_step=16)


def test_a_car_on_one_phase_is_planned_with_its_real_power_and_counts_on_all() -> None:
    state = yard(site())
    before = planned(state, NOW).problem.sessions[0]
    grant(state, 320, NOW, 10)
    assert not sample(state, NOW + MINUTE, (16.0, 0.0, 0.0))
    assert sample(state, NOW + 2 * MINUTE, (16.0, 0.0, 0.0))
    after = planned(state, NOW + 2 * MINUTE).problem.sessions[0]
    assert (before.n_power_phase, after.n_power_phase) == (3, 1)
    assert after.phases == before.phases == (0, 1, 2)


def test_a_smaller_car_frees_what_it_does_not_take_because_it_is_told_less() -> None:
    state = yard(site())
    grant(state, 320, NOW, 10)
    for minute in range(1, 4):
        sample(state, NOW + minute * MINUTE, (15.9, 15.9, 15.9))
    now = NOW + 3 * MINUTE
    assert planned(state, now).problem.sessions[0].max_a == 16.0
    still = state.envelope(one_of(state), now)[0].draw[0]
    grant(state, 160, now, 11)
    sample(state, now + MINUTE, (15.9, 15.9, 15.9))
    assert still == 320
    assert state.envelope(one_of(state), now + MINUTE)[0].draw[0] == 160


def test_that_a_full_car_takes_nothing_says_nothing_of_its_least_current() -> None:
    state = yard(site())
    one_of(state).need = Need(
        energy_wh=8_000, departure_at=NOW + 240 * MINUTE, is_default=False
    )
    grant(state, 160, NOW, 10)
    for minute in range(1, 3):
        sample(state, NOW + minute * MINUTE, (15.9, 15.9, 15.9))
    grant(state, 60, NOW + 3 * MINUTE, 11)
    for minute in range(4, 14):
        now = NOW + minute * MINUTE
        told = session(
            NAMES[0],
            now,
            current_a=(0.0, 0.0, 0.0),
            current_at=now,
            charging_state=ChargingState.SUSPENDED_EV,
            has_start=True,
            register_start_milliwh=0,
            register_last_milliwh=7_970_000,
        )
        state.session(told, None, now)
        car_watch.watch(one_of(state), now, skew_s=5)
    assert one_of(state).rest.is_long
    assert planned(state, NOW + 14 * MINUTE).problem.sessions[0].min_a == 6.0


def test_a_limit_that_is_not_answered_teaches_nothing() -> None:
    state = yard(site())
    one_of(state).levels = ((int(NOW.timestamp()), 320),)
    for outgoing in group_limits.next_limits(state, NOW):
        state.add_sent(outgoing, 10)
    for minute in range(1, 6):
        sample(state, NOW + minute * MINUTE, (15.9, 15.9, 15.9))
    assert one_of(state).car.ceiling_da is None


def test_power_alone_of_three_phases_teaches_no_ceiling_that_would_starve_a_car() -> (
    None
):
    state = yard(site())
    grant(state, 320, NOW, 10)
    for minute in range(1, 6):
        now = NOW + minute * MINUTE
        told = session(NAMES[0], now, power_w=7_360.0, power_at=now)
        state.session(told, None, now)
        car_watch.watch(one_of(state), now, skew_s=5)
    assert one_of(state).car.ceiling_da is None


def test_a_tapering_car_at_direct_current_frees_its_input() -> None:
    state = yard(
        site(current_type=CurrentType.DC, max_w=19_000, efficiency=0.95, min_da=10)
    )
    grant(state, 320, NOW, 10)
    for minute in range(1, 4):
        now = NOW + minute * MINUTE
        told = session(NAMES[0], now, power_w=6_000.0, power_at=now)
        state.session(told, None, now)
        car_watch.watch(one_of(state), now, skew_s=5)
    ceiling_da = one_of(state).car.ceiling_da
    input_da = one_of(state).evse.input_da(6_000.0)
    assert ceiling_da is not None
    assert input_da < ceiling_da <= input_da + 20


def test_the_next_car_starts_unknown() -> None:
    state = yard(site())
    one_of(state).car = CarFacts(n_phase=1, taken_da=100, taken_at=NOW)
    other = session(NAMES[0], NOW, session_id=SessionId("s-next"))
    state.session(other, None, NOW + MINUTE)
    assert one_of(state).car == NOTHING_KNOWN


def test_a_car_far_behind_its_plan_is_noticed_once_in_a_while() -> None:
    state = yard(site())
    asked = planned(state, NOW)
    plan = by_rule(asked.problem, "test").plan
    one = one_of(state)
    assert one.session is not None
    one.expected = group_problem.expected_of(asked, plan)[one.session.session_id]
    assert not car_watch.strays(one, NOW + MINUTE)
    assert car_watch.strays(one, NOW + 10 * MINUTE)
    assert not car_watch.strays(one, NOW + 12 * MINUTE)
    assert car_watch.strays(one, NOW + 16 * MINUTE)


FACTS = st.builds(
    CarFacts,
    n_phase=st.none() | st.integers(1, 3),
    taken_da=st.none() | st.integers(0, 400),
    taken_at=st.just(NOW),
    min_da=st.none() | st.integers(0, 130),
)


@given(facts=st.tuples(FACTS, FACTS, FACTS), manual_da=st.none() | st.integers(0, 320))
def test_whatever_is_learned_no_envelope_is_raised_and_nobody_is_shut_out(
    facts: tuple[CarFacts, CarFacts, CarFacts], manual_da: int | None
) -> None:
    state = yard(site())
    one_of(state).manual_da = manual_da
    before, plain = state.envelopes(NOW), planned(state, NOW).problem
    for name, known in zip(NAMES, facts, strict=True):
        one_of(state, name).car = known
    asked = planned(state, NOW)
    assert state.envelopes(NOW) == before
    assert asked.problem.cabinets == plain.cabinets
    for with_facts, without in zip(asked.problem.sessions, plain.sessions, strict=True):
        assert with_facts.phases == without.phases
        assert with_facts.max_a <= without.max_a
        if without.max_a >= without.min_a:
            assert with_facts.min_a <= with_facts.max_a
    levels = group_problem.levels_of(by_rule(asked.problem, "test").plan)
    for one in state.evses.values():
        assert one.session is not None
        one.levels = levels[one.session.session_id]
    assert not group_limits.check(state, group_limits.next_limits(state, NOW), NOW)


def test_a_car_that_leaves_within_a_step_is_planned_with_the_current_it_takes() -> None:
    state = yard(site())
    leaves_at = NOW + timedelta(minutes=22, seconds=30)  # one step and a half
    one_of(state).need = Need(energy_wh=2_700, departure_at=leaves_at, is_default=False)
    asked = planned(state, NOW)
    assert asked.problem.sessions[0].departure_step == 2
    assert asked.problem.sessions[0].energy_wh == 3_600
    assert round(asked.asked_wh(0)) == 2_700
    late = planned(state, leaves_at - MINUTE).problem.sessions[0]
    assert (late.departure_step, late.energy_wh) == (1, 27_000)


def test_who_is_nearly_done_counts_more_than_who_is_not() -> None:
    state = yard(site())
    weights = []
    for energy_wh in (30_000, 1_000, 200, 20):
        one_of(state).need = Need(
            energy_wh=energy_wh, departure_at=NOW + 60 * MINUTE, is_default=False
        )
        weights.append(planned(state, NOW).problem.sessions[0].weight)
    assert weights[0] == 1
    assert weights == sorted(weights)
    assert weights[-1] == 10
