import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from gateway.domain.car_facts import NOTHING_KNOWN, CarFacts
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitUnit
from gateway.domain.session import Session, SessionPhase
from gateway.domain.topology import Cabinet, CurrentType, Evse, Site, Station
from gateway.domain.usual_need import NeedSource
from gateway.services import group_limits, group_problem
from gateway.services.evse_state import NO_RISK, EvseState, Need, Risk, Trust
from gateway.services.feasibility import Verdict, closed_form, in_words
from gateway.services.group_problem import Asked
from gateway.services.group_state import GroupState
from gateway.services.promises import (
    NOISE_WH,
    PLANS_TO_ALARM,
    floor_w,
    judged,
    promises_of,
)
from gateway.services.solver_pool import by_rule
from optimizer.forecast import unwaiting
from optimizer.outcome import Plan
from optimizer.solve import solve

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ROOT = CabinetId("A")
HOUR = timedelta(hours=1)
NAMES = [StationId("CP1"), StationId("CP2")]


def evse(name: StationId = NAMES[0], **changes: object) -> Evse:
    values: dict[str, object] = {"max_da": 320, "floor_da": 60, **changes}
    return Evse(
        ref=EvseRef(station_id=name, evse_id=1),
        cabinet_id=ROOT,
        **values,  # type: ignore[arg-type]  # keywords of one dataclass
    )


def yard(
    needs_wh: tuple[int, int], limit_da: int = 320, **changes: object
) -> GroupState:
    place = Site(
        cabinets=(Cabinet(id=ROOT, limit_da=(limit_da,) * 3),),
        stations=tuple(
            Station(id=name, cabinet_id=ROOT, evses=(evse(name, **changes),))
            for name in NAMES
        ),
    )
    trusts = {
        name: Trust(station_id=name, is_proven=True, leftovers_known=True)
        for name in NAMES
    }
    state = GroupState(place.group(ROOT), site=place, trusts=trusts)
    for name, energy_wh, hours in zip(NAMES, needs_wh, (2, 3), strict=True):
        state.link(name, is_online=True)
        for outgoing in group_limits.defaults_of(state.stations[name], NOW):
            state.add_sent(outgoing, 1)
            state.accepted(outgoing, 1, NOW)
        session = Session(
            session_id=SessionId(name),
            station_id=name,
            evse_id=1,
            connector_id=1,
            phase=SessionPhase.RUNNING,
            transaction_id="7",
            started_at=NOW,
            received_at=NOW,
        )
        need = Need(
            energy_wh=energy_wh,
            departure_at=NOW + hours * HOUR,
            is_default=False,
            energy_from=NeedSource.DRIVER,
        )
        state.session(session, need, NOW)
    return state


def planned(state: GroupState, now: datetime = NOW) -> tuple[Asked, Plan]:
    asked = group_problem.build(state, now, step_s=900, n_step=24)
    return asked, by_rule(asked.problem, "test").plan


def one_of(state: GroupState, name: StationId = NAMES[0]) -> EvseState:
    return state.evses[EvseRef(station_id=name, evse_id=1)]


def after(short: str) -> list[bool]:
    """Whether a session is at risk after each plan: ``S`` short, ``.`` fine."""
    risk, found = NO_RISK, []
    for plan in short:
        risk = judged(risk, short_wh=900 if plan == "S" else 0, need_wh=20_000)
        found.append(risk.is_at_risk)
    return found


def test_two_short_plans_alarm_and_three_fine_ones_reassure() -> None:
    assert after("S.S.SS") == [False] * 5 + [True]
    assert after("SS..S...") == [False, True, True, True, True, True, True, False]


@pytest.mark.parametrize(
    ("short_wh", "need_wh", "is_news"),
    [(499, 8_000, False), (500, 8_000, True), (900, 50_000, False)],
)
def test_a_small_shortfall_is_no_news(
    short_wh: int, need_wh: int, is_news: bool
) -> None:
    risk = judged(Risk(n_short=1), short_wh=short_wh, need_wh=need_wh)
    assert risk.is_at_risk is is_news


def test_a_floor_counts_on_one_phase_until_the_car_is_measured() -> None:
    assert floor_w(evse(), LimitUnit.A, NOTHING_KNOWN) == pytest.approx(1_380)
    assert floor_w(evse(), LimitUnit.A, CarFacts(n_phase=3)) == pytest.approx(4_140)


