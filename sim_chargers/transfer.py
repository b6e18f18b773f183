"""Files in and out of a station: really over HTTP on loopback, else only played.

A simulated station must never fetch from, or send to, a host that somebody merely
named in a call; a test on the same machine may have both for real.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import httpx

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
TIMEOUT_S: Final = 10.0  # real seconds
METHOD_NOT_ALLOWED: Final = 405


class TransferError(Exception):
    """The file did not get through; try again or report the failure."""


def is_loopback(url: str) -> bool:
    """Whether a URL may be used for real."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname in LOOPBACK


async def fetch(url: str, *, is_lost: bool = False) -> bytes | None:
    """Download a file; ``None`` where it is only played.

    Raises:
        TransferError: There was no such file, it is too large, or it ``is_lost``
            because a flow wants that.
    """
    if is_lost:
        raise TransferError("no such file")
    if not is_loopback(url):
        return None
    body = bytearray()
    try:
        async with _client() as client, client.stream("GET", url) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_FILE_BYTES:
                    raise TransferError(f"more than {MAX_FILE_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransferError(repr(error)) from error
    return bytes(body)


async def fetch_patiently(
    url: str,
    *,
    wait: Callable[[float], Awaitable[None]],
    takes_s: float,
    retries: int,
    pause_s: float,
    is_lost: bool = False,
) -> bytes | None:
    """Download as :func:`fetch`, and again after a pause while tries are left.

    Args:
        url: Address of the file.
        wait: Waits for a number of site seconds.
        takes_s: Site seconds of one download.
        retries: Tries after the first one.
        pause_s: Site seconds between two of them.
        is_lost: A flow wants all to fail.

    Raises:
        TransferError: The last try failed, too.
    """
    while True:
        await wait(takes_s)
        try:
            return await fetch(url, is_lost=is_lost)
        except TransferError:
            if retries == 0:
                raise
        retries -= 1
        await wait(pause_s)


async def upload(url: str, name: str, body: bytes, *, is_lost: bool = False) -> None:
    """Upload a file into a folder, or to the very address of an upload script.

    Raises:
        TransferError: It was not taken, or it ``is_lost`` because a flow wants that.
    """
    if is_lost:
        raise TransferError("connection lost")
    if not is_loopback(url):
        return
    target = url + name if url.endswith("/") else url
    try:
        async with _client() as client:
            answer = await client.put(target, content=body)
            if answer.status_code == METHOD_NOT_ALLOWED:
                answer = await client.post(target, files={"file": (name, body)})
            answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransferError(repr(error)) from error


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
