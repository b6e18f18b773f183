"""Understand messages that break their schema but say what matters.

A station discards what it is told is invalid, so for the messages that carry money or
state only the essential members must be right (``docs/conformance.md``, Essential
members). Everything else is repaired or left out, and recorded as a ``Deviation``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from gateway.domain.events import Deviation
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.explain import explain, shown
from gateway.ocpp.frames import decode_payload
from gateway.ocpp.schema import (
    MAX_EXPONENT,
    Direction,
    Schema,
    Shape,
    Version,
    actions,
    attribute,
    is_multiple,
    is_number,
    resolve,
    shape,
)

MAX_DEVIATIONS: Final = 32
"""Deviations recorded per message; the raw frame has the rest."""
MAX_INTEGER: Final = 2**63 - 1


NUMBERS: Final[Mapping[Version, str]] = {Version.V16: "1.6", Version.V201: "2.0.1"}


class _Unusable(Enum):
    UNUSABLE = "unusable"


_UNUSABLE: Final = _Unusable.UNUSABLE
_Unusables: TypeAlias = Literal[_Unusable.UNUSABLE]

Essentials: TypeAlias = Mapping[str, frozenset[str]]
"""Action -> paths of members without which it says nothing, e.g. ``evse.id``.

Array indices are left out. An object that lacks an essential member is itself unusable.
A path that ends in ``!`` is an enum whose value must be a known one.
"""


class Reader:
    """Reads the requests of one version.

    Args:
        version: Which schemas.
        essentials: The actions that are read tolerantly; others are read strictly.
        exact: Paths of integers for which a fraction is kept (1.6 registers).
    """

    def __init__(
        self,
        version: Version,
        essentials: Essentials,
        *,
        exact: frozenset[str] = frozenset(),
    ) -> None:
        self._version = version
        self._essentials = essentials
        self._exact = exact
        self._shapes: dict[str, Shape] = {}

    def read(self, action: str, payload: bytes) -> tuple[Any, list[Deviation]]:
        """Decode a request of a known action.

        Returns:
            The Struct of the action, and what had to be repaired.

        Raises:
            RemoteError: It is not valid, or lacks something essential.
        """
        known = self._shapes.get(action)
        if known is None:
            known = self._shapes[action] = shape(
                self._version, action, Direction.REQUEST
            )
        try:
            return known.decode(payload), []
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._repair(action, known, payload)

    def _repair(
        self, action: str, known: Shape, payload: bytes
    ) -> tuple[Any, list[Deviation]]:
        essentials = self._essentials.get(action)
        if essentials is not None:
            repair = _Repair(known, essentials, self._exact)
            built = repair.value(known.schema, decode_payload(payload), "")
            if built is not _UNUSABLE:
                if not repair.deviations:
                    repair.note("doubled_member", "", "a member occurs twice")
                return built, repair.deviations
        error = explain(self._version, action, Direction.REQUEST, payload)
        other = _other_shape(self._version, action, payload)
        if other is None:
            raise error
        raise RemoteError(
            error.kind,
            f"{error.description}; it has the shape of OCPP {NUMBERS[other]}",
            error.details,
        )


def check(version: Version, action: str, direction: Direction, payload: bytes) -> None:
    """Check a payload strictly.

    Raises:
        RemoteError: It breaks the schema.
        KeyError: The version has no such action.
    """
    known = shape(version, action, direction)
    try:
        known.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise explain(version, action, direction, payload) from None


def knows(version: Version, action: str) -> bool:
    """Whether the version has the action, whoever sends it."""
    return action in actions(version)


def unknown_action(version: Version, action: str) -> RemoteError:
    """The refusal of an action that the version lacks; says where it belongs."""
    for other in Version:
        if other is not version and knows(other, action):
            return RemoteError(
                ErrorKind.NOT_IMPLEMENTED,
                f"an action of OCPP {NUMBERS[other]};"
                f" this connection agreed on {NUMBERS[version]}",
            )
    return RemoteError(ErrorKind.NOT_IMPLEMENTED, "unknown action")


def _other_shape(version: Version, action: str, payload: bytes) -> Version | None:
    """A version in which the payload would be valid: firmware mixes them up."""
    for other in Version:
        if other is version or not knows(other, action):
            continue
        try:
            shape(other, action, Direction.REQUEST).decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        return other
    return None


@dataclass(slots=True)
class _Repair:
    shape: Shape
    essentials: frozenset[str]
    exact: frozenset[str]
    deviations: list[Deviation] = field(default_factory=list)

    def value(self, schema: Schema, value: object, path: str) -> Any:  # noqa: ANN401 - any JSON type
        schema = resolve(schema, self.shape.schema)
        made: object
        rule = "enum" if "enum" in schema else schema.get("type", "anything")
        match rule:
            case "enum":
                made = self._enum(schema, value, path)
            case "object":
                made = self._object(schema, value, path)
            case "array":
                made = self._array(schema, value, path)
            case "string":
                made = self._string(schema, value, path)
            case "integer":
                made = self._integer(value, path)
            case "number":
                made = self._number(schema, value, path)
            case "boolean":
                made = self._boolean(value, path)
            case _:
                made = value
        return made

    def note(self, kind: str, path: str, detail: str) -> None:
        if len(self.deviations) < MAX_DEVIATIONS:
            self.deviations.append(
                Deviation(kind=kind, path=f"$.{path}" if path else "$", detail=detail)
            )

    def _object(self, schema: Schema, value: object, path: str) -> Any:  # noqa: ANN401 - a Struct
        struct = self.shape.structs.get(id(schema))
        if not isinstance(value, dict):
            self.note("wrong_type", path, f"{shown(value)} is not an object")
            return _UNUSABLE
        if struct is None:
            return value
        members = cast("dict[str, object]", value)
        properties = schema.get("properties", {})
        built: dict[str, object] = {}
        for name, part in properties.items():
            inner = f"{path}.{name}" if path else name
            got = self._member(part, name, members, inner, schema)
            if got is _UNUSABLE:
                if inner.replace("[]", "") in self.essentials:
                    return _UNUSABLE
                got = None
            built[attribute(name)] = got
        if schema.get("additionalProperties", True) is False:
            for name in members:
                if name not in properties:
                    self.note("extra_member", path, f"unknown member {shown(name)}")
        try:
            return struct(**built)
        except ValueError:  # a number that is missing
            return _UNUSABLE

    def _member(
        self,
        part: Schema,
        name: str,
        members: dict[str, object],
        path: str,
        schema: Schema,
    ) -> object:
        raw = members.get(name)
        if raw is not None:
            return self.value(part, raw, path)
        if name in members:
            self.note("null_member", path, "null is not allowed; left out")
        elif name in schema.get("required", ()):
            self.note("missing_member", path, "required, but absent")
        else:
            return None
        return _UNUSABLE

    def _array(self, schema: Schema, value: object, path: str) -> Any:  # noqa: ANN401 - a list
        if isinstance(value, dict):
            self.note("wrong_type", path, "an object where an array belongs")
            value = [value]
        if not isinstance(value, list):
            self.note("wrong_type", path, f"{shown(value)} is not an array")
            return _UNUSABLE
        low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
        if not low <= len(value) <= high:
            self.note("array_length", path, f"{len(value)} elements")
        items = [self.value(schema["items"], item, f"{path}[]") for item in value]
        return [item for item in items if item is not _UNUSABLE]

    def _string(self, schema: Schema, value: object, path: str) -> str | _Unusables:
        if is_number(value):
            self.note("wrong_type", path, "a number where a string belongs")
            value = str(value)
        if not isinstance(value, str):
            self.note("wrong_type", path, f"{shown(value)} is not a string")
            return _UNUSABLE
        if len(value) > schema.get("maxLength", len(value)):
            self.note(
                "over_long",
                path,
                f"{len(value)} characters, at most {schema['maxLength']} allowed",
            )
        return value

    def _enum(self, schema: Schema, value: object, path: str) -> str | _Unusables:
        if not isinstance(value, str):
            self.note("wrong_type", path, f"{shown(value)} is not a string")
            return _UNUSABLE
        if value in schema["enum"]:
            return value
        self.note("unknown_enum", path, f"{shown(value)} is not an allowed value")
        folded = value.strip().casefold()
        for known in schema["enum"]:
            if known.casefold() == folded:
                return cast("str", known)
        must_be_known = f"{path.replace('[]', '')}!" in self.essentials
        return _UNUSABLE if must_be_known else value

    def _integer(self, value: object, path: str) -> int | Decimal | _Unusables:
        number = self._as_number(value, path)
        if number is _UNUSABLE:
            return _UNUSABLE
        if type(number) is not int:
            self.note("wrong_type", path, f"{shown(value)} is not an integer")
            if not is_multiple(number, Decimal(1)):
                return number if path in self.exact else _UNUSABLE
            number = int(number)
        return number if abs(number) <= MAX_INTEGER else _UNUSABLE

    def _number(
        self, schema: Schema, value: object, path: str
    ) -> int | Decimal | _Unusables:
        number = self._as_number(value, path)
        step = schema.get("multipleOf")
        if (
            step is not None
            and number is not _UNUSABLE
            and not is_multiple(number, step)
        ):
            self.note("step", path, f"{shown(value)} is not a multiple of {step}")
        return number

    def _as_number(self, value: object, path: str) -> int | Decimal | _Unusables:
        number = value
        if isinstance(value, str):
            self.note("wrong_type", path, "a string where a number belongs")
            number = _decimal(value)
        if not is_number(number):
            self.note("wrong_type", path, f"{shown(value)} is not a number")
            return _UNUSABLE
        exact = cast("int | Decimal", number)
        if isinstance(exact, Decimal) and abs(exact.adjusted()) > MAX_EXPONENT:
            self.note("value_range", path, f"{shown(value)} is out of range")
            return _UNUSABLE
        return exact

    def _boolean(self, value: object, path: str) -> bool | _Unusables:
        if isinstance(value, bool):
            return value
        self.note("wrong_type", path, f"{shown(value)} is not a boolean")
        words: dict[object, bool] = {"true": True, "false": False}
        if isinstance(value, str):
            return words.get(value.strip().casefold(), _UNUSABLE)
        return _UNUSABLE


def _decimal(text: str) -> Decimal | None:
    stripped = text.strip()
    if not stripped.isascii() or "_" in stripped or len(stripped) > 2 * MAX_EXPONENT:
        return None
    try:
        number = Decimal(stripped)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