def test_a_floor_below_what_the_car_needs_guarantees_nothing() -> None:
    assert floor_w(evse(floor_da=0), LimitUnit.A, NOTHING_KNOWN) == 0
    assert floor_w(evse(), LimitUnit.A, CarFacts(min_da=80)) == 0


def test_a_floor_in_watts_may_be_too_little_for_three_phases() -> None:
    assert floor_w(evse(floor_da=60), LimitUnit.W, CarFacts(n_phase=3)) == 0
    one_phase = floor_w(evse(floor_da=60), LimitUnit.W, CarFacts(n_phase=1))
    assert one_phase == pytest.approx(1_380)


def test_a_floor_of_direct_current_is_what_comes_out() -> None:
    fast = evse(current_type=CurrentType.DC, max_w=20_000, efficiency=0.95, min_da=10)
    assert floor_w(fast, LimitUnit.W, NOTHING_KNOWN) == pytest.approx(
        18 * 230 * 0.9 * 0.95
    )


def test_a_promise_names_what_is_sure_what_is_likely_and_whose_word_it_rests_on() -> (
    None
):
    state = yard((30_000, 45_000))
    asked, plan = planned(state)
    first, second = promises_of(asked, plan, state, {}, NOW)
    assert first.guaranteed_wh == 2 * 1_380
    assert first.energy_wh + first.shortfall_wh == 30_000
    assert second.shortfall_wh > 0
    assert first.energy_from is NeedSource.DRIVER
    assert not second.is_at_risk, "one plan alarms nobody"
    _, second = promises_of(asked, plan, state, {}, NOW)
    assert second.is_at_risk


def test_the_step_in_which_a_car_leaves_counts_only_until_then() -> None:
    state = yard((60_000, 0), limit_da=1_000)
    one = one_of(state)
    one.need = Need(
        energy_wh=60_000, departure_at=NOW + timedelta(minutes=80), is_default=False
    )
    asked, plan = planned(state)
    promise = promises_of(asked, plan, state, {}, NOW)[0]
    assert promise.energy_wh == int(32 * 230 * 3 * 80 / 60)
    assert plan.energy_wh[0] > promise.energy_wh


def test_a_silent_driver_who_is_served_later_in_economy_is_not_at_risk() -> None:
    """The cabinet is full for two hours; the stay that is assumed is three."""
    state = yard((44_000, 20_000))
    second = one_of(state, NAMES[1])
    assert second.need is not None
    second.need = dataclasses.replace(
        second.need, is_default=True, departure_from=NeedSource.SITE
    )
    asked = group_problem.build(state, NOW, step_s=900, n_step=24, mode="economy")
    asked = dataclasses.replace(asked, problem=unwaiting(asked.problem, asked.silent))
    plan = solve(asked.problem, deadline_s=20).plan
    for _ in range(PLANS_TO_ALARM):
        promises_of(asked, plan, state, {}, NOW)
    _, promise = promises_of(asked, plan, state, {}, NOW)
    assert promise.is_default
    assert promise.shortfall_wh < NOISE_WH
    assert not promise.is_at_risk


def test_likely_departures_reach_the_plan_and_only_who_said_one_is_at_risk_by_it() -> (
    None
):
    state = yard((60_000, 0), limit_da=1_000)
    one = one_of(state)
    likely = tuple(NOW + n * timedelta(minutes=30) for n in range(-2, 9))
    for is_default in (True, False):
        one.risk = NO_RISK
        one.need = Need(
            energy_wh=60_000,
            departure_at=NOW + HOUR,
            is_default=is_default,
            leaves_at=likely,
        )
        asked, plan = planned(state)
        session = asked.problem.sessions[0]
        assert session.leaving_steps == (2, 4, 6, 8, 10, 12, 14, 16)
        assert session.departure_step == 16
        for _ in range(PLANS_TO_ALARM):
            promises_of(asked, plan, state, {}, NOW)
        promise = promises_of(asked, plan, state, {}, NOW)[0]
        assert promise.departure_at == NOW + HOUR
        assert promise.energy_wh == 32 * 230 * 3
        assert promise.is_at_risk is not is_default


