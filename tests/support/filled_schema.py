"""Databases at an earlier schema, with rows in every table."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from gateway.store.schema import migrations, open_database

TIME: Final = "2026-06-01T12:00:00.000000Z"
SPECIAL: Final[Mapping[tuple[str, str], Any]] = {
    ("bill", "status"): "settled",  # only those have credits
    ("frame", "deviations"): '[{"kind": "k", "path": "p", "detail": "d"}]',
    ("session_tariff", "tariff_sha256"): "x" * 64,  # names a hash
}
"""Values that a step reads, or that a rule asks for."""

OWN_TABLES: Final = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE"
    " 'sqlite_%' AND name NOT IN ('schema_version', 'store_state') ORDER BY name"
)
Rows: TypeAlias = dict[str, dict[str, Any]]


def older_schema(folder: Path, version: int) -> sqlite3.Connection:
    """A database as the version with this step made it; foreign keys are not looked at.

    Args:
        folder: For the steps and ``w.sqlite3``.
        version: The last step.
    """
    steps = folder / "steps"
    steps.mkdir()
    for step in migrations():
        if step.version <= version:
            (steps / step.name).write_text(step.sql)
    path = folder / "w.sqlite3"
    conn = open_database(path, folder=steps)
    conn.execute("PRAGMA foreign_keys = OFF")
    return conn


def fill(conn: sqlite3.Connection) -> Rows:
    """One row in every table, each column with a value; keys fit each other."""
    filled: Rows = {}
    for table, sql in conn.execute(OWN_TABLES).fetchall():
        columns = conn.execute(f"PRAGMA table_info({table})").fetchall()
        row = {name: _value(table, name, kind, sql) for _, name, kind, *_ in columns}
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        conn.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of the schema
            tuple(row.values()),
        )
        filled[table] = row
    return filled


def read(conn: sqlite3.Connection, table: str) -> dict[str, Any]:
    """The only row of a table."""
    with closing(conn.execute(f"SELECT * FROM {table}")) as cursor:  # noqa: S608 - as above
        names = [column[0] for column in cursor.description]
        (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def copy_what_fits(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Rows of a newer database in an older one, without what it has no place for."""
    for table, _sql in target.execute(OWN_TABLES).fetchall():
        theirs = _columns(source, table)
        names = [name for name in _columns(target, table) if name in theirs]
        listed, marks = ", ".join(names), ", ".join("?" * len(names))
        target.executemany(
            f"INSERT INTO {table} ({listed}) VALUES ({marks})",  # noqa: S608 - as above
            source.execute(f"SELECT {listed} FROM {table}").fetchall(),  # noqa: S608 - as above
        )


def _columns(conn: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]


def _value(table: str, name: str, kind: str, sql: str) -> Any:
    if (table, name) in SPECIAL:
        return SPECIAL[table, name]
    allowed = re.search(rf"\b{name} IN \(\s*('[^']*'|-?\d+)", sql)
    if allowed is not None:
        word = allowed[1]
        return word.strip("'") if word.startswith("'") else int(word)
    length = re.search(rf"length\({name}\) = (\d+)", sql)
    if length is not None:
        return "x" * int(length[1])
    if name.endswith("_at"):
        return TIME
    return {"INTEGER": 1, "REAL": 1.0, "BLOB": b"x"}.get(kind, "x")
