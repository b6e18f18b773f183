"""The worked example of docs/optimizer.md is what the code says."""

import json
import re
from pathlib import Path

from optimizer import certificate, commitment
from optimizer.problem import CabinetProblem
from optimizer.solve import solve

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
