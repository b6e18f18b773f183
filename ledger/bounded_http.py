"""HTTP answers of bounded size and duration, whatever the other side sends.

The timeout of ``requests`` holds for each read alone, so a server that drips one byte
at a time never ends, and one that sends for ever fills the memory. Bounded here is the
body; ``http.client`` bounds the size of the headers.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from typing_extensions import override

MAX_ANSWER_BYTES: Final = 8 * 2**20
"""Far above any answer that the ledger asks for."""
CHUNK_BYTES: Final = 65_536


class BoundedAdapter(HTTPAdapter):
    """Reads each answer whole, within limits; errors are those of ``requests``."""

    def __init__(self, *, within_s: float, monotonic: Callable[[], float]) -> None:
        """Set the limit of time for one answer, real seconds, and its clock."""
        super().__init__()
        self._within_s = within_s
        self._monotonic = monotonic

    @override
    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **keywords: Any
    ) -> requests.Response:
        """Send, and read the answer.

        Raises:
            requests.exceptions.ConnectionError: The answer is too long, or broken off.
            requests.exceptions.ReadTimeout: It takes too long.
        """
        deadline = self._monotonic() + self._within_s
        response = super().send(request, *arguments, **keywords)
        raw = response.raw
        assert isinstance(raw, urllib3.HTTPResponse), "what urllib3 answers"
        data = bytearray()
        try:
            while chunk := raw.read1(CHUNK_BYTES, decode_content=True):
                data += chunk
                if len(data) > MAX_ANSWER_BYTES:
                    raise requests.exceptions.ConnectionError("the answer is too long")
                if self._monotonic() > deadline:
                    raise requests.exceptions.ReadTimeout("the answer takes too long")
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            raw.close()
            if isinstance(error, requests.exceptions.RequestException):
                raise  # our own: they are OSErrors, too
            raise requests.exceptions.ConnectionError("broken off") from error
        raw.release_conn()
        response.raw = io.BytesIO(bytes(data))
        return response


def bounded_session(
    *, within_s: float, monotonic: Callable[[], float]
) -> requests.Session:
    """Return a session whose answers are bounded; within_s in real seconds."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter(within_s=within_s, monotonic=monotonic))
    return session
