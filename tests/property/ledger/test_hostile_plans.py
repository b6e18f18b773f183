"""Whatever a plan file says, the ledger's verifier answers: a report, or a refusal."""

import json
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import BundleError
from ledger.strict_json import parse
from ledger.verdicts import Verdict, VerificationReport
from ledger.verify_plan import PlanTrust, verify_plan
from optimizer.bundle import PLAN, row_of
from optimizer.layout import Layout
from optimizer.rules import edf_packed
from optimizer.solve import solve
from tests.support.optimizer_problems import cellar, typical_day

odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 1, 2**53, 10**30, 0.5, "", "00" * 32, "2026-05-04", "A"])
    | st.sampled_from(["\ud800", "wattproof-optimizer/3", [], {}]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "format", "k"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@cache
def honest(kind: str) -> str:
    stores = (cellar(),) if kind == "batteries" else ()
    problem = typical_day(
        4, n_session=3, n_step=8, limit_a=40.0, floor_a=2.0, batteries=stores
    )
    if kind == "row":
        currents = edf_packed(Layout.of(problem))
        return json.dumps(row_of(problem, currents, bytes(32), 1))
    outcome = solve(problem, deadline_s=20, engine="edf" if kind == "rule" else "auto")
    bundle = {"format": PLAN, "problem": problem.to_json()}
    return json.dumps(bundle | {"certificate": dict(outcome.certificate)})


def judged(document: Any) -> VerificationReport:
    data = json.dumps(document).encode()
    return verify_plan(parse(data, "a plan", 2**25), PlanTrust())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["plan", "batteries", "rule", "row"]), st.data())
def test_one_odd_value_anywhere_is_answered_and_nothing_wrong_passes(
    kind: str, data: st.DataObject
) -> None:
    document: Any = json.loads(honest(kind))
    assert judged(document).verdict is not Verdict.FALSE
    before = json.dumps(document, sort_keys=True)
    place, keys = document, sorted(document)
    while True:
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
        keys = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
    place[key] = data.draw(odd)
    if json.dumps(document, sort_keys=True) == before or key in {"leaf", "head"}:
        return
    try:
        found = judged(document)
    except BundleError:
        return
    assert found.verdict is Verdict.FALSE, [key, place[key]]
