"""Rows of commands: they come back as they went in, and old ones go."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.command import (
    Accepted,
    CommandState,
    Dropped,
    EffectMissing,
    Progress,
    Sent,
)
from gateway.domain.effects import Boots
from gateway.domain.ids import StationId
from gateway.store import commands as rows
from gateway.store.commands import KEEP, CommandRow, NewCommand
from gateway.store.schema import open_database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=9)
QUEUED = Progress(state=CommandState.QUEUED, deadline_at=LATER)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    conn = open_database(tmp_path / "w.sqlite3")
    conn.execute("PRAGMA synchronous = OFF")
    yield conn
    conn.close()


def put(
    conn: sqlite3.Connection, station_id: str = "CP", at: datetime = NOW
) -> CommandRow:
    new = NewCommand(
        station_id=StationId(station_id),
        action="Reset",
        payload={"type": "Soft"},
        wire={"action": "Reset", "payload": {"type": "Soft"}},
        asked_by="t1",
        timeout_s=5.0,
    )
    return rows.insert(conn, new, QUEUED, at)


def test_a_command_comes_back_as_it_went_in_and_steps_are_kept(
    conn: sqlite3.Connection,
) -> None:
    row = put(conn)
    assert (row.progress, row.wire) == (
        QUEUED,
        {"action": "Reset", "payload": {"type": "Soft"}},
    )
    rows.encoded(
        conn, row.command_id, action="Reset", payload={"type": "Hard"}, expects=Boots()
    )
    sent = rows.move(conn, row.command_id, Sent(at=NOW, effect_by=LATER))
    assert sent is not None
    assert (sent.payload, sent.expects) == ({"type": "Hard"}, Boots())
    assert sent.wire is not None  # it may have to wait again
    change = Accepted(at=LATER, is_done=False, effect_by=LATER)
    accepted = rows.move(conn, row.command_id, change, answer={"status": "Accepted"})
    assert accepted is not None
    assert (accepted.answer, accepted.wire) == ({"status": "Accepted"}, None)
    assert rows.get(conn, row.command_id) == accepted
    assert rows.move(conn, row.command_id, Sent(at=NOW)) is None
    assert rows.move(conn, 999, Sent(at=NOW)) is None


def test_what_is_over_is_not_open_any_more(conn: sqlite3.Connection) -> None:
    waiting, gone, missing = put(conn), put(conn), put(conn)
    rows.move(conn, gone.command_id, Dropped(at=NOW, reason="withdrawn"))
    rows.move(conn, missing.command_id, Sent(at=NOW))
    accepted = Accepted(at=NOW, is_done=False, effect_by=LATER)
    rows.move(conn, missing.command_id, accepted)
    open_ids = {row.command_id for row in rows.still_open(conn)}
    assert open_ids == {waiting.command_id, missing.command_id}
    rows.move(conn, missing.command_id, EffectMissing(at=LATER))
    assert [row.command_id for row in rows.still_open(conn)] == [waiting.command_id]
    plan = conn.execute(f"EXPLAIN QUERY PLAN {rows.OPEN}").fetchall()
    assert "command_open" in str(plan)


def test_a_chatty_station_and_old_age_cost_only_what_is_over(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "KEEP_PER_STATION", 10)
    old = put(conn, "OTHER", NOW - KEEP - timedelta(days=1))
    rows.move(conn, old.command_id, Dropped(at=NOW, reason="withdrawn"))
    waiting = put(conn)
    for _ in range(2 * rows.PRUNE_EVERY):
        row = put(conn)
        rows.move(conn, row.command_id, Dropped(at=NOW, reason="withdrawn"))
    left = conn.execute("SELECT count(*) FROM command").fetchone()[0]
    assert left <= 10 + rows.PRUNE_EVERY
    assert rows.get(conn, old.command_id) is None
    assert rows.get(conn, waiting.command_id) == waiting
