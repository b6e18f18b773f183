"""The log file is moved into the database while the writer goes on."""

import sqlite3
import threading
import time
from functools import partial
from pathlib import Path

from gateway.store.checkpoints import Checkpointer, checkpoint
from gateway.store.schema import BUSY_TIMEOUT_MS, open_database
from gateway.store.writer import Writer

KNOWS_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'knocking'"


def _insert(conn: sqlite3.Connection, name: str) -> None:
    conn.execute("INSERT INTO knocking VALUES (?, '', '', 1, '', '')", (name,))


def _in_file_alone(path: Path, folder: Path) -> set[str]:
    """What the database file holds without its log; it may have no table yet."""
    copy = folder / "copy.sqlite3"
    copy.write_bytes(path.read_bytes())
    conn = sqlite3.connect(copy)
    try:
        if not conn.execute(KNOWS_TABLE).fetchone():
            return set()
        return {row[0] for row in conn.execute("SELECT station_id FROM knocking")}
    finally:
        conn.close()


def test_a_checkpoint_moves_commits_and_waits_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    conn = open_database(path)
    _insert(conn, "committed")
    conn.execute("BEGIN IMMEDIATE")
    _insert(conn, "open")
    started_s = time.monotonic()
    checkpoint(path)
    assert time.monotonic() - started_s < BUSY_TIMEOUT_MS / 1000
    assert _in_file_alone(path, tmp_path) == {"committed"}
    conn.execute("COMMIT")
    checkpoint(path)
    assert _in_file_alone(path, tmp_path) == {"committed", "open"}
    conn.close()


def test_the_thread_keeps_on_while_the_file_is_in_trouble(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "w.sqlite3"
    thread = Checkpointer(path, lambda: None, every_s=0.01)
    thread.start()
    time.sleep(0.05)
    path.parent.mkdir()
    conn = open_database(path)
    _insert(conn, "a")
    deadline_s = time.monotonic() + 30
    while "a" not in _in_file_alone(path, tmp_path) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    thread.close()
    thread.close()
    assert _in_file_alone(path, tmp_path) == {"a"}
    conn.close()


def test_a_writer_that_is_closed_leaves_no_thread(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    writer = Writer(tmp_path / "w.sqlite3")
    writer.start()
    writer.submit(lambda conn: _insert(conn, "a")).result(5)
    writer.close()
    assert {thread.name for thread in threading.enumerate()} == before


def test_a_log_begins_anew_between_two_groups_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    writer = Writer(path)
    writer.start()
    try:
        writer.submit(partial(_insert, name="a")).result(5)
        began = _begins(path)
        writer.submit(partial(_insert, name="b")).result(5)
        assert _begins(path) == began
        writer.shorten_log()
        for name in "cd":  # after the first all is moved, the second begins the log
            writer.submit(partial(_insert, name=name)).result(5)
        assert _begins(path) == began + 1
        assert _in_file_alone(path, tmp_path) == {"a", "b", "c"}
    finally:
        writer.close()


def _begins(path: Path) -> int:
    """How often the log began: its checkpoint sequence number."""
    header = Path(f"{path}-wal").read_bytes()[:16]
    return int.from_bytes(header[12:16], "big")
