"""The simulator's frames, scenario files, faults, clock and event lines."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim_chargers
from sim_chargers import faults, scenario
from sim_chargers.clock import SiteClock, from_wire, to_wire
from sim_chargers.events import Events
from sim_chargers.frames import (
    Call,
    CallError,
    CallResult,
    FrameError,
    decode,
    encode,
)
from sim_chargers.scenario_table import ScenarioError

EXAMPLE = Path(sim_chargers.__file__).parent / "scenarios" / "depot.toml"


@pytest.mark.parametrize(
    "frame",
    [
        Call(message_id="1", action="Heartbeat", payload={}),
        CallResult(message_id="1", payload={"status": "Accepted"}),
        CallError(message_id="1", code="InternalError", description="no", details={}),
    ],
)
def test_a_frame_survives_the_wire(frame: Call | CallResult | CallError) -> None:
    assert decode(encode(frame)) == frame


@given(st.text() | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps))
def test_text_is_a_frame_or_a_frame_error(text: str) -> None:
    try:
        frame = decode(text)
    except FrameError:
        return
    assert isinstance(frame.message_id, str)


def test_a_short_call_error_is_understood() -> None:
    assert decode('[4,"9","GenericError"]') == CallError(
        message_id="9", code="GenericError"
    )


def test_the_example_scenario_is_complete() -> None:
    plan = scenario.load(EXAMPLE)
    assert {s.ocpp for s in plan.stations} == {"1.6", "2.0.1"}
    assert [e.evse_id for e in plan.stations[3].evses] == [1, 2]
    assert plan.stations[1].evses[0].phases == (1, 2, 0)
    assert plan.cabinets[1].parent == "main"
    assert plan.drivers.stay_min == (40.0, 150.0)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    path.write_text(json.dumps(tree()), encoding="utf-8")
    assert scenario.load(path) == scenario.parse(tree())


def tree(**station: Any) -> dict[str, Any]:
    return {
        "site": {
            "cabinets": [{"id": "main", "limit_a": 63}],
            "stations": [
                {
                    "id": "A",
                    "ocpp": "1.6",
                    "cabinet": "main",
                    "evses": [{"evse_id": 1}],
                    **station,
                }
            ],
        }
    }


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"ocpp": "2.1"}, "site.stations[0].ocpp"),
        ({"cabinet": "attic"}, "site.stations[0].cabinet"),
        ({"colour": "red"}, "site.stations[0].colour"),
        ({"evses": []}, "site.stations[0].evses"),
        (
            {"evses": [{"evse_id": 1, "phases": "L9"}]},
            "site.stations[0].evses[0].phases",
        ),
        ({"faults": ["hiccup"]}, "site.stations[0].faults"),
        ({"meter": {"curve": "ed25519"}}, "site.stations[0].meter: curve"),
        ({"meter": {"carrier": "pigeon"}}, "site.stations[0].meter: carrier"),
        ({"meter": {"format": "XR"}}, "site.stations[0].meter: format"),
        ({"meter": {"signs": "yes"}}, "site.stations[0].meter: signs"),
        ({"meter": {"colour": "red"}}, "site.stations[0].meter: colour"),
        ({"meter": "signs"}, "site.stations[0].meter"),
    ],
)
def test_a_scenario_error_names_its_key(changes: dict[str, Any], key: str) -> None:
    scenario.parse(tree())
    with pytest.raises(ScenarioError, match=r"^" + key.replace("[", r"\[")):
        scenario.parse(tree(**changes))


def test_cabinets_that_feed_each_other_are_refused() -> None:
    plan = tree()
    plan["site"]["cabinets"] = [
        {"id": "main", "parent": "yard"},
        {"id": "yard", "parent": "main"},
    ]
    with pytest.raises(ScenarioError, match="feeds itself"):
        scenario.parse(plan)


def test_a_fault_goes_to_all_stations_or_to_one() -> None:
    assert faults.assign(["lie", "offline@B"], ["A", "B"]) == {
        "A": {"lie"},
        "B": {"lie", "offline"},
    }
    with pytest.raises(faults.UnknownFaultError, match="'C'"):
        faults.assign(["lie@C"], ["A"])
    with pytest.raises(faults.UnknownFaultError, match="'sulk'"):
        faults.assign(["sulk"], ["A"])


def test_two_clocks_with_the_same_reference_agree() -> None:
    epoch = datetime(2026, 1, 1, tzinfo=UTC)
    first = SiteClock(epoch=epoch, epoch_unix_s=1_700_000_000.0, speed=60.0)
    second = SiteClock(epoch=epoch, epoch_unix_s=1_700_000_000.0, speed=60.0)
    assert abs(first.now() - second.now()) < timedelta(seconds=30)
    assert first.now() > epoch


@pytest.mark.parametrize("speed", [0.0, -1.0, 1e9])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SiteClock(speed=speed)


def test_instants_on_the_wire_are_utc_with_a_z() -> None:
    assert to_wire(from_wire("2026-03-01T13:00:00+01:00")) == "2026-03-01T12:00:00.000Z"
    assert from_wire("2026-03-01T12:00:00").tzinfo is UTC


def test_every_event_is_one_line() -> None:
    stream = io.StringIO()
    events = Events(stream=stream)
    events.emit("session_ended", station="A\nB")
    events.session_ended(start_milliwh=5, stop_milliwh=12)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "session_ended", "station": "A\nB"}
    ]
    assert events.energy_milliwh == 7
