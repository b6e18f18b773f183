"""OCPP-J frames: text <-> Call, CallResult, CallError (1.6J, 4.2; 2.0.1 part 4)."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Final, TypeAlias, cast

import msgspec

from gateway.errors import ErrorKind, RemoteError

MAX_FRAME_BYTES: Final = 256 * 1024
"""Largest frame that is parsed at all; the listener may set a lower limit."""
MAX_DEPTH: Final = 32
"""Deepest nesting of a frame, its own array included. Schemas need about a dozen."""
MAX_ID_CHARS: Final = 36
"""Longest message id (OCPP-J 1.6, table 3; 2.0.1 part 4, table 4)."""
MAX_DESCRIPTION_CHARS: Final = 255
"""Longest errorDescription (2.0.1 part 4, table 7)."""
MAX_INTEGER_CHARS: Final = 4_000
"""Longer integers count as one of so many digits: Python refuses 4,300 of them."""
UNREADABLE_ID: Final = "-1"
"""Message id of a refusal whose cause had no readable id (2.0.1 part 4, 4.2.3)."""

_CALL: Final = 2
_RESULT: Final = 3
_ERROR: Final = 4
_EMPTY: Final = b"{}"
_DEEP: Final = object()
_HUGE: Final = 10 ** (MAX_INTEGER_CHARS - 1)


class Call(msgspec.Struct, frozen=True, gc=False):
    """A request: ``[2, message_id, action, payload]``; the payload is undecoded."""

    message_id: str
    action: str
    payload: bytes


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """An answer: ``[3, message_id, payload]``."""

    message_id: str
    payload: bytes


class CallError(msgspec.Struct, frozen=True, gc=False):
    """A refusal: ``[4, message_id, code, description, details]``."""

    message_id: str
    code: str
    description: str
    details: dict[str, object]


Frame: TypeAlias = Call | CallResult | CallError


class FrameError(RemoteError, ValueError):
    """A frame that is not OCPP-J.

    Attributes:
        message_id: The id to answer to, or ``None`` when it could not be read
            (2.0.1 then answers to ``UNREADABLE_ID``, 1.6 cannot answer).
        may_answer: False for what claims to be an answer itself: refusing an answer
            would start a ping-pong. Count it and go on.
    """

    def __init__(
        self,
        kind: ErrorKind,
        description: str,
        *,
        message_id: str | None = None,
        may_answer: bool = True,
    ) -> None:
        super().__init__(kind, description)
        self.message_id = message_id
        self.may_answer = may_answer


class _WireCall(
    msgspec.Struct, array_like=True, tag=_CALL, forbid_unknown_fields=True, gc=False
):
    message_id: str
    action: str
    payload: msgspec.Raw


class _WireResult(
    msgspec.Struct, array_like=True, tag=_RESULT, forbid_unknown_fields=True, gc=False
):
    message_id: str
    payload: msgspec.Raw


_fast = msgspec.json.Decoder(_WireCall | _WireResult)
_parts = msgspec.json.Decoder(list[msgspec.Raw])


def float_or_text(text: str) -> float | str:
    """A float, or the number as it was written where no float can hold it."""
    number = float(text)
    return number if isfinite(number) else text


_value = msgspec.json.Decoder(float_hook=float_or_text)
_encoder = msgspec.json.Encoder(decimal_format="number")
_string = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_not_brackets = bytes(set(range(256)) - set(b"[]{}"))
_leaf = re.compile(rb"\[\]|\{\}")


def parse(raw: str | bytes) -> Frame:
    """Read one frame.

    A payload of ``null`` is read as ``{}``: both versions allow the two notations.

    Args:
        raw: One WebSocket message. Text; bytes must be UTF-8.

    Raises:
        FrameError: It is too large, too deep, not JSON (``NaN`` and lone surrogates
            are not), or not a frame. ``message_id`` and ``may_answer`` say how, and
            whether, to answer.
    """
    data = _utf8(raw)
    try:
        wire = _fast.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _parse_slowly(data)
    message_id = wire.message_id
    payload = bytes(wire.payload)
    if not 0 < len(message_id) <= MAX_ID_CHARS or payload[:1] != b"{":
        return _parse_slowly(data)
    if _too_deep(data):
        raise FrameError(
            ErrorKind.FORMAT,
            f"nested deeper than {MAX_DEPTH}",
            message_id=message_id,
            may_answer=isinstance(wire, _WireCall),
        )
    if isinstance(wire, _WireCall):
        return Call(message_id, wire.action, payload)
    return CallResult(message_id, payload)


def encode_call(
    message_id: str, action: str, payload: Mapping[str, object] | bytes
) -> bytes:
    """Compact JSON of a CALL; members in the given order, Decimals exact.

    Send it as a *text* message.
    """
    return _encoder.encode((_CALL, message_id, action, _raw(payload)))


def encode_result(message_id: str, payload: Mapping[str, object] | bytes) -> bytes:
    """Compact JSON of a CALLRESULT; send it as a text message."""
    return _encoder.encode((_RESULT, message_id, _raw(payload)))


def encode_error(
    message_id: str | None,
    code: str,
    description: str,
    details: Mapping[str, object] | None = None,
) -> bytes:
    """Compact JSON of a CALLERROR; send it as a text message.

    Args:
        message_id: The CALL's id; ``None`` becomes ``UNREADABLE_ID``.
        code: The version's spelling (``Adapter.error_code``).
        description: Cut to 255 characters.
        details: JSON object for ``errorDetails``.
    """
    return _encoder.encode(
        (
            _ERROR,
            UNREADABLE_ID if message_id is None else message_id,
            code,
            description[:MAX_DESCRIPTION_CHARS],
            details or {},
        )
    )


def encode_payload(payload: Mapping[str, object]) -> bytes:
    """Compact JSON of a payload alone; members in the given order, Decimals exact."""
    return _encoder.encode(payload)


def decode_payload(payload: bytes) -> dict[str, object]:
    """A payload as plain JSON objects, numbers with a point or exponent as Decimal.

    Raises:
        FrameError: It is not a JSON object.
    """
    try:
        try:
            value = _exact.decode(payload)
        except msgspec.ValidationError:  # an integer of more digits than Python reads
            value = _decode_huge(payload)
    except (ValueError, RecursionError) as problem:
        raise FrameError(ErrorKind.FORMAT, f"payload: {problem}") from None
    if not isinstance(value, dict):
        raise FrameError(ErrorKind.FORMAT, "the payload is not a JSON object")
    return cast("dict[str, object]", value)


_exact = msgspec.json.Decoder(float_hook=Decimal)


def _decode_huge(payload: bytes) -> object:
    """Valid JSON of which some integers have thousands of digits: just enormous."""
    return json.loads(payload, parse_float=Decimal, parse_int=_huge_integer)


def _huge_integer(text: str) -> int:
    if len(text) < MAX_INTEGER_CHARS:
        return int(text)
    return -_HUGE if text.startswith("-") else _HUGE


def _utf8(raw: str | bytes) -> bytes:
    if len(raw) > MAX_FRAME_BYTES:
        raise FrameError(ErrorKind.RPC_FRAMEWORK, "the frame is too large")
    if isinstance(raw, str):
        try:
            data = raw.encode()
        except UnicodeEncodeError:
            raise FrameError(ErrorKind.RPC_FRAMEWORK, "not UTF-8") from None
        if len(data) > MAX_FRAME_BYTES:
            raise FrameError(ErrorKind.RPC_FRAMEWORK, "the frame is too large")
        return data
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise FrameError(ErrorKind.RPC_FRAMEWORK, "not UTF-8") from None
    return raw


def _too_deep(data: bytes) -> bool:
    # Few brackets cannot nest deeply; only large frames are really measured.
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _string.sub(b"", data).translate(None, _not_brackets)
    for _ in range(MAX_DEPTH):
        brackets = _leaf.sub(b"", brackets)  # removes exactly the innermost level
        if not brackets:
            return False
    return True


def _raw(payload: Mapping[str, object] | bytes) -> object:
    return msgspec.Raw(payload) if isinstance(payload, bytes) else payload


def _parse_slowly(data: bytes) -> Frame:
    """Read what the fast path refused, or say exactly why it is refused."""
    parts, values = _elements(data)
    if not values or type(values[0]) is not int:
        raise FrameError(ErrorKind.RPC_FRAMEWORK, "no message type number")
    message_type = values[0]
    message_id = values[1] if len(values) > 1 else None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_ID_CHARS:
        raise FrameError(
            ErrorKind.RPC_FRAMEWORK,
            f"the message id is not a string of 1 to {MAX_ID_CHARS} characters",
            may_answer=message_type not in (_RESULT, _ERROR),
        )
    if message_type == _CALL:
        return _call(message_id, values, parts)
    if message_type == _RESULT:
        return _call_result(message_id, values, parts)
    if message_type == _ERROR:
        return _call_error(message_id, values)
    raise FrameError(
        ErrorKind.MESSAGE_TYPE,
        f"message type {message_type} is not supported",
        message_id=message_id,
    )


def _elements(data: bytes) -> tuple[list[bytes], list[object]]:
    """The parts of an array and their values; what is too deep is ``_DEEP``.

    So a frame whose payload alone is too deep can still be answered to its id.
    """
    try:
        parts = [bytes(part) for part in _parts.decode(data)]
        is_deep = _too_deep(data)
        return parts, [
            _DEEP if is_deep and _too_deep(b"[%b]" % part) else _any_value(part)
            for part in parts
        ]
    except RecursionError:
        raise FrameError(
            ErrorKind.RPC_FRAMEWORK, f"nested deeper than {MAX_DEPTH}"
        ) from None
    except msgspec.ValidationError:
        raise FrameError(ErrorKind.RPC_FRAMEWORK, "not a JSON array") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise FrameError(ErrorKind.RPC_FRAMEWORK, f"not JSON: {problem}") from None


def _any_value(part: bytes) -> object:
    try:
        return _value.decode(part)
    except msgspec.ValidationError:  # an integer of more digits than Python reads
        return _decode_huge(part)


def _call(message_id: str, values: list[object], parts: list[bytes]) -> Call:
    if len(values) != 4:  # noqa: PLR2004 - the arity of a CALL
        raise _refusal("a CALL has 4 elements", message_id)
    action = values[2]
    if not isinstance(action, str):
        raise _refusal("the action is not a string", message_id)
    if values[3] is None:
        return Call(message_id, action, _EMPTY)
    if values[3] is _DEEP:
        raise FrameError(
            ErrorKind.FORMAT, f"nested deeper than {MAX_DEPTH}", message_id=message_id
        )
    if not isinstance(values[3], dict):
        raise FrameError(
            ErrorKind.FORMAT, "the payload is not a JSON object", message_id=message_id
        )
    return Call(message_id, action, parts[3])


def _call_result(
    message_id: str, values: list[object], parts: list[bytes]
) -> CallResult:
    if len(values) != 3 or not (values[2] is None or isinstance(values[2], dict)):  # noqa: PLR2004 - the arity of a CALLRESULT
        raise _refusal("not a CALLRESULT", message_id, may_answer=False)
    return CallResult(message_id, _EMPTY if values[2] is None else parts[2])


def _call_error(message_id: str, values: list[object]) -> CallError:
    # Accepts any spelling, and missing, empty or textual description and details.
    if len(values) > 5:  # noqa: PLR2004 - the arity of a CALLERROR
        raise _refusal("not a CALLERROR", message_id, may_answer=False)
    readable = [None if value is _DEEP else value for value in values[2:]]
    code, description, details = (*readable, "", "", None)[:3]
    if not isinstance(details, dict):
        details = {} if details in (None, "", []) else {"details": details}
    return CallError(
        message_id,
        code if isinstance(code, str) and code else "GenericError",
        description if isinstance(description, str) else str(description or ""),
        cast("dict[str, object]", details),
    )


def _refusal(
    description: str, message_id: str, *, may_answer: bool = True
) -> FrameError:
    return FrameError(
        ErrorKind.RPC_FRAMEWORK,
        description,
        message_id=message_id,
        may_answer=may_answer,
    )
