"""Rows of tokens, requests, reservations, states and migrations."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain.events import Availability, EvseStatusChanged
from gateway.domain.ids import EvseRef, IdToken, SessionId
from gateway.errors import StartupError
from gateway.services.authorization import Authorizer, TokenRules
from gateway.store import facts, requests, reservations, sessions, tokens
from gateway.store.entry import TokenQuestion
from gateway.store.schema import migrations, open_database
from gateway.store.sqlite import Hooks, append_entry
from gateway.store.times import from_text, to_text
from tests.support.journal import CP1, NOON, accept, at, entry, started


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = open_database(tmp_path / "w.sqlite3")
    yield made
    made.close()


def _ask(value: str, kind: str | None = None, *, minutes: float = 0) -> TokenQuestion:
    return TokenQuestion(
        station_id=CP1,
        evse=None,
        token=IdToken(value=value, kind=kind),
        at=at(minutes),
        is_start=True,
    )


def test_tokens_compare_without_case(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="AbC", status="Accepted", now=NOON, group_id="g")
    decision = Authorizer()(conn, _ask("aBc"))
    assert (decision.status, decision.group) == ("accepted", "g")
    assert Authorizer()(conn, _ask("abd")).status == "invalid"
    assert tokens.delete(conn, "ABC")
    assert not tokens.delete(conn, "ABC")
    assert Authorizer()(conn, _ask("abc")).status == "invalid"


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid"])
def test_a_stored_status_is_the_answer(conn: sqlite3.Connection, status: str) -> None:
    tokens.put(conn, value="t", status=status, now=NOON)
    assert Authorizer()(conn, _ask("t")).status == status.lower()


def test_a_token_expires_at_its_minute(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON, expires_at=at(10))
    assert Authorizer()(conn, _ask("t", minutes=9)).status == "accepted"
    assert Authorizer()(conn, _ask("t", minutes=10)).status == "expired"


def test_a_token_of_another_type_is_unknown(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="t", kind="eMAID", status="Accepted", now=NOON)
    assert Authorizer()(conn, _ask("t", "eMAID")).status == "accepted"
    assert Authorizer()(conn, _ask("t", "ISO14443")).status == "invalid"
    assert Authorizer()(conn, _ask("t")).status == "accepted"


def test_admission_may_refuse_a_good_token(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="t", status="Accepted", now=NOON)
    closed = Authorizer(admission=lambda _station, _evse: False)
    assert closed(conn, _ask("t")).status == "blocked"


def test_one_session_at_a_time_means_besides_itself(conn: sqlite3.Connection) -> None:
    tokens.put(conn, value="DRIVER", status="Accepted", now=NOON)
    single = Authorizer(rules=TokenRules(max_sessions=1))
    hooks = Hooks(judge=single)
    first = append_entry(conn, entry(started(0)), hooks)
    again = append_entry(conn, entry(started(0)), hooks)
    other = append_entry(conn, entry(started(0, evse=2)), hooks)
    found = [
        receipt.authorization.status
        for receipt in (first, again, other)
        if receipt.authorization is not None
    ]
    assert found == ["accepted", "accepted", "concurrent"]


def test_a_default_need_never_replaces_a_stated_one(conn: sqlite3.Connection) -> None:
    session_id = SessionId("s")

    def put(energy_wh: float, *, is_default: bool) -> bool:
        return requests.put(
            conn,
            session_id,
            energy_wh=energy_wh,
            target_soc_percent=None,
            departure_at=None,
            is_default=is_default,
            source="test",
            now=NOON,
        )

    assert put(1, is_default=True)
    assert put(2, is_default=True)
    assert put(3, is_default=False)
    assert not put(4, is_default=True)
    row = conn.execute("SELECT energy_wh, is_default FROM session_request").fetchone()
    assert row == (3.0, 0)


def test_an_operator_ends_a_session_once(conn: sqlite3.Connection) -> None:
    receipt = append_entry(conn, entry(started(0)), Hooks(judge=accept))
    assert receipt.session is not None
    ended = requests.end_by_operator(conn, receipt.session.session_id, at(60))
    assert ended is not None
    assert (ended.ended_by, ended.ended_at) == ("operator", at(60))
    again = requests.end_by_operator(conn, receipt.session.session_id, at(90))
    assert again == ended
    assert requests.end_by_operator(conn, SessionId("none"), at(60)) is None


def test_a_reservation_is_used_by_its_session(conn: sqlite3.Connection) -> None:
    def put(reservation_id: int, minutes: float) -> None:
        reservations.put(
            conn,
            reservation_id=reservation_id,
            station_id=CP1,
            evse_id=1,
            token=IdToken(value="DRIVER"),
            expires_at=at(minutes),
            status="Reserved",
            now=NOON,
        )

    put(7, 60)
    put(8, 10)
    assert reservations.expire(conn, at(20)) == 1
    event = replace(started(30), reservation_id=7)
    append_entry(conn, entry(event), Hooks(judge=accept))
    rows = conn.execute(
        "SELECT reservation_id, status, session_id IS NULL FROM reservation"
        " ORDER BY reservation_id"
    ).fetchall()
    assert rows == [(7, "Used", 0), (8, "Expired", 1)]
    assert reservations.next_id(conn) == 9
    assert not reservations.set_status(conn, CP1, 7, "Cancelled", at(40))


def test_an_older_state_never_replaces_a_newer_one(conn: sqlite3.Connection) -> None:
    def state(minutes: float, word: Availability) -> bool:
        event = EvseStatusChanged(
            evse=EvseRef(station_id=CP1, evse_id=1),
            occurred_at=at(minutes),
            received_at=at(30),
            availability=word,
            wire_status=word.value,
        )
        return facts.status_changed(conn, event)

    assert state(10, Availability.OCCUPIED)
    assert not state(5, Availability.FAULTED)
    assert not state(10, Availability.OCCUPIED)
    assert state(99_999, Availability.AVAILABLE)  # a clock far ahead
    row = conn.execute("SELECT availability FROM evse_status").fetchone()
    assert row == ("available",)


def test_numbers_in_use_are_drawn_again(conn: sqlite3.Connection) -> None:
    receipt = append_entry(conn, entry(started(0)), Hooks(judge=accept))
    assert receipt.transaction_number is not None
    draws = iter([receipt.transaction_number - 1, 41])
    assert sessions.allot_number(conn, CP1, lambda _bound: next(draws)) == 42


def test_times_sort_as_text() -> None:
    moments = [NOON + timedelta(microseconds=step) for step in (0, 1, 999_999, 10**6)]
    texts = [to_text(moment) for moment in moments]
    assert texts == sorted(texts)
    assert [from_text(text) for text in texts] == moments


def test_all_migrations_apply_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    for _ in range(2):
        made = open_database(path)
        applied = made.execute("SELECT version FROM schema_version").fetchall()
        made.close()
        assert [row[0] for row in applied] == [step.version for step in migrations()]


def test_a_broken_migration_leaves_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "steps"
    folder.mkdir()
    (folder / "0001_good.sql").write_text("CREATE TABLE good (x);")
    (folder / "0002_bad.sql").write_text("CREATE TABLE half (x); CREATE NONSENSE;")
    path = tmp_path / "w.sqlite3"
    with pytest.raises(StartupError, match=r"0002_bad\.sql"):
        open_database(path, folder=folder)
    (folder / "0002_bad.sql").write_text("CREATE TABLE half (x);")
    made = open_database(path, folder=folder)
    tables = {row[0] for row in made.execute("SELECT name FROM sqlite_master")}
    made.close()
    assert {"good", "half"} <= tables


def test_two_migrations_with_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0001_b.sql"):
        (tmp_path / name).write_text("SELECT 1;")
    with pytest.raises(StartupError, match="0001"):
        migrations(tmp_path)


def test_tokens_of_an_older_schema_are_kept(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    for step in migrations():
        if step.version < 8:
            (older / step.name).write_text(step.sql)
    path = tmp_path / "w.sqlite3"
    before = open_database(path, folder=older)
    before.execute(
        "INSERT INTO id_token VALUES ('abc', '', 'ABC', 'Blocked', NULL, 'g', 2, ?)",
        (to_text(NOON),),
    )
    before.close()
    after = open_database(path)
    row = tokens.find(after, IdToken(value="ABC"))
    after.close()
    assert row == tokens.TokenRow(status="Blocked", group_id="g", max_sessions=2)
