"""The wheels alone in an empty environment: a stranger checks receipts and plans."""

import json
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from ledger.wheel import PROJECTS, ROOT, build_apart, build_wheel
from optimizer.bundle import PLAN
from optimizer.cli import outcome_to_json
from optimizer.solve import solve
from tests.support.ledger_site import make_site
from tests.support.optimizer_problems import typical_day

NEEDED = ("typing_extensions", "tzdata")
"""What the wheel depends on, and all that is there besides."""
ABSENT = ("gateway", "optimizer", "cvxpy", "numpy", "web3", "eth", "requests")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel and what it names as needed; installed offline."""
    folder = tmp_path_factory.mktemp("stranger")
    wheel = build_wheel("wattproof-ledger", folder)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install"),
            *("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"),
            *("--no-compile", str(wheel)),
        ],
        check=True,
        timeout=60,
    )
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in NEEDED:
        spec = util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (packages / found.name).symlink_to(found)
    return python


@pytest.fixture(scope="module")
def receipt(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    site = make_site(tmp_path_factory.mktemp("site"))
    site.add_session("s-1")
    return site.receipt("s-1")


def verified(
    python: Path, folder: Path, receipt: Mapping[str, Any], *options: str
) -> tuple[int, dict[str, str]]:
    path = folder / "receipt.json"
    path.write_text(json.dumps(receipt))
    done = subprocess.run(
        [str(python), "-I", "-m", "ledger", "verify", str(path), "--json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    checks = json.loads(done.stdout)["checks"]
    return done.returncode, {one["name"]: one["verdict"] for one in checks} | {
        f"why {one['name']}": one["reason"] for one in checks
    }


def test_nothing_but_the_wheel_can_be_imported(stranger: Path) -> None:
    code = f"from importlib.util import find_spec; print(*map(find_spec, {ABSENT}))"
    shown = subprocess.check_output(
        [str(stranger), "-I", "-c", code], text=True, timeout=60, cwd=stranger.parent
    )
    assert shown.split() == ["None"] * len(ABSENT)


def test_the_wheel_alone_verifies_a_receipt_and_finds_a_tampered_one(
    stranger: Path, receipt: dict[str, Any], tmp_path: Path
) -> None:
    code, found = verified(stranger, tmp_path, receipt)
    offline = ("format", "records", "inclusion", "readings", "registers", "bill")
    assert code == 0
    assert {found[name] for name in (*offline, "settlement")} == {"true"}
    bill = receipt["bill"] | {"amount_minor": receipt["bill"]["amount_minor"] + 1}
    code, found = verified(stranger, tmp_path, receipt | {"bill": bill})
    assert (code, found["bill"], found["settlement"]) == (1, "false", "false")


def test_a_chain_that_cannot_be_asked_says_what_to_install(
    stranger: Path, receipt: dict[str, Any], tmp_path: Path
) -> None:
    chain = {
        "chain_id": 1,
        "genesis_hash": "0x" + "00" * 32,
        "anchor_contract": "0x" + "11" * 20,
        "settlement_contract": "0x" + "22" * 20,
    }
    asked = ("--rpc", "http://127.0.0.1:9/")
    code, found = verified(stranger, tmp_path, receipt | {"chain": chain}, *asked)
    assert (code, found["chain"]) == (0, "unchecked")
    assert "install wattproof-ledger[chain]" in found["why chain"]


def test_the_wheel_alone_verifies_a_plan(stranger: Path, tmp_path: Path) -> None:
    problem = typical_day(2, n_session=3, n_step=8)
    outcome = solve(problem, deadline_s=20)
    bundle = {"format": PLAN, "problem": problem.to_json()} | outcome_to_json(outcome)
    code, found = verified(stranger, tmp_path, bundle, "--strict")
    assert (code, found["optimality"], found["rounding"]) == (0, "true", "true")


def test_the_optimizers_wheel_is_the_same_from_two_places() -> None:
    assert len(build_apart("wattproof-optimizer")) == 32


def test_the_wheels_have_one_version_and_need_nothing_that_is_not_pinned() -> None:
    read = {
        name: tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
        for name, folder in PROJECTS.items()
    }
    whole = read["wattproof"]
    lock = (ROOT / "requirements.lock").read_text()
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    for name, one in read.items():
        project = one["project"]
        assert project["name"] == name
        assert project["version"] == whole["project"]["version"]
        assert project["requires-python"] == whole["project"]["requires-python"]
        assert one["build-system"] == whole["build-system"]
        needed = list(project["dependencies"])
        for extra in project.get("optional-dependencies", {}).values():
            needed += extra
        names = {re.split(r"[<>=;\[ ]", one)[0] for one in needed}
        assert names <= pinned
