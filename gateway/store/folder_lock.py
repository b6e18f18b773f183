"""One gateway per data folder: two would each think the chargers theirs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from gateway.errors import StartupError

LOCK_FILE: Final = "gateway.lock"
MAX_PID_BYTES: Final = 12

_log = structlog.get_logger()


def refuse_if_held(folder: Path) -> None:
    """Say that another gateway runs here, before its ports are what is in our way.

    Raises:
        StartupError: Another gateway holds the folder, or it cannot be written to.
    """
    path = folder / LOCK_FILE
    try:
        with path.open("r+b") as file:
            _lock(file, folder)
    except (FileNotFoundError, NotADirectoryError):
        return  # `held` makes it, or says what is wrong
    except OSError as error:
        raise StartupError(_unusable(folder, error)) from error


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder within the block; the system lets go when the process dies.

    Commands beside a running gateway (tokens, receipts) do not take it.

    Raises:
        StartupError: Another gateway holds it, or it cannot be written to.
    """
    try:
        file = (folder / LOCK_FILE).open("a+b")
    except OSError as error:
        raise StartupError(_unusable(folder, error)) from error
    with file:
        _lock(file, folder)
        try:
            file.truncate(0)
            file.write(b"%d\n" % os.getpid())
            file.flush()
        except OSError as error:  # a full disk: it is our folder all the same
            _log.warning("lock.not_signed", why=str(error))
        yield


def _lock(file: BinaryIO, folder: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - not there on Windows

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartupError(
            f"another gateway{_holder(file)} runs on {folder}: stop it, or change"
            " store.path"
        ) from None
    except OSError as error:
        raise StartupError(f"cannot lock {file.name}: {error.strerror}") from error


def _unusable(folder: Path, error: OSError) -> str:
    return f"cannot use {folder} (store.path): {error.strerror}"


def _holder(file: BinaryIO) -> str:
    """Who holds the lock, by its own word; nothing if it has not said so."""
    file.seek(0)
    said = file.read(MAX_PID_BYTES).strip()
    return f" (process {int(said)})" if said.isdigit() else ""
