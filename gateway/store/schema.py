"""Opening the database file: settings, integrity, and numbered forward-only steps."""

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.errors import StartupError

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS: Final = 5_000
PAGE_BYTES: Final = 4096
_HEADER_BYTES: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
WAL_PAGES: Final = 65_536
"""Length of the log from which a commit itself moves it into the database: a net under
`gateway.store.checkpoints`, which does so before, without making anybody wait."""
KEPT_PAGES: Final = 16_384
"""A log file that grew longer is cut to this when it begins anew."""
_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_STATE: Final = """
CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS store_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), closed_cleanly INTEGER NOT NULL);
INSERT OR IGNORE INTO store_state (id, closed_cleanly) VALUES (1, 1);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str


def migrations(folder: Path = MIGRATIONS) -> tuple[Migration, ...]:
    """The steps in a folder, in order.

    Raises:
        StartupError: Two steps carry the same number.
    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        version = int(match[1])
        if version in found:
            raise StartupError(f"two migrations have the number {match[1]}")
        found[version] = Migration(
            version=version, name=path.name, sql=path.read_text("utf-8")
        )
    return tuple(found.values())


class WriterConnection(sqlite3.Connection):
    """The writer's connection and what it remembers of rows it has just used.

    Attributes:
        remembered: Rows by their key, as this connection last read or wrote them.
        trails: Where the readings of sessions end, by their ids.
            Only the one writer changes the database, so they are current until a
            rollback, after which the writer calls `forget`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args, **kwargs)
        self.remembered: dict[tuple[str, str], Any] = {}
        self.trails: dict[str, Any] = {}

    def forget(self) -> None:
        """Drop everything remembered."""
        self.remembered.clear()
        self.trails.clear()


def connect(path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> WriterConnection:
    """The writer's connection: WAL, every commit synced, one thread at a time."""
    conn = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        factory=WriterConnection,
    )
    try:
        conn.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA foreign_keys = ON")
        conn.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        conn.execute(f"PRAGMA journal_size_limit = {KEPT_PAGES * PAGE_BYTES}")
        conn.execute("PRAGMA cache_size = -65536")
        conn.execute("PRAGMA temp_store = MEMORY")  # pages kept by a SAVEPOINT, too
    except sqlite3.Error:
        conn.close()
        raise
    return conn


