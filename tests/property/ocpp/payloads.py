"""Payloads made from JSON schemas: valid ones, and ones with one thing wrong."""

import copy
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random
from typing import Any

from gateway.ocpp.schema import Schema

NUMBERS = [
    *(Decimal(text) for text in ("0.1", "16.5", "-0.3", "3.0", "0.05", "1E+2")),
    *(0, 32, -7, 2**63),
]


def valid(schema: Schema, root: Schema, rng: Random) -> Any:
    if "$ref" in schema:
        return valid(root["definitions"][schema["$ref"].split("/")[-1]], root, rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            return {
                name: valid(part, root, rng)
                for name, part in schema.get("properties", {}).items()
                if name in required or rng.random() < 0.5
            }
        case "array":
            low = schema.get("minItems", 0)
            high = min(schema.get("maxItems", low + 2), low + 2)
            items = range(rng.randint(low, high))
            return [valid(schema["items"], root, rng) for _ in items]
        case "string":
            longest = schema.get("maxLength", 60)
            return "é" * rng.choice([0, 1, longest])
        case "integer":
            low = int(schema.get("minimum", -5))
            return rng.randint(low, int(schema.get("maximum", 2**40)))
        case "number":
            if "multipleOf" in schema:
                return Decimal(rng.randint(0, 3200)) / 10
            return rng.choice(NUMBERS)
        case "boolean":
            return rng.random() < 0.5
        case _:
            return rng.choice(["anything", 1, None, {"a": []}])


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) inside a payload."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(entries):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


REPLACEMENTS: list[Callable[[Any], Any]] = [
    lambda _: None,
    lambda _: True,
    lambda _: "bogus",
    lambda _: "12",
    lambda _: "x" * 5501,
    lambda _: {},
    lambda _: [],
    lambda _: -1,
    lambda _: 101,
    lambda _: 2**70,
    lambda _: Decimal("1.5"),
    lambda _: Decimal("3.0"),
    lambda _: Decimal("0.25"),
    lambda value: [value] * 5,
    lambda value: [*value, *value] if isinstance(value, list) else value,
    lambda value: value + "z" if isinstance(value, str) else value,
]


def mutate(payload: Any, rng: Random) -> Any:
    payload = copy.deepcopy(payload)
    spots = list(places(payload))
    kind = rng.randrange(4)
    if kind == 0 or not spots:
        objects = [payload] + [
            place[key] for place, key in spots if isinstance(place[key], dict)
        ]
        rng.choice(objects)["unknownMember"] = rng.choice([1, "x", None])
    elif kind == 1:
        place, key = rng.choice(spots)
        del place[key]
    else:
        place, key = rng.choice(spots)
        place[key] = rng.choice(REPLACEMENTS)(place[key])
    return payload
