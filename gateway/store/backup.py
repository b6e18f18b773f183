"""A copy of everything durable, taken while the gateway runs or while it does not.

Database and embedded chain are copied as of one moment, with SQLite's online backup out
of read transactions, which stop no writer. The copy is made under another name, checked
as a whole, synced, and only then gets its name: a folder of that name is a good backup.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config.sections import StoreConfig
from gateway.errors import StartupError
from gateway.store.folder_lock import LOCK_FILE
from gateway.store.integrity import Progress, Say, Verdict, check_folder, megabytes

PAGES_AT_ONCE: Final = 1024
MAX_TRIES: Final = 50
"""Attempts at a moment in which the chain does not move; each takes microseconds."""
TRY_AGAIN_S: Final = 0.1
_SIDE_FILES: Final = ("-wal", "-shm", "-journal")


def back_up(store: StoreConfig, target: Path, say: Say) -> list[Verdict]:
    """Copy a data folder and check the copy.

    Args:
        store: The folder; a gateway may be running on it.
        target: The copy's folder, made here; must not be there yet.
        say: Told about long work.

    Returns:
        What the check found of each part; all of it good.

    Raises:
        StartupError: There is nothing to copy, the target is there already, it cannot
            be written, or the copy is damaged. Nothing is left behind then.
    """
    if not store.database_path.is_file():
        raise StartupError(f"there is no database {store.database_path}")
    if target.exists():
        raise StartupError(f"{target} exists already: a backup overwrites nothing")
    target = target.absolute()
    if target.is_relative_to(store.path.absolute()):
        raise StartupError(f"{target} lies in the folder that it would copy")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _unfinished(target) as made:
            _copy_databases(store, made, say)
            _copy_rest(store, made)
            copy = replace(store, path=made)
            found = list(check_folder(copy, say, is_at_rest=True))
            bad = [f"{one.part}: {one.text}" for one in found if not one.is_good]
            if bad:
                raise StartupError(f"the copy is no good: {'; '.join(bad)}")
            _sync(made)
            made.rename(target)
            _sync_folder(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StartupError(f"cannot back up to {target}: {error}") from error
    return found


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A folder beside the target, for its owner only; removed unless renamed."""
    made = Path(
        tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent)
    )
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _copy_databases(store: StoreConfig, made: Path, say: Say) -> None:
    """Copy database and chain as of one moment.

    What is on the chain was in the database before, and the database says so only
    afterwards. So a chain that did not move while the database's moment was fixed holds
    neither less than the database claims nor more than it knows.
    """
    sources = [store.database_path]
    with ExitStack() as stack:
        database = stack.enter_context(closing(_reader(store.database_path)))
        conns = [database]
        if store.chain_path.is_file():
            sources.append(store.chain_path)
            watch = stack.enter_context(closing(_reader(store.chain_path)))
            chain = stack.enter_context(closing(_reader(store.chain_path)))
            conns.append(chain)
            _fix_together(watch, chain, database)
        else:
            _fix(database)
        for source, conn in zip(sources, conns, strict=True):
            _copy_pages(conn, made / source.name, say)
            conn.execute("ROLLBACK")


def _reader(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"  # may have to bring its log up to date
    conn = sqlite3.connect(uri, uri=True, isolation_level=None)
    conn.execute("PRAGMA query_only = ON")
    return conn


def _fix(conn: sqlite3.Connection) -> None:
    """From now on the connection sees this moment, whatever others write."""
    conn.execute("BEGIN")
    conn.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _fix_together(
    watch: sqlite3.Connection, chain: sqlite3.Connection, database: sqlite3.Connection
) -> None:
    for _ in range(MAX_TRIES):
        before = watch.execute("PRAGMA data_version").fetchone()
        _fix(chain)
        _fix(database)
        if watch.execute("PRAGMA data_version").fetchone() == before:
            return
        chain.execute("ROLLBACK")
        database.execute("ROLLBACK")
        time.sleep(TRY_AGAIN_S)
    raise StartupError("the chain never rested: try again")


def _copy_pages(conn: sqlite3.Connection, path: Path, say: Say) -> None:
    """Copy what a connection sees to a new file."""
    (page_bytes,) = conn.execute("PRAGMA page_size").fetchone()
    progress = Progress(say)

    def copied(_status: int, remaining: int, total: int) -> None:
        done = (total - remaining) * page_bytes
        progress.note(
            lambda: f"{path.name}: {megabytes(done)} of {megabytes(total * page_bytes)}"
        )

    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous = OFF")  # synced as a whole at the end
        conn.backup(copy, pages=PAGES_AT_ONCE, progress=copied)


def _copy_rest(store: StoreConfig, made: Path) -> None:
    """Keys, certificates, uploads, and whatever else lies in the folder.

    They are written once under their final name, so a copy of each is whole; what is
    taken away meanwhile is left out.
    """
    databases = {store.database_path.name, store.chain_path.name}
    left_out = {name + end for name in databases for end in ("", *_SIDE_FILES)}
    left_out.add(LOCK_FILE)
    for source in sorted(store.path.iterdir()):
        if source.name in left_out:
            continue
        if source.is_dir():
            shutil.copytree(source, made / source.name, copy_function=_copy_file)
        elif source.is_file():
            _copy_file(str(source), str(made / source.name))


def _copy_file(source: str, target: str) -> None:
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        Path(target).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Have everything in a folder on the disk."""
    for name, _folders, files in os.walk(folder):
        for file in files:
            with (Path(name) / file).open("rb") as opened:
                os.fsync(opened.fileno())
        _sync_folder(Path(name))


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
