"""The compiled Structs and jsonschema say the same about every payload."""

import json
from collections.abc import Callable
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
from gateway.ocpp.schema import Direction, Version, actions, load, shape
from tests.property.ocpp.payloads import mutate, valid

MESSAGES = [
    pytest.param(version, action, direction, id=f"{version}-{action}-{direction}")
    for version in Version
    for action in sorted(actions(version))
    for direction in Direction
]


@cache
def reference(version: Version, action: str, direction: Direction) -> Any:
    schema = load(version, action, direction)
    draft = Draft4Validator if "draft-04" in schema["$schema"] else Draft6Validator
    draft.check_schema(json.loads(json.dumps(schema, default=float)))
    return draft(schema)


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
