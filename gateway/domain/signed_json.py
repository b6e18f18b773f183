"""JSON of signed data: bounded, exact, and of one meaning only."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NoReturn

MAX_DEPTH: Final = 8
MAX_NUMBER_CHARS: Final = 40
_STEP: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""A string, even one without an end (else each quote would be tried), or a bracket."""


class SignedDataError(Exception):
    """Signed data that cannot be used.

    Attributes:
        reason: Stable word, shown with the session.
        detail: One sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def load(text: str) -> object:
    """Read a whole JSON text.

    Raises:
        SignedDataError: See `load_at`, or something follows the value.
    """
    value, end = load_at(text, 0)
    if text[end:].strip():
        raise SignedDataError("signed_bad_json", "something follows the JSON")
    return value


def load_at(text: str, start: int) -> tuple[object, int]:
    """Read one JSON value and where it ends.

    A member that occurs twice is refused: two readers may take different ones. Numbers
    with a fraction are exact.

    Raises:
        SignedDataError: It is no JSON, nested too deep, has a member twice, or a number
            of absurd length.
    """
    while text[start : start + 1].isspace():
        start += 1
    _check_depth(text, start)
    try:
        return _decoder.raw_decode(text, start)
    except ValueError as error:
        raise SignedDataError("signed_bad_json", str(error)) from error


def _check_depth(text: str, start: int) -> None:
    depth = 0
    for match in _STEP.finditer(text, start):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise SignedDataError("signed_bad_json", "nested too deep")
        elif match[0] in "]}":
            depth -= 1


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise SignedDataError("signed_bad_json", "a member occurs twice")
    return members


def _number(text: str) -> Decimal:
    if len(text) > MAX_NUMBER_CHARS:
        raise SignedDataError("signed_bad_json", "a number of absurd length")
    return Decimal(text)


def _no_number(text: str) -> NoReturn:
    raise SignedDataError("signed_bad_json", f"{text} is no number")


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_once,
    parse_float=_number,
    parse_int=_number,
    parse_constant=_no_number,
)
