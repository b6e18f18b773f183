"""Two checkers of certificates that share no code come to the same verdict."""

import copy
import json
from functools import cache
from typing import Any, Literal

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ledger.certificate import check_certificate, read_certified
from ledger.errors import BundleError
from ledger.verdicts import Verdict
from optimizer import certificate, commitment
from optimizer.document import ProblemError
from optimizer.problem import CabinetProblem
from optimizer.solve import solve
from tests.support.optimizer_problems import cellar, problems, typical_day

Document = dict[str, Any]


def optimizer_says(problem: Document, made: Document) -> bool:
    try:
        found = certificate.verify(CabinetProblem.from_json(problem), made)
    except ProblemError:
        return False
    return found.holds and (found.gap_micro is None or found.is_optimal)


def ledger_says(problem: Document, made: Document) -> bool:
    try:
        plan = read_certified(problem, made)
    except BundleError:
        return False
    if plan is None:
        return False
    return all(one.verdict is not Verdict.FALSE for one in check_certificate(plan))


def solved(
    problem: CabinetProblem, engine: Literal["auto", "edf"] = "auto"
) -> tuple[Document, Document]:
    outcome = solve(problem, deadline_s=30, engine=engine)
    document = json.loads(json.dumps(problem.to_json()))
    return document, json.loads(json.dumps(dict(outcome.certificate)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems(max_session=5, max_battery=2) | problems(max_session=6), st.booleans())
def test_any_solved_problem_is_true_for_both(
    problem: CabinetProblem, by_rule: bool
) -> None:
    document, made = solved(problem, "edf" if by_rule else "auto")
    assert optimizer_says(document, made)
    assert ledger_says(document, made), (document, made)


@cache
def honest(kind: str) -> str:
    problem = typical_day(
        4,
        n_session=4,
        n_step=12,
        limit_a=40.0,
        floor_a=2.0,
        batteries=(cellar(),) if kind == "batteries" else (),
    )
    return json.dumps(solved(problem, "edf" if kind == "edf" else "auto"))


def numbers(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [place for key, item in pairs for place in numbers(item, (*at, key))]
    return [at] if isinstance(value, int) and not isinstance(value, bool) else []


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(["plan", "batteries", "edf"]), st.data())
def test_whatever_number_is_changed_both_say_the_same(
    kind: str, data: st.DataObject
) -> None:
    problem, made = json.loads(honest(kind))
    whole = [problem, made]
    # Half of all numbers are in the currents: each member has its chance.
    by_member: dict[Any, list[tuple[Any, ...]]] = {}
    for place in numbers(whole):
        by_member.setdefault(place[:2], []).append(place)
    member = data.draw(st.sampled_from(sorted(by_member, key=str)))
    place = data.draw(st.sampled_from(by_member[member]))
    spot: Any = whole
    for key in place[:-1]:
        spot = spot[key]
    before = spot[place[-1]]
    change = data.draw(
        st.sampled_from([1, -1, 10, -10, 1000, 10**7, -(10**7), 10**12, -before])
    )
    spot[place[-1]] = before + change
    again = made if member[0] == 1 else reproved(problem, made)
    expected = optimizer_says(problem, again)
    event(f"{member[1]} {expected}")
    assert ledger_says(problem, again) is expected, place


def reproved(problem: Document, made: Document) -> Document:
    """The certificate with a commitment to the changed problem, where there is one."""
    try:
        read = CabinetProblem.from_json(problem)
    except ProblemError:
        return made
    changed = copy.deepcopy(made)
    currents = tuple(tuple(row) for row in made["currents_da"])
    root = commitment.root(read, currents, bytes.fromhex(made["salt"]))
    return changed | {"commitment": root.hex()}
