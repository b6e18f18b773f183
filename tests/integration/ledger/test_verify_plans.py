"""``python -m ledger verify`` of plans and rows: offline, and against a chain."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ledger import certificate
from ledger.__main__ import main
from ledger.algorithms import algorithm_id
from ledger.check_names import CERTIFICATE, PLAN, ROW
from ledger.contracts import RELEASE, code_sha256
from ledger.published import PublishedContract, PublishedContracts
from ledger.settle import AlgorithmRelease
from ledger.sqlite_store import SqliteStore
from optimizer import commitment
from optimizer.bundle import row_of
from optimizer.cli import outcome_to_json
from optimizer.outcome import ALGORITHM
from optimizer.problem import CabinetProblem
from optimizer.solve import solve
from tests.support.ledger_site import START, Site, make_site
from tests.support.optimizer_problems import cellar, pressed_and_patient, typical_day
from tests.support.sealed_plan import Document, in_log, seal_plan, solved_plan

WHEEL = b"a wheel"
PLAN_LEAF = 4


@pytest.fixture(scope="module")
def problem() -> CabinetProblem:
    return typical_day(3, n_session=3, n_step=8, limit_a=30.0, batteries=(cellar(),))


@pytest.fixture(scope="module")
def solved(problem: CabinetProblem) -> Document:
    return solved_plan(problem)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, solved: Document) -> Site:
    site = make_site(tmp_path_factory.mktemp("site"))
    site.add_noise(4)
    assert seal_plan(site, solved) == PLAN_LEAF
    site.add_noise(2)
    site.worker.step(site.clock.at, flush=True)
    return site


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture
def whole(site: Site, solved: Document) -> Document:
    return in_log(site, PLAN_LEAF, solved)


@pytest.fixture
def row(site: Site, problem: CabinetProblem, solved: Document) -> Document:
    made = solved["certificate"]
    currents = tuple(tuple(one) for one in made["currents_da"])
    opened = row_of(problem, currents, bytes.fromhex(made["salt"]), 1)
    return in_log(site, PLAN_LEAF, json.loads(json.dumps(opened)))


class Judge:
    """Runs the command on a document."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def file(self, name: str, document: object) -> str:
        path = self.folder / name
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    def __call__(self, document: Document, *options: str) -> Document:
        path = self.file("plan.json", document)
        self.code = main(["verify", path, "--json", *options])
        found = json.loads(self.capsys.readouterr().out)
        if "error" in found:
            return found  # type: ignore[no-any-return]  # JSON
        self.why = {one["name"]: one["reason"] for one in found["checks"]}
        return {one["name"]: one["verdict"] for one in found["checks"]} | {
            "verdict": found["verdict"]
        }


@pytest.fixture
def judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Judge:
    return Judge(tmp_path, capsys)


def test_every_check_of_a_plan_holds_and_its_head_waits_for_a_chain(
    judge: Judge, whole: Document, solved: Document
) -> None:
    found = judge(whole)
    assert {name for name, verdict in found.items() if verdict == "true"} == {
        *("format", "commitment", "limits", "optimality", "rounding", "plan"),
        *("record", "inclusion"),
    }
    assert (judge.code, found["verdict"]) == (0, "unchecked")
    found = judge(solved, "--strict")
    assert tuple(found) == (*PLAN, "verdict")
    for name in PLAN[PLAN.index("record") :]:
        assert found[name] == "unchecked"
        assert judge.why[name].startswith("not judged: ")
    assert (judge.code, found["verdict"]) == (0, "true")


