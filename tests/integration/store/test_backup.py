"""Backups of a store that writes, and verdicts about folders."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.config.sections import StoreConfig
from gateway.errors import StartupError
from gateway.store import backup
from gateway.store.backup import back_up
from gateway.store.integrity import Progress, check_folder
from gateway.store.schema import mark_closed, open_database
from gateway.store.writer import Writer


def quiet(_line: str) -> None:
    """Progress that nobody wants to hear."""


@pytest.fixture
def store(tmp_path: Path) -> StoreConfig:
    return StoreConfig(path=tmp_path / "data")


@contextmanager
def writing(store: StoreConfig) -> Iterator[list[int]]:
    """One row after the other from another thread; what was committed, in order."""
    writer = Writer(store.database_path)
    writer.start()
    stop = threading.Event()
    committed: list[int] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            writer.submit(partial(knock, number=number)).result(10)
            committed.append(number)
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield committed
    finally:
        stop.set()
        thread.join()
        writer.close()


def knock(conn: sqlite3.Connection, number: int) -> None:
    conn.execute(
        "INSERT INTO knocking VALUES (?, '', '', 1, '', ?)", (str(number), "x" * 500)
    )


def filled(store: StoreConfig, n_row: int = 20) -> None:
    with closing(open_database(store.database_path)) as conn:
        for number in range(n_row):
            knock(conn, number)


def rows(path: Path) -> set[int]:
    with closing(sqlite3.connect(path)) as conn:
        return {int(row[0]) for row in conn.execute("SELECT station_id FROM knocking")}


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(len(data) // 4096 // 2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(data)


def test_a_backup_under_load_holds_all_that_was_committed_before_it(
    store: StoreConfig, tmp_path: Path
) -> None:
    filled_to = 200
    with writing(store) as committed:
        while len(committed) < filled_to:
            pass
        before = set(committed)
        found = back_up(store, tmp_path / "copy", quiet)
        still_written = len(committed)
    held = rows(tmp_path / "copy" / "wattproof.db")
    assert before <= held
    assert held == set(range(len(held))), "one moment, without holes"
    assert len(committed) > still_written, "nobody stopped the writer"
    assert all(verdict.is_good for verdict in found)


def test_what_was_written_while_pages_were_copied_is_not_half_in_it(
    store: StoreConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store, 400)
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    monkeypatch.setattr(Progress.__init__, "__defaults__", (0.0,))
    writer = Writer(store.database_path)
    writer.start()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) % 10 == 1:
            writer.submit(lambda conn: knock(conn, 1000 + len(said))).result(10)

    try:
        back_up(store, tmp_path / "copy", say)
    finally:
        writer.close()
    assert rows(tmp_path / "copy" / "wattproof.db") == set(range(400))
    assert len(rows(store.database_path)) > 405
    assert any("wattproof.db: 0." in line and " of " in line for line in said)


def test_keys_and_other_files_come_along_for_their_owner_only(
    store: StoreConfig, tmp_path: Path
) -> None:
    filled(store)
    store.keys_path.mkdir()
    store.pepper_path.write_bytes(b"p" * 32)
    store.pepper_path.chmod(0o600)
    (store.uploads_path / "CP1").mkdir(parents=True)
    (store.uploads_path / "CP1" / "log.txt").write_text("hello")
    (store.path / "gateway.lock").write_text("1\n")
    copy = tmp_path / "backups" / "copy"
    back_up(store, copy, quiet)
    assert (copy / "keys" / "pepper.key").read_bytes() == b"p" * 32
    assert (copy / "keys" / "pepper.key").stat().st_mode & 0o777 == 0o600
    assert (copy / "uploads" / "CP1" / "log.txt").read_text() == "hello"
    assert copy.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in copy.iterdir()) == [
        "keys",
        "uploads",
        "wattproof.db",
    ]
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_a_backup_that_was_put_back_opens(store: StoreConfig, tmp_path: Path) -> None:
    with writing(store) as committed:
        while len(committed) < 50:
            pass
        back_up(store, tmp_path / "copy", quiet)
    with closing(open_database(tmp_path / "copy" / "wattproof.db")) as conn:
        assert conn.execute("SELECT count(*) FROM knocking").fetchone()[0] >= 50


def test_a_damaged_database_gives_no_backup(store: StoreConfig, tmp_path: Path) -> None:
    filled(store, 2000)
    damage(store.database_path)
    with pytest.raises(StartupError, match=r"no good: wattproof\.db: damaged"):
        back_up(store, tmp_path / "copy", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_backup_overwrites_nothing(store: StoreConfig, tmp_path: Path) -> None:
    filled(store)
    (tmp_path / "copy").mkdir()
    with pytest.raises(StartupError, match="exists already"):
        back_up(store, tmp_path / "copy", quiet)
    with pytest.raises(StartupError, match="lies in the folder"):
        back_up(store, store.path / "copy", quiet)
    with pytest.raises(StartupError, match="there is no database"):
        back_up(StoreConfig(path=tmp_path / "none"), tmp_path / "other", quiet)


def test_a_backup_to_a_place_that_cannot_be_written_says_so(
    store: StoreConfig, tmp_path: Path
) -> None:
    filled(store)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StartupError, match="cannot back up"):
        back_up(store, tmp_path / "file" / "copy", quiet)


def test_a_chain_that_moves_is_looked_at_again(
    store: StoreConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chain and database are copied as of one moment, or not at all."""
    filled(store)
    with closing(sqlite3.connect(store.chain_path, isolation_level=None)) as chain:
        chain.execute("PRAGMA journal_mode = WAL")
        chain.execute("CREATE TABLE node (key INTEGER PRIMARY KEY)")
        fix, n_moved = backup._fix, 0

        def fix_and_move(conn: sqlite3.Connection) -> None:
            nonlocal n_moved
            fix(conn)
            if n_moved < 3:
                chain.execute("INSERT INTO node VALUES (?)", (n_moved,))
                n_moved += 1

        monkeypatch.setattr(backup, "_fix", fix_and_move)
        monkeypatch.setattr(backup, "TRY_AGAIN_S", 0.0)
        back_up(store, tmp_path / "copy", quiet)
    with closing(sqlite3.connect(tmp_path / "copy" / "chain.db")) as copy:
        assert copy.execute("SELECT count(*) FROM node").fetchone() == (3,)

    monkeypatch.setattr(backup, "MAX_TRIES", 2)
    n_moved = -10
    with (
        closing(sqlite3.connect(store.chain_path, isolation_level=None)) as chain,
        pytest.raises(StartupError, match="never rested"),
    ):
        back_up(store, tmp_path / "second", quiet)


