"""What ``wattproof verify`` says of a plan and of one session's row of it."""

import copy
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from optimizer import certificate, verify_cli
from optimizer.bundle import row_of
from optimizer.cli import main as solve_main
from optimizer.document import ProblemError, canonical_json
from optimizer.layout import Currents
from optimizer.outcome import ALGORITHM
from optimizer.problem import CabinetProblem
from optimizer.verify import Report, Word, verify
from tests.support.optimizer_problems import typical_day

Document = dict[str, Any]


@pytest.fixture(scope="module")
def problem() -> CabinetProblem:
    return typical_day(4, n_session=6, n_step=24, limit_a=45.0)


@pytest.fixture(scope="module")
def printed(problem: CabinetProblem, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``wattproof solve`` prints."""
    path = tmp_path_factory.mktemp("plan") / "problem.json"
    path.write_text(json.dumps(problem.to_json()), "utf-8")
    out = io.StringIO()
    assert solve_main(path, deadline_s=20, out=out) == 0
    return out.getvalue()


@pytest.fixture
def bundle(printed: str) -> Document:
    found: Document = json.loads(printed)
    return found


@pytest.fixture
def row(problem: CabinetProblem, bundle: Document) -> Document:
    made = bundle["certificate"]
    currents = tuple(tuple(one) for one in made["currents_da"])
    return row_of(problem, currents, bytes.fromhex(made["salt"]), 2)


def sealed(document: Document, **record: object) -> Document:
    """Put the plan into a log of two leaves."""
    made = document.get("certificate")
    body: Document = {
        "k": "plan",
        "v": 1,
        "algorithm_id": "wattproof-optimizer",
        "algorithm_version": ALGORITHM.partition("/")[2],
        "inputs_sha256": (made or document)["commitment"],
        "made_at": "2026-05-04T08:00:00.000000Z",
    }
    if made:
        sha256 = hashlib.sha256(canonical_json(made).encode())
        body["certificate_sha256"] = sha256.hexdigest()
    text = canonical_json(body | record)
    salt = bytes(32)
    data = hashlib.sha256(b"wattproof/leaf/1\0" + salt + text.encode()).digest()
    leaf = hashlib.sha256(b"\0" + data).digest()
    other = bytes(31) + b"\1"
    return document | {
        "leaf": {
            "index": 1,
            "kind": "plan",
            "salt": salt.hex(),
            "record": text,
            "inclusion": [other.hex()],
        },
        "head": {
            "size": 2,
            "root": hashlib.sha256(b"\1" + other + leaf).hexdigest(),
            "tx_hash": None,
            "block": None,
        },
    }


def report(document: Document) -> Report:
    return verify(json.dumps(document).encode())


def words(document: Document) -> dict[str, Word]:
    return {check.name: check.verdict for check in report(document).checks}


def test_what_solve_prints_is_true_as_it_stands(bundle: Document) -> None:
    found = report(bundle)
    assert found.verdict is Word.TRUE
    assert found.exit_code(strict=True) == 0
    assert words(bundle)["optimality"] is Word.TRUE
    assert words(bundle)["log"] is Word.UNCHECKED


def test_a_plan_by_a_rule_claims_no_optimality(
    problem: CabinetProblem, bundle: Document
) -> None:
    nothing: Currents = tuple((0,) * problem.n_step for _ in problem.sessions)
    made = certificate.make_by_rule(
        problem, certificate.Method.NONE, nothing, salt=bytes(32)
    )
    del bundle["plan"]
    assert words(bundle | {"certificate": made})["plan"] is Word.FALSE
    found = report(bundle | {"certificate": made, "outcome": "fallback"})
    assert found.verdict is Word.TRUE
    assert {c.name for c in found.checks if not c.is_claimed} == {"optimality", "log"}


def test_a_plan_in_a_log_is_true_but_for_the_head(bundle: Document) -> None:
    document = sealed(bundle)
    assert words(document)["log"] is Word.TRUE
    assert words(document)["head"] is Word.UNCHECKED
    assert report(document).exit_code() == 0
    assert report(document).exit_code(strict=True) == 1


def test_the_driver_checks_the_own_row(row: Document, problem: CabinetProblem) -> None:
    document = sealed(row)
    assert words(document) == {
        "format": Word.TRUE,
        "commitment": Word.TRUE,
        "currents": Word.TRUE,
        "log": Word.TRUE,
        "head": Word.UNCHECKED,
    }
    text = json.dumps(document)
    for session in problem.sessions:
        assert (f'"{session.session_id}"' in text) == (session.session_id == "s2")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("problem", "sessions", 0, "energy_wh"), 1),
        (("problem", "cabinets", 0, "limit_da", 0, 0), 1),
        (("problem", "mode"), "fair"),
        (("certificate", "salt"), "11" * 32),
        (("certificate", "currents_da", 0, 0), 6_000),
        (("certificate", "current_ua", 0), 1),
        (("certificate", "cost_micro"), 0),
        (("plan", "currents_da", 0, 0), 6_000),
        (("plan", "session_ids", 0), "else"),
        (("plan", "energy_wh", 0), 1),
        (("plan", "shortfall_wh", 0), 1),
        (("outcome",), "fallback"),
        (("leaf", "salt"), "11" * 32),
        (("leaf", "index"), 0),
        (("leaf", "inclusion"), []),
        (("head", "size"), 3),
        (("head", "root"), "11" * 32),
    ],
)
def test_every_tampering_with_a_plan_is_false(
    bundle: Document, path: tuple[str | int, ...], value: object
) -> None:
    document = copy.deepcopy(sealed(bundle))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    assert place[path[-1]] != value
    place[path[-1]] = value
    assert report(document).exit_code() == 1


@pytest.mark.parametrize(
    "record",
    [
        {"k": "dispatch"},
        {"algorithm_version": "1"},
        {"inputs_sha256": "11" * 32},
        {"certificate_sha256": "11" * 32},
    ],
)
def test_the_record_of_another_plan_is_false(
    bundle: Document, record: Document
) -> None:
    assert words(sealed(bundle, **record))["log"] is Word.FALSE


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"salt": "11" * 32}, "commitment"),
        ({"row": 1}, "commitment"),
        ({"count": 90}, "commitment"),
        ({"path": []}, "commitment"),
        ({"commitment": "11" * 32}, "commitment"),
        ({"start": "2026-03-01T18:15:00Z"}, "commitment"),
        ({"step_s": 60}, "commitment"),
        ({"algorithm": "wattproof-optimizer/1"}, "algorithm"),
        ({"currents_da": [10] * 24}, "currents"),
    ],
)
def test_every_tampering_with_a_row_is_false(
    row: Document, changes: Document, name: str
) -> None:
    assert words(row | changes)[name] is Word.FALSE
    assert report(row | changes).exit_code() == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"format": "wattproof-receipt/1"}',
        b'{"format": "wattproof-plan/1"}',
        b'{"format": "wattproof-plan/1", "problem": 1, "certificate": 2}',
        b'{"format": "wattproof-plan-row/1"}',
        b'{"format": ' + b"[" * 100_000,
        b'{"format": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_plan_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ProblemError):
        verify(data)


def run(path: Path, *options: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = verify_cli.main([str(path), *options], out=out, err=err)
    return code, out.getvalue(), err.getvalue()


def test_the_command_prints_each_check_and_sets_the_exit_code(
    bundle: Document, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(sealed(bundle)), "utf-8")
    code, out, _ = run(path)
    assert code == 0
    assert out.splitlines()[-1] == "verdict: unchecked"
    assert run(path, "--strict")[0] == 1
    assert json.loads(run(path, "--json")[1])["verdict"] == "unchecked"
    bundle["certificate"]["currents_da"][0][0] += 10
    path.write_text(json.dumps(bundle), "utf-8")
    assert run(path)[0] == 1


def test_a_file_that_is_none_is_bad_usage(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "none.json")
    assert (code, out) == (2, "")
    assert "cannot read" in err
    assert "error" in json.loads(run(tmp_path / "none.json", "--json")[1])
