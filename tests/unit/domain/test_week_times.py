"""Times of the week."""

from datetime import datetime

import pytest

from gateway.domain.week_times import to_words, week_time


def at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-06-0{1 + day}T{clock}")


@pytest.mark.parametrize(
    ("days", "begins", "until", "day", "clock", "holds"),
    [
        (["Mon"], "07:00", "19:00", 0, "07:00", True),
        (["Mon"], "07:00", "19:00", 0, "18:59:59", True),
        (["Mon"], "07:00", "19:00", 0, "19:00", False),
        (["Mon"], "07:00", "19:00", 1, "12:00", False),
        ([], "00:00", "24:00", 6, "23:59", True),
        (["Fri"], "22:00", "06:00", 4, "23:00", True),
        (["Fri"], "22:00", "06:00", 5, "05:59", True),
        (["Fri"], "22:00", "06:00", 5, "06:00", False),
        (["Fri"], "22:00", "06:00", 4, "05:00", False),
        (["Sun"], "22:00", "06:00", 0, "05:00", True),
    ],
)
def test_a_stretch_begins_on_its_days_and_may_end_on_the_next(
    days: list[str], begins: str, until: str, day: int, clock: str, *, holds: bool
) -> None:
    assert week_time(days, begins, until).holds(at(day, clock)) is holds


def test_what_was_read_is_written_alike() -> None:
    words = {"days": ["Mon", "Sat"], "from": "22:30", "until": "24:00"}
    assert to_words(week_time(["Sat", "Mon"], "22:30", "24:00")) == words


@pytest.mark.parametrize(
    ("days", "begins", "until"),
    [
        (["Monday"], "07:00", "08:00"),
        ([], "7:00", "08:00"),
        ([], "24:00", "08:00"),
        ([], "07:00", "24:01"),
        ([], "07:60", "08:00"),
    ],
)
def test_what_means_nothing_is_refused(
    days: list[str], begins: str, until: str
) -> None:
    with pytest.raises(ValueError, match=r"is no|end of a day"):
        week_time(days, begins, until)
