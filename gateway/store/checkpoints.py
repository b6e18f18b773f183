"""Moving what was committed from the log file into the database, beside the writer.

SQLite does so inside a COMMIT once the log is long enough: tens of milliseconds in
which stations wait. This thread does it every second on a connection of its own, so
that when the writer's turn comes (``WAL_PAGES`` in `gateway.store.schema`) next to
nothing is left to move, and the log begins anew.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Final

import structlog

EVERY_S: Final = 1.0

_log: Final = structlog.get_logger()


class Checkpointer:
    """Run it as long as the writer has the database open.

    Args:
        path: The database file.
        every_s: Real seconds between two rounds.
    """

    def __init__(self, path: Path, *, every_s: float = EVERY_S) -> None:
        self._path = path
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store.checkpoints")

    def start(self) -> None:
        """Begin; the file must exist."""
        self._thread.start()

    def close(self) -> None:
        """Finish the round under way, and end. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                checkpoint(self._path)
            except sqlite3.Error as error:  # the writer will meet it, and tell
                _log.info("store.not_checkpointed", error=str(error))


def checkpoint(path: Path) -> None:
    """Move what can be moved without making anybody wait.

    Raises:
        sqlite3.Error: The file cannot be read or written.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"  # never make a file
    conn = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        conn.close()
