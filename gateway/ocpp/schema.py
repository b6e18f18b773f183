"""Struct types compiled from the JSON schemas of the ``ocpp`` package.

One decoder per (version, action, direction), made at first use. It decodes and checks
in one pass; its verdicts equal those of jsonschema on the same files, with numbers read
as Decimal (``tests/property/ocpp/test_schema_verdicts.py``). What it refuses goes the
cold way: ``gateway.ocpp.tolerant`` repairs it or ``explain`` says why it cannot.

Wire names become snake_case attributes. An absent optional member is ``None``; ``null``
on the wire is refused, as by the schemas.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import GenericAlias
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

import msgspec

Schema: TypeAlias = dict[str, Any]
"""A parsed JSON schema, or a part of one."""

MAX_EXPONENT: Final = 30
"""Numbers outside 1e-30 to 1e30 are no measurements; they are never expanded."""


class Version(StrEnum):
    """Which set of schemas."""

    V16 = "v16"
    V201 = "v201"


class Direction(StrEnum):
    """Request (CALL) or response (CALLRESULT)."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Shape:
    """One compiled message.

    Attributes:
        schema: The JSON schema, ``parse_float=Decimal``.
        type: The Struct class.
        decode: Payload to Struct; raises ``msgspec.MsgspecError``.
        structs: ``id`` of an object schema inside ``schema`` -> its Struct class.
    """

    schema: Schema
    type: type[msgspec.Struct]
    decode: Callable[[bytes], Any]
    structs: dict[int, Any]


@cache
def actions(version: Version) -> frozenset[str]:
    """Every action the version's schemas know, whoever sends it."""
    suffix = _suffix(version, Direction.REQUEST)
    names = (entry.name for entry in _folder(version).iterdir())
    stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return frozenset(
        stem.removesuffix(suffix)
        for stem in stems
        if stem.endswith(suffix) and not stem.endswith("Response")
    )


@cache
def shape(version: Version, action: str, direction: Direction) -> Shape:
    """The compiled message.

    Raises:
        KeyError: The version has no such action.
    """
    if action not in actions(version):
        raise KeyError(action)
    schema = load(version, action, direction)
    compiler = _Compiler(schema)
    root = compiler.compile(schema, action)
    decoder = msgspec.json.Decoder(root, float_hook=Decimal)
    return Shape(
        schema, cast("type[msgspec.Struct]", root), decoder.decode, compiler.structs
    )


@cache
def load(version: Version, action: str, direction: Direction) -> Schema:
    """The JSON schema itself, its numbers as Decimal."""
    path = _folder(version) / f"{action}{_suffix(version, direction)}.json"
    text = path.read_text(encoding="utf-8-sig")
    return cast("Schema", json.loads(text, parse_float=Decimal))


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a local ``$ref``."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


