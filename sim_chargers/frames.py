"""OCPP-J frames: the message array to text and back (OCPP-J 4).

Written for the simulator alone; deliberately not shared with any central system.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, assert_never

CALL: Final = 2
CALL_RESULT: Final = 3
CALL_ERROR: Final = 4

# A payload is JSON from outside: its members are checked where they are used.
Payload: TypeAlias = Mapping[str, Any]


class FrameError(ValueError):
    """The text is not an OCPP-J frame; log it and go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of the peer."""

    message_id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """The answer to a request."""

    message_id: str
    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class CallError:
    """The refusal of a request."""

    message_id: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


Frame: TypeAlias = Call | CallResult | CallError


def encode(frame: Frame) -> str:
    """Write a frame as compact JSON."""
    parts: list[object]
    match frame:
        case Call():
            parts = [CALL, frame.message_id, frame.action, frame.payload]
        case CallResult():
            parts = [CALL_RESULT, frame.message_id, frame.payload]
        case CallError():
            parts = [
                CALL_ERROR,
                frame.message_id,
                frame.code,
                frame.description,
                frame.details,
            ]
        case _:
            assert_never(frame)
    return json.dumps(parts, separators=(",", ":"), allow_nan=False)


def decode(text: str | bytes) -> Frame:
    """Read a frame.

    Raises:
        FrameError: It is not JSON, or not an array of one of the three shapes.
    """
    try:
        parts = json.loads(text)
    except ValueError as error:
        raise FrameError(f"not JSON: {error}") from error
    match parts:
        case [2, str(message_id), str(action), dict(payload)]:
            return Call(message_id=message_id, action=action, payload=payload)
        case [3, str(message_id), dict(payload)]:
            return CallResult(message_id=message_id, payload=payload)
        case [4, str(message_id), str(code), *rest]:
            description = rest[0] if rest and isinstance(rest[0], str) else ""
            details = rest[1] if len(rest) > 1 and isinstance(rest[1], dict) else {}
            return CallError(
                message_id=message_id,
                code=code,
                description=description,
                details=details,
            )
        case _:
            raise FrameError("not an OCPP-J message array")
