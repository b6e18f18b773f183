"""Frames as real stations send them, and what becomes of each.

A case is one line of ``tests/frames/<version>/*.jsonl``::

    {"name", "clause", "steps": [{"in": frame}, {"out": frame or null}],
     "events": [{"type", member: value...}], "deviations": [kind...]}

A frame is JSON, or a string where it is not JSON. ``out`` is what goes back: a whole
CALLRESULT, the first three elements of a CALLERROR, or nothing. ``answer`` beside
``in`` changes what the system says. Only the named members of an event are compared.
"""

import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.domain.events import Deviation, Event
from gateway.domain.ids import IdToken, StationId
from gateway.errors import RemoteError
from gateway.ocpp import frames
from gateway.ocpp.adapter import (
    Adapter,
    Answer,
    Authorization,
    TokenStatus,
    refusal,
)
from gateway.ocpp.schema import Direction, Version
from gateway.ocpp.tolerant import check
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201

FRAMES = Path(__file__).parents[2] / "frames"
STATION = StationId("CP-1")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ADAPTERS: dict[str, Adapter] = {"v16": V16(), "v201": V201()}


def cases() -> list[Any]:
    found = []
    for path in sorted(FRAMES.glob("v*/*.jsonl")):
        for line in path.read_text().splitlines():
            case = json.loads(line)
            found.append(
                pytest.param(
                    path.parent.name, case, id=f"{path.parent.name}: {case['name']}"
                )
            )
    return found


@pytest.mark.parametrize(("folder", "case"), cases())
def test_a_golden_frame_has_its_facts_and_its_answer(
    folder: str, case: dict[str, Any]
) -> None:
    adapter = ADAPTERS[folder]
    events: list[Event] = []
    deviations: list[Deviation] = []
    sent: list[Any] = []
    for step in case["steps"]:
        if "in" in step:
            sent.append(_take(folder, adapter, step, events, deviations))
        else:
            got = sent.pop(0)
            if got is not None and got[0] == 4:
                assert got[1:3] == step["out"][1:3], got
            else:
                assert got == step["out"]
    assert sorted({one.kind for one in deviations}) == case.get("deviations", [])
    expected = case.get("events", [])
    assert len(events) == len(expected)
    for event, members in zip(events, expected, strict=True):
        assert type(event).__name__ == members.pop("type")
        plain = _plain(event)
        assert {name: plain[name] for name in members} == members


def test_there_are_golden_frames_for_both_versions() -> None:
    versions = [folder for folder, _ in (case.values for case in cases())]
    assert versions.count("v16") >= 20
    assert versions.count("v201") >= 20


def _take(
    folder: str,
    adapter: Adapter,
    step: dict[str, Any],
    events: list[Event],
    deviations: list[Deviation],
) -> Any:
    raw = step["in"] if isinstance(step["in"], str) else json.dumps(step["in"])
    message_id = None
    try:
        call = frames.parse(raw)
        if not isinstance(call, frames.Call):
            return None
        message_id = call.message_id
        decoded = adapter.decode(STATION, call, NOW)
    except RemoteError as error:
        refused = refusal(adapter, error, message_id)
        return None if refused is None else json.loads(refused)
    events += decoded.events
    deviations += decoded.deviations
    answer = step.get("answer", {})
    payload = frames.encode_payload(
        decoded.reply(
            Answer(
                now=NOW,
                transaction_number=4711,
                authorization=(
                    Authorization(
                        status=TokenStatus(answer.get("token", "accepted")),
                        expires_at=datetime(2027, 1, 1, tzinfo=UTC)
                        if "group" in answer
                        else None,
                        group=answer.get("group"),
                    )
                    if decoded.authorize is not None
                    else None
                ),
                registration=answer.get("registration", "Accepted"),
                total_cost=answer.get("total_cost"),
            )
        )
    )
    check(Version(folder), call.action, Direction.RESPONSE, payload)
    return json.loads(frames.encode_result(call.message_id, payload))


def _plain(value: Any) -> Any:
    match value:
        case msgspec.Struct():
            return _plain(msgspec.structs.asdict(value))
        case IdToken():
            return _plain(dataclasses.asdict(value))
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Decimal():
            return f"{value.normalize():f}"
        case _:
            return value