@cache
def attribute(wire_name: str) -> str:
    """``chargePointSerialNumber`` -> ``charge_point_serial_number``."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", wire_name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", spaced).lower()


def is_number(value: object) -> bool:
    """Whether a decoded value is a JSON number (``True`` is not)."""
    return type(value) is int or type(value) is Decimal


def is_multiple(value: Decimal | int, step: Decimal) -> bool:
    """Whether ``value`` is a whole multiple of ``step``, exactly."""
    number = Decimal(value)
    if number == 0:
        return True
    if not -MAX_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
        return number.adjusted() > 0 and number == number.to_integral_value()
    numerator, denominator = number.as_integer_ratio()
    over, under = step.as_integer_ratio()
    return numerator * under % (denominator * over) == 0


def _folder(version: Version) -> Any:  # noqa: ANN401 - importlib.resources' Traversable
    return files("ocpp") / version.value / "schemas"


def _suffix(version: Version, direction: Direction) -> str:
    if direction is Direction.RESPONSE:
        return "Response"
    return "Request" if version is Version.V201 else ""


class _Compiler:
    """Turns one schema document into types; ``$ref`` targets are made once."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._made: dict[str, Any] = {}
        self.structs: dict[int, Any] = {}

    def compile(self, schema: Schema, name: str) -> Any:  # noqa: ANN401 - a type form
        reference = schema.get("$ref")
        if reference is None:
            return self._plain(schema, name)
        if reference not in self._made:
            target = resolve(schema, self._root)
            self._made[reference] = self.compile(target, reference.split("/")[-1])
        return self._made[reference]

    def _plain(self, schema: Schema, name: str) -> Any:  # noqa: ANN401 - a type form
        if "enum" in schema:
            return Literal[tuple(schema["enum"])]
        match schema.get("type", "anything"):
            case "object":
                kind = self._object(schema, name)
            case "array":
                kind = self._array(schema, name)
            case "string":
                kind = _constrained(str, schema, max_length="maxLength")
            case "integer":
                kind = _constrained(int, schema, ge="minimum", le="maximum")
            case "boolean":
                kind = bool
            case "anything" | "number":
                kind = Any  # numbers are checked by their Struct: see _checked
            case other:
                raise NotImplementedError(f"{name}: schema type {other}")
        return kind

    def _array(self, schema: Schema, name: str) -> Any:  # noqa: ANN401 - a type form
        item = self.compile(schema["items"], f"{name}Item")
        return _constrained(
            GenericAlias(list, (item,)),
            schema,
            min_length="minItems",
            max_length="maxItems",
        )

    def _object(self, schema: Schema, name: str) -> Any:  # noqa: ANN401 - a type form
        properties = schema.get("properties")
        closed = schema.get("additionalProperties", True) is False
        if properties is None and not closed:
            return dict[str, Any]
        required = schema.get("required", ())
        fields: list[tuple[str, Any, Any]] = []
        numbers: list[tuple[str, bool, Decimal | None]] = []
        for wire, part in (properties or {}).items():
            target = resolve(part, self._root)
            python = attribute(wire)
            kind = self.compile(part, f"{name}_{wire}")
            if target.get("type") == "number":
                numbers.append((python, wire in required, target.get("multipleOf")))
                absent: object = msgspec.UNSET  # until _checked has run
            else:
                absent = None
            if wire in required:
                fields.append((python, kind, msgspec.field(name=wire)))
            else:
                fields.append((python, kind, msgspec.field(name=wire, default=absent)))
        struct = msgspec.defstruct(
            name,
            fields,
            namespace=_checked(numbers),
            forbid_unknown_fields=closed,
            kw_only=True,
            gc=False,
        )
        self.structs[id(schema)] = struct
        return struct


def _constrained(kind: Any, schema: Schema, **keywords: str) -> Any:  # noqa: ANN401 - type forms
    limits: dict[str, Any] = {
        name: int(schema[keyword])
        for name, keyword in keywords.items()
        if keyword in schema
    }
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind


def _checked(numbers: list[tuple[str, bool, Decimal | None]]) -> dict[str, Any]:
    """A ``__post_init__`` for the members of type number.

    ``Decimal`` as a type would accept strings, ``float`` would not be exact.
    """
    if not numbers:
        return {}
    if len(numbers) == 1 and numbers[0][1] and numbers[0][2] is None:
        name = numbers[0][0]

        def check_one(self: object) -> None:
            value = getattr(self, name)
            if type(value) is not Decimal and type(value) is not int:
                raise ValueError(f"{name} is not a number")

        return {"__post_init__": check_one}

    def check(self: object) -> None:
        for name, _, step in numbers:
            value = getattr(self, name)
            if value is msgspec.UNSET:
                setattr(self, name, None)
                continue
            if not is_number(value):
                raise ValueError(f"{name} is not a number")
            if step is not None and not is_multiple(value, step):
                raise ValueError(f"{name} is not a multiple of {step}")

    return {"__post_init__": check}