def test_who_said_an_energy_but_no_departure_is_not_made_to_wait_for_a_price() -> None:
    state = yard((10_000, 10_000))
    first, second = (one_of(state, name) for name in NAMES)
    for one, source in ((first, NeedSource.DRIVER), (second, NeedSource.HISTORY)):
        assert one.need is not None
        one.need = dataclasses.replace(one.need, departure_from=source)
    asked, _ = planned(state)
    assert asked.silent == {SessionId(NAMES[1])}
    assert asked.defaults == frozenset()


def test_what_a_car_had_counts_as_the_problem_counts() -> None:
    state = yard((60_000, 0), phase_v=115.0)
    asked, _ = planned(state)
    name = SessionId(NAMES[0])
    asked = dataclasses.replace(asked, delivered={name: 1_000_000}, shares={name: 0.5})
    assert group_problem.had_wh(asked) == {name: 2_000}


def test_of_direct_current_the_promise_counts_at_the_car() -> None:
    state = yard(
        (5_000, 0),
        current_type=CurrentType.DC,
        max_w=15_000,
        efficiency=0.95,
        min_da=10,
        floor_da=0,
    )
    asked, plan = planned(state)
    promise = promises_of(asked, plan, state, {}, NOW)[0]
    assert 4_990 <= promise.energy_wh <= 5_000
    assert plan.energy_wh[0] > 5_500, "the plan counts what the grid gives"


def test_a_changed_need_is_judged_beside_the_plan_of_the_others() -> None:
    state = yard((10_000, 20_000))
    asked, plan = planned(state)

    def verdict(energy_wh: int, hours: float) -> Verdict:
        found = closed_form(
            asked,
            plan,
            one_of(state),
            energy_wh=energy_wh,
            departure_at=NOW + hours * HOUR,
            now=NOW,
        )
        assert found is not None
        assert found.sure_wh <= found.most_wh <= max(energy_wh, 0)
        return found.verdict

    assert verdict(10_000, 3) is Verdict.FITS
    assert verdict(50_000, 3) is Verdict.TIGHT
    assert verdict(90_000, 3) is Verdict.BEYOND
    assert verdict(10_000, 0.1) is Verdict.BEYOND


def test_what_fits_beside_the_others_can_really_be_planned() -> None:
    state = yard((10_000, 20_000))
    asked, plan = planned(state)
    one = one_of(state)
    wanted = {"energy_wh": 80_000, "departure_at": NOW + 3 * HOUR, "now": NOW}
    found = closed_form(asked, plan, one, **wanted)  # type: ignore[arg-type]  # keywords
    assert found is not None
    one.need = Need(
        energy_wh=found.sure_wh, departure_at=NOW + 3 * HOUR, is_default=False
    )
    again, new_plan = planned(state)
    promises = promises_of(again, new_plan, state, {}, NOW)
    before = promises_of(asked, plan, state, {}, NOW)
    assert promises[0].shortfall_wh <= 100
    assert promises[1].energy_wh >= before[1].energy_wh - 100


def test_a_session_without_a_plan_is_not_judged() -> None:
    state = yard((10_000, 20_000))
    asked, plan = planned(state)
    one = one_of(state)
    assert one.session is not None
    one.session = replace(one.session, session_id=SessionId("later"))
    found = closed_form(asked, plan, one, energy_wh=1, departure_at=NOW + HOUR, now=NOW)
    assert found is None
    assert in_words(None, NOW, UTC) == "The new plan follows in a few seconds."


def test_the_words_for_drivers_are_rounded_down_and_local() -> None:
    state = yard((10_000, 20_000))
    asked, plan = planned(state)
    zone = timezone(HOUR)
    said = []
    for energy_wh in (10_060, 50_000, 90_000):
        found = closed_form(
            asked,
            plan,
            one_of(state),
            energy_wh=energy_wh,
            departure_at=NOW + 3 * HOUR,
            now=NOW,
        )
        said.append(in_words(found, NOW, zone))
    assert said[0] == "10.0 kWh by 12:00 fits."
    assert said[1].startswith("Beside the other cars ")
    assert "of 50.0 kWh fit by 12:00" in said[1]
    assert said[2].startswith("By 12:00 at most ")
