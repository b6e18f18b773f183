"""A certificate proves what it says, and every tampering shows."""

import copy
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from optimizer import certificate, repair, rules
from optimizer.bound import Dual, Proven
from optimizer.layout import Layout
from optimizer.outcome import Fallback, Optimal, Relaxed
from optimizer.problem import CabinetProblem
from optimizer.relaxed import RelaxedProblem
from optimizer.solve import solve
from tests.support.optimizer_problems import typical_day

Document = dict[str, Any]


@pytest.fixture(scope="module")
def problem() -> CabinetProblem:
    return typical_day(4, limit_a=45.0, floor_a=2.0)


@pytest.fixture(scope="module")
def honest(problem: CabinetProblem) -> Document:
    outcome = solve(problem, deadline_s=20)
    assert isinstance(outcome, Optimal | Relaxed)
    return dict(outcome.certificate)


@pytest.fixture
def forged(honest: Document) -> Document:
    return copy.deepcopy(honest)


def test_an_honest_certificate_holds_with_a_tiny_gap(
    problem: CabinetProblem, honest: Document
) -> None:
    verdict = certificate.verify(problem, honest)
    assert verdict.holds
    assert verdict.gap_micro is not None
    assert 0 <= verdict.gap_micro < 1_000
    assert verdict.is_optimal


def test_one_unit_more_current_shows(problem: CabinetProblem, forged: Document) -> None:
    row = next(row for row in forged["currents_da"] if any(row))
    step = next(step for step, value in enumerate(row) if value)
    row[step] += 10
    assert not certificate.verify(problem, forged).holds


def test_currents_above_a_limit_are_named(
    problem: CabinetProblem, forged: Document
) -> None:
    for row, session in zip(forged["currents_da"], problem.sessions, strict=True):
        row[0] = int(session.max_a * 10)
    failures = certificate.verify(problem, forged).failures
    assert any("above a limit" in failure for failure in failures)


def test_currents_after_departure_are_named(
    problem: CabinetProblem, forged: Document
) -> None:
    index = next(
        i for i, s in enumerate(problem.sessions) if s.departure_step < problem.n_step
    )
    forged["currents_da"][index][-1] = 60
    failures = certificate.verify(problem, forged).failures
    assert any("after departure" in failure for failure in failures)


def test_a_worse_plan_cannot_hide_its_gap(
    problem: CabinetProblem, forged: Document
) -> None:
    """A session is starved in the relaxed plan; everything else is recomputed."""
    relaxed = RelaxedProblem.of(Layout.of(problem))
    forged["current_ua"] = [
        0 if column.session == 0 else value
        for column, value in zip(relaxed.columns, forged["current_ua"], strict=True)
    ]
    current_ua = tuple(forged["current_ua"])
    dual = Dual(
        energy=tuple(forged["energy_nano"]),
        limit=tuple(forged["limit_nano"]),
        sun=tuple(forged["sun_nano"]),
    )
    currents = repair.to_permitted(relaxed, current_ua)
    first = repair.first_permitted(relaxed, current_ua)
    assert first == [row[0] for row in currents], "what benchmarks decide by alone"
    proven = Proven.of(relaxed, current_ua, dual)
    remade = certificate.make(relaxed, proven, currents, salt=bytes(32))
    verdict = certificate.verify(problem, remade)
    assert verdict.gap_micro is not None
    assert verdict.gap_micro > 1_000_000
    assert not verdict.is_optimal


