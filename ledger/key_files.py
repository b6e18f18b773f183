"""Reads secrets from files, after a look at who else could read or replace them."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger.errors import KeyLoadError

KEY_BYTES: Final = 32
MAX_FILE_BYTES: Final = 65_536
"""Far above a keystore; a wrong path to something huge is read no further."""
_OF_OTHERS: Final = 0o077
_WRITABLE_BY_OTHERS: Final = 0o022


def read_secret(path: Path) -> str:
    """Return the text of a file that nobody else can read or replace.

    The file must be a regular one, belong to the user of this process (or root) and be
    open to its owner only; its folder must not be writable by others, unless it is
    sticky as ``/tmp`` is.

    Raises:
        KeyLoadError: It cannot be read, or others could; says which, and the remedy.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeyLoadError(f"{path}: cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        _check_file(path, os.fstat(descriptor))
        for folder in {path.parent.resolve(), path.resolve().parent}:
            _check_folder(path, folder, folder.stat())
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise KeyLoadError(f"{path}: larger than {MAX_FILE_BYTES} bytes: no key file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise KeyLoadError(f"{path}: not a key in hex, nor a keystore") from None


def make_key(path: Path) -> None:
    """Write a fresh key whole or not at all; a key made meanwhile stays."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="ascii", dir=path.parent, prefix=path.name, suffix=".new"
    ) as file:  # created 0600
        file.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def _check_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyLoadError(f"{path}: not a regular file")
    if not _is_ours(found.st_uid):
        raise KeyLoadError(
            f"{path}: belongs to user {found.st_uid}, not to {os.geteuid()}: chown it"
        )
    if found.st_mode & _OF_OTHERS:
        raise KeyLoadError(f"{path}: open to others: chmod 600 it")


def _check_folder(path: Path, folder: Path, found: os.stat_result) -> None:
    if not _is_ours(found.st_uid):
        raise KeyLoadError(
            f"{path}: user {found.st_uid} can replace it, being the owner of {folder}"
        )
    if found.st_mode & _WRITABLE_BY_OTHERS and not found.st_mode & stat.S_ISVTX:
        raise KeyLoadError(
            f"{path}: others can replace it: chmod go-w its folder {folder}"
        )


def _is_ours(user_id: int) -> bool:
    return user_id in {os.geteuid(), 0}
