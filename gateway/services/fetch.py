"""Questions to other servers over HTTP: bounded in time and size, never redirected."""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from gateway.errors import WattproofError

OK: Final = 200


class FetchFailed(WattproofError):
    """No usable answer came; the text says why."""


async def post(
    url: str,
    content: bytes,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    max_bytes: int,
) -> bytes:
    """The body of a 200 answer.

    Whether the URL may be asked is the caller's business; a redirect is never followed,
    proxies of the environment are not used, and nothing is decompressed.

    Args:
        url: http or https.
        content: The body.
        headers: E.g. its type.
        timeout_s: Real seconds for everything together.
        max_bytes: More is not read.

    Raises:
        FetchFailed: Nobody answered in time, not with 200, or too much.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(
                trust_env=False, follow_redirects=False, timeout=timeout_s
            ) as client,
            client.stream(
                "POST",
                url,
                content=content,
                headers={"Accept-Encoding": "identity", **headers},
            ) as response,
        ):
            if response.status_code != OK:
                raise FetchFailed(f"it answered {response.status_code}")
            return await _bounded(response, max_bytes)
    except TimeoutError as error:
        raise FetchFailed(f"no answer within {timeout_s:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error


async def _bounded(response: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise FetchFailed(f"its answer has more than {max_bytes} bytes")
    return bytes(body)
