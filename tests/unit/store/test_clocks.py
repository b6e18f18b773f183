"""How far a station's clock is off, from the messages that happen to be prompt."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.events import (
    Availability,
    EvseStatusChanged,
    SessionEnded,
)
from gateway.domain.ids import EvseRef, StationId
from gateway.store import clocks
from gateway.store.schema import open_database

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CP = StationId("CP1")


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "w.sqlite3")
    yield opened
    opened.close()


def status(minutes: float, ahead_s: float) -> EvseStatusChanged:
    received_at = NOON + timedelta(minutes=minutes)
    return EvseStatusChanged(
        evse=EvseRef(station_id=CP, evse_id=1, connector_id=1),
        occurred_at=received_at + timedelta(seconds=ahead_s),
        received_at=received_at,
        availability=Availability.AVAILABLE,
    )


def end(minutes: float, ahead_s: float) -> SessionEnded:
    received_at = NOON + timedelta(minutes=minutes)
    return SessionEnded(
        station_id=CP,
        evse=None,
        occurred_at=received_at + timedelta(seconds=ahead_s),
        received_at=received_at,
        transaction_id="7",
        register_milliwh=None,
        stop_reason=None,
    )


def offset_s(conn: sqlite3.Connection) -> float | None:
    offset = clocks.offset_of(conn, CP)
    return None if offset is None else offset.total_seconds()


def test_nothing_is_known_until_a_station_says_a_time(conn: sqlite3.Connection) -> None:
    assert offset_s(conn) is None
    clocks.note(conn, status(0, 0))  # stamped by us
    assert offset_s(conn) is None


def test_one_prompt_message_outweighs_late_ones(conn: sqlite3.Connection) -> None:
    for minutes, ahead_s in ((0, -86_400), (1, -7200.25), (2, -7260), (3, -9000)):
        clocks.note(conn, status(minutes, ahead_s))
    assert offset_s(conn) == -7200.25


def test_a_fast_clock_is_seen_in_every_message(conn: sqlite3.Connection) -> None:
    clocks.note(conn, end(0, 120))
    assert offset_s(conn) == 120


def test_a_queued_end_says_nothing_of_the_clock(conn: sqlite3.Connection) -> None:
    clocks.note(conn, end(0, -86_400))
    assert offset_s(conn) is None


def test_a_clock_that_was_set_back_is_believed_within_two_windows(
    conn: sqlite3.Connection,
) -> None:
    clocks.note(conn, status(0, 3600))
    clocks.note(conn, status(5 * 60, -1))
    assert offset_s(conn) == 3600
    clocks.note(conn, status(7 * 60, -1))
    assert offset_s(conn) == 3600, "of the window before"
    clocks.note(conn, status(14 * 60, -2))
    assert offset_s(conn) == -1
    clocks.note(conn, status(60 * 60, -3))
    assert offset_s(conn) == -3, "after a silence only the newest counts"


def test_a_boot_forgets_what_the_clock_was(conn: sqlite3.Connection) -> None:
    clocks.note(conn, status(0, 3600))
    clocks.forget(conn, CP)
    assert offset_s(conn) is None
