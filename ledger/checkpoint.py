"""A head of the log as a signed note, and the paths of a public export.

The paths are those of C2SP ``tlog-tiles``: a tree of tiles of 256 hashes, and bundles
of 256 entries. An entry is a commitment: 32 bytes that say nothing of a record.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from ledger import merkle
from ledger.errors import NoteError

TILE_WIDTH: Final = 256
TILE_LEVELS: Final = 8
MAX_LOG: Final = 2**53
ENTRY_BYTES: Final = 2 + merkle.HASH_BYTES
_ENTRY_HEADER: Final = merkle.HASH_BYTES.to_bytes(2, "big")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_PATH: Final = re.compile(
    r"(?:tile/(?P<level>[0-7]|entries)|(?P<kind>disclosed))"
    r"/(?P<high>(?:x[0-9]{3}/)*)(?P<low>[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says of itself.

    Attributes:
        origin: Name of the log.
        size: Number of leaves.
        root: Of their tree.
        more: Further lines; ours is the time at which the log was looked at.
    """

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that is signed."""
        root = base64.b64encode(self.root).decode()
        lines = (self.origin, str(self.size), root, *self.more)
        return "".join(f"{line}\n" for line in lines)

    @staticmethod
    def parse(text: str) -> Checkpoint:
        """Read `text` back.

        Raises:
            NoteError: It is not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):  # noqa: PLR2004 - three lines and the end
            raise NoteError("not a checkpoint: it needs origin, size and root")
        origin, size, shown, *more = lines[:-1]
        if _SIZE.fullmatch(size) is None:
            raise NoteError("not a checkpoint: its size is no number")
        try:
            root = base64.b64decode(shown, validate=True)
        except (binascii.Error, ValueError):
            root = b""
        if len(root) != merkle.HASH_BYTES or int(size) > MAX_LOG:
            raise NoteError("not a checkpoint: its root or its size cannot be one")
        return Checkpoint(origin=origin, size=int(size), root=root, more=tuple(more))


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """One piece of the export.

    Attributes:
        level: Of the hashes, 0 to 7; ``entries`` for commitments, ``disclosed`` for
            records that may be seen.
        index: Which 256 of them.
        width: How many are there; 256 for a piece that never changes any more.
    """

    level: int | str
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it stands below the export."""
        digits = f"{self.index:d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        part = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        what = self.level if self.level == "disclosed" else f"tile/{self.level}"
        return f"{what}/{place}{part}"

    @staticmethod
    def parse(path: str) -> TilePath:
        """Read `path` back.

        Raises:
            NoteError: There cannot be such a piece.
        """
        found = _PATH.fullmatch(path) if len(path) < MAX_PATH else None
        if found is None:
            raise NoteError("no such tile")
        level = found["level"] or "disclosed"
        index = int(found["high"].replace("x", "").replace("/", "") + found["low"])
        made = TilePath(
            level=int(level) if level.isdigit() else level,
            index=index,
            width=int(found["width"] or TILE_WIDTH),
        )
        if made.path != path or made.width > TILE_WIDTH or made.first_leaf > MAX_LOG:
            raise NoteError("no such tile")
        return made

    @property
    def leaves_each(self) -> int:
        """How many leaves one of its hashes stands for."""
        return 1 << 8 * self.level if isinstance(self.level, int) else 1

    @property
    def first_leaf(self) -> int:
        """The first leaf it stands for."""
        return self.index * TILE_WIDTH * self.leaves_each

    @property
    def end_leaf(self) -> int:
        """One past the last leaf it stands for."""
        return self.first_leaf + self.width * self.leaves_each


MAX_PATH: Final = 64


def width_at(level: int, index: int, size: int) -> int:
    """How many hashes a tile has in a log of this size; 0: it is not there."""
    n_hash = (size >> 8 * level) - index * TILE_WIDTH
    return max(0, min(n_hash, TILE_WIDTH))


def write_entries(commitments: list[bytes]) -> bytes:
    """Write a bundle: each commitment with its length in front."""
    return b"".join(_ENTRY_HEADER + one for one in commitments)


def read_entries(data: bytes, width: int) -> list[bytes]:
    """Read a bundle of so many commitments.

    Raises:
        NoteError: It has another number, or something else in it.
    """
    if len(data) != width * ENTRY_BYTES:
        raise NoteError(f"a bundle of {len(data)} bytes, not of {width} commitments")
    pieces = [data[at : at + ENTRY_BYTES] for at in range(0, len(data), ENTRY_BYTES)]
    if any(not piece.startswith(_ENTRY_HEADER) for piece in pieces):
        raise NoteError("a bundle with entries that are no commitments")
    return [piece[len(_ENTRY_HEADER) :] for piece in pieces]