def verdicts(store: StoreConfig) -> dict[str, tuple[str, bool]]:
    return {one.part: (one.text, one.is_good) for one in check_folder(store, quiet)}


def test_a_good_folder_is_told_part_by_part(store: StoreConfig) -> None:
    filled(store)
    found = verdicts(store)
    assert all(is_good for _, is_good in found.values())
    assert set(found) == {"wattproof.db", "schema", "log", "readings"}
    assert "0 sessions" in found["log"][0]


def test_a_check_changes_nothing_and_may_run_beside_a_writer(
    store: StoreConfig,
) -> None:
    with writing(store) as committed:
        while len(committed) < 50:
            pass
        assert all(is_good for _, is_good in verdicts(store).values())
    data = store.database_path.read_bytes()
    verdicts(store)
    assert store.database_path.read_bytes() == data


def test_what_is_wrong_is_named(store: StoreConfig) -> None:
    filled(store, 2000)
    with closing(open_database(store.database_path)) as conn:
        conn.execute("PRAGMA foreign_keys = OFF")
        conn.execute(
            "INSERT INTO station (station_id, source, password_hash)"
            " VALUES ('CP1', 'api', 'x')"
        )
    text, is_good = verdicts(store)["keys"]
    assert "pepper.key is missing" in text
    assert not is_good
    damage(store.database_path)
    text, is_good = verdicts(store)["wattproof.db"]
    assert text.startswith("damaged: ")
    assert not is_good
    store.database_path.write_bytes(b"certainly not a database " * 1000)
    assert verdicts(store)["wattproof.db"] == (
        "damaged: file is not a database",
        False,
    )


def test_a_newer_or_foreign_database_is_named(store: StoreConfig) -> None:
    filled(store)
    with closing(open_database(store.database_path)) as conn:
        conn.execute("INSERT INTO schema_version VALUES (9999, '9999_future.sql')")
    assert "newer version" in verdicts(store)["schema"][0]
    store.database_path.unlink()
    with closing(sqlite3.connect(store.database_path)) as conn:
        conn.execute("CREATE TABLE recipes (name TEXT)")
    assert "another program" in verdicts(store)["schema"][0]


@pytest.mark.parametrize("n_missing", [1, 4096, 3 * 4096 + 100])
def test_a_database_whose_end_is_missing_is_told_and_not_started_after_a_clean_stop(
    store: StoreConfig, n_missing: int
) -> None:
    filled(store, 200)
    with closing(open_database(store.database_path)) as conn:
        mark_closed(conn)
    size = store.database_path.stat().st_size
    os.truncate(store.database_path, size - n_missing)
    told = f"it was cut off: {size - n_missing} bytes of {size}"
    assert verdicts(store)["wattproof.db"] == (f"damaged: {told}", False)
    with pytest.raises(StartupError, match=told):
        open_database(store.database_path)


def test_the_log_of_another_database_is_told(store: StoreConfig) -> None:
    filled(store)
    other = store.path / "other.db"
    with closing(sqlite3.connect(other)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("CREATE TABLE songs (title TEXT)")
        conn.execute("INSERT INTO songs SELECT zeroblob(900000)")
        conn.commit()
        shutil.copy(f"{other}-wal", f"{store.database_path}-wal")
    found = verdicts(store)
    assert not all(is_good for _, is_good in found.values())
    with pytest.raises(StartupError, match=r"another program|damaged"):
        open_database(store.database_path)


def test_a_log_of_nonsense_is_no_log(store: StoreConfig) -> None:
    """A log counts as far as its sums are right: here not at all."""
    filled(store)
    Path(f"{store.database_path}-wal").write_bytes(b"never written " * 5000)
    assert all(is_good for _, is_good in verdicts(store).values())
    assert rows(store.database_path) == set(range(20))


def test_a_chain_that_is_not_there_is_told_where_heads_were_anchored(
    store: StoreConfig,
) -> None:
    filled(store)
    assert "chain.db" not in verdicts(store)
    with closing(open_database(store.database_path)) as conn:
        conn.execute("CREATE TABLE anchored_head (size INTEGER)")
        conn.execute("INSERT INTO anchored_head VALUES (1)")
    text, is_good = verdicts(store)["chain.db"]
    assert is_good, "a chain of the operator's own has no file"
    assert text.startswith("not there, and heads were anchored (1)")
