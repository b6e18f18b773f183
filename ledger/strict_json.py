"""Reads JSON objects that anybody may have written: members, texts, numbers, hashes.

Whatever is not as it must be raises `BundleError` with one clear line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger import record
from ledger.errors import BundleError, RecordError

HASH: Final = re.compile(r"[0-9a-f]{64}")
PREFIXED_HASH: Final = re.compile(r"0x[0-9a-f]{64}")
ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes, one more than allowed at most."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from None


def parse(data: bytes, what: str, max_bytes: int) -> Mapping[str, object]:
    """Read an object without floats, duplicate keys or surprising depth."""
    try:
        value = record.parse_json(data, max_bytes=max_bytes)
    except RecordError as error:
        raise BundleError(f"not {what}: {error}") from None
    return as_object(value, what)


def as_object(value: object, name: str) -> Mapping[str, object]:
    """Return an object."""
    if isinstance(value, dict):
        return value
    raise BundleError(f"{name} must be an object")


def members(
    value: object, name: str, required: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, object]:
    """Return an object with these members and no other."""
    found = as_object(value, name)
    for key in required:
        if key not in found:
            raise BundleError(f"{name} lacks {key!r}")
    for key in found:
        if key not in required and key not in optional:
            raise BundleError(f"{name} has the unknown member {key[:40]!r}")
    return found


def as_list(value: object, name: str, most: int) -> list[object]:
    """Return a list of bounded length."""
    if isinstance(value, list) and len(value) <= most:
        return value
    raise BundleError(f"{name} must be a list of at most {most}")


def text(row: Mapping[str, object], name: str) -> str:
    """Return a text."""
    value = row[name]
    if isinstance(value, str):
        return value
    raise BundleError(f"{name} must be text")


def count(row: Mapping[str, object], name: str) -> int:
    """Return an integer that is not negative."""
    value = row[name]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise BundleError(f"{name} must be an integer >= 0")


def hexed(value: object, pattern: re.Pattern[str], name: str) -> bytes:
    """Return the bytes that lower-case hexadecimal digits stand for."""
    if isinstance(value, str) and pattern.fullmatch(value):
        return bytes.fromhex(value.removeprefix("0x"))
    raise BundleError(f"{name} must be lower-case hex of the right length")
