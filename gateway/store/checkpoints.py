"""Moving what was committed from the log file into the database, beside the writer.

SQLite does so inside a COMMIT once the log is long enough: tens of milliseconds in
which stations wait. This thread does it every second on a connection of its own. What
is committed meanwhile it cannot move, and only a log that is moved whole begins anew;
so the thread asks the writer to move the little that is left, between two groups.
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

EVERY_S: Final = 1.0
"""Real seconds between two rounds."""
LONG_PAGES: Final = 1_024
"""A log of this length should begin anew."""
LITTLE_PAGES: Final = 128
"""What the writer moves in a millisecond or two."""
ROUNDS: Final = 4
"""Attempts to leave it so little: each moves what came during the one before."""
MOVE: Final = "PRAGMA wal_checkpoint(PASSIVE)"

_log: Final = structlog.get_logger()


class Checkpointer:
    """Run it as long as the writer has the database open.

    Args:
        path: The database file.
        finish: Asks the writer to `MOVE` what is left.
        every_s: Real seconds between two rounds.
    """

    def __init__(
        self, path: Path, finish: Callable[[], None], *, every_s: float = EVERY_S
    ) -> None:
        self._path = path
        self._finish = finish
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
                if checkpoint(self._path) >= LONG_PAGES:
                    self._finish()
            except sqlite3.Error as error:  # the writer will meet it, and tell
                _log.info("store.not_checkpointed", error=str(error))


def checkpoint(path: Path) -> int:
    """Move what can be moved without making anybody wait.

    Returns:
        Pages in the log, moved or not.

    Raises:
        sqlite3.Error: The file cannot be read or written.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"  # never make a file
    conn = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        n_page = n_moved = 0
        for _ in range(ROUNDS):
            n_before = n_moved
            _, n_page, n_moved = conn.execute(MOVE).fetchone()
            if n_moved - n_before <= LITTLE_PAGES:
                break
        return int(n_page)
    finally:
        conn.close()