def test_another_rounding_is_found_though_it_keeps_every_limit(
    judge: Judge, problem: CabinetProblem, solved: Document
) -> None:
    # Keeps all limits and is committed to, and is not what rounding gives.
    other = solved["certificate"]
    rows = [list(row) for row in other["currents_da"]]
    rows[0] = [0] * len(rows[0])
    root = commitment.root(
        problem, tuple(map(tuple, rows)), bytes.fromhex(other["salt"])
    )
    other = other | {"currents_da": rows, "commitment": root.hex()}
    bundle = {name: solved[name] for name in ("format", "problem")}
    found = judge(bundle | {"certificate": other})
    assert {found[n] for n in ("commitment", "limits", "optimality")} == {"true"}
    assert (judge.code, found["rounding"], found["verdict"]) == (1, "false", "false")


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        (("certificate", "salt"), "11" * 32, "commitment"),
        (("problem", "sessions", 0, "energy_wh"), 17, "commitment"),
        (("certificate", "currents_da", 0, 0), 3_200, "limits"),
        (("certificate", "currents_da", 0, 0), -60, "limits"),
        (("certificate", "currents_da", 0, 0), 61, "limits"),
        (("certificate", "battery_w", 0, 0), 1, "limits"),
        (("certificate", "cost_micro"), 1, "optimality"),
        (("certificate", "bound_micro"), 1, "optimality"),
        (("certificate", "current_ua", 0), 10**9, "optimality"),
        (("certificate", "energy_nano", 0), 0, "optimality"),
        (("certificate", "currents_da", 0, 0), 0, "rounding"),
        (("plan", "energy_wh", 0), 10**6, "plan"),
        (("outcome",), "fallback", "plan"),
        (("leaf", "salt"), "11" * 32, "inclusion"),
        (("leaf", "index"), 3, "inclusion"),
        (("leaf", "kind"), "asset", "record"),
        (("leaf", "commitment"), "11" * 32, "inclusion"),
        (("head", "root"), "11" * 32, "inclusion"),
    ],
)
def test_what_was_changed_is_found(
    judge: Judge, whole: Document, place: tuple[Any, ...], value: Any, name: str
) -> None:
    changed = copy.deepcopy(whole)
    spot = changed
    for key in place[:-1]:
        spot = spot[key]
    spot[place[-1]] = value
    found = judge(changed)
    assert (judge.code, found[name], found["verdict"]) == (1, "false", "false"), found
    assert tuple(found) == (*PLAN, "verdict"), "everything is listed all the same"
    if name == "limits" and "battery_w" not in place:
        assert found["optimality"] == found["rounding"] == "unchecked"
        assert judge.why["rounding"] == "not judged: a limit is not kept"


def test_a_row_is_checked_without_the_others(judge: Judge, row: Document) -> None:
    found = judge(row)
    sealed = ("record", "inclusion")
    assert {found[n] for n in (*ROW[:3], *sealed)} == {"true"}
    assert tuple(found) == (*ROW, "verdict")
    assert judge.code == 0
    low = copy.deepcopy(row)
    low["currents_da"][0] += 10
    assert judge(low)["commitment"] == "false"


def test_a_plan_of_another_version_is_told_and_not_judged(
    judge: Judge, whole: Document, row: Document
) -> None:
    made = whole["certificate"] | {"algorithm": "wattproof-optimizer/9"}
    found = judge(whole | {"certificate": made, "leaf": None, "head": None})
    assert (judge.code, found["verdict"]) == (0, "unchecked")
    for name in (*CERTIFICATE, "plan"):
        assert found[name] == "unchecked"
        assert "made by wattproof-optimizer/9" in judge.why[name]
    newer = row | {"algorithm": "wattproof-optimizer/9", "leaf": None, "head": None}
    found = judge(newer)
    assert (found["certificate"], found["verdict"]) == ("unchecked", "unchecked")


def test_each_version_is_rounded_by_its_own_rules() -> None:
    """What the newest gives who cannot wait, an older one gave somebody else."""
    asked = pressed_and_patient()
    solved = outcome_to_json(solve(asked, deadline_s=20, salt=bytes(32)))
    made = json.loads(json.dumps(solved["certificate"]))
    found = {}
    for version in ("4", "5"):
        named = made | {"algorithm": f"wattproof-optimizer/{version}"}
        plan = certificate.read_certified(asked.to_json(), named)
        assert plan is not None
        checks = certificate.check_certificate(plan)
        found[version] = {check.name: check.verdict.value for check in checks}
    assert made["algorithm"] == ALGORITHM
    assert set(found["5"].values()) == {"true"}
    assert found["4"] == found["5"] | {certificate.ROUNDING: "false"}


