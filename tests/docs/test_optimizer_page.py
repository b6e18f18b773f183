"""docs/optimizer.md is what the code does: its example, and its formulas."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from optimizer import certificate, commitment
from optimizer.battery import BatteryUnit
from optimizer.document import canonical_json
from optimizer.problem import CabinetProblem, Mode
from optimizer.solve import solve
from tests.support import plan_stranger
from tests.support.optimizer_problems import cellar, problems, typical_day

PAGE = (Path(__file__).parents[2] / "docs" / "optimizer.md").read_text("utf-8")
BLOCKS = re.findall(
    r"```(?:json)?\n(.*?)```", PAGE.partition("### A worked")[2], re.DOTALL
)


def example() -> tuple[CabinetProblem, dict[str, object]]:
    return CabinetProblem.from_json(json.loads(BLOCKS[0])), json.loads(BLOCKS[1])


def test_the_certificate_of_the_page_holds_with_the_page_s_gap() -> None:
    problem, shown = example()
    verdict = certificate.verify(problem, shown)
    assert verdict.failures == ()
    assert verdict.gap_micro == 1
    assert verdict.is_optimal


def test_the_leaves_of_the_page_are_those_of_the_commitment() -> None:
    problem, shown = example()
    salt = bytes.fromhex(str(shown["salt"]))
    rows = shown["currents_da"]
    assert isinstance(rows, list)
    texts = commitment.texts(problem, tuple(tuple(row) for row in rows))
    leaves = [
        commitment.leaf_hash(text, commitment.row_salt(salt, row)).hex()
        for row, text in enumerate(texts)
    ]
    assert BLOCKS[2].split() == leaves


def test_solving_the_problem_of_the_page_gives_its_currents() -> None:
    problem, shown = example()
    plan = solve(problem, deadline_s=20).plan
    assert [list(row) for row in plan.currents_da] == shown["currents_da"]


@settings(max_examples=80, deadline=None)
@given(problems() | problems(max_battery=3))
def test_who_has_only_the_page_comes_to_the_same_numbers(
    problem: CabinetProblem,
) -> None:
    """Cost, lower bound and commitment, of any problem, to the last digit."""
    outcome = solve(problem, deadline_s=20)
    shown = json.loads(canonical_json(dict(outcome.certificate)))
    document = json.loads(canonical_json(problem.to_json()))
    assert plan_stranger.root(document, shown) == shown["commitment"]
    assert shown["method"] == "relaxed"
    unit = 18 * 10**15
    assert -(-plan_stranger.cost(document, shown) // unit) == shown["cost_micro"]
    assert plan_stranger.lower_bound(document, shown) // unit == shown["bound_micro"]


@pytest.mark.parametrize("stores", [(), (cellar(held_a=3.0),)])
@pytest.mark.parametrize("mode", list(Mode))
def test_who_has_only_the_page_agrees_on_a_whole_day(
    mode: Mode, stores: tuple[BatteryUnit, ...]
) -> None:
    problem = typical_day(
        5, n_session=20, limit_a=50.0, floor_a=2.0, mode=mode, batteries=stores
    )
    shown: Any = dict(solve(problem, deadline_s=20).certificate)
    document: Any = problem.to_json()
    unit = 18 * 10**15
    assert -(-plan_stranger.cost(document, shown) // unit) == shown["cost_micro"]
    assert plan_stranger.lower_bound(document, shown) // unit == shown["bound_micro"]
    assert plan_stranger.root(document, shown) == shown["commitment"]
