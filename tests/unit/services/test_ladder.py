from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.capability import WAYS, AtZero, Capability, Feature, Learnt, Source
from gateway.domain.ids import StationId
from gateway.domain.limits import (
    LimitSchedule,
    LimitStep,
    LimitUnit,
    Purpose,
    SetLimit,
)
from gateway.ocpp.limit_words import told_limits
from gateway.services import ladder
from gateway.services.capability import capability_of, learnt_of
from gateway.services.ladder import Reason, Trial
from gateway.store.capability import CapabilityRow

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


def limit(known: Capability) -> SetLimit:
    """A session's limit as it is sent to a station of which that is known."""
    way = known.way(1)
    assert way is not None
    floor_da = 0 if known.can_pause else 60
    levels = (320, 160, floor_da) if known.periods(6) > 2 else (320, floor_da)
    steps = tuple(LimitStep(offset_s=900 * i, limit_da=v) for i, v in enumerate(levels))
    return SetLimit(
        evse_id=1 if way in {Feature.SESSION, Feature.EVSE_DEFAULT} else 0,
        purpose={
            Feature.SESSION: Purpose.SESSION,
            Feature.STATION_MAX: Purpose.STATION_MAX,
        }.get(way, Purpose.DEFAULT),
        schedule=LimitSchedule(start=NOW, steps=steps),
        transaction_id="1",
        profile_id=1,
        unit=known.unit(LimitUnit.A),
        relative_to=NOW if known.is_relative else None,
    )


@given(st.frozensets(st.sampled_from([f for f in Feature if f != "composite"])))
def test_whatever_a_station_refuses_the_search_ends_and_blames_nothing_it_takes(
    refuses: frozenset[Feature],
) -> None:
    learnt, trial = Learnt(), Trial()
    for _ in range(60):
        known = Capability(refused=learnt.refused, accepted=learnt.accepted)
        tried = known.without(trial.varied)
        if tried.way(1) is None:
            break
        used = ladder.features_of(limit(tried))
        if used & refuses:
            step = ladder.after_refusal(known, trial, used, Reason.UNSAID)
            learnt = replace(learnt, refused=learnt.refused | step.learnt)
            trial = step.trial
        elif trial.varied:
            learnt, trial = ladder.after_acceptance(learnt, trial, used)
        else:
            break
    else:
        pytest.fail("still searching")
    known = Capability(refused=learnt.refused)
    if known.way(1) is not None:
        assert not ladder.features_of(limit(known)) & refuses
        assert learnt.refused <= refuses
    else:
        takes_units = not {Feature.AMPERE, Feature.WATT} <= refuses
        takes_kinds = not {Feature.ABSOLUTE, Feature.RELATIVE} <= refuses
        assert set(WAYS) <= refuses or not (takes_units and takes_kinds)


def test_a_reason_saves_the_search() -> None:
    used = ladder.features_of(limit(Capability()))
    unit = ladder.after_refusal(Capability(), Trial(), used, Reason.UNIT)
    assert unit.learnt == {Feature.AMPERE}
    periods = ladder.after_refusal(Capability(), Trial(), used, Reason.PERIODS)
    assert periods.learnt == {Feature.MANY_PERIODS}
    way = ladder.after_refusal(Capability(), Trial(), used, Reason.WAY)
    assert way.learnt == {Feature.SESSION}
    over = ladder.after_refusal(Capability(), Trial(), used, Reason.PASSING)
    assert (over.learnt, over.is_at_once) == (frozenset(), False)


def test_a_way_that_worked_is_given_up_after_many_refusals_only() -> None:
    known = Capability(accepted=ladder.features_of(limit(Capability())))
    used, trial = ladder.features_of(limit(known)), Trial()
    for _ in range(ladder.PATIENCE):
        step = ladder.after_refusal(known, trial, used, Reason.WAY)
        assert step.learnt == frozenset()
        trial = step.trial
    assert ladder.after_refusal(known, trial, used, Reason.WAY).learnt == {
        Feature.SESSION
    }


@pytest.mark.quirk(25)
def test_settings_of_both_versions_are_read_in_every_spelling() -> None:
    long = told_limits({"chargingscheduleallowedchargingrateunit": "Current,Power"})
    assert long.units == frozenset(LimitUnit)
    short = told_limits({"chargingscheduleallowedchargingrateunit": " w "})
    assert short.units == frozenset({LimitUnit.W})
    model = told_limits({"rateunit": "A", "periodsperschedule": "3"})
    assert (model.units, model.max_periods) == (frozenset({LimitUnit.A}), 3)
    odd = told_limits(
        {
            "chargingscheduleallowedchargingrateunit": "Ampere?",
            "chargingschedulemaxperiods": "-1",
            "chargeprofilemaxstacklevel": "9" * 40,
        }
    )
    assert (odd.units, odd.max_periods, odd.max_level) == (None, None, None)


def row(**changes: object) -> CapabilityRow:
    base = CapabilityRow(
        station_id=StationId("CP1"), firmware="1", settings={}, learnt=Learnt()
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # members by name


@pytest.mark.quirk(25)
def test_model_settings_and_answers_are_put_together_with_their_sources() -> None:
    learnt = Learnt(firmware="1", refused=frozenset({Feature.SESSION}))
    one = row(vendor="Wallbox", settings={"rateunit": "W"}, learnt=learnt)
    known = capability_of(one, learnt_of(one))
    assert known.refused == {Feature.ABSOLUTE, Feature.AMPERE, Feature.SESSION}
    assert known.sources == {
        "absolute": Source.MODEL,
        "ampere": Source.SETTINGS,
        "session": Source.ANSWERS,
    }
    assert (known.is_relative, known.way(2)) == (True, Feature.EVSE_DEFAULT)


def test_what_a_station_took_outweighs_its_word() -> None:
    learnt = Learnt(firmware="1", accepted=frozenset({Feature.AMPERE}))
    one = row(settings={"rateunit": "W"}, learnt=learnt)
    assert capability_of(one, learnt_of(one)).refused == frozenset()


def test_another_firmware_makes_void_what_was_learned() -> None:
    learnt = Learnt(firmware="1", refused=frozenset(WAYS), at_zero=AtZero.ENDS)
    assert learnt_of(row(firmware="2", learnt=learnt)) == Learnt(firmware="2")
    assert learnt_of(row(firmware=None, learnt=learnt)) == learnt
    assert learnt_of(row(learnt=replace(learnt, firmware=None))).refused == set(WAYS)


def test_ways_for_the_whole_station_are_for_stations_with_one_evse() -> None:
    known = Capability(refused=frozenset({Feature.SESSION, Feature.EVSE_DEFAULT}))
    assert known.way(1) is Feature.STATION_DEFAULT
    assert known.way(2) is None


def test_a_relative_schedule_counts_as_late_as_its_session_is_old() -> None:
    one = replace(
        limit(Capability()), relative_to=NOW - timedelta(seconds=90, milliseconds=1)
    )
    assert one.elapsed_s == 91