def test_inflated_prices_do_not_lower_the_gap(
    problem: CabinetProblem, forged: Document
) -> None:
    forged["energy_nano"] = [2 * price for price in forged["energy_nano"]]
    verdict = certificate.verify(problem, forged)
    assert not verdict.holds
    assert verdict.gap_micro is not None
    assert verdict.gap_micro > 100_000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "wattproof-certificate/1"),
        ("algorithm", "wattproof-optimizer/1"),
        ("method", "edf"),
        ("method", "none"),
        ("method", "magic"),
        ("salt", "00" * 32),
        ("salt", "00"),
        ("salt", "G" * 64),
        ("commitment", "00" * 32),
        ("cost_micro", 1),
        ("bound_micro", 1),
        ("current_ua", [1, 2, 3]),
        ("current_ua", None),
        ("limit_nano", "no"),
        ("currents_da", [[0]]),
        ("energy_nano", [0.5]),
    ],
)
def test_a_wrong_field_is_refused(
    problem: CabinetProblem, forged: Document, key: str, value: object
) -> None:
    forged[key] = value
    verdict = certificate.verify(problem, forged)
    assert not verdict.holds
    words = (key, "no such field", "commitment")
    assert any(word in failure for failure in verdict.failures for word in words)


def test_negative_prices_of_limits_are_refused(
    problem: CabinetProblem, forged: Document
) -> None:
    forged["limit_nano"][0] = -1
    failures = certificate.verify(problem, forged).failures
    assert failures == ("a price of a limit is negative",)


def test_missing_and_additional_fields_are_refused(
    problem: CabinetProblem, forged: Document
) -> None:
    forged["note"] = 1
    assert "note" in certificate.verify(problem, forged).failures[0]
    del forged["note"], forged["sun_nano"]
    assert "sun_nano" in certificate.verify(problem, forged).failures[0]


def test_a_certificate_of_another_problem_is_refused(honest: Document) -> None:
    verdict = certificate.verify(typical_day(5), honest)
    assert not verdict.holds
    assert any("must hold" in f or "commitment" in f for f in verdict.failures)


@pytest.mark.parametrize(
    "member", ["energy_wh", "departure_step", "weight", "present_a"]
)
def test_a_session_changed_afterwards_shows(
    problem: CabinetProblem, honest: Document, member: str
) -> None:
    """Also a change that no limit and no price notices."""
    first, *others = problem.sessions
    changed = replace(first, **{member: getattr(first, member) + 1})
    verdict = certificate.verify(replace(problem, sessions=(changed, *others)), honest)
    assert not verdict.holds


def test_the_rule_of_a_fallback_is_applied_again(problem: CabinetProblem) -> None:
    outcome = solve(problem, deadline_s=5, engine="edf")
    assert isinstance(outcome, Fallback)
    verdict = certificate.verify(problem, outcome.certificate)
    assert verdict.holds
    assert verdict.gap_micro is None
    assert not verdict.is_optimal


def test_a_fallback_that_favours_somebody_is_refused(problem: CabinetProblem) -> None:
    """Currents that keep every limit, well committed, but are not the rule's."""
    currents = [list(row) for row in rules.edf_packed(Layout.of(problem))]
    index = next(i for i, row in enumerate(currents) if row[0])
    currents[index][0] = 0
    forged = certificate.make_by_rule(
        problem,
        certificate.Method.EDF,
        tuple(tuple(row) for row in currents),
        salt=bytes(32),
    )
    assert certificate.verify(problem, forged).failures == (
        "the currents do not follow from the rule",
    )


def test_relaxed_currents_of_a_fallback_are_refused(
    problem: CabinetProblem, honest: Document
) -> None:
    """A proof that does not hold cannot hide behind a rule."""
    failures = certificate.verify(problem, honest | {"method": "edf"}).failures
    assert any("no such field" in failure for failure in failures)


def test_every_certificate_is_salted_anew(problem: CabinetProblem) -> None:
    one, other = (
        solve(problem, deadline_s=5, engine="edf").certificate for _ in range(2)
    )
    assert one["currents_da"] == other["currents_da"]
    assert one["commitment"] != other["commitment"]


def test_verifying_loads_neither_numpy_nor_cvxpy() -> None:
    code = (
        "import sys, optimizer.verify_cli, optimizer.problem; "
        "sys.exit(bool({'numpy', 'scipy', 'cvxpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
