"""Readings of a session are found, once each, in whatever order they came."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.sections import StoreConfig
from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import Sample
from gateway.services.footing import has_newer, newest_reading
from gateway.store import reading_trail, readings, sessions
from gateway.store.entry import StoredReading
from gateway.store.integrity import check_folder
from gateway.store.reading_trail import OF_SESSION
from gateway.store.schema import WriterConnection, open_database
from gateway.store.sqlite import AppendJob, Hooks
from gateway.store.times import to_text
from tests.support.filled_schema import copy_what_fits, older_schema
from tests.support.journal import CP1, CP2, accept, at, entry, started
from tests.support.ready_database import ready_database

BEFORE_THE_TRAIL = 28
STEPS = 4
"""Looked at here, so that few readings are already far back."""
Said = tuple[int, int | None]
"""Minute and register, kWh."""
SAID = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.integers(0, 5)), max_size=30
)


@contextmanager
def database() -> Iterator[WriterConnection]:
    with tempfile.TemporaryDirectory() as folder:
        conn = ready_database(Path(folder) / "w.sqlite3")
        with closing(conn):
            yield conn


def session(conn: WriterConnection, station: StationId = CP1) -> SessionId:
    hooks = Hooks(judge=accept)
    message = entry(started(0, station=station, wh=None))
    receipt = AppendJob(message, hooks)(conn)
    assert receipt.session is not None
    return receipt.session.session_id


def store(conn: WriterConnection, session_id: SessionId, said: Said) -> bool:
    minute, register = said
    sample = Sample(
        sampled_at=at(minute), context="Sample.Periodic", register_milliwh=register
    )
    stored = StoredReading(
        session_id=session_id,
        station_id=CP1,
        evse_id=1,
        received_at=at(minute),
        sample=sample,
    )
    return readings.insert(conn, stored, 1, None)


def found(conn: sqlite3.Connection, session_id: SessionId) -> list[tuple[str, object]]:
    return conn.execute(
        f"SELECT sampled_at, register_milliwh FROM reading {OF_SESSION}",  # noqa: S608 - a constant clause
        (session_id,),
    ).fetchall()


def around(known: set[Said], minute: int) -> tuple[int | None, int | None]:
    """The registers before and after a minute, by looking at all of them."""
    told = [(when, register) for when, register in known if register is not None]
    earlier = max((one for one in told if one[0] < minute), default=None)
    later = min((one for one in told if one[0] > minute), default=None)
    return earlier and earlier[1], later and later[1]


@settings(max_examples=150, deadline=None)
@given(SAID, SAID, st.booleans())
def test_each_is_stored_once_and_knows_its_neighbours(
    said: list[Said], of_other: list[Said], forgets: bool
) -> None:
    with database() as conn, patch.object(reading_trail, "MOST_STEPS", STEPS):
        session_id, other = session(conn), session(conn, CP2)
        known: set[Said] = set()
        for one in said:
            assert reading_trail.neighbours(conn, session_id, to_text(at(one[0]))) == (
                around(known, one[0])
            )
            assert store(conn, session_id, one) == (one not in known)
            known.add(one)
            if of_other:
                store(conn, other, of_other.pop())
            if forgets:
                conn.forget()
        assert sorted(found(conn, session_id), key=repr) == sorted(
            ((to_text(at(minute)), register) for minute, register in known), key=repr
        )
        assert [*reading_trail.untrue(conn)] == []


@settings(max_examples=25, deadline=None)
@given(SAID)
def test_readings_of_an_earlier_version_are_found(said: list[Said]) -> None:
    with tempfile.TemporaryDirectory() as text, database() as newest:
        session_id = session(newest)
        for one in said:
            store(newest, session_id, one)
        folder = Path(text)
        with closing(older_schema(folder, BEFORE_THE_TRAIL)) as older:
            copy_what_fits(newest, older)
        with closing(open_database(folder / "w.sqlite3")) as after:
            assert [*reading_trail.untrue(after)] == []
            assert found(after, session_id) == found(newest, session_id)
            for one in said:
                assert not store(after, session_id, one)
            assert store(after, session_id, (5, 99))
            assert [*reading_trail.untrue(after)] == []


def test_a_repetition_costs_no_index_and_a_late_one_does() -> None:
    with database() as conn:
        session_id = session(conn)
        for minute in range(9):
            assert store(conn, session_id, (minute, minute))
        for minute in (8, 7, 2):
            assert not store(conn, session_id, (minute, minute))
        assert not reading_trail.end_of(conn, session_id).is_listed
        assert store(conn, session_id, (8, 9)), "as late as the latest"
        assert not reading_trail.end_of(conn, session_id).is_listed
        assert store(conn, session_id, (7, 6)), "out of order"
        assert reading_trail.end_of(conn, session_id).is_listed
        conn.forget()
        assert reading_trail.end_of(conn, session_id).is_listed
        assert sessions.by_id(conn, session_id) is not None


def test_what_came_since_is_seen_from_its_session() -> None:
    with database() as conn:
        first, second = session(conn), session(conn, CP2)
        assert not has_newer(conn, first, newest_reading(conn))
        store(conn, first, (1, 1))
        seen = newest_reading(conn)
        store(conn, second, (1, 1))
        assert not has_newer(conn, first, seen)
        store(conn, first, (2, 1))
        assert has_newer(conn, first, seen)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE reading SET previous_id = NULL WHERE reading_id = 2",
        "UPDATE reading SET previous_id = 1 WHERE reading_id = 3",
        "UPDATE reading SET previous_id = 4 WHERE reading_id = 2",
        "UPDATE session SET last_reading_id = 2 WHERE last_reading_id = 3",
    ],
)
def test_a_broken_trail_is_told_by_check(tmp_path: Path, harm: str) -> None:
    place = StoreConfig(path=tmp_path)
    with closing(open_database(place.database_path)) as conn:
        first, second = session(conn), session(conn, CP2)
        for minute in range(3):
            store(conn, first, (minute, minute))
        store(conn, second, (1, 1))
        verdicts = {one.part: one for one in check_folder(place, print)}
        assert verdicts["readings"].text == "ok, 4, all found from their sessions"
        conn.execute(harm)
        verdicts = {one.part: one for one in check_folder(place, print)}
        assert not verdicts["readings"].is_good
