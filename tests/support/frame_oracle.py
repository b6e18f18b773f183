"""What must become of a frame, worked out with the standard library and jsonschema.

Nothing of the gateway is asked, so that both can be wrong only in different ways.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

from jsonschema import Draft4Validator, Draft6Validator
from jsonschema.protocols import Validator

from gateway.ocpp.schema import Direction, Version, load

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
CODES = {
    "1.6": {
        "frame": "FormationViolation",
        "payload": "FormationViolation",
        "required": "OccurenceConstraintViolation",
        "minItems": "OccurenceConstraintViolation",
        "maxItems": "OccurenceConstraintViolation",
        "type": "TypeConstraintViolation",
        "enum": "PropertyConstraintViolation",
        "maxLength": "PropertyConstraintViolation",
        "minimum": "PropertyConstraintViolation",
        "maximum": "PropertyConstraintViolation",
        "multipleOf": "PropertyConstraintViolation",
        "additionalProperties": "FormationViolation",
    },
    "2.0.1": {
        "frame": "RpcFrameworkError",
        "payload": "FormatViolation",
        "required": "OccurrenceConstraintViolation",
        "minItems": "OccurrenceConstraintViolation",
        "maxItems": "OccurrenceConstraintViolation",
        "type": "TypeConstraintViolation",
        "enum": "PropertyConstraintViolation",
        "maxLength": "PropertyConstraintViolation",
        "minimum": "PropertyConstraintViolation",
        "maximum": "PropertyConstraintViolation",
        "multipleOf": "PropertyConstraintViolation",
        "additionalProperties": "FormatViolation",
    },
}
"""Codes by version and by what is wrong (OCPP-J 1.6 table 7, 2.0.1 part 4 table 8)."""
_VERSIONS = {"1.6": Version.V16, "2.0.1": Version.V201}


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer, and nothing written but maybe the refused frame."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A CALLERROR."""

    message_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Call:
    """A CALL that can be read; the payload decides."""

    message_id: str
    action: str


Expected = Silence | Refusal | Call


class _NoNumberError(ValueError):
    pass


def _no_number(text: str) -> NoReturn:
    raise _NoNumberError(text)


def expected(version: str, raw: bytes | str) -> Expected:
    """What must become of a frame on an accepted connection."""
    broken: Expected = (
        Refusal("-1", "RpcFrameworkError") if version == "2.0.1" else Silence()
    )
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        if len(text.encode()) > MAX_BYTES:
            return broken
        frame = decoded(text)
        json.dumps(frame, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError):
        return broken
    if not isinstance(frame, list) or not frame or type(frame[0]) is not int:
        return broken
    kind = frame[0]
    message_id = frame[1] if len(frame) > 1 else None
    if kind in {3, 4}:
        return Silence()
    if not isinstance(message_id, str) or not 1 <= len(message_id) <= 36:
        return broken
    if kind != 2:
        return (
            Refusal(message_id, "MessageTypeNotSupported")
            if version == "2.0.1"
            else Silence()
        )
    if len(frame) != 4 or not isinstance(frame[2], str):
        return Refusal(message_id, CODES[version]["frame"])
    if not (frame[3] is None or isinstance(frame[3], dict)) or depth(frame) > MAX_DEPTH:
        return Refusal(message_id, CODES[version]["payload"])
    return Call(message_id, frame[2])


def decoded(text: str) -> Any:
    """Strict JSON; numbers with a point or exponent as Decimal.

    Raises:
        ValueError: It is not JSON.
    """
    if text.startswith("\ufeff"):
        raise ValueError("a byte order mark")
    return json.loads(
        text, parse_constant=_no_number, parse_float=Decimal, parse_int=_integer
    )


def is_odd(text: str) -> bool:
    """Whether an object names a member twice, or an integer has more than 63 bits.

    No schema says anything about either, and no database keeps the second.
    """
    found = False

    def look_at(number: str) -> str:
        nonlocal found
        found |= abs(Decimal(number)) >= 2**63
        return number

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found |= len({name for name, _ in pairs}) < len(pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=look, parse_int=look_at)
    return found


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 4000 else Decimal(text)


def depth(value: Any) -> int:
    """How deep arrays and objects are nested."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        one, level = todo.pop()
        inner = list(one.values() if isinstance(one, dict) else one)
        deepest = max(deepest, level)
        todo += [(part, level + 1) for part in inner if isinstance(part, dict | list)]
    return deepest


def violations(version: str, action: str, payload: Any) -> set[str]:
    """Codes that a refusal of this payload may carry; empty if it is valid."""
    found = _validator(version, action, Direction.REQUEST).iter_errors(payload)
    return {CODES[version][str(error.validator)] for error in found}


def answer_is_valid(version: str, action: str, payload: Any) -> bool:
    """Whether an answer keeps to the version's schema."""
    return bool(_validator(version, action, Direction.RESPONSE).is_valid(payload))


@cache
def _validator(version: str, action: str, direction: Direction) -> Validator:
    schema = load(_VERSIONS[version], action, direction)
    draft = Draft4Validator if "draft-04" in schema["$schema"] else Draft6Validator
    return draft(schema)


def members(paths: list[str], essential: tuple[str, ...]) -> Iterator[str]:
    """The essential members that changes at ``paths`` may have hurt."""
    for one in essential:
        for path in paths:
            if one == path or one.startswith(f"{path}."):
                yield one
