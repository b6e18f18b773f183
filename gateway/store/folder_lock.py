"""One gateway per data folder: two would each think the chargers theirs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.errors import StartupError

LOCK_FILE: Final = "gateway.lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder within the block; the system lets go when the process dies.

    Commands beside a running gateway (tokens, receipts) do not take it.

    Raises:
        StartupError: Another gateway holds it, or it cannot be written to.
    """
    path = folder / LOCK_FILE
    try:
        file = path.open("ab")
    except OSError as error:
        raise StartupError(f"cannot use {folder}: {error.strerror}") from error
    with file:
        if sys.platform != "win32":
            import fcntl  # noqa: PLC0415 - not there on Windows

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StartupError(f"another gateway runs on {folder}") from None
            except OSError as error:
                raise StartupError(f"cannot lock {path}: {error.strerror}") from error
        yield
