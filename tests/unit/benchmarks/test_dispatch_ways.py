"""In which ways the days of the plans' benchmark are played end to end."""

from datetime import timedelta

import pytest

from benchmarks.bench_optimizer import cases
from benchmarks.dispatch_past import past_needs
from benchmarks.dispatch_policies import setting_of
from benchmarks.dispatch_setting import Setting
from benchmarks.dispatch_ways import Ways
from benchmarks.optimizer_days import STEP_S, Day, Disturbance, Kind
from benchmarks.optimizer_past import past_stays
from gateway.domain.ids import SessionId, StationId
from gateway.domain.session import Session, SessionPhase
from gateway.domain.usual_need import LEAST_VISITS

SILENT_AND_WRONG = Ways(silent=0.8, disturbance="wrong")


def drawn(ways: Ways, seed: int = 3) -> Day:
    return ways.day(Kind.WORK, 63.0, seed)


def played(ways: Ways, *, knows_past: bool = False) -> Setting:
    return setting_of(drawn(ways), ways, knows_past=knows_past)


def test_days_are_those_of_the_benchmark_of_plans() -> None:
    (case,) = [
        one
        for one in cases("undeclared")
        if one.name == "work 63 A, wrong, 80 % undeclared"
    ]
    assert case.day(3) == drawn(SILENT_AND_WRONG)


def test_silent_drivers_say_nothing_and_others_a_wrong_hour() -> None:
    visits = played(SILENT_AND_WRONG).visits
    said = [one for one in visits if one.stated_departure_s is not None]
    assert len(said) in range(1, 12)  # of 30
    assert all(one.stated_wh is None for one in visits if one not in said)
    assert any(one.stated_departure_s != one.departure_s for one in said)


def test_the_past_replaces_the_configured_stay() -> None:
    configured, known = played(Ways()), played(Ways(), knows_past=True)
    day = drawn(Ways())
    assert configured.site.default_stay_s == day.usual_stay * STEP_S
    assert configured.need_defaults is None
    assert known.site.default_stay_s is None
    assert known.need_defaults == past_needs(day)
    assert known.site.default_energy_wh == configured.site.default_energy_wh


async def test_past_days_tell_how_long_cars_stay_and_how_wrong_drivers_are() -> None:
    day = drawn(SILENT_AND_WRONG)
    needs, past = past_needs(day), past_stays(Kind.WORK, Disturbance.WRONG)
    assert sorted(needs.errors_s) == sorted(STEP_S * late for late in past.later)
    begin = day.start + timedelta(hours=9)
    session = Session(
        session_id=SessionId("s"),
        station_id=StationId("CP0"),
        evse_id=1,
        connector_id=1,
        phase=SessionPhase.RUNNING,
        started_at=begin,
    )
    stays = await needs.departures(session, None, begin)
    assert len(stays) >= LEAST_VISITS
    assert (await needs.of_history(session, begin)).stay_s is not None
    said = begin + timedelta(hours=4)
    around = await needs.departures(session, said, begin)
    assert min(around) < said < max(around)


@pytest.mark.parametrize("n_floor", [0, 1, 4, 30])
def test_so_many_evses_have_a_floor(n_floor: int) -> None:
    stations = played(Ways(n_floor=n_floor)).site.stations
    floors = [one.evses[0].floor_da for one in stations]
    assert sum(floor == 60 for floor in floors) == n_floor
    assert set(floors) <= {0, 60}


def test_a_limit_that_drops_is_set_by_the_operator() -> None:
    ways = Ways(disturbance="drop", margin_a=16.0)
    day, setting = drawn(ways), played(ways)
    (trouble,) = setting.troubles
    assert trouble.kind == "limit"
    assert trouble.value == pytest.approx(0.4 * 63 + 16)
    assert setting.drop_s == 3 * 3600
    begins = setting.start + timedelta(seconds=trouble.at_s + setting.notice_s)
    step = (begins - day.start) // timedelta(seconds=STEP_S)
    assert day.limit_a[step] < day.limit_a[step - 1]
