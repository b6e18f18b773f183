"""Why a payload breaks its schema, in the words of OCPP's error codes; the cold path.

========================================  =============================
what is wrong                             ``ErrorKind``
========================================  =============================
a required member is missing              ``OCCURRENCE``
too few or too many elements in an array  ``OCCURRENCE``
wrong JSON type, ``null`` included        ``TYPE``
enum, length, range, step                 ``PROPERTY``
a member that the schema does not know    ``FORMAT``
not JSON, or not an object                ``FORMAT``
========================================  =============================

Sources: OCPP-J 1.6, table 7; 2.0.1 part 4, table 8. Adapters spell the kinds.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, cast

from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.frames import decode_payload
from gateway.ocpp.schema import (
    Direction,
    Schema,
    Version,
    is_multiple,
    is_number,
    load,
    resolve,
)

MAX_SHOWN_CHARS: Final = 40
"""How much of a foreign value is repeated in a description."""
MAX_SHOWN_BITS: Final = 128


def explain(
    version: Version, action: str, direction: Direction, payload: bytes
) -> RemoteError:
    """The error to answer a refused payload with: its first violation.

    Order: missing members, then the members in the order of the schema, then
    unknown members; outer objects before inner ones.

    Raises:
        FrameError: The payload is not a JSON object.
    """
    schema = load(version, action, direction)
    for kind, description in _violations(schema, schema, decode_payload(payload), "$"):
        return RemoteError(kind, description)
    # Valid as the last of its members say, so an earlier one of the same name is not;
    # or there is an integer where anything may be, of more digits than can be read.
    return RemoteError(
        ErrorKind.FORMAT, f"{action}: a member occurs twice, or a number is endless"
    )


def _violations(
    schema: Schema, root: Schema, value: object, path: str
) -> Iterator[tuple[ErrorKind, str]]:
    schema = resolve(schema, root)
    problem = _wrong_type(schema, value)
    if problem is not None:
        yield ErrorKind.TYPE, f"{path}: {problem}"
    elif isinstance(value, dict):
        yield from _object_violations(
            schema, root, cast("dict[str, object]", value), path
        )
    elif isinstance(value, list):
        low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
        if not low <= len(value) <= high:
            yield ErrorKind.OCCURRENCE, f"{path}: {len(value)} elements"
        for index, item in enumerate(value):
            yield from _violations(
                schema.get("items", {}), root, item, f"{path}[{index}]"
            )
    else:
        scalar = _broken_constraint(schema, value)
        if scalar is not None:
            yield ErrorKind.PROPERTY, f"{path}: {scalar}"


def _object_violations(
    schema: Schema, root: Schema, value: dict[str, object], path: str
) -> Iterator[tuple[ErrorKind, str]]:
    for name in schema.get("required", ()):
        if name not in value:
            yield ErrorKind.OCCURRENCE, f"{path}.{name} is missing"
    properties = schema.get("properties", {})
    for name, part in properties.items():
        if name in value:
            yield from _violations(part, root, value[name], f"{path}.{name}")
    if schema.get("additionalProperties", True) is False:
        for name in value:
            if name not in properties:
                yield ErrorKind.FORMAT, f"{path}: unknown member {shown(name)}"


def _wrong_type(schema: Schema, value: object) -> str | None:
    expected = schema.get("type")
    matches = {
        None: True,
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "string": isinstance(value, str),
        "integer": type(value) is int,
        "number": is_number(value),
        "boolean": isinstance(value, bool),
    }[expected]
    return None if matches else f"{shown(value)} is not of type {expected}"


def _broken_constraint(schema: Schema, value: object) -> str | None:
    if "enum" in schema and value not in schema["enum"]:
        return f"{shown(value)} is not one of the allowed values"
    if isinstance(value, str):
        if len(value) > schema.get("maxLength", len(value)):
            return f"{len(value)} characters, at most {schema['maxLength']} allowed"
        return None
    if is_number(value):
        number = cast("Decimal | int", value)
        if not schema.get("minimum", number) <= number <= schema.get("maximum", number):
            return f"{shown(value)} is out of range"
        step: Any = schema.get("multipleOf")
        if step is not None and not is_multiple(number, step):
            return f"{shown(value)} is not a multiple of {step}"
    return None


def shown(value: object) -> str:
    """A foreign value, cut short and printable."""
    if isinstance(value, str):
        text = value[: MAX_SHOWN_CHARS + 1]
    elif isinstance(value, dict | list):
        text = "an object" if isinstance(value, dict) else "an array"
    elif isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:
        text = "a huge integer"  # Python refuses to write out thousands of digits
    else:
        text = "null" if value is None else str(value)
    printable = "".join(sign if sign.isprintable() else "?" for sign in text)
    if len(printable) > MAX_SHOWN_CHARS:
        return f"{printable[:MAX_SHOWN_CHARS]}..."
    return printable
