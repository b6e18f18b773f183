"""Who may charge: every rule next to its counterpart."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId
from gateway.domain.week_times import week_time
from gateway.services.authorization import Authorizer, TokenRules
from gateway.store import tokens
from gateway.store.entry import TokenQuestion
from gateway.store.schema import open_database
from gateway.store.sqlite import Hooks, append_entry
from tests.support.journal import CP1, NOON, at, entry, started

CP2 = StationId("CP2")


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_database(tmp_path / "w.sqlite3")
    yield made
    made.close()


def presented(
    value: str = "t", *, station_id: StationId = CP1, minutes: float = 0
) -> TokenQuestion:
    """A card held to a reader."""
    return TokenQuestion(
        station_id=station_id, evse=None, token=IdToken(value=value), at=at(minutes)
    )


def starting(value: str = "t", *, evse_id: int = 1) -> TokenQuestion:
    """A start with a card."""
    return replace(
        presented(value),
        evse=EvseRef(station_id=CP1, evse_id=evse_id),
        is_start=True,
    )


def charge(conn: sqlite3.Connection, value: str, *, evse_id: int = 1) -> None:
    """A running session of a token at the first station."""
    event = started(token=value, evse=evse_id)
    append_entry(conn, entry(event), Hooks(judge=Authorizer()))


@pytest.mark.parametrize(
    ("station_id", "status"), [(CP1, "accepted"), (CP2, "not_here")]
)
def test_a_token_charges_at_its_stations_only(
    conn: sqlite3.Connection, station_id: StationId, status: str
) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON, stations=("CP1",))
    decision = Authorizer()(conn, presented(station_id=station_id))
    assert decision.status == status


def test_a_token_of_no_station_charges_nowhere(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON, stations=())
    assert Authorizer()(conn, presented()).status == "not_here"


def test_a_token_charges_at_its_evses_only_and_the_reader_is_told_which(
    conn: sqlite3.Connection,
) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON, evse_ids=(3, 1))
    judge = Authorizer()
    shown = judge(conn, presented())
    assert (shown.status, shown.evse_ids) == ("accepted", (1, 3))
    assert judge(conn, starting(evse_id=3)).status == "accepted"
    assert judge(conn, starting(evse_id=2)).status == "not_here"


def test_the_site_says_how_many_sessions_unless_the_token_does(
    conn: sqlite3.Connection,
) -> None:
    judge = Authorizer(rules=TokenRules(max_sessions=1))
    for evse_id, (value, limit) in enumerate((("one", None), ("two", 2)), start=1):
        tokens.put(conn, value=value, status="Accepted", now=NOON, max_sessions=limit)
        charge(conn, value, evse_id=evse_id)
    assert judge(conn, starting("one")).status == "concurrent"
    assert judge(conn, starting("two")).status == "accepted"


def test_only_a_start_is_refused_for_running_sessions_unless_the_site_says_so(
    conn: sqlite3.Connection,
) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON, max_sessions=1)
    charge(conn, "t")
    lenient = Authorizer()
    strict = Authorizer(rules=TokenRules(authorize_counts=True))
    elsewhere = presented(station_id=CP2)
    assert lenient(conn, elsewhere).status == "accepted"
    assert strict(conn, elsewhere).status == "concurrent"


def test_a_driver_may_always_present_the_card_where_the_car_charges(
    conn: sqlite3.Connection,
) -> None:
    full = Authorizer(
        admission=lambda _station, _evse: False,
        rules=TokenRules(max_sessions=1, authorize_counts=True),
    )
    for value, group in (("t", "family"), ("u", "family"), ("v", None)):
        tokens.put(conn, value=value, status="Accepted", now=NOON, group_id=group)
    charge(conn, "t")
    assert full(conn, presented("t")).status == "accepted"
    assert full(conn, presented("u")).status == "accepted"
    assert full(conn, presented("v")).status == "blocked"
    assert full(conn, presented("u", station_id=CP2)).status == "blocked"


def test_a_master_pass_stops_and_never_starts(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="police", status="Accepted", now=NOON, group_id="Master")
    judge = Authorizer(rules=TokenRules(master_pass_group="MASTER"))
    shown = judge(conn, presented("police"))
    assert (shown.status, shown.group) == ("accepted", "Master")
    assert judge(conn, starting("police")).status == "blocked"
    assert Authorizer()(conn, starting("police")).status == "accepted"


@pytest.mark.parametrize(
    ("stored", "status"), [("NoCredit", "no_credit"), ("Blocked", "blocked")]
)
def test_a_refusal_of_the_token_itself_comes_before_every_other_rule(
    conn: sqlite3.Connection, stored: str, status: str
) -> None:
    tokens.put(conn, value="t", status=stored, now=NOON, stations=())
    assert Authorizer()(conn, starting()).status == status


def test_the_price_is_told_where_a_session_may_begin_unless_the_token_has_its_words(
    conn: sqlite3.Connection,
) -> None:
    def price(
        _conn: sqlite3.Connection, question: TokenQuestion, lang: str | None
    ) -> str | None:
        return f"{lang}: 0.40 EUR/kWh" if question.station_id == CP1 else None

    judge = Authorizer(price_text=price)
    tokens.put(conn, value="t", status="Accepted", now=NOON, language="de")
    tokens.put(conn, value="u", status="Accepted", now=NOON, personal_message="Hello")
    tokens.put(conn, value="v", status="Blocked", now=NOON)
    assert judge(conn, presented("t")).message == "de: 0.40 EUR/kWh"
    assert judge(conn, presented("t", station_id=CP2)).message is None
    assert judge(conn, presented("u")).message == "Hello"
    assert judge(conn, presented("v")).message is None


@pytest.mark.parametrize(("hour", "status"), [(7, "accepted"), (19, "not_now")])
def test_a_token_charges_at_its_times_by_the_sites_clock(
    conn: sqlite3.Connection, hour: int, status: str
) -> None:
    workday = (week_time([], "09:00", "21:00"),)
    tokens.put(conn, value="t", status="Accepted", now=NOON, allowed_times=workday)
    judge = Authorizer(timezone=ZoneInfo("Europe/Berlin"))  # two hours ahead in June
    question = presented(minutes=60 * (hour - 12))
    assert judge(conn, question).status == status


def test_whoever_charges_already_may_end_it_at_any_time(
    conn: sqlite3.Connection,
) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON)
    charge(conn, "t")
    never = (week_time([], "01:00", "01:01"),)
    tokens.put(conn, value="t", status="Accepted", now=NOON, allowed_times=never)
    ends = replace(starting(), is_start=False, session_id=SessionId("s"))
    assert Authorizer()(conn, ends).status == "accepted"
    assert Authorizer()(conn, starting(evse_id=2)).status == "not_now"


@pytest.mark.parametrize(
    ("evse_id", "types", "status"),
    [
        (1, {"AC"}, "accepted"),
        (2, {"DC"}, "not_type"),
        (3, set(), "accepted"),
        (0, {"AC", "DC"}, "accepted"),
    ],
)
def test_a_token_charges_at_evses_of_its_types_as_far_as_they_are_known(
    conn: sqlite3.Connection, evse_id: int, types: set[str], status: str
) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON, evse_types=("AC",))
    judge = Authorizer(evse_types=lambda _station, _evse: frozenset(types))
    assert judge(conn, starting(evse_id=evse_id)).status == status
