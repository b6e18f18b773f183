"""Whether a data folder can be trusted, in words for whoever operates it.

Nothing here changes a file, and a gateway may be running on it.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from gateway.config.sections import StoreConfig
from gateway.errors import StartupError
from gateway.store import reading_trail
from gateway.store.schema import cut_off, migrations, tables_of, version_problem

Say: TypeAlias = Callable[[str], None]
"""Told one line of progress."""

SAY_EVERY_S: Final = 2.0
"""Real seconds between two lines about the same work."""
_STEPS_BETWEEN_LOOKS: Final = 1_000_000
"""Instructions of SQLite between two looks at the time."""
_MANY: Final = {"leaf": "leaves"}
MAX_PROBLEMS: Final = 3
"""Damages told of one file; further ones say nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one part.

    Attributes:
        part: File, or what it holds.
        text: What is so, or what is wrong.
        is_good: Nothing is wrong.
    """

    part: str
    text: str
    is_good: bool = True


class Progress:
    """Says from time to time how far long work is.

    Args:
        say: Gets the lines.
        every_s: Real seconds between two lines; the first comes after that long.
    """

    def __init__(self, say: Say, every_s: float = SAY_EVERY_S) -> None:
        self._say = say
        self._every_s = every_s
        self._begun_s = self._said_s = time.monotonic()

    def note(self, text: Callable[[], str]) -> None:
        """Say it if it is time; ``text`` is only made then."""
        now_s = time.monotonic()
        if now_s - self._said_s >= self._every_s:
            self._said_s = now_s
            self._say(text())

    @property
    def spent_s(self) -> float:
        """Real seconds since it began."""
        return time.monotonic() - self._begun_s


def read_only(path: Path, *, is_at_rest: bool = False) -> sqlite3.Connection:
    """A connection that cannot write.

    Args:
        path: The file.
        is_at_rest: Nobody has it open: no file is made beside it.

    Raises:
        sqlite3.Error: It is not there or not readable.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro" + "&immutable=1" * is_at_rest
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def damages(conn: sqlite3.Connection, what: str, say: Say) -> list[str]:
    """Every page, index and reference looked at; empty when all is well."""
    progress = Progress(say)

    def look() -> int:
        progress.note(lambda: f"{what}: checking, {progress.spent_s:.0f} s")
        return 0

    conn.set_progress_handler(look, _STEPS_BETWEEN_LOOKS)
    try:
        found = [
            str(row[0])
            for row in conn.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})")
        ]
        if found == ["ok"]:
            found = [
                f"a row of {table} names a row of {parent} that is not there"
                for table, _row, parent, _key in conn.execute(
                    "PRAGMA foreign_key_check"
                ).fetchmany(MAX_PROBLEMS)
            ]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    finally:
        conn.set_progress_handler(None, 0)
    return found


def check_folder(
    store: StoreConfig, say: Say, *, is_at_rest: bool = False
) -> Iterator[Verdict]:
    """Look at everything durable in a folder, part by part.

    Args:
        store: Where it is.
        say: Told about long work.
        is_at_rest: It is a copy that nobody has open.

    Raises:
        StartupError: There is no database.
    """
    if not store.database_path.is_file():
        raise StartupError(f"there is no database {store.database_path}")
    has_passwords, n_head = False, 0
    try:
        with closing(read_only(store.database_path, is_at_rest=is_at_rest)) as conn:
            conn.execute("BEGIN")  # one moment, however long it takes
            yield (verdict := _damage(conn, store.database_path, say))
            if verdict.is_good:
                yield (schema := _schema(conn))
                if schema.is_good:
                    yield _log(conn)
                    yield from _readings(conn)
                    has_passwords = _has_passwords(conn)
                    n_head = _heads(conn)
    except sqlite3.Error as error:
        yield Verdict(part=store.database_path.name, text=str(error), is_good=False)
    if store.chain_path.is_file():
        try:
            with closing(read_only(store.chain_path, is_at_rest=is_at_rest)) as conn:
                yield _damage(conn, store.chain_path, say)
        except sqlite3.Error as error:
            yield Verdict(part=store.chain_path.name, text=str(error), is_good=False)
    elif n_head:
        yield Verdict(
            part=store.chain_path.name,
            text=f"not there, and heads were anchored ({n_head}): right for a chain of"
            " your own, lost where it was the embedded one",
        )
    if has_passwords and not store.pepper_path.is_file():
        yield Verdict(
            part="keys",
            text=f"{store.pepper_path} is missing: no password of a station would be"
            " recognised",
            is_good=False,
        )


def _damage(conn: sqlite3.Connection, path: Path, say: Say) -> Verdict:
    part = path.name
    short = cut_off(path)
    found = damages(conn, part, say) if short is None else [short]
    if found:
        lines = "; ".join(found).splitlines()
        return Verdict(part=part, text=f"damaged: {'; '.join(lines)}", is_good=False)
    (n_page,) = conn.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = conn.execute("PRAGMA page_size").fetchone()
    return Verdict(part=part, text=f"ok, {megabytes(n_page * page_bytes)}")


def _schema(conn: sqlite3.Connection) -> Verdict:
    problem = version_problem(conn)
    if problem is not None:
        return Verdict(part="schema", text=problem, is_good=False)
    if "schema_version" not in tables_of(conn):
        return Verdict(part="schema", text="an empty database", is_good=False)
    newest = max(step.version for step in migrations())
    (version,) = conn.execute("SELECT max(version) FROM schema_version").fetchone()
    behind = "" if version == newest else f", the next start brings it to {newest}"
    return Verdict(part="schema", text=f"ok, version {version}{behind}")


def _readings(conn: sqlite3.Connection) -> Iterator[Verdict]:
    """Every reading is found from its session; nothing of an older schema."""
    columns = {row[1] for row in conn.execute("PRAGMA table_info(reading)")}
    if "previous_id" not in columns:
        return
    found = list(islice(reading_trail.untrue(conn), MAX_PROBLEMS))
    if found:
        yield Verdict(part="readings", text="; ".join(found), is_good=False)
        return
    (number,) = conn.execute("SELECT count(*) FROM reading").fetchone()
    yield Verdict(part="readings", text=f"ok, {number}, all found from their sessions")


def _log(conn: sqlite3.Connection) -> Verdict:
    """Leaves are numbered from 0 on, without a gap; sessions and bills for people."""
    known = tables_of(conn)
    counts = {
        name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - constant names
        for name in ("frame", "session", "bill", "leaf")
        if name in known
    }
    text = ", ".join(
        f"{number} {_MANY.get(name, f'{name}s')}" for name, number in counts.items()
    )
    if counts.get("leaf"):
        (last,) = conn.execute("SELECT max(leaf_index) FROM leaf").fetchone()
        if last != counts["leaf"] - 1:
            return Verdict(
                part="log",
                text=f"its last leaf has number {last}, there are {counts['leaf']}",
                is_good=False,
            )
    return Verdict(part="log", text=f"ok, {text}")


def _has_passwords(conn: sqlite3.Connection) -> bool:
    (found,) = conn.execute(
        "SELECT EXISTS (SELECT 1 FROM station WHERE password_hash IS NOT NULL)"
    ).fetchone()
    return bool(found)


def _heads(conn: sqlite3.Connection) -> int:
    if "anchored_head" not in tables_of(conn):
        return 0
    (number,) = conn.execute("SELECT count(*) FROM anchored_head").fetchone()
    return int(number)


def megabytes(n_byte: int) -> str:
    """A size for people."""
    return f"{n_byte / 1e6:.1f} MB"
