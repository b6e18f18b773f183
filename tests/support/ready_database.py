"""A database with all migrations taken, copied instead of made.

Making one takes a few tens of milliseconds, thousands of times; that a gateway makes
its own is tested where it is asked for (`tests/integration/store/test_migrations.py`
and every test that starts a gateway as a process).
"""

import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from gateway.services.sealing import install_ledger
from gateway.store.schema import WriterConnection, mark_closed, open_database


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.sqlite3"
        with closing(open_database(path)) as conn:
            mark_closed(conn)
        return path.read_bytes()


def place_database(path: Path) -> Path:
    """Put a closed, empty database at a path, unless there is a file.

    Returns:
        The path.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_template())
    return path


def ready_database(path: Path, *, with_ledger: bool = False) -> WriterConnection:
    """Open such a database without syncs: durability is tested elsewhere."""
    conn = open_database(place_database(path))
    conn.execute("PRAGMA synchronous = OFF")
    if with_ledger:
        install_ledger(conn)
    return conn
