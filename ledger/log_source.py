"""Where a public export is read from: a folder, or HTTP; whatever it sends, bounded."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import requests

from ledger import merkle
from ledger.bounded_http import MAX_ANSWER_BYTES, bounded_session
from ledger.checkpoint import TILE_WIDTH, TilePath, read_entries, width_at
from ledger.errors import NoteError, SourceError
from ledger.export import LEVEL_BITS

NOT_FOUND: Final = 404
SLOW_DOWN: Final = 429
MAX_TRIES: Final = 6
PAUSE_S: Final = 2.0
ANSWER_WITHIN_S: Final = 30.0
CACHED_TILES: Final = 4096


class Source(Protocol):
    """The pieces of an export, by path."""

    def get(self, path: str) -> bytes:
        """Return a piece.

        Raises:
            SourceError: It is not there, or cannot be had now.
        """
        ...

    def give(self, path: str, data: bytes) -> bool:
        """Hand something back; ``False``: this source takes nothing.

        Raises:
            SourceError: It is refused, or cannot be given now.
        """
        ...


class FolderSource:
    """An export in a folder."""

    def __init__(self, folder: Path) -> None:
        """Read below a folder."""
        self._folder = folder

    def get(self, path: str) -> bytes:
        """Read a file."""
        try:
            with (self._folder / path).open("rb") as file:
                data = file.read(MAX_ANSWER_BYTES + 1)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        if len(data) > MAX_ANSWER_BYTES:
            raise SourceError(f"{path}: too long")
        return data

    def give(self, path: str, data: bytes) -> bool:  # noqa: ARG002 - a folder is only read
        """Take nothing."""
        return False


class HttpSource:
    """An export behind a URL.

    Args:
        url: What the paths stand below.
        token: Bearer token of an auditor, who may see more; ``None``: the public.
        sleep: Waits so many real seconds when told to slow down.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._sleep = sleep
        self._session = bounded_session(
            within_s=ANSWER_WITHIN_S, monotonic=time.monotonic
        )
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str) -> bytes:
        """Ask for a piece; told to slow down, it waits and asks again."""
        return self._ask("GET", path, None)

    def give(self, path: str, data: bytes) -> bool:
        """Post something."""
        self._ask("POST", path, data)
        return True

    def _ask(self, method: str, path: str, data: bytes | None) -> bytes:
        said = "not asked"
        for attempt in range(MAX_TRIES):
            try:
                answer = self._session.request(
                    method,
                    f"{self._url}/{path}",
                    data=data,
                    timeout=ANSWER_WITHIN_S,
                    allow_redirects=False,
                )
            except requests.exceptions.RequestException as error:
                raise SourceError(f"{path}: {type(error).__name__}") from error
            if answer.ok and not answer.is_redirect:
                return answer.content
            said = f"answered with {answer.status_code}"
            if answer.status_code != SLOW_DOWN:
                break
            self._sleep(PAUSE_S * (attempt + 1))
        raise SourceError(f"{path}: {said}")


class Tiles:
    """The tree of an export at a checkpoint; what it says is not trusted, only used.

    Args:
        source: Where the tiles are.
        size: Of the log, as the checkpoint says.
    """

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._size = size
        self._hashes: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def commitments(self, index: int) -> list[bytes]:
        """Return the bundle of commitments that begins at leaf ``256 * index``.

        Raises:
            SourceError: It cannot be had, or is no bundle.
        """
        path = TilePath(
            level="entries", index=index, width=width_at(0, index, self._size)
        )
        try:
            return read_entries(self._source.get(path.path), path.width)
        except NoteError as error:
            raise SourceError(f"{path.path}: {error}") from error

    def node(self, level: int, index: int) -> bytes:
        """Be a `ledger.merkle.NodeSource`.

        Raises:
            SourceError: A tile cannot be had, or is none.
        """
        tile_level, above = divmod(level, LEVEL_BITS)
        first = index << above
        hashes = self._tile(tile_level, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        return merkle.root(hashes[at : at + (1 << above)])

    def proves_prefix(self, old_size: int, old_root: bytes, root: bytes) -> bool:
        """Say whether the log of the checkpoint goes on from an older head.

        Raises:
            SourceError: A tile cannot be had, or is none.
        """
        return merkle.verify_consistency(
            old_size=old_size,
            new_size=self._size,
            old_head=old_root,
            new_head=root,
            proof=merkle.consistency_proof(old_size, self._size, self.node),
        )

    def proves_leaf(self, index: int, commitment: bytes, root: bytes) -> bool:
        """Say whether a commitment stands at a place of the checkpoint's log.

        Raises:
            SourceError: A tile cannot be had, or is none.
        """
        return 0 <= index < self._size and merkle.verify_inclusion(
            leaf=merkle.leaf_hash(commitment),
            index=index,
            size=self._size,
            proof=merkle.inclusion_proof(index, self._size, self.node),
            head=root,
        )

    def _tile(self, level: int, index: int) -> list[bytes]:
        known = self._hashes.get((level, index))
        if known is not None:
            self._hashes.move_to_end((level, index))
            return known
        width = width_at(level, index, self._size)
        path = TilePath(level=level, index=index, width=width).path
        data = self._source.get(path)
        size = merkle.HASH_BYTES
        if len(data) != width * size:
            raise SourceError(f"{path}: not a tile of {width} hashes")
        hashes = [data[at : at + size] for at in range(0, len(data), size)]
        self._hashes[level, index] = hashes
        if len(self._hashes) > CACHED_TILES:
            self._hashes.popitem(last=False)
        return hashes


def json_of(source: Source, path: str) -> Any:  # noqa: ANN401 - whatever it holds
    """Return a piece that is JSON.

    Raises:
        SourceError: It cannot be had, or is not JSON.
    """
    try:
        return json.loads(source.get(path))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: not JSON") from error
