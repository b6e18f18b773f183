"""The compiled Structs and jsonschema say the same about every payload."""

import copy
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft6Validator

from gateway.errors import ErrorKind
from gateway.ocpp import frames
from gateway.ocpp.explain import explain
from gateway.ocpp.schema import Direction, Schema, Version, actions, load, shape

MESSAGES = [
    pytest.param(version, action, direction, id=f"{version}-{action}-{direction}")
    for version in Version
    for action in sorted(actions(version))
    for direction in Direction
]
NUMBERS = [
    *(Decimal(text) for text in ("0.1", "16.5", "-0.3", "3.0", "0.05", "1E+2")),
    *(0, 32, -7, 2**63),
]


@cache
def reference(version: Version, action: str, direction: Direction) -> Any:
    schema = load(version, action, direction)
    draft = Draft4Validator if "draft-04" in schema["$schema"] else Draft6Validator
    draft.check_schema(json.loads(json.dumps(schema, default=float)))
    return draft(schema)


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


def accepts(decode: Callable[[bytes], Any], payload: bytes) -> bool:
    try:
        decode(payload)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(("version", "action", "direction"), MESSAGES)
@settings(max_examples=12, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_structs_and_jsonschema_agree_on_valid_and_mutated_payloads(
    version: Version, action: str, direction: Direction, rng: Random
) -> None:
    schema = load(version, action, direction)
    validator = reference(version, action, direction)
    compiled = shape(version, action, direction)
    payload = valid(schema, schema, rng)
    candidates = [payload, *(mutate(payload, rng) for _ in range(4))]
    for candidate in candidates:
        wire = frames.encode_payload(candidate)
        expected = validator.is_valid(json.loads(wire, parse_float=Decimal))
        assert accepts(compiled.decode, wire) is expected, wire
        if candidate is payload:
            assert expected, wire


@pytest.mark.parametrize(("version", "action", "direction"), MESSAGES)
@settings(max_examples=4, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_every_refusal_is_explained_by_the_keyword_that_jsonschema_names(
    version: Version, action: str, direction: Direction, rng: Random
) -> None:
    kinds = {
        "required": ErrorKind.OCCURRENCE,
        "minItems": ErrorKind.OCCURRENCE,
        "maxItems": ErrorKind.OCCURRENCE,
        "type": ErrorKind.TYPE,
        "enum": ErrorKind.PROPERTY,
        "maxLength": ErrorKind.PROPERTY,
        "minimum": ErrorKind.PROPERTY,
        "maximum": ErrorKind.PROPERTY,
        "multipleOf": ErrorKind.PROPERTY,
        "additionalProperties": ErrorKind.FORMAT,
    }
    schema = load(version, action, direction)
    wire = frames.encode_payload(mutate(valid(schema, schema, rng), rng))
    errors = list(
        reference(version, action, direction).iter_errors(
            json.loads(wire, parse_float=Decimal)
        )
    )
    if errors:
        refusal = explain(version, action, direction, wire)
        assert refusal.kind in {kinds[error.validator] for error in errors}


@pytest.mark.parametrize("limit", ["16.1", "0", "0.1", "1E+1", "32", "12345678901.7"])
def test_one_decimal_is_a_multiple_of_a_tenth_exactly(limit: str) -> None:
    payload = _with_limit(limit)
    compiled = shape(Version.V16, "SetChargingProfile", Direction.REQUEST)
    decoded = compiled.decode(payload)
    period = decoded.cs_charging_profiles.charging_schedule.charging_schedule_period[0]
    assert Decimal(period.limit) == Decimal(limit)


@pytest.mark.parametrize("limit", ["16.15", "1E-2", '"16"', "true", "null"])
def test_a_finer_step_or_another_type_is_refused(limit: str) -> None:
    compiled = shape(Version.V16, "SetChargingProfile", Direction.REQUEST)
    with pytest.raises(msgspec.ValidationError):
        compiled.decode(_with_limit(limit))


def _with_limit(limit: str) -> bytes:
    return (
        b'{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,'
        b'"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute",'
        b'"chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":'
        b'[{"startPeriod":0,"limit":' + limit.encode() + b"}]}}}"
    )
