from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.car_facts import NOTHING_KNOWN, CarFacts, Seen, learn
from gateway.domain.phases import PerPhase

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(
    facts: CarFacts,
    terminals_a: tuple[float, float, float],
    offered_a: float | None = None,
    *,
    at: datetime = START,
    power_w: float | None = None,
) -> CarFacts:
    one, two, three = (round(value * 10) for value in terminals_a)
    return learn(
        facts,
        Seen(
            at=at,
            terminals_da=(one, two, three),
            offered_da=None if offered_a is None else round(offered_a * 10),
            power_w=power_w,
        ),
    )


def after(
    terminals_a: tuple[float, float, float],
    offered_a: float | None,
    *,
    minutes: int,
    facts: CarFacts = NOTHING_KNOWN,
    begin: datetime = START,
) -> CarFacts:
    for minute in range(minutes):
        facts = told(facts, terminals_a, offered_a, at=begin + minute * MINUTE)
    return facts


def test_a_car_on_one_phase_is_known_after_two_samples_not_after_one() -> None:
    once = told(NOTHING_KNOWN, (15.5, 0.0, 0.2))
    assert once.n_phase is None
    assert told(once, (15.4, 0.0, 0.2)).n_phase == 1


@pytest.mark.parametrize(("n_phase", "terminals_a"), [(2, (8, 8, 0)), (3, (8, 8, 8))])
def test_phases_in_use_are_counted(n_phase: int, terminals_a: PerPhase) -> None:
    assert after(terminals_a, 16, minutes=2).n_phase == n_phase


def test_one_current_for_all_terminals_is_resolved_by_its_power() -> None:
    facts = told(NOTHING_KNOWN, (16, 16, 16), power_w=3_680)
    assert told(facts, (16, 16, 16), power_w=3_680).n_phase == 1


def test_a_station_that_reports_one_terminal_of_three_is_not_believed() -> None:
    facts = told(NOTHING_KNOWN, (16, 0, 0), power_w=11_040)
    assert told(facts, (16, 0, 0), power_w=11_040).n_phase is None


def test_a_trickle_says_nothing_about_phases() -> None:
    assert after((2.0, 0, 0), 16, minutes=3).n_phase is None


def test_a_car_of_sixteen_ampere_at_thirty_two_is_offered_one_more_than_it_takes() -> (
    None
):
    facts = after((15.9, 15.9, 15.9), 32, minutes=2)
    assert facts.taken_da == 159
    assert facts.ceiling_da == 170


def test_a_car_that_takes_what_it_is_offered_has_no_ceiling() -> None:
    assert after((15.4, 15.4, 15.4), 16, minutes=5).ceiling_da is None


def test_a_sample_under_a_limit_that_just_changed_teaches_no_ceiling() -> None:
    assert after((6, 6, 6), None, minutes=5).ceiling_da is None


def test_a_car_that_uses_the_ampere_above_its_ceiling_gets_everything_again() -> None:
    facts = after((15.9, 15.9, 15.9), 32, minutes=2)
    facts = told(facts, (16.9, 16.9, 16.9), 17, at=START + 3 * MINUTE)
    assert facts.ceiling_da is None


def test_a_ceiling_is_forgotten_after_a_while() -> None:
    facts = after((15.9, 15.9, 15.9), 32, minutes=2)
    later = START + timedelta(hours=3)
    assert told(facts, (15.9, 15.9, 15.9), 17, at=later).ceiling_da is None


def test_a_taper_lowers_the_ceiling_step_by_step() -> None:
    facts = after((16, 16, 16), 16, minutes=2)
    assert not facts.is_tapering
    facts = after((12, 12, 12), 16, minutes=2, facts=facts, begin=START + 3 * MINUTE)
    assert facts.is_tapering
    assert facts.ceiling_da == 130
    facts = after((8, 8, 8), 13, minutes=2, facts=facts, begin=START + 6 * MINUTE)
    assert facts.ceiling_da == 90


def test_a_car_that_stops_when_its_limit_falls_needs_more_than_that() -> None:
    facts = after((16, 16, 16), 16, minutes=2)
    facts = after((0, 0, 0), 6, minutes=4, facts=facts, begin=START + 3 * MINUTE)
    assert facts.min_da == 80
    assert facts.least_da(60) == 80


def test_a_car_that_charges_at_less_refutes_its_least_current() -> None:
    facts = after((16, 16, 16), 16, minutes=2)
    facts = after((0, 0, 0), 6, minutes=4, facts=facts, begin=START + 3 * MINUTE)
    facts = told(facts, (6, 6, 6), 6, at=START + 9 * MINUTE)
    assert facts.min_da is None


def test_a_car_that_stops_by_itself_is_full_and_has_no_least_current() -> None:
    facts = after((16, 16, 16), 16, minutes=2)
    facts = after((0, 0, 0), 16, minutes=4, facts=facts, begin=START + 3 * MINUTE)
    facts = after((0, 0, 0), 6, minutes=9, facts=facts, begin=START + 8 * MINUTE)
    assert facts.min_da is None


def test_a_car_that_never_starts_is_tried_higher_until_that_is_absurd() -> None:
    facts, at, tried = NOTHING_KNOWN, START, []
    for _ in range(60):
        offered_a = facts.least_da(60) / 10
        tried.append(offered_a)
        facts = told(facts, (0, 0, 0), offered_a, at=at)
        at += MINUTE
    assert sorted(set(tried)) == [6, 8, 10, 12]
    assert facts.min_da is None
    assert facts.is_idle_by_choice


def test_without_an_offer_nothing_is_learned_from_an_idle_car() -> None:
    assert after((0, 0, 0), 0, minutes=10).min_da is None
    assert after((0, 0, 0), None, minutes=10).min_da is None
