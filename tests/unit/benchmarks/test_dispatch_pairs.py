"""Policies compared day by day: what is played, kept and told."""

from pathlib import Path

import pytest

from benchmarks import dispatch_pairs
from benchmarks.dispatch_pairs import Played, play_on, read, table, ways_of
from benchmarks.dispatch_policies import Score, setting_of
from benchmarks.dispatch_tally import Tally
from benchmarks.dispatch_ways import USUAL, Ways
from benchmarks.optimizer_days import Day, Kind, draw

CASES = ((Kind.WORK, 63.0),)


def day(policy: str, seed: int, energy: float) -> Played:
    return Played(
        kind="work",
        limit_a=63.0,
        seed=seed,
        policy=policy,
        frees_phases=True,
        energy=energy,
        full=0.5,
        worst=0.0,
        above_s=0.0,
        limits_per_evse_hour=3.0,
        plans_per_hour=12.0,
    )


def test_differences_are_paired_by_day_and_unfinished_days_are_left_out() -> None:
    days = [
        day("edf", 1, 0.50),
        day("finish", 1, 0.60),
        day("edf", 2, 0.70),
        day("finish", 2, 0.84),
        day("edf", 3, 0.10),  # the other policy was not played
    ]
    rows = table(days).splitlines()
    assert "| work 63 A | edf | 2 | 60.0 | 50.0 | 0.0 | 0 | 3.0 | 12.0 | - |" in rows
    assert rows[-1].startswith("| work 63 A | finish - edf | 2 | +12.00 (2.00) | 2/0 |")


def test_a_table_without_a_whole_day_has_no_rows() -> None:
    rows = table([day("edf", 1, 0.5), day("finish", 2, 0.5)]).splitlines()
    assert not [row for row in rows if "work" in row]


def test_a_later_run_plays_only_what_the_file_does_not_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[tuple[int, str]] = []

    def play(given: Day, policy: str, ways: Ways) -> Score:
        assert ways == USUAL
        played.append((given.seed, policy))
        tally = Tally(charging_s=3600.0, hours=1.0)
        return Score(energy=0.9, full=0.8, worst=0.1, cost_per_kwh=0.3, tally=tally)

    monkeypatch.setattr(dispatch_pairs, "play", play)
    path, both = tmp_path / "days.jsonl", ("edf", "finish")
    play_on(path, CASES, [1], both, minutes=1, ways=USUAL)
    days = play_on(path, CASES, [1, 2], both, minutes=1, ways=USUAL)
    assert played == [(1, "edf"), (1, "finish"), (2, "edf"), (2, "finish")]
    assert read(path) == days
    assert play_on(path, CASES, [3], both, minutes=0, ways=USUAL) == days


def test_evses_wired_like_their_cars_are_days_of_their_own() -> None:
    days = [day("edf", 1, 0.5), day("edf", 2, 0.7)]
    days[1]["is_wired_alike"] = True
    rows = table(days).splitlines()
    assert "| work 63 A | edf | 1 | 50.0 | 50.0 | 0.0 | 0 | 3.0 | 12.0 | - |" in rows
    assert [row for row in rows if row.startswith("| work 63 A, wired alike | edf |")]


def test_an_evse_has_three_phases_or_those_of_its_car() -> None:
    drawn = draw(Kind.WORK, 63.0, 1)
    three = setting_of(drawn).site.stations
    alike = setting_of(drawn, Ways(is_wired_alike=True)).site.stations
    assert {len(one.evses[0].phases) for one in three} == {3}
    assert [one.evses[0].phases for one in alike] == [car.phases for car in drawn.cars]
    assert {len(car.phases) for car in drawn.cars} == {1, 3}


def test_a_day_of_a_file_is_played_again_only_in_other_ways() -> None:
    given = day("edf", 1, 0.5)
    assert ways_of(given) == USUAL
    given["silent"], given["disturbance"], given["n_floor"] = 0.8, "wrong", 3
    given["has_pv"] = True
    assert ways_of(given) == Ways(
        silent=0.8, disturbance="wrong", n_floor=3, has_pv=True
    )
    assert "| work 63 A, floors: 3, PV, 80 % undeclared, wrong | edf | 1 |" in table(
        [given]
    )


def test_cost_is_compared_in_per_cent() -> None:
    days = [day("edf", 1, 0.5), day("economy", 1, 0.5)]
    days[0]["cost_per_kwh"], days[1]["cost_per_kwh"] = 0.3, 0.27
    assert table(days).splitlines()[-1].endswith("| -10.00 |")