def open_database(
    path: Path,
    *,
    folder: Path = MIGRATIONS,
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> WriterConnection:
    """Open, check and migrate the database, and mark it as in use.

    After an unclean shutdown the whole file is checked once before it is trusted.

    Raises:
        StartupError: The file cannot be opened, is damaged, is no database of ours, or
            was written by a newer version. One line says which.
    """
    steps = migrations(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_size(path)
        _look(path, steps)
        conn = connect(path, busy_timeout_ms=busy_timeout_ms)
    except sqlite3.Error as error:
        raise StartupError(_verdict(path, error)) from error
    except OSError as error:
        raise StartupError(f"cannot open the database {path}: {error}") from error
    try:
        _check_integrity(conn, path)
        conn.executescript(_STATE)
        _migrate(conn, path, steps)
        conn.execute("UPDATE store_state SET closed_cleanly = 0")
    except StartupError:
        conn.close()
        raise
    except sqlite3.Error as error:
        conn.close()
        raise StartupError(_verdict(path, error)) from error
    return conn


def mark_closed(conn: sqlite3.Connection) -> None:
    """Note that everything was written before the file was let go."""
    conn.execute("UPDATE store_state SET closed_cleanly = 1")


def tables_of(conn: sqlite3.Connection) -> frozenset[str]:
    """The tables that a database has."""
    rows = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return frozenset(row[0] for row in rows)


def version_problem(
    conn: sqlite3.Connection, steps: tuple[Migration, ...] | None = None
) -> str | None:
    """Why this version cannot work on a database; ``None``: it can, or it is empty."""
    tables = tables_of(conn)
    if not tables:
        return None
    if "schema_version" not in tables:
        return "it is a database of another program"
    (found,) = conn.execute("SELECT max(version) FROM schema_version").fetchone()
    known = migrations() if steps is None else steps
    newest = max((one.version for one in known), default=0)
    if found is not None and found > newest:
        return (
            f"it has schema {found}, this version knows {newest}: use the newer"
            " version that wrote it"
        )
    return None


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its details."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _look(path: Path, steps: tuple[Migration, ...]) -> None:
    """Refuse what is not ours before anything is written to it.

    Raises:
        StartupError: It is another program's, or a newer version's.
        sqlite3.Error: It cannot be read.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        problem = version_problem(conn, steps)
    finally:
        conn.close()
    if problem is not None:
        raise StartupError(f"cannot use the database {path}: {problem}")


def _check_size(path: Path) -> None:
    """Refuse a file that was cut off, which a clean stop before would hide.

    Raises:
        StartupError: It is shorter than it says itself.
        OSError: It cannot be read.
    """
    problem = cut_off(path) if path.is_file() else None
    if problem is not None:
        raise StartupError(f"the database {path} is damaged: {problem}")


def cut_off(path: Path) -> str | None:
    """What says that the end of a database is missing; ``None``: nothing does.

    Where there is a log, the end of the file may be in it, and nothing is said.

    Raises:
        OSError: It cannot be read.
    """
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return None
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC) or header[24:28] != header[92:96]:
        return None  # whatever it is, opening it says so
    page_bytes = int.from_bytes(header[16:18])
    wanted = int.from_bytes(header[28:32]) * (65_536 if page_bytes == 1 else page_bytes)
    size = path.stat().st_size
    return f"it was cut off: {size} bytes of {wanted}" if size < wanted else None


def _verdict(path: Path, error: sqlite3.Error) -> str:
    """One line that says whether the file is wrong or only out of reach."""
    match primary_code(error):
        case sqlite3.SQLITE_CORRUPT:
            return f"the database {path} is damaged: {error}"
        case sqlite3.SQLITE_NOTADB:
            return f"cannot open the database {path}: {error}"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"the database {path} is held by another program: {error}"
        case _:
            return f"cannot open the database {path}: {error}"


def _check_integrity(conn: sqlite3.Connection, path: Path) -> None:
    if "store_state" not in tables_of(conn):
        return
    row = conn.execute("SELECT closed_cleanly FROM store_state").fetchone()
    if row is not None and row[0]:
        return
    found = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StartupError(f"the database {path} is damaged: {found}")


def _make_at_once(conn: sqlite3.Connection, steps: tuple[Migration, ...]) -> set[int]:
    """Take all steps of an empty database in one transaction: one sync of the disk.

    Returns:
        The steps taken: all or none. After an error they are taken one by one, which
        tells the one that fails.
    """
    script = "".join(
        f"{step.sql}\nINSERT INTO schema_version (version, name)"
        f" VALUES ({step.version}, '{step.name}');\n"
        for step in steps
    )
    try:
        conn.executescript(f"BEGIN IMMEDIATE;\n{script}COMMIT;")
    except sqlite3.Error:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        return set()
    return {step.version for step in steps}


def _migrate(
    conn: sqlite3.Connection, path: Path, steps: tuple[Migration, ...]
) -> None:
    applied = {row[0] for row in conn.execute("SELECT version FROM schema_version")}
    problem = version_problem(conn, steps)
    if problem is not None:
        raise StartupError(f"cannot use the database {path}: {problem}")
    if not applied:
        applied = _make_at_once(conn, steps)
    for step in steps:
        if step.version in applied:
            continue
        try:
            conn.executescript(f"BEGIN IMMEDIATE;\n{step.sql}")
            conn.execute(
                "INSERT INTO schema_version (version, name) VALUES (?, ?)",
                (step.version, step.name),
            )
            conn.execute("COMMIT")
        except sqlite3.Error as error:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise StartupError(
                f"migration {step.name} failed on {path}: {error}"
            ) from error
