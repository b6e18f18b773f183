from datetime import UTC, datetime, timedelta

from gateway.domain.usual_need import Default, NeedSource, Visit, assumed, usual

MONDAY_8 = datetime(2026, 1, 5, 8, 20, tzinfo=UTC)
HOUR_S = 3600
NOTHING = Default()


def visits(
    at: datetime, *, n: int, energy_wh: int = 10_000, stay_s: int = 4 * HOUR_S
) -> list[Visit]:
    return [
        Visit(at - timedelta(weeks=week + 1), energy_wh + 100 * week, stay_s + week)
        for week in range(n)
    ]


def test_the_first_that_says_something_counts_for_each_part_on_its_own() -> None:
    found = assumed(
        token_group=Default(stay_s=9 * HOUR_S),
        station=Default(energy_wh=7_000),
        site=Default(energy_wh=8_000, stay_s=HOUR_S),
        history=Default(energy_wh=1, stay_s=1),
    )
    assert (found.energy_wh, found.energy_from) == (7_000, NeedSource.STATION)
    assert (found.stay_s, found.stay_from) == (9 * HOUR_S, NeedSource.TOKEN_GROUP)


def test_history_counts_where_nothing_is_configured_and_a_guess_where_it_has_none() -> (
    None
):
    found = assumed(
        token_group=NOTHING,
        station=NOTHING,
        site=NOTHING,
        history=Default(energy_wh=11_000),
    )
    assert (found.energy_wh, found.energy_from) == (11_000, NeedSource.HISTORY)
    assert found.stay_from is NeedSource.BUILT_IN


def test_a_few_visits_say_nothing() -> None:
    assert usual(visits(MONDAY_8, n=11), MONDAY_8) == NOTHING


def test_energy_is_rather_high_and_the_stay_rather_short() -> None:
    found = usual(visits(MONDAY_8, n=21), MONDAY_8)
    assert found == Default(energy_wh=11_500, stay_s=4 * HOUR_S + 5)


def test_the_same_hour_of_the_week_counts_before_all_others() -> None:
    sunday = visits(MONDAY_8 - timedelta(days=1), n=30, energy_wh=50_000)
    found = usual([*visits(MONDAY_8, n=12), *sunday], MONDAY_8)
    assert found.energy_wh is not None
    assert found.energy_wh < 12_000


def test_other_working_days_stand_in_for_a_day_with_too_few_visits() -> None:
    tuesday = visits(MONDAY_8 + timedelta(days=1), n=20, energy_wh=20_000)
    saturday = visits(MONDAY_8 + timedelta(days=5), n=20, energy_wh=60_000)
    found = usual([*tuesday, *saturday], MONDAY_8)
    assert found.energy_wh is not None
    assert 20_000 <= found.energy_wh < 22_000


def test_at_an_hour_without_visits_all_of_them_count() -> None:
    found = usual(visits(MONDAY_8, n=20), MONDAY_8 + timedelta(hours=9))
    assert found != NOTHING