def contracts_file(site: Site) -> Document:
    (known,) = [
        SqliteStore(site.conn).deployed(site.chain.identity().key),
    ]
    identity = site.chain.identity()
    return PublishedContracts(
        chain_id=identity.chain_id,
        genesis_hash=identity.genesis_hash,
        release=RELEASE,
        contracts={
            name: PublishedContract(
                address=one.address,
                code_sha256=code_sha256(site.chain.code(one.address)),
            )
            for name, one in known.items()
        },
    ).to_json()


def test_head_and_algorithm_are_asked_of_the_chain_that_is_published(
    judge: Judge, site: Site, whole: Document
) -> None:
    contracts = contracts_file(site)
    pinned = ("--contracts", judge.file("contracts.json", contracts))
    asked = (*pinned, "--chain", str(site.folder / "chain.db"))
    found = judge(whole, *pinned)
    assert (found["chain"], found["head"]) == ("unchecked", "unchecked")
    found = judge(whole, *asked)
    assert (found["chain"], found["head"]) == ("self-witnessed", "self-witnessed")
    assert (found["algorithm"], judge.code) == ("unchecked", 0)
    assert "not published" in judge.why["algorithm"]
    site.worker.publish(
        AlgorithmRelease(
            algorithm_id=algorithm_id(ALGORITHM),
            version=ALGORITHM,
            wheel_sha256=sha256(WHEEL),
            source_sha256=sha256(b"source"),
            environment_sha256=sha256(b"environment"),
            active_from=START,
            uri="https://example.invalid/wheel",
        ),
        site.clock.at,
    )
    site.worker.step(site.clock.advance(1))
    found = judge(whole, *asked)
    assert found["algorithm"] == "self-witnessed"
    assert sha256(WHEEL).hex() in judge.why["algorithm"]
    wheel = judge.folder / "optimizer.whl"
    wheel.write_bytes(WHEEL)
    assert judge(whole, *asked, "--wheel", str(wheel))["algorithm"] == "self-witnessed"
    wheel.write_bytes(WHEEL + b"!")
    found = judge(whole, *asked, "--wheel", str(wheel))
    assert (found["algorithm"], judge.code) == ("false", 1)
    moved = copy.deepcopy(whole)
    moved["head"]["block"] += 1
    assert judge(moved, *asked)["head"] == "false"
    contracts["contracts"]["AlgorithmRegistry"]["code_sha256"] = "00" * 32
    pinned = ("--contracts", judge.file("contracts.json", contracts))
    found = judge(whole, *pinned, "--chain", str(site.folder / "chain.db"))
    assert (found["chain"], found["code"]) == ("self-witnessed", "false")
    assert (found["head"], found["algorithm"]) == ("unchecked", "unchecked")
    assert "other contracts" in judge.why["head"]


def test_what_does_not_fit_a_plan_is_bad_usage(judge: Judge, whole: Document) -> None:
    for options in (
        ("--meter-key", "00"),
        ("--contracts", "absent"),
        ("--wheel", "no"),
    ):
        assert "error" in judge(whole, *options)
        assert judge.code == 2
    changes: list[Document] = [
        {"problem": {}},
        {"certificate": []},
        {"certificate": {}},
        {"format": "wattproof-plan/2"},
        {"more": 1},
        {"leaf": None},
    ]
    for change in changes:
        assert "error" in judge(whole | change)
        assert judge.code == 2


def test_a_problem_that_would_take_hours_is_refused_at_once(
    judge: Judge, whole: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "MAX_EFFORT", 10)
    assert "too large" in judge(whole)["error"]
