"""Whatever a file says, the verifier of plans answers: a report, or a refusal."""

import json
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.bundle import PLAN, row_of
from optimizer.document import ProblemError
from optimizer.layout import Layout
from optimizer.problem import CabinetProblem
from optimizer.rules import edf_packed
from optimizer.solve import solve
from optimizer.verify import Report, Word, verify
from tests.support.optimizer_problems import typical_day

odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 1, 2**53, 10**30, 0.5, "", "00" * 32, "2026-05-04", "A"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "format", "k"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@cache
def honest(kind: str) -> str:
    problem = typical_day(4, n_session=3, n_step=12, limit_a=40.0, floor_a=2.0)
    if kind == "row":
        currents = edf_packed(Layout.of(problem))
        return json.dumps(row_of(problem, currents, bytes(32), 1))
    outcome = solve(problem, deadline_s=20, engine="auto" if kind == "plan" else "edf")
    bundle = {"format": PLAN, "problem": problem.to_json()}
    return json.dumps(bundle | {"certificate": dict(outcome.certificate)})


def meaning(document: Any) -> str:
    """What a true document says, however it is spelled."""
    said = {key: value for key, value in document.items() if value is not None}
    if "problem" in said:
        said["problem"] = CabinetProblem.from_json(said["problem"]).to_json()
    return json.dumps(said, sort_keys=True)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["plan", "rule", "row"]), st.data())
def test_one_odd_value_anywhere_is_answered_and_never_true(
    kind: str, data: st.DataObject
) -> None:
    document: Any = json.loads(honest(kind))
    assert verify(json.dumps(document).encode()).verdict is Word.TRUE
    place, keys = document, sorted(document)
    while True:
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
        keys = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
    value = data.draw(odd)
    before = meaning(document)
    place[key] = value
    try:
        found = verify(json.dumps(document).encode())
    except ProblemError:
        return
    assert isinstance(found, Report)
    assert found.verdict is not Word.TRUE or meaning(document) == before
