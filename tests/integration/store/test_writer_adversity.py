"""The writer on a full disk, a locked file, a broken file, and under bad jobs."""

import asyncio
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest

from gateway.errors import StartupError, StoreBusy, StoreError
from gateway.store.entry import Receipt, TokenDecision, TokenQuestion
from gateway.store.schema import open_database
from gateway.store.sqlite import Hooks
from gateway.store.writer import Writer
from tests.support.journal import CP2, entry, open_store, register, started, updated


def _insert(conn: sqlite3.Connection, name: str, filler: str = "") -> str:
    conn.execute("INSERT INTO knocking VALUES (?, '', '', 1, '', ?)", (name, filler))
    return name


def _names(conn: sqlite3.Connection) -> set[str]:
    return {row[0] for row in conn.execute("SELECT station_id FROM knocking")}


def test_a_failing_job_fails_only_itself(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.sqlite3")
    writer.start()
    hold = threading.Event()
    blocker = writer.submit(lambda _conn: hold.wait(5))
    good = writer.submit(lambda conn: _insert(conn, "a"))
    twice = writer.submit(lambda conn: (_insert(conn, "b"), _insert(conn, "b")))
    wrong = writer.submit(lambda _conn: 1 // 0)
    also_good = writer.submit(lambda conn: _insert(conn, "c"))
    hold.set()
    assert blocker.result(5) is True
    assert good.result(5) == "a"
    assert also_good.result(5) == "c"
    with pytest.raises(sqlite3.IntegrityError):
        twice.result(5)
    with pytest.raises(ZeroDivisionError):
        wrong.result(5)
    assert writer.submit(_names).result(5) == {"a", "c"}
    assert writer.counters.commits < 5
    writer.close()


async def test_a_message_that_fails_among_others_fails_only_itself(
    tmp_path: Path,
) -> None:
    def judge(_conn: sqlite3.Connection, question: TokenQuestion) -> TokenDecision:
        if question.token.value == "BROKEN":
            raise ZeroDivisionError
        return TokenDecision(status="accepted")

    async with open_store(tmp_path, Hooks(judge=judge)) as (store, queries):
        number = str((await store.append_and_wait(entry(started()))).transaction_number)
        outcomes: dict[str, Receipt | BaseException | None] = {}
        messages = {
            "first": entry(updated(5, wire_id=number, readings=(register(5, 1100),))),
            "broken": entry(started(station=CP2, token="BROKEN")),
            "second": entry(updated(9, wire_id=number, readings=(register(9, 1200),))),
        }
        done = asyncio.Event()
        before = store.writer.counters.commits

        def note(
            name: str, receipt: Receipt | None, error: BaseException | None
        ) -> None:
            outcomes[name] = receipt or error
            if len(outcomes) == len(messages):
                done.set()

        for name, message in messages.items():
            store.append(message, partial(note, name))
        await done.wait()

        assert store.writer.counters.commits == before + 1
        assert isinstance(outcomes["broken"], ZeroDivisionError)
        last = outcomes["second"]
        assert isinstance(last, Receipt)
        assert last.session is not None
        assert last.session.register_last_milliwh == 1_200_000
        assert await queries.session(last.session.session_id) == last.session
        assert len(await queries.readings(last.session.session_id)) == 2
        assert await queries.rows("SELECT count(*) FROM frame", ()) == [(3,)]


def test_a_full_disk_fails_the_group_and_the_writer_recovers(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.sqlite3")
    writer.start()

    def limit(conn: sqlite3.Connection) -> None:
        conn.execute("PRAGMA max_page_count = 1")  # raised to the current size

    writer.submit(limit).result(5)
    big = "x" * 2_000_000
    with pytest.raises(StoreError, match="full"):
        writer.submit(lambda conn: _insert(conn, "too-big", big)).result(5)
    assert writer.counters.failed_groups == 1

    def unlimit(conn: sqlite3.Connection) -> None:
        conn.execute("PRAGMA max_page_count = 1000000")

    writer.submit(unlimit).result(5)
    writer.submit(lambda conn: _insert(conn, "fits", big)).result(5)
    assert writer.submit(_names).result(5) == {"fits"}
    writer.close()


def test_a_locked_database_fails_the_group_and_the_writer_recovers(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.sqlite3"
    writer = Writer(path, busy_timeout_ms=50)
    writer.start()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        writer.submit(lambda conn: _insert(conn, "a")).result(5)
    other.execute("ROLLBACK")
    other.close()
    assert writer.submit(lambda conn: _insert(conn, "b")).result(5) == "b"
    assert writer.submit(_names).result(5) == {"b"}
    writer.close()


def test_a_full_queue_refuses_and_drains(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.sqlite3", max_pending=3)
    writer.start()
    entered, hold = threading.Event(), threading.Event()

    def block(_conn: sqlite3.Connection) -> None:
        entered.set()
        hold.wait(5)

    writer.submit(block)
    assert entered.wait(5)
    waiting = [writer.submit(partial(_insert, name=str(n))) for n in range(3)]
    with pytest.raises(StoreBusy):
        writer.submit(lambda conn: _insert(conn, "late"))
    hold.set()
    assert [future.result(5) for future in waiting] == ["0", "1", "2"]
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.submit(lambda conn: _insert(conn, "later"))


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    writer = Writer(path, commit_delay_s=0.01)
    writer.start()
    futures = [writer.submit(partial(_insert, name=str(n))) for n in range(100)]
    writer.close()
    assert all(future.done() for future in futures)
    again = open_database(path)
    assert len(_names(again)) == 100
    again.close()


async def test_callbacks_come_on_the_loop_in_order(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    writer = Writer(tmp_path / "w.sqlite3")
    writer.start(loop)
    seen: list[str | None] = []
    finished = asyncio.Event()

    def on_done(result: str | None, error: BaseException | None) -> None:
        assert error is None
        assert asyncio.get_running_loop() is loop
        seen.append(result)
        if len(seen) == 50:
            finished.set()

    for number in range(50):
        writer.submit_with(partial(_insert, name=str(number)), on_done)
    await asyncio.wait_for(finished.wait(), 5)
    assert seen == [str(number) for number in range(50)]
    with pytest.raises(ZeroDivisionError):
        await writer.run(lambda _conn: 1 // 0)
    writer.close()


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    path.write_bytes(b"certainly not a database " * 1000)
    with pytest.raises(StartupError, match="not a database") as caught:
        Writer(path).start()
    assert "\n" not in str(caught.value)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StartupError, match="another program"):
        Writer(path).start()
    assert path.read_bytes() == before, "not even its journal mode was changed"


def test_a_newer_schema_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    conn = open_database(path)
    conn.execute("INSERT INTO schema_version VALUES (9999, '9999_future.sql')")
    conn.close()
    before = path.read_bytes()
    with pytest.raises(StartupError, match=r"schema 9999.*newer version"):
        Writer(path).start()
    assert path.read_bytes() == before


def test_a_file_that_ends_too_soon_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    conn = open_database(path)
    conn.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 8192 * 4096)
    with pytest.raises(StartupError, match="is damaged") as caught:
        Writer(path).start()
    assert "\n" not in str(caught.value)


def test_a_file_that_another_program_holds_is_called_held(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    open_database(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StartupError, match="held by another program"):
        Writer(path, busy_timeout_ms=50).start()
    other.close()
    writer = Writer(path)
    writer.start()
    writer.close()


def test_a_damaged_file_stops_the_start_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "w.sqlite3"
    conn = open_database(path)
    conn.executemany(
        "INSERT INTO knocking VALUES (?, '', '', 1, '', ?)",
        [(str(number), "x" * 500) for number in range(2000)],
    )
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()  # not marked as closed cleanly: as after a crash
    data = bytearray(path.read_bytes())
    for page in range(len(data) // 4096 // 2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(StartupError, match=r"damaged|unusable"):
        Writer(path).start()


def test_an_unreadable_place_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "folder.sqlite3"
    folder.mkdir()
    with pytest.raises(StartupError, match="cannot open"):
        Writer(folder).start()
