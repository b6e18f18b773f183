"""Any request, however mutated, becomes facts with a valid answer or one refusal."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.ids import StationId
from gateway.errors import RemoteError
from gateway.ocpp import frames, v16, v201
from gateway.ocpp.adapter import Adapter, Answer, Authorization, TokenStatus
from gateway.ocpp.schema import Direction, Version, load
from gateway.ocpp.tolerant import check
from tests.property.ocpp.payloads import mutate, valid

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
STATION = StationId("CP-1")
ADAPTERS: dict[Version, Adapter] = {Version.V16: v16.V16(), Version.V201: v201.V201()}
REQUESTS = [
    *((Version.V16, action) for action in sorted(v16._ACTIONS)),
    *((Version.V201, action) for action in sorted(v201._ACTIONS)),
]


def answer_with(status: TokenStatus) -> Answer:
    return Answer(
        now=NOW,
        authorization=Authorization(
            status=status, expires_at=NOW + timedelta(days=1), group="FLEET"
        ),
        transaction_number=1,
        total_cost="12.34",
    )


@pytest.mark.parametrize(("version", "action"), REQUESTS)
@settings(max_examples=25, deadline=None)
@given(
    rng=st.randoms(use_true_random=False),
    damage=st.integers(0, 3),
    status=st.sampled_from(TokenStatus),
)
def test_a_request_is_decoded_and_answered_validly_or_refused(
    version: Version, action: str, rng: Random, damage: int, status: TokenStatus
) -> None:
    adapter = ADAPTERS[version]
    schema = load(version, action, Direction.REQUEST)
    payload = valid(schema, schema, rng)
    for _ in range(damage):
        payload = mutate(payload, rng)
    call = frames.Call("1", action, frames.encode_payload(payload))
    try:
        decoded = adapter.decode(STATION, call, NOW)
    except RemoteError:
        if not damage:
            raise
        return
    for event in decoded.events:
        assert event.received_at == NOW
        assert event.occurred_at.utcoffset() == timedelta(0)
        assert event.occurred_at <= NOW + timedelta(hours=48)
    reply = frames.encode_payload(decoded.reply(answer_with(status)))
    check(version, action, Direction.RESPONSE, reply)


@pytest.mark.parametrize(("version", "action"), REQUESTS)
@settings(max_examples=5, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_a_valid_request_leaves_no_schema_deviation(
    version: Version, action: str, rng: Random
) -> None:
    schema = load(version, action, Direction.REQUEST)
    call = frames.Call("1", action, frames.encode_payload(valid(schema, schema, rng)))
    decoded = ADAPTERS[version].decode(STATION, call, NOW)
    repaired = {
        "over_long",
        "unknown_enum",
        "extra_member",
        "null_member",
        "wrong_type",
    }
    assert not repaired & {one.kind for one in decoded.deviations}
