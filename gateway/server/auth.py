"""Who is knocking: station id from the URL, Basic credentials from the header.

OCPP-J 1.6, 3.1 and 2.0.1 part 4, 3.1: the id is the last path segment, percent-encoded.
Security profile 1 (whitepaper A00.FR.204): the Basic user name is the station id.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from gateway.domain.ids import STATION_ID, StationId

MAX_PATH_CHARS: Final = 512


class BadCredentialsError(ValueError):
    """The Authorization header is not a readable Basic header."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a station presented; the password is bytes, whatever they mean."""

    user: str
    password: bytes


def station_id_of(path: str) -> StationId | None:
    """The station id in a request path, or ``None`` if there is no valid one.

    Tolerates what chargers send: double and trailing slashes, path prefixes, an
    absolute URI. The id itself is decoded once and checked strictly.
    """
    if len(path) > MAX_PATH_CHARS:
        return None
    try:
        if "://" in path:
            path = urlsplit(path).path
        plain = path.partition("?")[0].partition("#")[0]
        segments = [part for part in plain.split("/") if part]
        decoded = unquote_to_bytes(segments[-1]).decode("ascii") if segments else ""
    except (ValueError, UnicodeDecodeError):
        return None
    if STATION_ID.fullmatch(decoded) is None or decoded in {".", ".."}:
        return None
    return StationId(decoded)


def parse_basic(header: str | None) -> Credentials | None:
    """Read a Basic Authorization header; ``None`` when there is none.

    The password may hold any bytes, colons included; only the user name is text.

    Raises:
        BadCredentialsError: The header is there but cannot be read.
    """
    if header is None:
        return None
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise BadCredentialsError("not Basic")
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadCredentialsError("not base64") from error
    user, colon, password = raw.partition(b":")
    if not colon:
        raise BadCredentialsError("no colon")
    try:
        return Credentials(user.decode("utf-8"), password)
    except UnicodeDecodeError as error:
        raise BadCredentialsError("user name is not text") from error
