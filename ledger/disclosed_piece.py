"""A piece of what a log discloses: records it shows, and which it says were erased."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ledger import record
from ledger.checkpoint import TilePath
from ledger.disclosed import Alarm, Disclosed, Objection, read_leaf
from ledger.errors import BundleError, SourceError
from ledger.log_source import Source, json_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a piece says.

    Attributes:
        shown: Its records; that they stand in the log is not checked yet.
        erased: Index and kind of each that was erased.
        faults: What in it is neither.
    """

    shown: tuple[Disclosed, ...]
    erased: tuple[tuple[int, str], ...]
    faults: tuple[Objection, ...]


def read_piece(source: Source, path: TilePath) -> Piece:
    """Get a piece of disclosed records; logs of earlier versions name no erased ones.

    Raises:
        SourceError: It cannot be had, or is no such piece.
    """
    found = json_of(source, path.path)
    leaves = found.get("leaves") if isinstance(found, dict) else None
    told = found.get("erased", []) if isinstance(found, dict) else None
    if not isinstance(leaves, list) or not isinstance(told, list):
        raise SourceError(f"{path.path}: not a piece of disclosed records")
    shown: list[Disclosed] = []
    erased: list[tuple[int, str]] = []
    faults: list[Objection] = []
    for leaf in leaves:
        try:
            shown.append(read_leaf(leaf))
        except BundleError as error:
            faults.append(Objection(alarm=Alarm.BAD_RECORD, text=str(error)))
    indexes = {one.index for one in shown}
    for entry in told:
        try:
            erased.append(_erased(entry, path, indexes))
        except BundleError as error:
            faults.append(Objection(alarm=Alarm.BAD_RECORD, text=str(error)))
    return Piece(shown=tuple(shown), erased=tuple(erased), faults=tuple(faults))


def _erased(found: Any, path: TilePath, shown: Collection[int]) -> tuple[int, str]:  # noqa: ANN401 - whatever the export holds
    """Return index and kind of one entry of what a piece says was erased.

    Args:
        found: The entry.
        path: Which leaves the piece is about.
        shown: Indexes of the records that it shows.

    Raises:
        BundleError: It is none, of a leaf elsewhere, or of one that is shown as well.
    """
    try:
        index, kind = found["index"], found["kind"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"an erased leaf that is none: {error}") from error
    if type(index) is not int or kind not in record.KINDS:
        raise BundleError("an erased leaf of no kind or at no place")
    if not path.first_leaf <= index < path.end_leaf:
        raise BundleError(f"leaf {index} is said to be erased elsewhere than it is")
    if index in shown:
        raise BundleError(f"leaf {index} is shown, and said to be erased")
    return index, str(kind)
