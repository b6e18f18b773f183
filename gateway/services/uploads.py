"""One-time places that stations put their logs to.

A place is a secret address for one file of one station. The file is written beside the
database, never interpreted, and given to operators as it came.
"""

import asyncio
import hashlib
import os
import secrets
import string
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.store import transfers as rows
from gateway.store.queries import Queries
from gateway.store.times import to_text
from gateway.store.writer import Writer

SECRET_BYTES: Final = 24
OPEN_FOR: Final = timedelta(hours=24)
MAX_BYTES: Final = 256 * 1024 * 1024
MAX_NAME_CHARS: Final = 120
NAME_CHARS: Final = frozenset(string.ascii_letters + string.digits + "._-")
PRIVATE: Final = 0o600


class Uploads:
    """Opens places and fills them. Loop thread only."""

    def __init__(
        self, *, folder: Path, writer: Writer, queries: Queries, clock: Clock
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._queries = queries
        self._clock = clock
        self._filling: set[str] = set()

    async def open(self, station_id: StationId) -> str:
        """A new place; returns its secret."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        expires_at = self._clock.now() + OPEN_FOR
        digest = upload_digest(secret)
        await self._writer.run(
            lambda conn: rows.open_upload(conn, digest, station_id, expires_at)
        )
        return secret

    async def receive(
        self, secret: str, name: str, chunks: AsyncIterator[bytes]
    ) -> int:
        """Take a file; its size in bytes.

        Raises:
            RequestError: 404 no such place, or its time is over; 409 it is filled, or
                is being filled;
                413 the file is too large. Nothing is kept then.
        """
        digest = upload_digest(secret)
        if digest in self._filling:
            raise RequestError(409, "uploading", "a file is coming in already")
        self._filling.add(digest)
        try:
            return await self._fill(digest, name, chunks)
        finally:
            self._filling.discard(digest)

    async def _fill(self, digest: str, name: str, chunks: AsyncIterator[bytes]) -> int:
        place = await self._place(digest)
        if place is None or place.expires_at <= to_text(self._clock.now()):
            raise RequestError(404, "unknown_upload", "no such place to upload to")
        if place.file_path is not None:
            raise RequestError(409, "uploaded", "there is a file already")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / digest
        partial = path.with_name(f"{digest}.{secrets.token_hex(8)}.part")
        try:
            n_bytes = await _write(partial, chunks)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        await self._writer.run(
            lambda conn: rows.take_upload(
                conn,
                digest,
                file_path=path.name,
                file_name=plain_name(name),
                n_bytes=n_bytes,
                now=self._clock.now(),
            )
        )
        return n_bytes

    async def files(self, station_id: StationId) -> list[dict[str, Any]]:
        """Files of a station, newest first."""
        found = await self._queries.rows(
            f"{rows.UploadRow.SELECT} WHERE station_id = ? AND file_path IS NOT NULL"
            " ORDER BY received_at DESC",
            (station_id,),
        )
        return [
            {
                "file_id": row.file_path,
                "file_name": row.file_name,
                "n_bytes": row.n_bytes,
                "received_at": row.received_at,
                "transfer_id": row.transfer_id,
            }
            for row in (rows.UploadRow(*values) for values in found)
        ]

    async def file(self, station_id: StationId, file_id: str) -> tuple[Path, str]:
        """Where a file of a station is, and its name.

        Raises:
            RequestError: 404 it has none such.
        """
        for one in await self.files(station_id):
            if one["file_id"] == file_id:
                return self._folder / file_id, str(one["file_name"])
        raise RequestError(404, "unknown_file", f"{station_id} has no such file")

    async def _place(self, digest: str) -> rows.UploadRow | None:
        found = await self._queries.rows(
            f"{rows.UploadRow.SELECT} WHERE secret_sha256 = ?", (digest,)
        )
        return rows.UploadRow(*found[0]) if found else None


def plain_name(name: str) -> str:
    """A file name that is only a name: letters, digits and ``. _ -``."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c in NAME_CHARS else "_" for c in last)
    return kept.lstrip(".")[:MAX_NAME_CHARS] or "file"


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> int:
    n_bytes = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as opened:
        async for chunk in chunks:
            n_bytes += len(chunk)
            if n_bytes > MAX_BYTES:
                raise RequestError(413, "too_large", f"more than {MAX_BYTES} bytes")
            await asyncio.to_thread(opened.write, chunk)
        await asyncio.to_thread(_sync, opened)
    return n_bytes


def _sync(opened: BinaryIO) -> None:
    """Put a file on the disk; of a large one that takes seconds: not on the loop."""
    opened.flush()
    os.fsync(opened.fileno())


def upload_digest(secret: str) -> str:
    """How the secret of a place is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()
