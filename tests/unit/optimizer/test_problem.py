"""A wrong field is named; a right one lands on the grid in the safe direction."""

import json
import pickle
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from optimizer.document import ProblemError, parse_json
from optimizer.problem import CabinetProblem, Mode
from tests.support.optimizer_problems import typical_day

Document = dict[str, Any]

EXAMPLE = """
{
  "group_id": "feeder-1",
  "start": "2026-03-01T18:00:00+01:00",
  "step_s": 900,
  "n_step": 4,
  "cabinets": [
    {"cabinet_id": "feeder", "limit_da": [630, 630, 630], "reserved_da": [50, 50, 50]},
    {"cabinet_id": "garage", "parent": "feeder", "limit_w": 22000,
     "reserved_da": [[0, 0, 0, 0], 0, 0]}
  ],
  "sessions": [
    {"session_id": "s1", "cabinet_id": "garage", "phases": [0, 1, 2],
     "energy_wh": 5000, "departure_step": 4, "max_da": 160},
    {"session_id": "s2", "cabinet_id": "feeder", "phases": [1], "energy_wh": 900,
     "departure_step": 2, "max_da": 320, "min_da": 60, "step_da": 1,
     "present_da": 60, "floor_da": 0, "weight_milli": 1000, "n_power_phase": 1}
  ],
  "import_price_micro_per_kwh": [300000, 300000, 150000, 150000],
  "pv_w": 0,
  "mode": "auto"
}
"""


def example() -> Document:
    document = json.loads(EXAMPLE)
    assert isinstance(document, dict)
    return document


def test_the_example_is_read_with_its_defaults() -> None:
    problem = CabinetProblem.from_json(example())
    assert problem.start.isoformat() == "2026-03-01T17:00:00+00:00"
    assert problem.nominal_v == 230
    first, second = problem.sessions
    assert (first.min_a, first.step_a, first.weight) == (6.0, 1.0, 1.0)
    assert (second.max_a, second.step_a, second.present_a) == (32.0, 0.1, 6.0)
    assert problem.cabinets[0].limit_a == ((63.0,) * 4,) * 3
    assert problem.cabinets[1].limit_a is None
    assert problem.feed_in_price_micro_per_kwh == (0, 0, 0, 0)
    assert problem.mode is Mode.AUTO


def at(*keys: str | int, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        owner: Any = document
        for key in keys[:-1]:
            owner = owner[key]
        owner[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (at("step_s", value=0), "step_s"),
        (at("step_s", value=True), "step_s"),
        (at("n_step", value=10**9), "n_step"),
        (at("start", value="2026-03-01T18:00:00"), "start"),
        (at("start", value="0001-01-01T00:00:00+14:00"), "start"),
        (at("nominal_v", value=-230), "nominal_v"),
        (at("mode", value="greedy"), "mode"),
        (at("extra", value=1), "extra"),
        (at("pv_w", value=[1, 2]), "pv_w"),
        (at("pv_w", value=-1), "pv_w[0]"),
        (at("cabinets", value=[]), "cabinets"),
        (at("cabinets", value={}), "cabinets"),
        (at("cabinets", 0, "limit_da", value=None), "cabinets[0].limit_a"),
        (at("cabinets", 0, "limit_da", value=[630]), "cabinets[0].limit_da"),
        (at("cabinets", 0, "limit_da", 1, value=6.5), "cabinets[0].limit_da[1]"),
        (
            at("cabinets", 1, "reserved_da", 0, 2, value=-1),
            "cabinets[1].reserved_a[0][2]",
        ),
        (at("cabinets", 1, "parent", value="nowhere"), "cabinets[1].parent"),
        (at("cabinets", 0, "parent", value="garage"), "cabinets[0].parent"),
        (at("cabinets", 1, "cabinet_id", value="feeder"), "cabinets[1].cabinet_id"),
        (at("sessions", 0, "phases", value=[]), "sessions[0].phases"),
        (at("sessions", 0, "phases", value=[0, 0]), "sessions[0].phases"),
        (at("sessions", 0, "phases", value=[3]), "sessions[0].phases"),
        (at("sessions", 1, "session_id", value="s1"), "sessions[1].session_id"),
        (at("sessions", 1, "cabinet_id", value="x"), "sessions[1].cabinet_id"),
        (at("sessions", 1, "energy_wh", value=-1), "sessions[1].energy_wh"),
        (at("sessions", 1, "energy_wh", value=2**60), "sessions[1].energy_wh"),
        (at("sessions", 1, "step_da", value=0), "sessions[1].step_a"),
        (at("sessions", 1, "weight_milli", value=0), "sessions[1].weight"),
        (at("sessions", 1, "n_power_phase", value=2), "sessions[1].n_power_phase"),
        (at("sessions", 1, "soc", value=2), "sessions[1].soc"),
    ],
)
def test_a_wrong_field_is_named(change: Callable[[Document], None], path: str) -> None:
    document = example()
    change(document)
    with pytest.raises(ProblemError) as caught:
        CabinetProblem.from_json(document)
    assert caught.value.path == path
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - own bytes


def test_a_missing_field_is_named() -> None:
    document = example()
    del document["sessions"][0]["max_da"]
    with pytest.raises(ProblemError, match=r"sessions\[0\].max_da: is missing"):
        CabinetProblem.from_json(document)


@pytest.mark.parametrize("text", ["{", '{"a": 1, "a": 2}', "[" * 100_000, ""])
def test_text_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ProblemError):
        parse_json(text)


def test_limits_are_rounded_down_and_reservations_up() -> None:
    day = typical_day()
    cabinet, car = day.cabinets[0], day.sessions[0]
    made = CabinetProblem(
        group_id="g",
        start=day.start,
        step_s=900,
        n_step=1,
        cabinets=(
            type(cabinet)(
                cabinet_id="A",
                limit_a=[[6.39], [6.3], [0.1 + 0.2]],
                limit_w=[999.9],
                reserved_a=[[0.01], [0.3], [0.1 + 0.2]],
            ),
        ),
        sessions=(
            type(car)(
                session_id="s",
                cabinet_id="A",
                phases=(2, 0),
                energy_wh=1,
                departure_step=1,
                min_a=6.01,
                max_a=15.99,
                floor_a=0.01,
            ),
        ),
    )
    assert made.cabinets[0].limit_a == ((6.3,), (6.3,), (0.3,))
    assert made.cabinets[0].limit_w == (999.0,)
    assert made.cabinets[0].reserved_a == ((0.1,), (0.3,), (0.3,))
    found = made.sessions[0]
    assert (found.phases, found.min_a, found.max_a, found.floor_a) == (
        (0, 2),
        6.1,
        15.9,
        0.1,
    )


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ProblemError, match="start: must be an aware datetime"):
        CabinetProblem(
            group_id="g",
            start=datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
            step_s=900,
            n_step=1,
            cabinets=(),
        )


def test_a_number_that_is_not_finite_is_refused() -> None:
    day = typical_day(n_step=8)
    with pytest.raises(ProblemError, match=r"pv_w\[0\]: must be finite"):
        CabinetProblem(
            group_id="g",
            start=day.start,
            step_s=900,
            n_step=8,
            cabinets=day.cabinets,
            pv_w=[float("nan")] * 8,
        )
